//! Clients: raw bytes over HTTP/1.1, and hyper's for both versions.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, Version};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tagcache_test_support::{Answer, ends};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw_origin::{fields, read_message};

pub(crate) const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// One raw HTTP/1.1 connection.
pub(crate) struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A raw answer.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Told {
    pub(crate) fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1).unwrap_or_default();
        status.parse().expect("a status")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        fields(&self.head, name).first().copied()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that refuses early may have closed already: what it said counts.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Says that nothing more will come, and still listens.
    pub(crate) async fn end(&mut self) {
        self.stream.shutdown().await.expect("its side is closed");
    }

    /// The next answer; none if the server closes first.
    pub(crate) async fn answer(&mut self) -> Option<Told> {
        let message = read_message(&mut self.stream, &mut self.buffer);
        let (head, body) = ends("an answer", message).await?;
        Some(Told { head, body })
    }

    /// A head without the body that it may announce.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = std::mem::take(&mut self.buffer);
        while !head.ends_with(b"\r\n\r\n") {
            let byte = ends("a head", self.stream.read_u8()).await.expect("a byte");
            head.push(byte);
        }
        String::from_utf8(head).expect("text")
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            let read = ends("bytes", self.stream.read_buf(&mut self.buffer)).await;
            assert_ne!(read.expect("bytes"), 0, "closed");
        }
        self.buffer.drain(..length).collect()
    }

    /// All that comes until the server closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buffer);
        let _ = ends("the end", self.stream.read_to_end(&mut rest)).await;
        rest
    }

    pub(crate) async fn ask(&mut self, request: &str) -> Told {
        self.write(request).await;
        self.answer().await.expect("an answer")
    }
}

/// Sends raw bytes; all that comes until the server closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut raw = Raw::connect(address).await;
    raw.write(bytes).await;
    raw.rest().await
}

/// The answer, read to its end.
pub(crate) async fn read(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    ends("a body", Answer::read(response)).await
}

pub(crate) async fn get(address: SocketAddr, version: Version, path: &str) -> Answer {
    get_with(address, version, path, &[]).await
}

pub(crate) async fn get_with(
    address: SocketAddr,
    version: Version,
    path: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let request = request(address, Method::GET, path, fields);
    send(
        address,
        version,
        request.body(Empty::<Bytes>::new()).expect("a request"),
    )
    .await
}

pub(crate) fn request(
    address: SocketAddr,
    method: Method,
    path: &str,
    fields: &[(&str, &str)],
) -> http::request::Builder {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request
}

/// The whole answer, over a connection of its own.
pub(crate) async fn send<B>(address: SocketAddr, version: Version, request: Request<B>) -> Answer
where
    B: http_body::Body<Data: Send, Error: Into<tower_tagcache::BoxError>> + Send + Unpin + 'static,
{
    let response = start(address, version, request).await.expect("an answer");
    read(response).await.expect("a whole body")
}

/// The head of the answer; its body is still to be read.
pub(crate) async fn start<B>(
    address: SocketAddr,
    version: Version,
    request: Request<B>,
) -> hyper::Result<Response<Incoming>>
where
    B: http_body::Body<Data: Send, Error: Into<tower_tagcache::BoxError>> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(address).await.expect("a connection");
    start_over(stream, version, request).await
}

pub(crate) async fn start_over<B, T>(
    stream: T,
    version: Version,
    mut request: Request<B>,
) -> hyper::Result<Response<Incoming>>
where
    B: http_body::Body<Data: Send, Error: Into<tower_tagcache::BoxError>> + Send + Unpin + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    if version == Version::HTTP_2 {
        let executor = TokioExecutor::new();
        let shaken = hyper::client::conn::http2::handshake(executor, io).await;
        let (mut sender, connection) = shaken.expect("HTTP/2");
        tokio::spawn(connection);
        return ends("an answer", sender.send_request(request)).await;
    }
    let authority = request.uri().authority().cloned();
    if let Some(authority) = authority.filter(|_| !request.headers().contains_key("host")) {
        let host = authority.as_str().parse().expect("a host");
        request.headers_mut().insert("host", host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.expect("a path").into();
    let shaken = hyper::client::conn::http1::handshake(io).await;
    let (mut sender, connection) = shaken.expect("HTTP/1.1");
    tokio::spawn(connection.with_upgrades());
    ends("an answer", sender.send_request(request)).await
}
