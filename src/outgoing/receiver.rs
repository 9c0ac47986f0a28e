//! What tests send to: [`Receiver`], and [`Answers`] for its name.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::outgoing::connect::EndpointStream;
use crate::outgoing::resolver::Resolver;

/// Answers each connection with the same text, and keeps what it was sent. It ends when it is dropped.
pub(super) struct Receiver {
    pub(super) at: SocketAddr,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn at(
        address: &str,
        answer: impl Into<String>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let at = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (keep, answer) = (Arc::clone(&received), answer.into());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Some(tls) = &tls else {
                    serve(stream, &answer, &keep).await;
                    continue;
                };
                match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &answer, &keep).await,
                    Err(error) => keep.lock().push(format!("TLS: {error}").into()),
                }
            }
        });
        Self { at, received, task }
    }

    pub(super) async fn plain(answer: impl Into<String>) -> Self {
        Self::at("127.0.0.1:0", answer, None).await
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.at)
    }

    /// What each connection sent, with its head as text.
    pub(super) fn received(&self) -> Vec<String> {
        let received = self.received.lock();
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        received.iter().map(text).collect()
    }

    /// The body of the first request.
    pub(super) fn body(&self) -> Vec<u8> {
        let request = self.received.lock()[0].clone();
        request[head(&request).unwrap()..].to_vec()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request and answers it.
async fn serve(mut stream: impl EndpointStream, answer: &str, keep: &Mutex<Vec<Vec<u8>>>) {
    keep.lock().push(Vec::new());
    let mut bytes = Vec::new();
    while !is_whole(&bytes) && stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
    *keep.lock().last_mut().unwrap() = bytes;
    if answer.is_empty() {
        // Until the client gives up, which is at once: nothing else goes on.
        tokio::time::pause();
        let _ = stream.read_buf(&mut Vec::new()).await;
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Where the head of a request ends.
fn head(request: &[u8]) -> Option<usize> {
    let mut parts = request.windows(4);
    parts.position(|part| part == b"\r\n\r\n").map(|at| at + 4)
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = head(request) else {
        return false;
    };
    let text = String::from_utf8_lossy(&request[..end]);
    let mut lines = text.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().unwrap());
    request.len() >= end + length
}

/// Answers with the first list, then with the second, and so on.
#[derive(Debug)]
pub(super) struct Answers {
    lists: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Answers {
    pub(super) fn new<const N: usize>(lists: [&[&str]; N]) -> Arc<Self> {
        let list = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self {
            lists: lists.into_iter().map(list).collect(),
            asked: AtomicUsize::new(0),
        })
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Answers {
    fn addresses<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.lists.get(asked).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such host")) })
    }
}
