//! P1: positions, marks and floors (PROTOCOL 5, 9 to 15, 19), each with the history that its rule
//! forbids. Nodes without companions know only what their own requests have read, which is what these
//! histories need.

use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::{Fleet, Forwarder, Node, Said, path, until};
use tower_tagcache::{Position, Timestamp};

async fn purged(node: &Node, tag: &str) -> Position {
    let purged = node.purger().tag(tag).await;
    purged.expect("redis is there").position
}

/// `node` is where it was before the purge, and must not serve what it purged.
async fn misses(node: &Node, uri: &str, details: &[&str]) {
    let answer = node.get(uri).await;
    assert_eq!(answer.body, "v2", "{}", answer.how());
    let detail = answer.detail();
    assert!(details.contains(&detail), "{details:?}: {}", answer.how());
}

/// > A purges x @1 · B purges y @2, takes 2 as its position · B's tip check agrees · v1 hit.
#[tokio::test]
async fn rule_13_own_ack_is_not_a_position_reached() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/7").await;
    fleet.origin.set("v2");
    assert_eq!(purged(&a, "item:7").await.ordinal, 1);
    assert_eq!(purged(&b, "item:8").await.ordinal, 2);
    misses(&b, "/item/7", &["purged"]).await;
}

/// Nor is it a stamp: what B fills after its own purge is stamped where B really is.
#[tokio::test]
async fn rule_13_own_ack_is_not_the_stamp_of_a_fill_that_is_under_way() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/8").await;
    let mut held = fleet.origin.hold();
    let filling = b.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    purged(&a, "item:7").await;
    purged(&b, "item:9").await;
    held.release();
    filling.await.expect("it is answered");
    fleet.stored(2).await;
    misses(&b, "/item/7", &["purged"]).await;
}

/// > A purges @1 · B, still at 0, sees tip 1 · decides from its marks · v1 hit.
#[tokio::test]
async fn rule_19_wait_tip_a_node_that_is_behind_reads_up_to_the_tip() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/7").await;
    fleet.origin.set("v2");
    purged(&a, "item:7").await;
    // More than one read returns, so that the mark comes with the first and the tip with the last.
    for n in 0..1_100 {
        purged(&a, &format!("other:{n}")).await;
    }
    misses(&b, "/item/7", &["purged"]).await;
}

/// > log lost · purge makes a new one · ordinal there = ordinal here · v1 hit.
#[tokio::test]
async fn rule_19_tip_epoch_equal_ordinals_of_two_epochs_are_not_equal() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    purged(&a, "item:1").await;
    b.warm("/item/7").await;
    fleet.origin.set("v2");
    fleet.run("DEL LOG").await;
    let position = purged(&a, "item:7").await;
    assert_eq!(position.ordinal, 1, "as far as B has come");
    misses(&b, "/item/7", &["other-epoch"]).await;
}

/// A node whose companion hears nothing notices as well: `XREAD BLOCK` waits on, without an error.
#[tokio::test]
async fn rule_14_identity_silence_proves_nothing() {
    let fleet = Fleet::private();
    let (a, b) = (fleet.node(), fleet.companied());
    purged(&a, "item:1").await;
    b.warm("/item/7").await;
    until("B's follower waits for records", async || {
        let clients = fleet.server.info("clients").await;
        clients.contains("blocked_clients:1")
    })
    .await;
    fleet.origin.set("v2");
    fleet.run("DEL LOG").await;
    let position = purged(&a, "item:7").await;
    assert_eq!(position.ordinal, 1, "as far as B has come");
    misses(&b, "/item/7", &["other-epoch"]).await;
}

/// > fill begins s=0 on A · purge @1 · B starts, joins at 1 with no marks and floor 0 · A stores · B
/// > hits v1.
#[tokio::test]
async fn rule_10_boot_floor_of_a_node_that_starts_after_the_purge() {
    for trimmed in [false, true] {
        for companion in [false, true] {
            let fleet = Fleet::new();
            let a = fleet.node();
            let mut held = fleet.origin.hold();
            let filling = a.begin(path("/item/7"));
            held.arrived().await;
            fleet.origin.set("v2");
            purged(&a, "item:7").await;
            purged(&a, "item:8").await;
            if trimmed {
                fleet.run("XTRIM LOG MAXLEN 1").await;
            }
            let b = fleet.node_if(companion);
            assert_eq!(b.warm("/item/6").await.body, "v2", "B has joined");
            held.release();
            filling.await.expect("it is answered");
            fleet.stored(2).await;
            let detail = if trimmed { "below-floor" } else { "purged" };
            misses(&b, "/item/7", &[detail]).await;
        }
    }
}

/// A node that starts on a whole log keeps the hits that others have stored.
#[tokio::test]
async fn rule_10_a_node_that_starts_uses_what_the_log_still_proves_valid() {
    let fleet = Fleet::new();
    let a = fleet.node();
    purged(&a, "item:8").await;
    a.warm("/item/7").await;
    purged(&a, "item:9").await;
    let answer = fleet.node().get("/item/7").await;
    assert!(answer.is_hit(), "{}", answer.how());
}

/// > purge @1 · log trimmed to its last record, @2 · B, still at 0, reads @2 · "nothing about x" · v1
/// > hit (SAFETY 45).
#[tokio::test]
async fn safety_45_rule_11_gap_a_log_trimmed_past_a_node() {
    for companion in [false, true] {
        let fleet = Fleet::private();
        let forwarder = Forwarder::start(fleet.server.addr()).await;
        let a = fleet.node();
        let b = fleet.builder_at(forwarder.url());
        let b = if companion {
            fleet.companied_by(b)
        } else {
            fleet.node_by(b)
        };
        b.warm("/item/7").await;
        fleet.origin.set("v2");
        // Not only stalled: a blocked read would be answered by the first purge.
        forwarder.refuse();
        purged(&a, "item:7").await;
        purged(&a, "item:8").await;
        fleet.run("XTRIM LOG MAXLEN 1").await;
        forwarder.resume();
        fleet.clock.advance(Duration::from_secs(6));
        if companion {
            let position = Said::LogGap(last(&fleet).await);
            b.notices.heard(1, |said| *said == position).await;
        }
        // A request may be the first to notice that its connection is gone.
        until("B finds that it is too old", async || {
            let answer = b.get("/item/7").await;
            assert_eq!(answer.body, "v2", "{}", answer.how());
            answer.detail() == "below-floor"
        })
        .await;
    }
}

async fn last(fleet: &Fleet) -> Position {
    let newest = fleet.run("XREVRANGE LOG + - COUNT 1").await;
    let newest: Vec<(String, Vec<String>)> = ::redis::from_redis_value(newest).expect("a record");
    newest[0].0.parse().expect("a position")
}

/// > purge @1 · its record deleted by hand · tip 0 · "not ahead of us" · v1 hit.
#[tokio::test]
async fn rule_09_backwards_a_log_whose_last_record_was_deleted_is_not_the_log_it_was() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/7").await;
    fleet.keep_entries().await;
    fleet.origin.set("v2");
    let position = purged(&a, "item:7").await;
    b.warm("/item/7").await;
    assert_eq!(
        fleet.run(&format!("XDEL LOG {position}")).await,
        Value::Int(1)
    );
    fleet.put_back_entries().await;
    misses(&a, "/item/7", &["other-epoch"]).await;
    fleet.put_back_entries().await;
    misses(&b, "/item/7", &["other-epoch"]).await;
}

/// > fill begins s=0 · purge @1 read · mark dropped · fill stored · v1 hit.
#[tokio::test]
async fn rule_05_mark_floor_of_more_tags_than_are_remembered() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/8").await;
    let mut held = fleet.origin.hold();
    let filling = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    purged(&a, "item:7").await;
    let others = (0..100_001).map(|n| format!("other:{n}"));
    a.purger().tags(others).await.expect("redis is there");
    held.release();
    filling.await.expect("it is answered");
    fleet.stored(2).await;
    for node in [&a, &b] {
        fleet.keep_entries().await;
        misses(node, "/item/7", &["below-floor"]).await;
        fleet.put_back_entries().await;
    }
}

#[tokio::test]
async fn rule_05_mark_floor_of_more_globs_than_are_remembered() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/8").await;
    let mut held = fleet.origin.hold();
    let filling = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    let glob = a.purger().glob("/item/?").await;
    glob.expect("redis is there");
    for n in 0..1_000 {
        let glob = a.purger().glob(format!("/other/{n}/*")).await;
        glob.expect("redis is there");
    }
    held.release();
    filling.await.expect("it is answered");
    fleet.stored(2).await;
    for node in [&a, &b] {
        fleet.keep_entries().await;
        misses(node, "/item/7", &["below-floor"]).await;
        fleet.put_back_entries().await;
    }
}

/// > fill begins 1-1 · purge · log lost, epoch 2 · stored as 2-1 · v1 hit.
#[tokio::test]
async fn rule_15_stamp_pair_a_fill_that_outlives_its_epoch() {
    for companions in [false, true] {
        let fleet = Fleet::new();
        let (a, b) = (fleet.node_if(companions), fleet.node_if(companions));
        purged(&a, "item:1").await;
        b.warm("/item/6").await;
        let mut held = fleet.origin.hold();
        let filling = a.begin(path("/item/7"));
        held.arrived().await;
        fleet.origin.set("v2");
        purged(&b, "item:7").await;
        fleet.forget_entries().await;
        fleet.run("DEL LOG").await;
        // Both are in the new epoch, and as far in it as the stamp is in the old one.
        purged(&b, "item:1").await;
        a.warm("/item/5").await;
        held.release();
        filling.await.expect("it is answered");
        fleet.stored(2).await;
        misses(&b, "/item/7", &["other-epoch"]).await;
        assert_eq!(a.get("/item/7").await.body, "v2");
    }
}

/// > request · Redis late · inner service called without a tip, v1 read · purge @1 · the late tip
/// > arrives: 1 · v1 stored as 1 · v1 hit.
#[tokio::test]
async fn rule_15_late_tip_is_no_stamp() {
    let fleet = Fleet::new();
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let budget = Duration::from_millis(100);
    let a = fleet.node_by(fleet.builder_at(forwarder.url()).read_timeout(budget));
    let b = fleet.node();
    until("A has a connection", async || {
        a.get("/item/8").await.is_hit()
    })
    .await;
    fleet.forget_entries().await;

    forwarder.stall();
    let mut held = fleet.origin.hold();
    let late = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    purged(&b, "item:7").await;
    forwarder.resume();
    // The late answer is read, and A knows the purge.
    until("A hears from redis again", async || {
        a.get("/item/8").await.is_hit()
    })
    .await;
    held.release();
    let late = late.await.expect("it is answered");
    assert_eq!((late.text(), late.param("fwd")), ("v1", Some("miss")));
    assert!(!late.how().contains("stored"), "{}", late.how());
    for node in [&a, &b] {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{}", answer.how());
    }
}

/// > clock steps back · log lost, A opens E+1, fills v1 stamped (E+1)-0, purges · log lost, B, who
/// > knows E only, opens E+1 · v1 hit.
#[tokio::test]
async fn rule_01_no_epoch_is_opened_twice_by_clocks_that_stepped_back() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    a.warm("/item/8").await;
    b.warm("/item/8").await;
    fleet.clock.set_wall(Timestamp::from_millis(1));
    fleet.run("DEL LOG").await;
    fleet.forget_entries().await;
    a.warm("/item/7").await;
    fleet.keep_entries().await;
    fleet.origin.set("v2");
    purged(&a, "item:7").await;
    fleet.run("DEL LOG").await;
    fleet.put_back_entries().await;
    misses(&b, "/item/7", &["other-epoch"]).await;
}
