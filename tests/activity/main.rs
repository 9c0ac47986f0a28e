//! The activity feed and its counters over HTTP, on the embedded store and on Redis.

#![allow(clippy::unwrap_used, reason = "tests")]

mod away;
mod beside;
mod counters;
mod entries;
mod refused;

use std::sync::Arc;

use serde_json::Value;
use tagcache_test_support::{Answer, Fleet, RedisServer, ends, request, until};
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tower_tagcache::feed::{ActivityService, ActivityServiceSettings};
use tower_tagcache::{
    ActivitySettings, Announce, Cache, CacheBuilder, ManualClock, On, Stream, Update,
};

/// The auction of the recorded chain, as a wallet shows it and as it is stored.
const CHECKSUMMED: &str = "0xA16E02E87b7454126E5E10d957A927A7F5B5d2be";
const AUCTION: &str = "0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";
const OTHER: &str = "0xb7a5bd0345ef1cc5e66bf61bdec17d2461fbd968";
/// When the clock of a test begins, in seconds.
const START: u64 = 1_795_392_000;

/// A cache that keeps what happens, until it is dropped.
struct House {
    cache: Cache,
    clock: ManualClock,
    activity: ActivityService,
    companion: Option<JoinHandle<()>>,
    /// What others share, which lasts as long as somebody has it.
    _server: Option<Arc<RedisServer>>,
}

impl House {
    /// With a clock that the test moves.
    fn open(builder: CacheBuilder, settings: &ActivityServiceSettings) -> Self {
        let clock = ManualClock::default();
        let mut house = Self::ticking(builder.clock(clock.clone()), settings);
        house.clock = clock;
        house
    }

    /// With the clock of the builder.
    fn ticking(builder: CacheBuilder, settings: &ActivityServiceSettings) -> Self {
        let emitter = "transaction_information.address";
        let sold = Announce::new("sale")
            .subject(format!("auction:{{{emitter}}}"))
            .field("amount", "amountPaid")
            .field("price", "price");
        let sale = On::event("AuctionSale")
            .purge(format!("auction:{{{emitter}}}"))
            .announce(sold);
        let (cache, companion) = builder
            .activity(ActivitySettings::new())
            .stream(Stream::rindexer("sales").on(sale))
            .build()
            .unwrap();
        Self {
            activity: cache.activity_service(settings).unwrap(),
            cache,
            clock: ManualClock::default(),
            companion: Some(tokio::spawn(companion.run(std::future::pending()))),
            _server: None,
        }
    }

    fn embedded() -> Self {
        Self::open(Cache::builder(), &ActivityServiceSettings::open())
    }

    /// One on the embedded store, and one on a Redis that tests share.
    fn on_each() -> [Self; 2] {
        let fleet = Fleet::new();
        let mut redis = Self::open(fleet.builder(), &ActivityServiceSettings::open());
        redis._server = Some(fleet.server);
        [Self::embedded(), redis]
    }

    async fn send(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
        let answering = self
            .activity
            .clone()
            .oneshot(request(method, target, fields));
        let response = ends(target, answering).await.unwrap();
        Answer::read(response).await.unwrap()
    }

    /// The JSON that a request is answered.
    async fn get(&self, target: &str) -> Value {
        let answer = self.send("GET", target, &[]).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert_eq!(answer.field("content-type"), Some("application/json"));
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        serde_json::from_str(answer.text()).unwrap()
    }

    async fn announce(&self, update: Update) {
        let subject = update.subject().to_owned();
        let purger = self.cache.purger().announcing(update);
        purger.tag(&subject).await.unwrap();
    }

    /// Waits until so many entries answer `target`.
    async fn shows(&self, count: usize, target: &str) {
        until("the entries are shown", async || {
            entries(&self.get(target).await).len() == count
        })
        .await;
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(companion) = &self.companion {
            companion.abort();
        }
    }
}

/// What happened to `auction` in the second `n` of a test, of which `n` is the amount.
fn happened(kind: &str, auction: &str, n: u64) -> Update {
    let update = Update::new(kind, format!("auction:{auction}")).unwrap();
    let update = update.with_identity(format!("{kind}/{n}")).unwrap();
    let update = update
        .with_field("timestamp", (START + n).to_string())
        .unwrap();
    update.with_field("amount", n.to_string()).unwrap()
}

fn entries(page: &Value) -> &[Value] {
    page["entries"].as_array().unwrap()
}

/// The amounts of entries that [`happened`].
fn amounts(page: &Value) -> Vec<u64> {
    let entries = entries(page).iter();
    let amount = |entry: &Value| entry["amount"].as_str().unwrap().parse().unwrap();
    entries.map(amount).collect()
}
