//! A real Redis Cluster.

use std::sync::Arc;
use std::time::Duration;

use tagcache_test_support::RedisCluster;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Node, PATIENT, kind};
use crate::error::ErrorKind;
use crate::log::Log;
use crate::redis::Server;
use crate::store::Store;
use crate::store::contract::{LONG, get_one, get_whole, key, response};

const PATIENCE: Duration = Duration::from_secs(60);

async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "it does not happen");
        sleep(Duration::from_millis(50)).await;
    }
}

struct Fixture(RedisCluster);

async fn fixture() -> Fixture {
    Fixture(RedisCluster::start(3, 0).await)
}

impl Fixture {
    async fn everywhere(&self, command: &str) {
        for node in &self.0.nodes {
            node.run(command).await;
        }
    }
}

impl crate::log::contract::Fixture for Fixture {
    fn node(&self) -> Arc<dyn Log> {
        Node::new(&self.0.url()).places.log
    }

    async fn lose(&self) {
        self.everywhere("FLUSHALL").await;
    }
}

impl crate::store::contract::Fixture for Fixture {
    fn node(&self) -> (Arc<dyn Store>, Arc<dyn Log>) {
        let places = Node::new(&self.0.url()).places;
        (places.store, places.log)
    }

    async fn outlive(&self, keep: Duration) {
        sleep(keep + Duration::from_millis(20)).await;
    }

    async fn lose_log(&self) {
        let place = self.0.first_primary_of("test:purges").await;
        self.0.nodes[place].run("DEL test:purges").await;
    }
}

crate::log::contract::log_contract!(fixture().await);
crate::store::contract::store_contract!(fixture().await);

/// A strict hit asks for entry and tip at the same time, at two nodes.
#[tokio::test]
async fn entries_lie_over_all_nodes_and_the_log_on_one() {
    let cluster = RedisCluster::start(3, 0).await;
    let node = Node::new(&cluster.url());
    let keys: Vec<_> = (0..60).map(|n| key(&format!("/{n}"))).collect();
    for one in &keys {
        let stored = node.store().put(one, response(one, "v1"), LONG).await;
        stored.unwrap();
    }
    let found = get_whole(node.store(), &keys).await;
    assert!(found.iter().all(Option::is_some));
    for server in &cluster.nodes {
        assert!(server.calls("get").await >= 5, "entries are on all nodes");
        assert_eq!(server.calls("asking").await, 0);
    }
    let logs = cluster.first_primary_of("test:purges").await;
    let before = cluster.nodes[logs].calls("xrevrange").await;
    get_one(node.store(), &keys[0]).await;
    assert_eq!(cluster.nodes[logs].calls("xrevrange").await, before + 1);
}

/// A slot that moves costs a redirection, never an error.
#[tokio::test]
async fn an_entry_is_found_while_its_slot_moves_and_after() {
    let cluster = RedisCluster::start(2, 0).await;
    let node = Node::new(&cluster.url());
    let one = key("/moves");
    let name = node.places.keys.entry(one.digest());
    let (slot, from) = (
        cluster.slot_of(&name).await,
        cluster.first_primary_of(&name).await,
    );
    let to = 1 - from;
    node.store()
        .put(&one, response(&one, "v1"), LONG)
        .await
        .unwrap();
    cluster.begin_migration(slot, from, to).await;
    assert!(
        get_one(node.store(), &one).await.is_some(),
        "it is still there"
    );
    cluster.nodes[from]
        .run(&format!(
            "MIGRATE 127.0.0.1 {} {name} 0 5000",
            cluster.nodes[to].port()
        ))
        .await;
    assert!(
        get_one(node.store(), &one).await.is_some(),
        "it is there already"
    );
    assert!(cluster.nodes[to].calls("asking").await > 0);
    node.store()
        .put(&one, response(&one, "v2"), LONG)
        .await
        .unwrap();
    assert!(get_one(node.store(), &one).await.is_some());
    cluster.hand_over(slot, from, to).await;
    assert!(
        get_one(node.store(), &one).await.is_some(),
        "it is there for good"
    );
    let asked = cluster.nodes[from].calls("get").await;
    assert!(get_one(node.store(), &one).await.is_some());
    assert_eq!(
        cluster.nodes[from].calls("get").await,
        asked,
        "it is known where"
    );
}

/// The log in another place is another log, and what was stored by the old one is not believed.
#[tokio::test]
async fn a_log_whose_slot_moves_begins_a_new_epoch() {
    let cluster = RedisCluster::start(2, 0).await;
    let node = Node::new(&cluster.url());
    let from = cluster.first_primary_of("test:purges").await;
    let (slot, to) = (cluster.slot_of("test:purges").await, 1 - from);
    let before = node.append("t").await;
    cluster.begin_migration(slot, from, to).await;
    assert_eq!(node.append("t").await.epoch, before.epoch);
    cluster.hand_over(slot, from, to).await;
    let after = until(async || {
        node.clock.advance(Duration::from_secs(1));
        node.tip().await.ok()
    })
    .await;
    assert_ne!(after.epoch, before.epoch);
    let appended = until(async || {
        node.clock.advance(Duration::from_secs(1));
        let record = crate::log::contract::purge("t", 0);
        node.log().append(&record).await.ok()
    })
    .await;
    assert_eq!(appended.position.epoch, after.epoch);
}

/// What primaries that hang or are gone cost: their own entries, and nothing else.
#[tokio::test]
async fn a_node_that_is_away_takes_its_entries_with_it_and_no_others() {
    let cluster = RedisCluster::start(3, 0).await;
    for node in &cluster.nodes {
        node.run("CONFIG SET cluster-require-full-coverage no")
            .await;
    }
    let node = Node::with(
        &cluster.url(),
        crate::store::Budgets {
            read: Duration::from_millis(500),
            ..PATIENT
        },
    );
    let logs = cluster.first_primary_of("test:purges").await;
    let gone = (logs + 1) % 3;
    let keys: Vec<_> = (0..60).map(|n| key(&format!("/{n}"))).collect();
    for one in &keys {
        node.store()
            .put(one, response(one, "v1"), LONG)
            .await
            .unwrap();
    }
    cluster.nodes[gone].suspend();
    let found = node.store().get(&keys).await;
    for one in &keys {
        let _ = node.store().get(std::slice::from_ref(one)).await;
    }
    let troubles = node.log().troubles();
    cluster.nodes[gone].resume();
    let found = found.unwrap();
    let there = found.entries.iter().filter(|entry| entry.is_some()).count();
    assert!((20..60).contains(&there), "{there}");
    let named = format!("127.0.0.1:{}", cluster.nodes[gone].port());
    assert!(
        troubles.iter().any(|one| one.message.contains(&named)),
        "{troubles:?}"
    );
    until(async || {
        let found = node.store().get(&keys).await.ok()?;
        found.entries.iter().all(Option::is_some).then_some(())
    })
    .await;
    assert_eq!(node.log().troubles(), []);
}

/// Its replica takes over: the log goes on there, in a new epoch.
#[tokio::test]
async fn the_log_goes_on_where_a_replica_took_over() {
    let mut cluster = RedisCluster::start(3, 1).await;
    let node = Node::new(&cluster.url());
    let logs = cluster.first_primary_of("test:purges").await;
    let before = node.append("t").await;
    let watch = node.places.switches();
    let stop = CancellationToken::new();
    let watching = tokio::spawn({
        let stop = stop.clone();
        async move { watch.run(&stop).await }
    });
    cluster.nodes[logs].stop();
    let after = until(async || {
        // Pauses between attempts to connect are over.
        node.clock.advance(Duration::from_secs(1));
        node.tip().await.ok()
    })
    .await;
    assert_ne!(after.epoch, before.epoch);
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_cluster_is_said() {
    let cluster = RedisCluster::start(1, 0).await;
    let single = tagcache_test_support::RedisServer::start();
    let fresh = tagcache_test_support::RedisServer::start_with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        "0",
    ]);
    for (url, said) in [
        (cluster.nodes[0].url(), "write redis+cluster://"),
        (
            format!("redis+cluster://{}", single.addr()),
            "write redis://host:port",
        ),
        (
            format!("redis+cluster://{}", fresh.addr()),
            "no Cluster that has slots",
        ),
        (
            "redis+cluster://127.0.0.1:1".to_owned(),
            "Connection refused",
        ),
    ] {
        let node = Node::new(&url);
        let error = node.tip().await.unwrap_err();
        assert!(error.to_string().contains(said), "{url}: {error}");
    }
    let node = Node::new(&cluster.nodes[0].url());
    assert_eq!(kind(node.tip().await), Some(ErrorKind::Unsupported));
    let server = Server::new(&cluster.url(), PATIENT).unwrap();
    assert!(server.is_cluster());
}
