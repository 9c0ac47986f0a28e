//! An origin that answers with raw bytes, connection by connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Which connection, from 0.
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    /// Method, target, version.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        fields(&self.head, name)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).first().copied()
    }
}

/// The values of all lines of a field in a head.
pub(crate) fn fields<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let lines = head.split("\r\n").skip(1);
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let ours = pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    ours.map(|(_, value)| value.trim()).collect()
}

/// What the origin does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Writes this and reads on.
    Bytes(Bytes),
    /// Writes this and closes.
    Last(Bytes),
    /// Writes this and resets the connection.
    Reset(Bytes),
    /// Writes this; goes on with the rest of the connection as an echo.
    Echo(Bytes),
    /// Waits for the gate before the reply.
    Held(Arc<Notify>, Box<Self>),
    /// Writes the first, waits for the gate, goes on with the second.
    Then(Bytes, Arc<Notify>, Box<Self>),
}

pub(crate) fn reply(bytes: impl Into<Vec<u8>>) -> Reply {
    Reply::Bytes(Bytes::from(bytes.into()))
}

/// A 200 with these field lines and a body of a declared length.
pub(crate) fn ok(fields: &str, body: &str) -> Reply {
    let length = body.len();
    let fields: String = fields
        .lines()
        .map(|line| format!("{}\r\n", line.trim()))
        .collect();
    reply(format!(
        "HTTP/1.1 200 OK\r\n{fields}content-length: {length}\r\n\r\n{body}"
    ))
}

type Script = dyn Fn(&Heard) -> Reply + Send + Sync;

/// A server that speaks HTTP/1.1 by hand. It ends with the test.
///
/// It is no `Origin` of `tests/support`, which answers with responses that hyper writes and from requests that hyper has
/// read. What misbehaves needs bytes that no HTTP library sends (a false length, half a head, a reset), and what is said
/// of requests and connections has to be what came over the wire: each field line as it was spelt, which connection it
/// came on, and how many there were.
#[derive(Clone)]
pub(crate) struct RawOrigin(Arc<Shared>);

struct Shared {
    address: SocketAddr,
    heard: watch::Sender<Vec<Heard>>,
    connections: Mutex<usize>,
    script: Box<Script>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl RawOrigin {
    pub(crate) async fn start(script: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, script)
    }

    pub(crate) fn on(
        listener: TcpListener,
        script: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let origin = Self(Arc::new(Shared {
            address: listener.local_addr().expect("an address"),
            heard: watch::Sender::default(),
            connections: Mutex::new(0),
            script: Box::new(script),
            accepting: Mutex::default(),
            tasks: Mutex::default(),
        }));
        let accepting = origin.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.take(stream);
            }
        });
        *origin.0.accepting.lock() = Some(task);
        origin
    }

    /// One after the other; the last one again and again.
    pub(crate) async fn replies(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Mutex<VecDeque<_>> = Mutex::new(replies.into_iter().collect());
        Self::start(move |_| {
            let mut replies = replies.lock();
            match replies.len() {
                1 => replies[0].clone(),
                _ => replies.pop_front().expect("a reply"),
            }
        })
        .await
    }

    fn take(&self, stream: TcpStream) {
        let number = {
            let mut connections = self.0.connections.lock();
            *connections += 1;
            *connections - 1
        };
        let origin = self.clone();
        let task = tokio::spawn(async move { origin.serve(stream, number).await });
        self.0.tasks.lock().push(task);
    }

    async fn serve(&self, mut stream: TcpStream, connection: usize) {
        let mut buffer = Vec::new();
        while let Some((head, body)) = read_message(&mut stream, &mut buffer).await {
            let heard = Heard {
                connection,
                head,
                body,
            };
            let reply = (self.0.script)(&heard);
            self.0.heard.send_modify(|all| all.push(heard));
            if !act(&mut stream, reply).await {
                return;
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.0.heard.borrow().clone()
    }

    pub(crate) fn last(&self) -> Heard {
        self.heard().pop().expect("a request")
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.heard.borrow().len()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.0.connections.lock()
    }

    /// Closes all connections and the listener.
    pub(crate) fn stop(&self) {
        if let Some(accepting) = self.0.accepting.lock().take() {
            accepting.abort();
        }
        self.close_connections();
    }

    pub(crate) fn close_connections(&self) {
        for task in self.0.tasks.lock().drain(..) {
            task.abort();
        }
    }
}

/// True if the connection goes on.
async fn act(stream: &mut TcpStream, mut reply: Reply) -> bool {
    loop {
        reply = match reply {
            Reply::Bytes(bytes) => return stream.write_all(&bytes).await.is_ok(),
            Reply::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return false;
            }
            Reply::Reset(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                let _ = stream.set_zero_linger();
                return false;
            }
            Reply::Echo(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                return false;
            }
            Reply::Held(gate, reply) => {
                gate.notified().await;
                *reply
            }
            Reply::Then(bytes, gate, reply) => {
                let _ = stream.write_all(&bytes).await;
                gate.notified().await;
                *reply
            }
        };
    }
}

/// One message: its head as text, and its body without chunks.
pub(crate) async fn read_message<R>(
    stream: &mut R,
    buffer: &mut Vec<u8>,
) -> Option<(String, Vec<u8>)>
where
    R: AsyncReadExt + Unpin,
{
    let end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end;
        }
        more(stream, buffer).await?;
    };
    let head: Vec<u8> = buffer.drain(..end + 4).collect();
    let head = String::from_utf8_lossy(&head[..end]).into_owned();
    let mut body = Vec::new();
    if let Some(length) = fields(&head, "content-length").first() {
        let length = length.parse().expect("a length");
        while buffer.len() < length {
            more(stream, buffer).await?;
        }
        body = buffer.drain(..length).collect();
    } else if !fields(&head, "transfer-encoding").is_empty() {
        loop {
            let line = read_line(stream, buffer).await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            while buffer.len() < size + 2 {
                more(stream, buffer).await?;
            }
            if size == 0 {
                while !read_line(stream, buffer).await?.is_empty() {}
                break;
            }
            body.extend(buffer.drain(..size));
            buffer.drain(..2);
        }
    }
    Some((head, body))
}

async fn read_line<R: AsyncReadExt + Unpin>(
    stream: &mut R,
    buffer: &mut Vec<u8>,
) -> Option<String> {
    let end = loop {
        if let Some(end) = find(buffer, b"\r\n") {
            break end;
        }
        more(stream, buffer).await?;
    };
    let line: Vec<u8> = buffer.drain(..end + 2).collect();
    Some(String::from_utf8_lossy(&line[..end]).into_owned())
}

async fn more<R: AsyncReadExt + Unpin>(stream: &mut R, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
