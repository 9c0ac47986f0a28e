//! A client on sockets, and what the client sees.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

pub(super) const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// Asks on a connection of its own, that lives as long as the response's body is read.
pub(super) async fn ask(addr: SocketAddr, version: Version, path: &str) -> Response<Incoming> {
    let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    // The fields that let HTTP/1 servers send trailers.
    let request = |uri: String| {
        let request = Request::get(uri)
            .header("host", "h")
            .header("te", "trailers");
        request.body(Empty::<Bytes>::new()).unwrap()
    };
    if version == Version::Http1 {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request(path.into())).await.unwrap()
    } else {
        let executor = TokioExecutor::new();
        let shaken = hyper::client::conn::http2::handshake(executor, stream).await;
        let (mut sender, connection) = shaken.unwrap();
        tokio::spawn(connection);
        let mut request = request(format!("http://h{path}"));
        request.headers_mut().remove("host");
        sender.send_request(request).await.unwrap()
    }
}

/// What a client sees of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

pub(super) async fn see(response: Response<Incoming>) -> Seen {
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    let body = collected.to_bytes();
    let mut fields = parts.headers;
    if let Some(length) = fields.remove("content-length") {
        let length: usize = length.to_str().unwrap().parse().unwrap();
        assert!(
            length == body.len(),
            "content-length {length} of {}",
            body.len()
        );
    }
    // Hop-by-hop.
    for name in ["transfer-encoding", "connection"] {
        fields.remove(name);
    }
    Seen {
        status: parts.status,
        fields,
        body,
        trailers,
    }
}

/// What the cache may add: `Age` and `Cache-Status`, and to stored responses the validator and the
/// date that they need, where the inner service gave none.
pub(super) fn without_additions(mut seen: Seen, plain: &Seen) -> Seen {
    seen.fields.remove("age");
    seen.fields.remove("cache-status");
    for name in ["etag", "date"] {
        if !plain.fields.contains_key(name) {
            seen.fields.remove(name);
        }
    }
    seen
}
