use std::sync::Arc;
use std::time::Duration;

use super::{EmbeddedLog, EmbeddedStore};
use crate::clock::{Clock, ManualClock};
use crate::defaults::STORE_BYTES;
use crate::log::Log;
use crate::store::Store;
use crate::store::contract::{LONG, get_one, key, response};

struct Fixture {
    clock: ManualClock,
    log: EmbeddedLog,
    store: EmbeddedStore,
}

fn fixture() -> Fixture {
    of_bytes(STORE_BYTES)
}

fn of_bytes(bytes: u64) -> Fixture {
    let clock = ManualClock::default();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let log = EmbeddedLog::new(&*shared);
    let store = EmbeddedStore::new(log.clone(), shared, bytes);
    Fixture { clock, log, store }
}

impl crate::log::contract::Fixture for Fixture {
    fn node(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone())
    }

    async fn lose(&self) {
        self.log.lose();
    }
}

impl crate::store::contract::Fixture for Fixture {
    fn node(&self) -> (Arc<dyn Store>, Arc<dyn Log>) {
        (Arc::new(self.store.clone()), Arc::new(self.log.clone()))
    }

    async fn outlive(&self, keep: Duration) {
        self.clock.advance(keep);
    }

    async fn lose_log(&self) {
        self.log.lose();
    }
}

crate::log::contract::log_contract!(fixture());
crate::store::contract::store_contract!(fixture());

#[tokio::test]
async fn an_entry_lives_until_its_time_and_not_beyond() {
    let Fixture { clock, store, .. } = fixture();
    let key = key("/a");
    let keep = Duration::from_millis(50);
    store.put(&key, response(&key, "v1"), keep).await.unwrap();
    clock.advance(Duration::from_millis(49));
    assert!(get_one(&store, &key).await.is_some());
    clock.advance(Duration::from_millis(1));
    assert!(get_one(&store, &key).await.is_none());
}

#[tokio::test]
async fn a_change_of_the_wall_clock_neither_loses_nor_prolongs() {
    let Fixture { clock, store, .. } = fixture();
    let key = key("/a");
    store.put(&key, response(&key, "v1"), LONG).await.unwrap();
    clock.set_wall(clock.now().plus(Duration::from_secs(1_000_000)));
    assert!(get_one(&store, &key).await.is_some());
    clock.set_wall(crate::clock::Timestamp::default());
    clock.advance(LONG);
    assert!(get_one(&store, &key).await.is_none());
}

#[tokio::test]
async fn safety_60_a_flood_of_entries_stays_within_the_bound() {
    const BOUND: u64 = 1 << 20;
    let Fixture { store, .. } = of_bytes(BOUND);
    let body = "x".repeat(1_000);
    for n in 0..20_000 {
        let key = key(&format!("/{n}"));
        store.put(&key, response(&key, &body), LONG).await.unwrap();
    }
    assert!(store.weight() <= BOUND, "{} bytes", store.weight());
    let newest = key("/19999");
    assert!(get_one(&store, &newest).await.is_some());
}

#[tokio::test]
async fn a_body_of_the_default_limit_fits() {
    let Fixture { store, .. } = fixture();
    let key = key("/a");
    let entry = response(&key, &"x".repeat(2 << 20));
    store.put(&key, entry.clone(), LONG).await.unwrap();
    assert_eq!(get_one(&store, &key).await, Some(entry));
}

#[tokio::test]
async fn an_entry_larger_than_the_store_replaces_nothing_stale() {
    let Fixture { store, .. } = of_bytes(64 << 10);
    let key = key("/a");
    store.put(&key, response(&key, "v1"), LONG).await.unwrap();
    let large = response(&key, &"x".repeat(1 << 20));
    store.put(&key, large, LONG).await.unwrap();
    assert_eq!(get_one(&store, &key).await, None);
}

#[tokio::test]
async fn a_log_that_nobody_trims_is_bounded() {
    let Fixture { log, .. } = fixture();
    for _ in 0..100_050 {
        crate::log::contract::append(&log, "a").await;
    }
    let tail = log.tail(usize::MAX).await.unwrap();
    assert_eq!(tail.records.len(), 100_000);
    assert_eq!(tail.records.last().unwrap().position.ordinal, 100_050);
}

#[tokio::test]
async fn trim_to_leaves_the_newest() {
    let Fixture { log, .. } = fixture();
    for _ in 0..5 {
        crate::log::contract::append(&log, "a").await;
    }
    log.trim_to(2);
    assert_eq!(log.tail(10).await.unwrap().records.len(), 2);
    log.trim_to(0);
    assert_eq!(log.tail(10).await.unwrap().records.len(), 1);
}

#[cfg(feature = "activity")]
mod activity;
