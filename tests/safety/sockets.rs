//! Real connections to a `Site` that is served, over HTTP/1.1 and HTTP/2, and raw bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, Version};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tagcache_test_support::Answer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) async fn ask(
    address: SocketAddr,
    version: Version,
    method: Method,
    path: &str,
) -> Answer {
    ask_with(address, version, method, path, &[]).await
}

pub(crate) async fn ask_with(
    address: SocketAddr,
    version: Version,
    method: Method,
    path: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    send(address, version, request).await
}

/// The whole answer, over a connection of its own.
pub(crate) async fn send<B>(address: SocketAddr, version: Version, request: Request<B>) -> Answer
where
    B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync>
        + Send
        + Unpin
        + 'static,
{
    let response = start(address, version, request).await;
    Answer::read(response).await.expect("a whole body")
}

/// The head of the answer; its body is still to be read.
pub(crate) async fn start<B>(
    address: SocketAddr,
    version: Version,
    request: Request<B>,
) -> Response<Incoming>
where
    B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync>
        + Send
        + Unpin
        + 'static,
{
    let stream = TokioIo::new(connect(address).await);
    let response = if version == Version::HTTP_2 {
        let executor = TokioExecutor::new();
        let shaken = hyper::client::conn::http2::handshake(executor, stream).await;
        let (mut sender, connection) = shaken.expect("HTTP/2");
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let shaken = hyper::client::conn::http1::handshake(stream).await;
        let (mut sender, connection) = shaken.expect("HTTP/1.1");
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    response.expect("an answer")
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

pub(crate) async fn write(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).await.expect("written");
}

pub(crate) async fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        heard.push(stream.read_u8().await.expect("a byte"));
    }
    String::from_utf8(heard).expect("text")
}

/// Sends raw bytes, and returns all that comes until the server closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address).await;
    write(&mut stream, bytes).await;
    let mut heard = Vec::new();
    // A server that will not drain may reset; what it said before counts.
    let _ = stream.read_to_end(&mut heard).await;
    heard
}

/// One answer of a raw HTTP/1.1 connection, with a declared length.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn all(bytes: &[u8]) -> Vec<Self> {
        let mut rest = String::from_utf8(bytes.to_vec()).expect("text");
        let mut all = Vec::new();
        while let Some((head, tail)) = rest.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().expect("a length"));
            if !head.starts_with("HTTP/1.1 1") {
                all.push(Self {
                    body: tail[..length].to_owned(),
                });
            }
            rest = tail[length..].to_owned();
        }
        all
    }
}
