//! **P2 — Fail to miss, never to stale.** Whatever is lost turns hits into misses, and never a purged response back
//! into a hit.
//!
//! Here: what is lost as a whole (the log, an entry, a server's last writes). Entries that a purge named are put back
//! after each loss, as a late write or a restored snapshot would (PROTOCOL 4 to 9; SAFETY 42, 44). A log trimmed past
//! a node is in `p1::positions`; what is there and is not what it should be, in `spoilt`.

mod spoilt;

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::{Fleet, Forwarder, Node, RedisServer, Said, until};

/// Details of a response that was stored in what was lost.
const GONE: [&str; 3] = ["other-epoch", "below-floor", "purged"];

/// Entries kept on a server of their own, where no loss reaches them.
struct Vault {
    server: RedisServer,
    keys: Vec<String>,
}

impl Vault {
    async fn keep(fleet: &Fleet) -> Self {
        let vault = Self {
            server: RedisServer::start(),
            keys: fleet.entries().await,
        };
        assert_eq!(vault.keys.len(), 2);
        vault.copy(&fleet.server, &vault.server).await;
        vault
    }

    async fn put_back(&self, server: &RedisServer) {
        self.copy(&self.server, server).await;
    }

    async fn copy(&self, from: &RedisServer, to: &RedisServer) {
        let port = to.port().to_string();
        for key in &self.keys {
            let migrate = [
                "MIGRATE",
                "127.0.0.1",
                &port,
                key,
                "0",
                "20000",
                "COPY",
                "REPLACE",
            ];
            assert_eq!(from.command(&migrate).await, Value::Okay);
        }
    }
}

fn with_debug() -> Fleet {
    let server = RedisServer::start_with(&["--enable-debug-command", "yes"]);
    Fleet::on(Arc::new(server))
}

/// v1 of `/item/7`, which is purged then, and of `/item/8`, which is not. A snapshot of the server
/// from before the purge lies on its disk.
async fn purged(fleet: &Fleet, node: &Node) -> Vault {
    for uri in ["/item/7", "/item/8"] {
        assert_eq!(node.warm(uri).await.body, "v1");
    }
    let vault = Vault::keep(fleet).await;
    fleet.server.run("SAVE").await;
    fleet.origin.set("v2");
    node.purger().tag("item:7").await.expect("redis is there");
    vault
}

/// Why there is no stamp.
const UNKNOWN: [&str; 6] = [
    "no-stamp",
    "behind",
    "store-unavailable",
    "store-timeout",
    "breaker-open",
    "no-lease",
];

/// With v1 of both back under their keys, `node` serves neither, and hits again afterwards.
async fn serves_neither(node: &Node, vault: &Vault, server: &RedisServer, what: &str) {
    vault.put_back(server).await;
    for uri in ["/item/7", "/item/8"] {
        until(
            "the entry is judged by a log that the node knows",
            async || {
                let answer = node.get(uri).await;
                assert_eq!(answer.body, "v2", "{what}, {uri}: {}", answer.how());
                // Between the loss and the new epoch a node has no stamp, and neither looks nor stores.
                let known = !UNKNOWN.contains(&answer.detail());
                assert!(
                    !known || GONE.contains(&answer.detail()),
                    "{what}: {}",
                    answer.how()
                );
                known
            },
        )
        .await;
        assert_eq!(node.warm(uri).await.body, "v2", "{what}");
    }
}

/// Purges work as before.
async fn purges_again(fleet: &Fleet, nodes: &[Node], what: &str) {
    for (turn, node) in nodes.iter().enumerate() {
        let version = format!("after {turn}");
        fleet.origin.set(&version);
        node.purger().tag("items").await.expect("redis is there");
        for node in nodes {
            let answer = node.get("/item/7").await;
            assert_eq!(answer.body, version, "{what}: {}", answer.how());
        }
    }
}

/// Rules 4 `[one_view]`, 5 `[epoch_check]`, 7 and 9 `[backwards]`:
/// > log lost · entries stored before it are still there, or come back · nobody remembers the purge ·
/// > v1 hit.
#[tokio::test]
async fn a_lost_log_never_brings_back_what_was_purged() {
    let losses: [&[&str]; 6] = [
        &["FLUSHALL"],
        &["DEL LOG"],
        &["SET LOG string"],
        &["XTRIM LOG MAXLEN 0"],
        &["DEBUG RELOAD NOSAVE"],
        &["RENAME LOG elsewhere"],
    ];
    for loss in losses {
        let fleet = with_debug();
        let nodes = [fleet.companied(), fleet.node(), fleet.companied()];
        let vault = purged(&fleet, &nodes[0]).await;
        for node in &nodes {
            assert_eq!(node.warm("/item/7").await.body, "v2");
        }
        for command in loss {
            fleet.run(command).await;
        }
        for node in &nodes {
            serves_neither(node, &vault, &fleet.server, &format!("{loss:?}")).await;
        }
        purges_again(&fleet, &nodes, &format!("{loss:?}")).await;
    }
}

/// Nodes that have never seen the log that was lost need no memory of it.
#[tokio::test]
async fn a_node_that_starts_after_the_log_was_lost_serves_nothing_older() {
    for loss in ["FLUSHALL", "DEL LOG", "DEBUG RELOAD NOSAVE"] {
        let fleet = with_debug();
        // Its companion appends what it repeats in the new epoch (PROTOCOL 25).
        let first = fleet.companied();
        let vault = purged(&fleet, &first).await;
        fleet.run(loss).await;
        // The one that knows what was lost is the first to look (PROTOCOL 9, *Limit*).
        serves_neither(&first, &vault, &fleet.server, loss).await;
        for companion in [false, true] {
            let node = fleet.node_if(companion);
            serves_neither(&node, &vault, &fleet.server, loss).await;
        }
    }
}

/// SAFETY 42: with a policy that evicts every key, the log may go first.
#[tokio::test]
async fn safety_42_an_evicted_log_never_brings_back_what_was_purged() {
    let fleet = Fleet::private();
    let nodes = [fleet.companied(), fleet.node()];
    let vault = purged(&fleet, &nodes[0]).await;
    fleet
        .run("CONFIG SET maxmemory-policy allkeys-random")
        .await;
    fleet.run("CONFIG SET maxmemory 1").await;
    // Any write evicts all that there is; those of the companion may do so as well.
    let _ = fleet.server.try_command(&["SET", "other", "1"]).await;
    fleet.run("CONFIG SET maxmemory 0").await;
    for node in &nodes {
        serves_neither(node, &vault, &fleet.server, "evicted").await;
    }
    purges_again(&fleet, &nodes, "evicted").await;
}

/// What only an entry's own loss costs is that entry's hit.
#[tokio::test]
async fn safety_42_an_evicted_entry_is_a_miss_and_nothing_else() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    a.warm("/item/7").await;
    fleet.forget_entries().await;
    a.warm("/item/8").await;
    let missed = b.get("/item/7").await;
    assert_eq!(missed.param("fwd"), Some("uri-miss"), "{}", missed.how());
    assert!(b.get("/item/8").await.is_hit());
    assert!(b.warm("/item/7").await.is_hit());
}

/// Advances the clock that the pauses between connections are told by, until `node` hits.
async fn comes_back(fleet: &Fleet, node: &Node) {
    until("the node is connected again", async || {
        fleet.clock.advance(Duration::from_millis(200));
        let answer = node.get("/item/6").await;
        assert_ne!(answer.body, "v1", "{}", answer.how());
        answer.is_hit()
    })
    .await;
}

/// Rule 6 `[verify]`, SAFETY 44: the server comes back with a snapshot that lacks the purge.
#[tokio::test]
async fn safety_44_rule_06_verify_a_server_that_restarts_without_the_last_purge() {
    let mut fleet = Fleet::private();
    let nodes = [fleet.companied(), fleet.node(), fleet.companied()];
    let vault = purged(&fleet, &nodes[0]).await;
    for node in &nodes {
        assert_eq!(node.warm("/item/7").await.body, "v2");
    }
    let server = Arc::get_mut(&mut fleet.server).expect("nodes know its address only");
    server.restart();
    assert_eq!(fleet.entries().await.len(), 2, "v1 came back");
    for node in &nodes {
        comes_back(&fleet, node).await;
        serves_neither(node, &vault, &fleet.server, "restarted").await;
    }
    purges_again(&fleet, &nodes, "restarted").await;
}

/// Rule 6 `[verify_data]`, SAFETY 44:
/// > purge @1 returned · master dies, promoted replica lacks @1 · data connection reconnects, follower
/// > still on the dead one · tip there 0, position here 0 · v1 hit.
#[tokio::test]
async fn safety_44_rule_06_verify_data_a_promoted_replica_that_lacks_the_purge() {
    let (mut fleet, replica) = (Fleet::private(), RedisServer::start());
    replica.replica_of(&fleet.server).await;
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let node = || {
        let builder = fleet.builder_at(forwarder.url());
        // Nobody acknowledges once the replica is detached: `WAIT` must not last.
        fleet.companied_by(builder.purge_timeout(Duration::from_secs(1)))
    };
    let nodes = [node(), node()];
    for uri in ["/item/7", "/item/8"] {
        // The lease, which counts where replicas exist, is kept on a clock that stands still.
        assert_eq!(nodes[0].warm(uri).await.body, "v1");
    }
    let vault = Vault::keep(&fleet).await;
    replica.run("REPLICAOF NO ONE").await;
    fleet.origin.set("v2");
    // `Ok` or pending until the node knows that no replica is left; then in the old log alone.
    let _ = nodes[0].purger().tag("item:7").await;
    let purged = |said: &Said| matches!(said, Said::Purged(_));
    nodes[0].notices.heard(1, purged).await;

    forwarder.switch(replica.addr());
    let server = Arc::get_mut(&mut fleet.server).expect("nodes know its address only");
    server.stop();
    for node in &nodes {
        until("the node is connected again", async || {
            fleet.clock.advance(Duration::from_millis(200));
            node.get("/item/6").await.is_hit()
        })
        .await;
    }
    for node in &nodes {
        serves_neither(node, &vault, &replica, "promoted").await;
    }
    purges_again(&fleet, &nodes, "promoted").await;
}

/// PROTOCOL 25, where no companion runs that would do it.
#[tokio::test]
async fn a_node_alone_repeats_its_purges_in_the_new_epoch_by_itself() {
    let fleet = Fleet::new();
    let node = fleet.node();
    node.warm("/item/7").await;
    let purged = node.purger().tag("item:7").await;
    purged.expect("redis is there");
    fleet.run("DEL LOG").await;
    node.warm("/item/7").await;
    let log = format!("{:?}", fleet.run("XRANGE LOG - +").await);
    assert!(log.contains("t:item:7"), "{log}");
}
