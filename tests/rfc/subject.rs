//! What rows are run against.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use tagcache_test_support::{Failure, Origin, OriginResult, body, response};
use tower::{Layer as _, ServiceExt};
use tower_tagcache::{BoxError, Cache, CacheBuilder, ManualClock, Profile, Purger, Timestamp};

/// 2026-11-23 00:00:00 UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_392_000_000);

/// A cache before a scripted origin.
pub(crate) trait Subject {
    /// What the origin is to answer.
    fn script(&self) -> &Script;
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
                if self.origin().calls() >= times {
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

/// What the origin is to answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    next: Option<Reply>,
    /// What answers when nothing is scripted.
    always: Option<Response<()>>,
}

impl Script {
    /// The next reply. One that was not fetched is forgotten.
    pub(crate) fn answer_next(&self, reply: Reply) {
        self.0.lock().next = Some(reply);
    }

    /// Answers every request so.
    pub(crate) fn answer_all(&self, response: Response<()>) {
        self.0.lock().always = Some(response);
    }

    /// An origin that answers so.
    pub(crate) fn origin(&self) -> Origin {
        let script = self.clone();
        Origin::with(move |asked, _| ready(script.answer(asked.parts.method == Method::HEAD)))
    }

    fn answer(&self, head: bool) -> OriginResult {
        let mut lines = self.0.lock();
        match lines.next.take() {
            None => match &lines.always {
                Some(response) => Ok(response.clone().map(|()| body("body"))),
                None => Err(Failure("the origin was not to be asked")),
            },
            Some(Reply::Dropped) => Err(Failure("the origin hung up")),
            Some(Reply::Response {
                status,
                fields,
                body: text,
            }) => {
                let text = if head || status == 304 { "" } else { text };
                Ok(response(status, fields, body(text)))
            }
        }
    }
}

/// The layer, in this process.
pub(crate) struct Layer {
    cache: Cache,
    clock: ManualClock,
    script: Script,
    origin: Origin,
}

impl Layer {
    pub(crate) fn new(build: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Self {
        let clock = ManualClock::at(NOW);
        let builder = Cache::builder().clock(clock.clone());
        let (cache, _companion) = build(builder).build().expect("sound settings");
        let script = Script::default();
        Self {
            cache,
            clock,
            origin: script.origin(),
            script,
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
    fn script(&self) -> &Script {
        &self.script
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let service = self.cache.layer().layer(self.origin.clone());
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
