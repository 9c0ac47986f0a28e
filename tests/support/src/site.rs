//! The layer around an origin, on an embedded store, and a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use parking_lot::Mutex;
use tower::{Layer, ServiceExt};
use tower_tagcache::{
    Cache, CacheBody, CacheBuilder, CacheLayer, CacheService, ManualClock, Notice, Rule,
};

use crate::{Answer, Body, Failure, Origin, get, request};

/// The rule that most tests use: every path, fresh for a minute unless the response says otherwise.
pub fn rule() -> Rule {
    Rule::new("page", "/{*path}").ttl(secs(60))
}

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The layer around an origin, without companion: what it promises holds without.
#[derive(Clone)]
pub struct Site {
    pub cache: Cache,
    pub clock: ManualClock,
    pub origin: Origin,
    pub layer: CacheLayer,
    pub service: CacheService<Origin>,
    pub outcomes: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub fn new(rule: Rule, origin: &Origin) -> Self {
        Self::built(|builder| builder.rule(rule), origin)
    }

    pub fn built(rules: impl FnOnce(CacheBuilder) -> CacheBuilder, origin: &Origin) -> Self {
        let clock = ManualClock::default();
        let outcomes = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&outcomes);
        let builder = Cache::builder()
            .clock(clock.clone())
            .observer(move |notice: &Notice<'_>| {
                if let Notice::Request { outcome, .. } = notice {
                    seen.lock().push(format!("{outcome:?}"));
                }
            });
        let (cache, _companion) = rules(builder).build().expect("a good configuration");
        let layer = cache.layer();
        Self {
            service: layer.layer(origin.clone()),
            layer,
            cache,
            clock,
            origin: origin.clone(),
            outcomes,
        }
    }

    /// The head of the answer, with its body still to be read.
    pub async fn start(
        &self,
        request: Request<Body>,
    ) -> Result<Response<CacheBody<Body>>, Failure> {
        self.service.clone().oneshot(request).await
    }

    /// The whole answer, or what broke it off.
    pub async fn fetch(&self, request: Request<Body>) -> Result<Answer, String> {
        let response = self
            .start(request)
            .await
            .map_err(|failure| failure.to_string())?;
        Answer::read(response)
            .await
            .map_err(|error| error.to_string())
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.fetch(request).await.expect("an answer");
        settle().await;
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(get(path, &[])).await
    }

    pub async fn get_with(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(get(path, fields)).await
    }

    pub async fn head(&self, path: &str) -> Answer {
        self.send(request("HEAD", path, &[])).await
    }
}

/// Lets every task that can run do so: fills that nobody waits for, for example.
pub async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
