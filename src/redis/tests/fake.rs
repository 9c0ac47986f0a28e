//! A server that says what a test wants of itself, and knows as much of Redis as it takes to get there.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Answers one command with a reply as it goes over the wire; `None`: as a server without data does.
type Answering = dyn Fn(&[String]) -> Option<String> + Send + Sync;

pub(super) struct Fake {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Fake {
    pub(super) async fn start(
        answering: impl Fn(&[String]) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let answering: Arc<Answering> = Arc::new(answering);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, Arc::clone(&answering)));
            }
        });
        Self { addr, task }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(socket: TcpStream, answering: Arc<Answering>) {
    let (from, mut to) = socket.into_split();
    let mut from = BufReader::new(from);
    while let Some(command) = command(&mut from).await {
        let answer = answering(&command).unwrap_or_else(|| plain(&command));
        if to.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn command(from: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    for _ in 0..number(from).await? {
        let mut part = vec![0; number(from).await? + 2];
        from.read_exact(&mut part).await.ok()?;
        part.truncate(part.len() - 2);
        parts.push(String::from_utf8_lossy(&part).into_owned());
    }
    Some(parts)
}

/// The number in a line such as `*3` or `$11`.
async fn number(from: &mut (impl AsyncBufReadExt + Unpin)) -> Option<usize> {
    let mut line = String::new();
    from.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}

pub(super) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn plain(command: &[String]) -> String {
    match &*command[0].to_ascii_uppercase() {
        "XREVRANGE" | "XRANGE" => "*0\r\n".into(),
        "XADD" => bulk(&command[2]),
        "GET" => "$-1\r\n".into(),
        "ROLE" => "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n".into(),
        _ => "+OK\r\n".into(),
    }
}
