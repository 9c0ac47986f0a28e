//! A service on a loopback socket.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::{BoxError, Service, ServiceExt};

use crate::{Body, Failure, Origin, Site};

/// A service that is reached over HTTP/1.1 and HTTP/2. It and its connections end when this is dropped.
#[derive(Debug)]
pub struct Served {
    pub address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl Served {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Serves `service` on a free port.
pub async fn serve<S, B>(service: S) -> Served
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    serve_by(Builder::new(TokioExecutor::new()), service).await
}

impl Origin {
    /// Serves this origin on a free port. It closes each connection after the answer, so that one that breaks is no
    /// reason to ask again, and adds no `Date`, which would be by another clock than the test's. Where it fails, it
    /// hangs up.
    pub async fn serve(&self) -> Served {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().keep_alive(false).auto_date_header(false);
        builder.http2().auto_date_header(false);
        serve_by(builder, self.clone().map_request(received)).await
    }
}

impl Site {
    /// Serves the site on a free port.
    pub async fn serve(&self) -> Served {
        serve(self.service.clone().map_request(received)).await
    }
}

/// A request as the services of this crate take it.
fn received(request: Request<Incoming>) -> Request<Body> {
    request.map(|body| {
        let body = body.map_err(|_| Failure("the client went away"));
        body.boxed_unsync()
    })
}

async fn serve_by<S, B>(builder: Builder<TokioExecutor>, service: S) -> Served
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        // Dropped with this task, and the connections with it.
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            while connections.try_join_next().is_some() {}
            let service = TowerToHyperService::new(service.clone());
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let connection = connection.into_owned();
            connections.spawn(async move {
                // A client that closes early is no failure of the test, and a service may fail on purpose.
                let _ = connection.await;
            });
        }
    });
    Served {
        address,
        _accepting: accepting,
    }
}
