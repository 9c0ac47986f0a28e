//! P1 to P3 for strict rules whose responses have copies in the nodes: of Redis, a hit asks the tip of the
//! log and nothing else, in a read that was sent after it arrived (PROTOCOL 19 `[tip_fresh]`).

use std::sync::Arc;
use std::time::Duration;

use tagcache_test_support::{Answer, Fleet, Forwarder, Node, Said, path, until};
use tower_tagcache::ErrorKind;

/// Short enough to be waited for.
const SHORT: Duration = Duration::from_millis(50);

fn fleet() -> Fleet {
    Fleet::private().copying()
}

async fn entries_and_tips(fleet: &Fleet) -> (u64, u64) {
    let (server, mut seen) = (&fleet.server, (0, 0));
    (seen.0, seen.1) = (server.calls("get").await, server.calls("xrevrange").await);
    seen
}

/// Asks until there is a copy: a hit for which no entry was read.
async fn copied(fleet: &Fleet, node: &Node, uri: &str) {
    until("there is a copy", async || {
        // A breaker that opened meanwhile wants time to pass.
        fleet.clock.advance(Duration::from_millis(1));
        let before = fleet.server.calls("get").await;
        node.get(uri).await.is_hit() && fleet.server.calls("get").await == before
    })
    .await;
}

async fn at_once(node: &Node, uri: &str, requests: usize) -> Vec<Answer> {
    let asked: Vec<_> = (0..requests).map(|_| node.begin(path(uri))).collect();
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.expect("no panic"));
    }
    answers
}

#[tokio::test]
async fn a_strict_hit_on_a_copy_asks_for_the_tip_alone() {
    let fleet = fleet();
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let node = fleet.node_by(fleet.builder_at(forwarder.url()));
    copied(&fleet, &node, "/item/7").await;
    for _ in 0..3 {
        let (entries, tips) = entries_and_tips(&fleet).await;
        let trips = forwarder.round_trips();
        assert!(node.get("/item/7").await.is_hit());
        assert_eq!(
            entries_and_tips(&fleet).await,
            (entries, tips + 1),
            "one command"
        );
        assert_eq!(forwarder.round_trips(), trips + 1);
    }
    // What holds is decided by the log, not by what Redis still has.
    fleet.forget_entries().await;
    assert!(node.get("/item/7").await.is_hit());
    assert_eq!(fleet.origin.calls(), 1);
}

#[tokio::test]
async fn requests_that_come_together_share_a_read() {
    let fleet = fleet();
    let node = fleet.node();
    copied(&fleet, &node, "/item/7").await;
    let (entries, tips) = entries_and_tips(&fleet).await;
    for answer in at_once(&node, "/item/7", 500).await {
        assert!(answer.is_hit(), "{}", answer.how());
    }
    let (entries_now, tips_now) = entries_and_tips(&fleet).await;
    assert_eq!(entries_now, entries);
    assert!(tips_now - tips < 50, "{} reads", tips_now - tips);
}

/// > read sent, tip 0 · purge @1 returned · request arrives, takes that read's answer · v1 hit.
#[tokio::test]
async fn rule_19_tip_fresh_a_read_that_is_under_way_is_for_nobody_who_comes_later() {
    let fleet = fleet();
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let a = fleet.node_by(fleet.builder_at(forwarder.url()));
    let b = fleet.node();
    copied(&fleet, &a, "/item/7").await;
    for round in 1..=20 {
        let version = format!("round {round}");
        // Their read is on its way, or answered, when the purge returns.
        let early: Vec<_> = (0..3).map(|_| a.begin(path("/item/7"))).collect();
        tokio::task::yield_now().await;
        fleet.origin.set(&version);
        b.purger().tag("item:7").await.expect("redis is there");
        for answer in at_once(&a, "/item/7", 3).await {
            assert_eq!(answer.body, version, "{}", answer.how());
        }
        for early in early {
            early.await.expect("no panic");
        }
        copied(&fleet, &a, "/item/7").await;
    }
}

/// The companion's marks come by themselves; without it the request reads them.
#[tokio::test]
async fn no_purge_by_another_node_is_overlooked() {
    for companion in [false, true] {
        let fleet = fleet();
        let (a, b) = (fleet.node_if(companion), fleet.node());
        for (round, what) in ["tag", "glob", "url", "all", "soft", "lost", "flush"]
            .into_iter()
            .enumerate()
        {
            copied(&fleet, &a, "/item/7").await;
            let version = format!("round {round}");
            fleet.origin.set(&version);
            let purger = b.purger();
            let purged = match what {
                "tag" => purger.tag("item:7").await.is_ok(),
                "glob" => purger.glob("/item/*").await.is_ok(),
                "url" => purger.url("/item/7").await.is_ok(),
                "all" => purger.all().await.is_ok(),
                "soft" => purger.soft().tag("item:7").await.is_ok(),
                "lost" => {
                    fleet.run("DEL LOG").await;
                    true
                }
                _ => {
                    fleet.run("FLUSHALL").await;
                    true
                }
            };
            assert!(purged, "{what}");
            let answer = a.get("/item/7").await;
            assert_eq!(
                answer.body,
                version,
                "{what}, companion {companion}: {}",
                answer.how()
            );
        }
    }
}

/// What was there before Redis was lost is not served without asking, however fresh it is.
#[tokio::test]
async fn safety_58_without_redis_a_copy_is_not_served_strictly() {
    let mut fleet = fleet();
    let node = fleet.node_by(fleet.builder().read_timeout(SHORT));
    copied(&fleet, &node, "/item/7").await;
    fleet.origin.set("v2");
    let server = Arc::get_mut(&mut fleet.server);
    server.expect("nodes know its address only").stop();
    for _ in 0..20 {
        let answer = node.get("/item/7").await;
        assert_eq!((answer.is_hit(), answer.text()), (false, "v2"));
    }
    let server = Arc::get_mut(&mut fleet.server);
    server.expect("nodes know its address only").restart();
    until("it hits again", async || {
        fleet.clock.advance(Duration::from_secs(5));
        node.get("/item/7").await.is_hit()
    })
    .await;
    assert_eq!(node.get("/item/7").await.body, "v2");
}

/// Many requests wait for a server that is silent. Nobody waits for two reads, and the breaker opens as it
/// does otherwise.
#[tokio::test]
async fn safety_57_a_silent_server_costs_those_who_share_a_read_its_budget() {
    let fleet = fleet();
    let node = fleet.node_by(fleet.builder().read_timeout(SHORT).write_timeout(SHORT));
    copied(&fleet, &node, "/item/7").await;
    fleet.origin.set("v2");
    fleet.server.suspend();
    let timeouts = |node: &Node| {
        let late = |said: &Said| matches!(said, Said::StoreFailed("get", ErrorKind::Timeout));
        node.notices.count(late)
    };
    let before = timeouts(&node);
    for _ in 0..20 {
        for answer in at_once(&node, "/item/7", 20).await {
            assert_eq!((answer.is_hit(), answer.text()), (false, "v2"));
        }
    }
    let waited = timeouts(&node) - before;
    assert!((1..=10).contains(&waited), "waited {waited} times");
    let opened = |said: &Said| matches!(said, Said::BreakerOpened);
    assert!(node.notices.count(opened) > 0);
    fleet.server.resume();
}
