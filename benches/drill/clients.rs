//! A server with the layer, and eight clients that ask as fast as they are answered.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower_tagcache::Cache;

const CLIENTS: usize = 8;
/// Between two requests of a client: what is measured is the cache, not a full machine.
const PAUSE: Duration = Duration::from_millis(2);
/// So many of the last answers are late ones.
const LATE: usize = 200;

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    began: Instant,
    took: Duration,
    pub failed: bool,
}

pub struct Clients {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Asked>>>,
    server: JoinHandle<()>,
    of_late: Arc<Mutex<VecDeque<bool>>>,
}

impl Clients {
    pub async fn start(cache: &Cache, urls: usize) -> Self {
        let answer = get(|| async { Bytes::from_static(&[b'x'; 256]) });
        let router = Router::new()
            .route("/item/{id}", answer)
            .layer(cache.layer());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let (stop, of_late) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let client = |number| {
            let (stop, of_late) = (Arc::clone(&stop), Arc::clone(&of_late));
            tokio::spawn(client(addr, urls, number, stop, of_late))
        };
        let tasks = (0..CLIENTS).map(client).collect();
        Self {
            stop,
            tasks,
            server,
            of_late,
        }
    }

    /// Hits in parts of the last answers.
    pub fn hit_rate_of_late(&self) -> f64 {
        let of_late = self.of_late.lock().unwrap();
        let hits = of_late.iter().filter(|hit| **hit).count();
        hits as f64 / LATE as f64
    }

    pub async fn stop(self) -> Vec<Asked> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        self.server.abort();
        all
    }
}

async fn client(
    addr: SocketAddr,
    urls: usize,
    number: usize,
    stop: Arc<AtomicBool>,
    of_late: Arc<Mutex<VecDeque<bool>>>,
) -> Vec<Asked> {
    let mut all = Vec::new();
    let mut sender = connect(addr).await;
    let mut turn = number * urls / CLIENTS;
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        let began = Instant::now();
        let answered = ask(&mut sender, turn % urls).await;
        let took = began.elapsed();
        all.push(Asked {
            began,
            took,
            failed: answered.is_none(),
        });
        note(&of_late, answered == Some(true));
        if answered.is_none() {
            sender = connect(addr).await;
        }
        sleep(PAUSE).await;
    }
    all
}

fn note(of_late: &Mutex<VecDeque<bool>>, hit: bool) {
    let mut of_late = of_late.lock().unwrap();
    of_late.push_back(hit);
    if of_late.len() > LATE {
        of_late.pop_front();
    }
}

async fn connect(addr: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let socket = TcpStream::connect(addr).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Whether it was a hit; `None`: no whole answer.
async fn ask(sender: &mut SendRequest<Empty<Bytes>>, url: usize) -> Option<bool> {
    let request = Request::get(format!("/item/{url}")).header("host", "drill");
    let request = request.body(Empty::new()).unwrap();
    sender.ready().await.ok()?;
    let response = sender.send_request(request).await.ok()?;
    let good = response.status().is_success();
    let status = response.headers().get("cache-status")?.to_str().ok()?;
    let hit = status.contains("; hit");
    let body = response.into_body().collect().await.ok()?.to_bytes();
    (good && body.len() == 256).then_some(hit)
}

/// How long requests took that began in some time.
pub struct Span(Vec<Duration>);

impl Span {
    pub fn of(all: &[Asked], from: Instant, to: Instant) -> Self {
        let within = all.iter().filter(|one| (from..to).contains(&one.began));
        let mut took: Vec<Duration> = within.map(|one| one.took).collect();
        took.sort();
        Self(took)
    }

    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let at = (self.0.len() as f64 * part) as usize;
        self.0.get(at.min(self.0.len().checked_sub(1)?)).copied()
    }

    pub fn slower_than(&self, limit: Duration) -> usize {
        self.0.iter().filter(|took| **took > limit).count()
    }
}
