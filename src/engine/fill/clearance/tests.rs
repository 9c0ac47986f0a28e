//! Claims that answer what a test wants, over a store that two nodes share.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use parking_lot::Mutex;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::builder::Cache;
use crate::clock::ManualClock;
use crate::embedded::{EmbeddedLog, EmbeddedStore};
use crate::error::{Error, ErrorKind};
use crate::rules::Rule;

mod overtaken;

const BUDGET: Duration = Duration::from_secs(4);

/// What is told to whoever claims, each time.
#[derive(Debug, Clone, Copy)]
enum Told {
    Ours,
    /// Ours, after another node has had it and stored what it fetched.
    OursLate,
    Theirs,
    Unshareable,
    Away,
}

struct Fleet {
    told: Told,
    log: EmbeddedLog,
    store: EmbeddedStore,
    clock: ManualClock,
    calls: Arc<AtomicUsize>,
    ended: Mutex<Vec<ClaimEnd>>,
}

impl Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fleet")
    }
}

impl Claims for Fleet {
    fn claim<'a>(
        &'a self,
        _: &'a CacheKey,
        holder: Holder,
        _: Duration,
        _: Option<Holder>,
    ) -> BoxFuture<'a, Result<ClaimResult, Error>> {
        async move {
            match self.told {
                Told::Ours => Ok(ClaimResult::Ours),
                Told::OursLate => {
                    self.get(None, "max-age=60").await;
                    Ok(ClaimResult::Ours)
                }
                Told::Theirs => Ok(ClaimResult::Theirs(Holder { id: 1, ..holder })),
                Told::Unshareable => Ok(ClaimResult::Unshareable),
                Told::Away => Err(Error::new(ErrorKind::Unavailable, "away")),
            }
        }
        .boxed()
    }

    fn release<'a>(
        &'a self,
        _: &'a CacheKey,
        _: Holder,
        ended: ClaimEnd,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.ended.lock().push(ended);
        async { Ok(()) }.boxed()
    }
}

impl Fleet {
    fn new(told: Told) -> Arc<Self> {
        let clock = ManualClock::default();
        let log = EmbeddedLog::new(&clock);
        let store = EmbeddedStore::new(log.clone(), Arc::new(clock.clone()), 1 << 20);
        Arc::new(Self {
            told,
            log,
            store,
            clock,
            calls: Arc::default(),
            ended: Mutex::default(),
        })
    }

    /// What a node answers whose claims are `claims`, over an inner service that says `cache_control`.
    fn get(
        &self,
        claims: Option<Arc<dyn Claims>>,
        cache_control: &'static str,
    ) -> BoxFuture<'static, String> {
        let rule = Rule::new("r", "/").ttl(Duration::from_secs(60));
        let store = (Arc::new(self.log.clone()), Arc::new(self.store.clone()));
        let mut builder = Cache::builder()
            .clock(self.clock.clone())
            .rule(rule.fleet_coalesce(BUDGET))
            .backend(store.0, store.1);
        if let Some(claims) = claims {
            builder = builder.claims(claims);
        }
        let (cache, _companion) = builder.build().expect("a good rule");
        let calls = Arc::clone(&self.calls);
        let cache_control = http::HeaderValue::from_static(cache_control);
        let origin = service_fn(move |_: Request<Empty<Bytes>>| {
            calls.fetch_add(1, Ordering::SeqCst);
            let mut response = Response::new(Full::new(Bytes::from_static(b"page")));
            let headers = response.headers_mut();
            headers.insert("cache-control", cache_control.clone());
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let answer = cache.layer().layer(origin).oneshot(Request::default());
        async move {
            let (parts, body) = answer.await.expect("the origin does not fail").into_parts();
            let body = body.collect().await.expect("a whole body").to_bytes();
            assert_eq!(&*body, b"page");
            // What it leaves behind: a fill, and a claim that is given back.
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
            let how = parts.headers["cache-status"].to_str();
            how.expect("text").to_owned()
        }
        .boxed()
    }

    async fn get_claiming(self: &Arc<Self>, cache_control: &'static str) -> String {
        let claims = Arc::clone(self) as Arc<dyn Claims>;
        self.get(Some(claims), cache_control).await
    }
}

#[tokio::test(start_paused = true)]
async fn who_gets_a_claim_looks_again_before_it_calls() {
    for (told, collapsed) in [(Told::Ours, false), (Told::OursLate, true)] {
        let fleet = Fleet::new(told);
        let how = fleet.get_claiming("max-age=60").await;
        assert_eq!(how.contains("collapsed"), collapsed, "{told:?}: {how}");
        assert_eq!(fleet.calls.load(Ordering::SeqCst), 1, "{told:?}");
        assert_eq!(*fleet.ended.lock(), [ClaimEnd::Free], "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_never_ends_is_waited_for_within_the_budget() {
    let fleet = Fleet::new(Told::Theirs);
    let began = Instant::now();
    let how = fleet.get_claiming("max-age=60").await;
    assert_eq!(began.elapsed(), BUDGET);
    assert!(
        !how.contains("collapsed") && how.contains("stored"),
        "{how}"
    );
    assert_eq!(fleet.calls.load(Ordering::SeqCst), 1);
    assert!(fleet.ended.lock().is_empty(), "nothing to give back");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_there_is_nothing_to_wait_for() {
    for told in [Told::Unshareable, Told::Away] {
        let fleet = Fleet::new(told);
        let began = Instant::now();
        fleet.get_claiming("max-age=60").await;
        assert_eq!(began.elapsed(), Duration::ZERO, "{told:?}");
        assert_eq!(fleet.calls.load(Ordering::SeqCst), 1, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_fleet_is_told_of_what_is_not_to_be_shared() {
    let fleet = Fleet::new(Told::Ours);
    fleet.get_claiming("private").await;
    let ended = ClaimEnd::Unshareable(UNCACHEABLE_FOR);
    assert_eq!(*fleet.ended.lock(), [ended]);
}
