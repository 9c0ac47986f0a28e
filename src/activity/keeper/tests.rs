//! Keepers on logs and stores in memory, which several nodes share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::activity::{
    ActivityBatch, ActivityBounds, ActivityStore, Applied, Counted, CountedKey, CountedOf,
    FailedAlert, FeedQuery, Keeping, Settlement, StoredActivity, WaitingAlert,
};
use crate::alerts::AlertRule;
use crate::clock::ManualClock;
use crate::embedded::{EmbeddedActivity, EmbeddedLog, EmbeddedStore};
use crate::error::Error;
use crate::{ActivitySettings, Cache, Update};

const BOUNDS: usize = 20_000;

fn bounds() -> ActivityBounds {
    ActivityBounds {
        entries: BOUNDS,
        feed: 1_000,
        subject_feed: 100,
        hours: 48,
        channel: "new".into(),
    }
}

/// A node, until it is dropped.
struct Node {
    cache: Cache,
    companion: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.companion.abort();
    }
}

/// A log, and what several nodes share beside it.
struct Site {
    log: EmbeddedLog,
    store: EmbeddedStore,
    clock: ManualClock,
    kept: Arc<CountingStore>,
}

impl Site {
    fn new() -> Self {
        let clock = ManualClock::default();
        let log = EmbeddedLog::new(&clock);
        let store = EmbeddedStore::new(log.clone(), Arc::new(clock.clone()), 1 << 20);
        Self {
            log,
            store,
            clock,
            kept: Arc::new(CountingStore::new()),
        }
    }

    /// Whether it `keeps` activity, and raises alerts.
    fn node(&self, keeps: bool) -> Node {
        let (log, store) = (Arc::new(self.log.clone()), Arc::new(self.store.clone()));
        let builder = Cache::builder()
            .backend(log, store)
            .clock(self.clock.clone());
        let builder = match keeps {
            true => builder
                .activity(ActivitySettings::new())
                .activity_in(Arc::clone(&self.kept) as _)
                .alert(AlertRule::new("all")),
            false => builder,
        };
        let (cache, companion) = builder.build().unwrap();
        let companion = tokio::spawn(companion.run(std::future::pending()));
        Node { cache, companion }
    }

    /// How many entries there are once there are so many; and alerts that were raised.
    async fn has(&self, entries: usize) -> usize {
        let query = FeedQuery {
            limit: 1_000,
            behind: None,
            subject: None,
            kinds: Vec::new(),
            undone: true,
        };
        for _ in 0..5_000 {
            if self.kept.read(&query).await.unwrap().len() >= entries {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let read = self.kept.read(&query).await.unwrap();
        assert_eq!(read.len(), entries);
        self.kept.alerts.load(Ordering::SeqCst)
    }
}

impl Node {
    async fn joined(&self) {
        while self.cache.position().is_none() {
            tokio::task::yield_now().await;
        }
    }

    async fn tell(&self, n: usize) {
        let update = Update::new("sale", format!("auction:{n}")).unwrap();
        let update = update.with_identity(n.to_string()).unwrap();
        let told = self.cache.purger().announcing(update).targets([]).await;
        told.unwrap();
    }
}

/// Counts what is asked of a store in memory.
#[derive(Debug)]
struct CountingStore {
    store: EmbeddedActivity,
    batches: AtomicUsize,
    /// Those of batches that were taken.
    alerts: AtomicUsize,
}

impl CountingStore {
    fn new() -> Self {
        Self {
            store: EmbeddedActivity::new(bounds()),
            batches: AtomicUsize::new(0),
            alerts: AtomicUsize::new(0),
        }
    }
}

impl ActivityStore for CountingStore {
    fn apply<'a>(
        &'a self,
        keeper: &'a str,
        batch: &'a ActivityBatch,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let applied = self.store.apply(keeper, batch).await?;
            if let Applied::Done { .. } = applied {
                self.batches.fetch_add(1, Ordering::SeqCst);
                let alerting = batch.changes.iter().filter(|change| change.may_alert());
                self.alerts.fetch_add(alerting.count(), Ordering::SeqCst);
            }
            Ok(applied)
        })
    }

    fn keep<'a>(&'a self, keeper: &'a str) -> BoxFuture<'a, Result<Keeping, Error>> {
        self.store.keep(keeper)
    }

    fn resign<'a>(&'a self, keeper: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.store.resign(keeper)
    }

    fn read<'a>(
        &'a self,
        query: &'a FeedQuery,
    ) -> BoxFuture<'a, Result<Vec<StoredActivity>, Error>> {
        self.store.read(query)
    }

    fn counted<'a>(
        &'a self,
        of: &'a CountedOf,
        from: u64,
        to: u64,
    ) -> BoxFuture<'a, Result<BTreeMap<CountedKey, Counted>, Error>> {
        self.store.counted(of, from, to)
    }

    fn queues(&self) -> BoxFuture<'_, Result<Vec<Box<str>>, Error>> {
        // Nobody takes what waits.
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn first<'a>(
        &'a self,
        keeper: &'a str,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<WaitingAlert>, Error>> {
        self.store.first(keeper, queue)
    }

    fn settle<'a>(
        &'a self,
        keeper: &'a str,
        queue: &'a str,
        id: u128,
        settlement: &'a Settlement,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.store.settle(keeper, queue, id, settlement)
    }

    fn failed(&self, limit: usize) -> BoxFuture<'_, Result<Vec<FailedAlert>, Error>> {
        self.store.failed(limit)
    }

    fn send_again(&self, id: Option<u128>) -> BoxFuture<'_, Result<usize, Error>> {
        self.store.send_again(id)
    }

    #[cfg(feature = "push")]
    fn subscribe<'a>(
        &'a self,
        subscription: &'a crate::activity::KeptSubscription,
        most: usize,
    ) -> BoxFuture<'a, Result<crate::activity::Subscribed, Error>> {
        self.store.subscribe(subscription, most)
    }

    #[cfg(feature = "push")]
    fn unsubscribe(&self, id: u128) -> BoxFuture<'_, Result<bool, Error>> {
        self.store.unsubscribe(id)
    }

    #[cfg(feature = "push")]
    fn subscriptions(
        &self,
        from: u128,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<crate::activity::KeptSubscription>, Error>> {
        self.store.subscriptions(from, limit)
    }
}

#[tokio::test]
async fn a_batch_of_announcements_is_one_call_of_the_store() {
    let site = Site::new();
    let node = site.node(true);
    node.joined().await;
    node.tell(0).await;
    site.has(1).await;
    let before = site.kept.batches.load(Ordering::SeqCst);
    let updates = (1..=50).map(|n| Update::new("sale", format!("auction:{n}")).unwrap());
    let purger = updates.fold(node.cache.purger(), crate::Purger::announcing);
    purger.targets([]).await.unwrap();
    assert_eq!(site.has(51).await, 51);
    assert_eq!(site.kept.batches.load(Ordering::SeqCst) - before, 1);
}

#[tokio::test]
async fn two_that_believe_to_be_the_keeper_tell_each_thing_once() {
    let site = Site::new();
    // A store in memory takes everybody for the keeper.
    let nodes = [site.node(true), site.node(true), site.node(true)];
    for node in &nodes {
        node.joined().await;
    }
    for n in 0..150 {
        nodes[n % 3].tell(n).await;
        if n % 10 == 0 {
            // Told again, as an event is that is delivered again.
            nodes[(n + 1) % 3].tell(n).await;
        }
    }
    assert_eq!(
        site.has(150).await,
        150 + 15,
        "a repeat raises none that the store takes"
    );
}

#[tokio::test]
async fn who_takes_over_goes_on_where_the_store_was_told_to() {
    let site = Site::new();
    let teller = site.node(false);
    teller.joined().await;
    for round in 0..5 {
        let keeper = site.node(true);
        teller.tell(2 * round).await;
        site.has(2 * round + 1).await;
        drop(keeper);
        // While nobody is the keeper.
        teller.tell(2 * round + 1).await;
    }
    let _keeper = site.node(true);
    assert_eq!(site.has(10).await, 10);
}

#[tokio::test]
async fn a_store_that_is_told_the_first_time_raises_no_alerts_for_what_is_long_past() {
    let site = Site::new();
    let teller = site.node(false);
    teller.joined().await;
    teller.tell(0).await;
    site.clock.advance(Duration::from_secs(3_600));
    teller.tell(1).await;
    let _keeper = site.node(true);
    assert_eq!(site.has(2).await, 1, "the feed has both");
    teller.tell(2).await;
    assert_eq!(site.has(3).await, 2);
}

#[tokio::test]
async fn a_log_that_began_anew_is_told_from_its_beginning() {
    let site = Site::new();
    let node = site.node(true);
    node.joined().await;
    node.tell(0).await;
    site.has(1).await;
    site.log.lose();
    for n in 1..4 {
        node.tell(n).await;
    }
    assert_eq!(site.has(4).await, 4);
}

#[tokio::test]
async fn records_that_are_gone_are_counted() {
    let site = Site::new();
    let teller = site.node(false);
    teller.joined().await;
    let first = site.node(true);
    teller.tell(0).await;
    site.has(1).await;
    drop(first);
    for n in 1..6 {
        teller.tell(n).await;
    }
    site.log.trim_to(4);
    let keeper = site.node(true);
    // Each is two records: the purge that owes it, and the announcement.
    assert_eq!(site.has(3).await, 3);
    let missed = keeper.cache.missed_activity();
    assert_eq!(missed, 6);
}
