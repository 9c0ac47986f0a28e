//! Several regions, each with a Redis of its own, and relays between them (PROTOCOL 13).

mod cuts;
mod losses;
mod told;

use std::time::Duration;

use tagcache_test_support::{Fleet, Node, Origin, until};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_tagcache::{RelayBuilder, RelayStatus};

const BEAT: Duration = Duration::from_millis(100);

/// A relay that runs until it is dropped, as a process that is killed.
pub(crate) struct Running {
    pub(crate) status: Box<dyn Fn() -> RelayStatus + Send + Sync>,
    task: JoinHandle<Result<(), tower_tagcache::Error>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Running {
    /// From the log of `from`, which is reached at `from_url`, to that of `to`.
    pub(crate) fn start(
        region: &str,
        (from, from_url): (&Fleet, String),
        (to, to_url): (&Fleet, String),
    ) -> Self {
        let builder = RelayBuilder::new(region, from_url, to_url);
        let builder = builder.namespaces(&from.namespace, &to.namespace);
        let relay = builder.beat(BEAT).build().expect("a good relay");
        let status = Box::new(relay.watch());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(relay.run(async { stopped.await.unwrap_or(()) }));
        Self {
            status,
            task,
            stop: Some(stop),
        }
    }

    pub(crate) fn between(region: &str, from: &Fleet, to: &Fleet) -> Self {
        Self::start(region, (from, from.server.url()), (to, to.server.url()))
    }

    pub(crate) async fn begun(&self) {
        until("the relay has begun", async || {
            (self.status)().lag.is_some()
        })
        .await;
    }

    /// All that was purged before this was called is in the other log.
    pub(crate) async fn is_level(&self) {
        let asked = std::time::Instant::now();
        until("the relay has relayed all", async || {
            let status = (self.status)();
            status.lag.is_some_and(|lag| lag < asked.elapsed())
        })
        .await;
    }

    /// Kills it, wherever it is.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        let ended = (&mut self.task).await;
        assert!(ended.expect_err("it was killed").is_cancelled());
    }

    /// Tells it to end, and what it said then.
    pub(crate) async fn stop(mut self) -> Result<(), tower_tagcache::Error> {
        let _ = self.stop.take().expect("not stopped").send(());
        (&mut self.task).await.expect("no panic")
    }

    pub(crate) async fn ended(mut self) -> Result<(), tower_tagcache::Error> {
        (&mut self.task).await.expect("no panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Two regions over one origin, and a node in each.
pub(crate) struct Regions {
    pub(crate) us: Fleet,
    pub(crate) eu: Fleet,
    pub(crate) in_us: Node,
    pub(crate) in_eu: Node,
}

impl Regions {
    pub(crate) fn start() -> Self {
        let origin = Origin::new();
        let us = Fleet::private().origin(origin.clone());
        let eu = Fleet::private().origin(origin);
        let (in_us, in_eu) = (us.companied(), eu.companied());
        Self {
            us,
            eu,
            in_us,
            in_eu,
        }
    }

    /// The data change, and are purged in the one region.
    pub(crate) async fn change(&self, version: &str, tag: &str) {
        self.us.origin.set(version);
        self.in_us
            .purger()
            .tag(tag)
            .await
            .expect("it is in the log");
    }

    /// What the node in the other region answers once its relay is level: its position is then known there.
    pub(crate) async fn far(&self, path: &str) -> String {
        self.in_eu.get(path).await.text().to_owned()
    }

    /// Records with targets in the log of `fleet`.
    pub(crate) async fn purges(fleet: &Fleet) -> usize {
        let records = fleet.run("XRANGE LOG - +").await;
        format!("{records:?}")
            .matches("bulk-string('\"targets\"')")
            .count()
    }
}

#[tokio::test]
async fn safety_155_what_is_purged_in_one_region_is_purged_in_the_other() {
    let regions = Regions::start();
    let relay = Running::between("us", &regions.us, &regions.eu);
    relay.begun().await;
    regions.in_eu.warm("/item/1").await;
    regions.in_eu.warm("/item/2").await;
    regions.change("v2", "item:1").await;
    relay.is_level().await;
    assert_eq!(regions.far("/item/1").await, "v2");
    // And nothing else is.
    assert_eq!(regions.far("/item/2").await, "v1");
    let status = (relay.status)();
    assert_eq!(
        (status.relayed, status.resets, status.trouble),
        (1, 1, None)
    );
    relay.stop().await.expect("it was asked to end");
}

#[tokio::test]
async fn safety_156_two_relays_one_each_way_send_nothing_back() {
    let regions = Regions::start();
    let there = Running::between("us", &regions.us, &regions.eu);
    there.begun().await;
    let back = Running::between("eu", &regions.eu, &regions.us);
    back.begun().await;
    for number in 0..20 {
        let tag = format!("item:{number}");
        regions
            .in_us
            .purger()
            .tag(&tag)
            .await
            .expect("it is in the log");
        regions
            .in_eu
            .purger()
            .tag(&tag)
            .await
            .expect("it is in the log");
    }
    for _ in 0..3 {
        there.is_level().await;
        back.is_level().await;
    }
    let sizes = (
        Regions::purges(&regions.us).await,
        Regions::purges(&regions.eu).await,
    );
    for _ in 0..5 {
        there.is_level().await;
        back.is_level().await;
    }
    let later = (
        Regions::purges(&regions.us).await,
        Regions::purges(&regions.eu).await,
    );
    assert_eq!(sizes, later, "records go round");
    // Twenty each, what the relays began with, and some that stand for several.
    assert!(sizes.0 <= 42 && sizes.1 <= 42, "{sizes:?}");
    assert!((there.status)().returned > 0 && (back.status)().returned > 0);
}

#[tokio::test]
async fn safety_156_a_ring_of_three_relays_each_purge_to_each_region_once() {
    let origin = Origin::new();
    let fleets = [(); 3].map(|()| Fleet::private().origin(origin.clone()));
    let nodes = fleets.each_ref().map(Fleet::companied);
    let mut relays = Vec::new();
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let relay = Running::between(&format!("r{from}"), &fleets[from], &fleets[to]);
        relay.begun().await;
        relays.push(relay);
    }
    for _ in 0..3 {
        for relay in &relays {
            relay.is_level().await;
        }
    }
    let mut before = Vec::new();
    for (fleet, node) in fleets.iter().zip(&nodes) {
        before.push(Regions::purges(fleet).await);
        node.warm("/item/1").await;
    }
    origin.set("v2");
    nodes[0]
        .purger()
        .tag("item:1")
        .await
        .expect("it is in the log");
    for _ in 0..4 {
        for relay in &relays {
            relay.is_level().await;
        }
    }
    for ((fleet, node), before) in fleets.iter().zip(&nodes).zip(before) {
        assert_eq!(Regions::purges(fleet).await, before + 1);
        assert_eq!(node.get("/item/1").await.text(), "v2");
    }
}
