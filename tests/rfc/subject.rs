//! What rows are run against.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer as _, ServiceExt, service_fn};
use tower_tagcache::{BoxError, Cache, CacheBuilder, ManualClock, Profile, Purger, Timestamp};

/// 2026-11-23 00:00:00 UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_392_000_000);

/// A cache before a scripted origin.
pub(crate) trait Subject {
    fn origin(&self) -> &Origin;
    /// The whole answer.
    fn ask(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<Bytes>, BoxError>>;
    /// Waits until what the last answer set going has ended, as far as one can see.
    fn settle(&self) -> impl Future<Output = ()>;
    /// Lets time pass.
    fn pass(&self, time: Duration) -> impl Future<Output = ()>;

    fn until_asked(&self, times: usize) -> impl Future<Output = ()> {
        async move {
            for _ in 0..10_000 {
                if self.origin().asked() >= times {
                    break;
                }
                tokio::task::yield_now().await;
            }
            self.settle().await;
        }
    }
}

/// What the origin does when it is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    Response {
        status: u16,
        fields: &'static [(&'static str, &'static str)],
        body: &'static str,
    },
    Dropped,
}

/// An origin that answers as the script says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Reply>,
    /// What answers when nothing is scripted.
    always: Option<Response<()>>,
    asked: Vec<HeaderMap>,
}

impl Origin {
    /// The next reply. One that was not fetched is forgotten.
    pub(crate) fn script(&self, reply: Reply) {
        self.lock().next = [reply].into();
    }

    /// Answers every request so.
    pub(crate) fn answer_all(&self, response: Response<()>) {
        self.lock().always = Some(response);
    }

    pub(crate) fn asked(&self) -> usize {
        self.lock().asked.len()
    }

    /// The fields of the last request.
    pub(crate) fn last(&self) -> Option<HeaderMap> {
        self.lock().asked.last().cloned()
    }

    /// Answers a request with these fields; `Err` hangs up.
    pub(crate) fn answer(
        &self,
        head: bool,
        request: &HeaderMap,
    ) -> Result<Response<Bytes>, BoxError> {
        let mut script = self.lock();
        script.asked.push(request.clone());
        match script.next.pop_front() {
            None => match &script.always {
                Some(response) => Ok(response.clone().map(|()| Bytes::from_static(b"body"))),
                None => Err("the origin was not to be asked".into()),
            },
            Some(Reply::Dropped) => Err("the origin hung up".into()),
            Some(Reply::Response {
                status,
                fields,
                body,
            }) => {
                let mut response = Response::builder().status(status);
                for (name, value) in fields {
                    response = response.header(*name, *value);
                }
                let body = if head || status == 304 { "" } else { body };
                Ok(response.body(Bytes::from_static(body.as_bytes()))?)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0
            .lock()
            .expect("no test panics while it holds the script")
    }
}

/// The layer, in this process.
pub(crate) struct Layer {
    cache: Cache,
    clock: ManualClock,
    origin: Origin,
}

impl Layer {
    pub(crate) fn new(build: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Self {
        let clock = ManualClock::at(NOW);
        let builder = Cache::builder().clock(clock.clone());
        let (cache, _companion) = build(builder).build().expect("sound settings");
        Self {
            cache,
            clock,
            origin: Origin::default(),
        }
    }

    pub(crate) fn purger(&self) -> Purger {
        self.cache.purger()
    }

    /// The implicit rule, and RFC 9111 as it is written.
    pub(crate) fn rfc9111() -> Self {
        Self::new(|builder| builder.upstream_rule().profile(Profile::Rfc9111))
    }
}

impl Subject for Layer {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let origin = self.origin.clone();
        let inner = service_fn(move |request: Request<Full<Bytes>>| {
            let head = request.method() == http::Method::HEAD;
            let answer = origin.answer(head, request.headers());
            async move {
                answer
                    .map(|response| response.map(Full::new))
                    .map_err(Dropped)
            }
        });
        let service = self.cache.layer().layer(inner);
        let response = service.oneshot(request.map(Full::new)).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }

    async fn settle(&self) {
        // One thread: what is ready runs, and nothing here waits for anything but other tasks.
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// The connection to the origin broke.
#[derive(Debug)]
struct Dropped(BoxError);

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Dropped {}
