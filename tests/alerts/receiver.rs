//! A receiver of webhooks.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What was posted.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) key: String,
    pub(crate) json: Json,
}

impl Posted {
    pub(crate) fn identity(&self) -> String {
        self.json["identity"].as_str().unwrap().to_owned()
    }
}

#[derive(Debug, Default)]
struct Received {
    posts: Mutex<Vec<Posted>>,
    /// What it answers; zero: nothing, ever.
    status: AtomicU16,
}

/// A receiver of webhooks, which ends when it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    received: Arc<Received>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Received::default());
        received.status.store(200, Ordering::SeqCst);
        let router = axum::Router::new().route("/hook", post(take));
        let router = router.with_state(Arc::clone(&received));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            received,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// All posts that it took, also repeats.
    pub(crate) fn all(&self) -> Vec<Posted> {
        self.received.posts.lock().clone()
    }

    /// The first post of each key.
    pub(crate) fn distinct(&self) -> Vec<Posted> {
        let mut known = HashSet::new();
        let mut all = self.all();
        all.retain(|posted| known.insert(posted.key.clone()));
        all
    }

    /// Answers with `status` from now on, and takes nothing if that is no success; zero: it never answers.
    pub(crate) fn answer(&self, status: u16) {
        self.received.status.store(status, Ordering::SeqCst);
    }
}

async fn take(
    State(received): State<Arc<Received>>,
    fields: HeaderMap,
    body: String,
) -> StatusCode {
    let status = received.status.load(Ordering::SeqCst);
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(status).unwrap();
    if status.is_success() {
        received.posts.lock().push(Posted {
            key: fields["idempotency-key"].to_str().unwrap().to_owned(),
            json: serde_json::from_str(&body).unwrap(),
        });
    }
    status
}
