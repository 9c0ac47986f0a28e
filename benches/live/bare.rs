//! What is compared with: an axum handler that sends what a channel has, and a hyper server that writes bytes from one.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Sender};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt};

/// As many as wait for a client of this crate.
const WAITING: usize = 1_024;
const EVENT: &str = "auction_update";

/// An update: its id, and what it says.
#[derive(Clone)]
pub struct Message {
    id: Arc<str>,
    data: Arc<str>,
}

impl Message {
    pub fn new(number: u64, padding: &str) -> Self {
        let id = format!("1795392000000000-{number}.0");
        let data = format!(
            r#"{{"data":{{"amount":"1500000000000000000000","padding":"{padding}@"}},"id":"{id}","identity":"1/0x5f/{number}","subject":"auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be","time":1795392000000,"type":"sale"}}"#
        );
        Self {
            id: id.into(),
            data: data.into(),
        }
    }

    /// As it is sent.
    pub fn bytes(&self) -> Bytes {
        let Self { id, data } = self;
        format!("event: {EVENT}\nid: {id}\ndata: {data}\n\n").into()
    }
}

/// As an application does it with what axum has.
pub fn router() -> (Router, Sender<Message>) {
    let (sender, _) = broadcast::channel(WAITING);
    let router = Router::new().route("/events", get(events));
    (router.with_state(sender.clone()), sender)
}

async fn events(
    State(sender): State<Sender<Message>>,
) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
    let events = BroadcastStream::new(sender.subscribe()).map(|message| {
        let Message { id, data, .. } = message.map_err(axum::Error::new)?;
        Ok(Event::default().event(EVENT).id(id).data(data))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// Writes the bytes of each update to each client, and does nothing else.
pub fn hyper(listener: TcpListener) -> Sender<Bytes> {
    let (sender, _) = broadcast::channel(WAITING);
    let all = sender.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let sender = all.clone();
            let answer = service_fn(move |_: Request<Incoming>| {
                let body = Told(BroadcastStream::new(sender.subscribe()));
                async { Ok::<_, Infallible>(Response::new(body)) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(async {
                // A client may hang up.
                let _ = connection.await;
            });
        }
    });
    sender
}

/// The bytes that a channel has.
struct Told(BroadcastStream<Bytes>);

impl Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let told = ready!(Pin::new(&mut self.0).poll_next(cx));
        let told = told.map(|bytes| bytes.expect("the driver waits for all clients"));
        Poll::Ready(told.map(|bytes| Ok(Frame::data(bytes))))
    }
}
