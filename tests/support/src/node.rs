//! One node: a cache of its own with its own connections, over the origin that all share.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::{Layer, ServiceExt};
use tower_tagcache::{Cache, CacheBody, CacheService, Companion, Purger};

use crate::{Answer, Body, Notices, Origin, Said, ends, eventually};

/// A node. Its companion, if it runs, ends with it.
#[derive(Debug)]
pub struct Node {
    pub cache: Cache,
    pub notices: Notices,
    service: CacheService<Origin>,
    companion: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

/// A `GET` of `path`.
pub fn path(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path)
        .body(Empty::new())
        .expect("a path of the test")
}

impl Node {
    pub fn new(cache: Cache, notices: Notices, origin: Origin) -> Self {
        Self {
            service: cache.layer().layer(origin),
            cache,
            notices,
            companion: Mutex::default(),
        }
    }

    /// Runs `companion` until the node is dropped.
    #[must_use]
    pub fn accompany(self, companion: Companion) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(companion.run(async { stopped.await.unwrap_or(()) }));
        *self.companion.lock() = Some(Running { task, stop });
        self
    }

    /// Drops the companion wherever it is, as a crash would.
    pub async fn kill(&self) {
        let running = self.running();
        running.task.abort();
        let ended = running.task.await;
        assert!(ended.expect_err("it was killed").is_cancelled());
    }

    /// Tells the companion to stop, and waits until it has.
    pub async fn stop(&self) {
        let Running { task, stop } = self.running();
        stop.send(()).expect("it runs");
        task.await.expect("no panic");
    }

    fn running(&self) -> Running {
        self.companion.lock().take().expect("a companion runs")
    }

    /// Purges until they are in the log, which is all that strict rules need. Where a test is about purges that are
    /// everywhere, it takes that of the cache.
    pub fn purger(&self) -> Purger {
        self.cache.purger().in_log()
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.send(path(uri)).await
    }

    pub async fn send(&self, request: Request<Empty<Bytes>>) -> Answer {
        ends("a request", answer(self.service.clone(), request)).await
    }

    /// The response, whose body the test takes.
    pub async fn respond(&self, request: Request<Empty<Bytes>>) -> Response<CacheBody<Body>> {
        let response = ends("a request", self.service.clone().oneshot(request)).await;
        response.expect("the origin does not fail")
    }

    /// Begins a request that somebody else has to end.
    pub fn begin(&self, request: Request<Empty<Bytes>>) -> JoinHandle<Answer> {
        tokio::spawn(answer(self.service.clone(), request))
    }

    /// Asks until the answer comes from the cache, and returns that.
    pub async fn warm(&self, uri: &str) -> Answer {
        self.warm_by(|| path(uri)).await
    }

    pub async fn warm_by(&self, request: impl Fn() -> Request<Empty<Bytes>>) -> Answer {
        eventually(async || {
            let answer = self.send(request()).await;
            if answer.is_hit() {
                return Ok(answer);
            }
            let told = self.notices.all();
            let told = told
                .iter()
                .filter(|said| !matches!(said, Said::Answered(_)));
            let told: Vec<_> = told.take(20).collect();
            Err(format!("a hit: {}, {told:?}", answer.how()))
        })
        .await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(running) = self.companion.get_mut().take() {
            running.task.abort();
        }
    }
}

async fn answer(service: CacheService<Origin>, request: Request<Empty<Bytes>>) -> Answer {
    let response = service.oneshot(request).await;
    let read = Answer::read(response.expect("the origin does not fail")).await;
    read.expect("the body is whole")
}
