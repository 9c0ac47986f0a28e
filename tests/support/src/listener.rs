//! Clients of live updates: one of server-sent events, and one of WebSocket.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::ends;

/// One block of a stream of server-sent events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerEvent {
    pub event: Option<String>,
    pub id: Option<String>,
    pub retry: Option<u64>,
    pub data: Option<Value>,
}

impl ServerEvent {
    fn parse(block: &str) -> Self {
        let mut event = Self::default();
        for line in block.trim_end().lines() {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            match name {
                "event" => event.event = Some(value.to_owned()),
                "id" => event.id = Some(value.to_owned()),
                "retry" => event.retry = value.parse().ok(),
                "data" => event.data = serde_json::from_str(value).ok(),
                // Of an event that only says up to where all was told.
                "data:" => {}
                _ => assert!(line.starts_with(':'), "{line:?}"),
            }
        }
        event
    }

    /// A field of its data, as text.
    pub fn text(&self, name: &str) -> &str {
        let data = self.data.as_ref().expect("an event with data");
        data[name].as_str().unwrap_or_default()
    }
}

/// An answer to a client of server-sent events. Its connection ends with it.
#[derive(Debug)]
pub struct EventClient {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    unread: Vec<u8>,
    /// What a browser would send when it connects again.
    pub last_id: Option<String>,
    _connection: JoinSet<()>,
}

impl EventClient {
    /// Asks for `path` at `address`.
    pub async fn open(address: SocketAddr, path: &str, lines: &[(&str, &str)]) -> Self {
        Self::send("GET", address, path, lines)
            .await
            .expect("an answer")
    }

    /// As a browser does that connects again.
    pub async fn resume(address: SocketAddr, path: &str, last_id: &str) -> Self {
        Self::open(address, path, &[("last-event-id", last_id)]).await
    }

    /// The answer to a request; none if nobody answers.
    pub async fn send(
        method: &str,
        address: SocketAddr,
        path: &str,
        lines: &[(&str, &str)],
    ) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            // A server may hang up.
            let _ = connection.await;
        });
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", address.to_string());
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .expect("a request of the test");
        let response = sender.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        Some(Self {
            status: head.status,
            headers: head.headers,
            body,
            unread: Vec::new(),
            last_id: None,
            _connection: task,
        })
    }

    /// The next block; `None` at the end of the stream, however it comes.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        loop {
            let end = self.unread.windows(2).position(|two| two == b"\n\n");
            if let Some(end) = end {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                let event = ServerEvent::parse(&String::from_utf8(block).expect("text"));
                self.last_id = event.id.clone().or(self.last_id.take());
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.unread.extend_from_slice(&data);
            }
        }
    }

    /// The next event that has data.
    pub async fn event(&mut self) -> ServerEvent {
        ends("an event", async {
            loop {
                let event = self.next().await.expect("the stream goes on");
                if event.data.is_some() {
                    return event;
                }
            }
        })
        .await
    }

    /// All of the answer, which has to end.
    pub async fn text(self) -> String {
        let body = ends("the answer", self.body.collect()).await;
        let bytes = body.expect("all of it").to_bytes();
        String::from_utf8(bytes.to_vec()).expect("text")
    }
}

/// A client of WebSocket.
#[derive(Debug)]
pub struct SocketClient(WebSocketStream<TcpStream>);

impl SocketClient {
    /// # Errors
    /// What it was answered instead.
    pub async fn open(
        address: SocketAddr,
        path: &str,
        lines: &[(&'static str, &str)],
    ) -> Result<Self, (StatusCode, HeaderMap)> {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let url = format!("ws://{address}{path}");
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in lines {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("a field"));
        }
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err((response.status(), response.headers().clone())),
            Err(error) => panic!("no WebSocket: {error}"),
        }
    }

    pub async fn say(&mut self, json: Value) {
        self.send(Message::text(json.to_string())).await;
    }

    pub async fn send(&mut self, message: Message) {
        self.0.send(message).await.expect("it is taken");
    }

    /// The next text, or why it ended.
    pub async fn next(&mut self) -> Result<Value, Option<CloseFrame>> {
        loop {
            match ends("a message", self.0.next()).await {
                Some(Ok(Message::Text(text))) => {
                    return Ok(serde_json::from_str(&text).expect("JSON"));
                }
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }
}
