//! P1 where the data that the origin reads lag behind the purge (PROTOCOL 32): for a while after it,
//! responses with its tags are served and not stored.
//!
//! > event before commit · purge @1 · fill reads v1 from the lagging database, stamped 1, stored · v1
//! > hit for its whole lifetime.

use std::time::Duration;

use tagcache_test_support::{Fleet, Node, path};
use tower_tagcache::{On, Stream};

const SETTLE: Duration = Duration::from_secs(10);

async fn purge(node: &Node, tag: &str) {
    let purger = node.purger().settle(SETTLE);
    purger.tag(tag).await.expect("redis is there");
}

/// The database still shows v1: it is served, and neither stored nor found afterwards.
async fn serves_without_storing(fleet: &Fleet, node: &Node) {
    for _ in 0..2 {
        let calls = fleet.origin.calls();
        let answer = node.get("/item/7").await;
        assert!(!answer.is_hit(), "{}", answer.how());
        assert_eq!(answer.detail(), "settling", "{}", answer.how());
        assert_eq!(fleet.origin.calls(), calls + 1);
    }
}

#[tokio::test]
async fn rule_32_settle_start_what_is_read_while_it_settles_is_not_stored() {
    for companion in [false, true] {
        let fleet = Fleet::new();
        let nodes = [fleet.node(), fleet.node_if(companion)];
        for node in &nodes {
            node.warm("/item/6").await;
        }
        purge(&nodes[0], "item:7").await;
        for node in &nodes {
            serves_without_storing(&fleet, node).await;
        }
        // Other tags are not concerned.
        assert!(nodes[1].warm("/item/5").await.is_hit());

        fleet.clock.advance(SETTLE);
        fleet.origin.set("v2");
        for node in &nodes {
            assert_eq!(node.warm("/item/7").await.body, "v2");
        }
    }
}

/// What counts is when the fill began, not when it ended.
#[tokio::test]
async fn rule_32_settle_start_a_fill_that_ends_after_the_settling_time() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    purge(&a, "item:7").await;
    let mut held = fleet.origin.hold();
    let filling = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.clock.advance(SETTLE * 2);
    fleet.origin.set("v2");
    held.release();
    let lagging = filling.await.expect("it is answered");
    assert_eq!(lagging.body, "v1", "it is served");
    for node in [&b, &a] {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{}", answer.how());
    }
}

/// PROTOCOL 40: what was begun while it settled is for those who came while it did.
#[tokio::test]
async fn rule_40_settle_join_who_comes_after_the_settling_time_joins_no_flight_of_it() {
    let fleet = Fleet::new();
    let node = fleet.node();
    purge(&node, "item:7").await;
    let mut held = fleet.origin.hold();
    let lagging = node.begin(path("/item/7"));
    held.arrived().await;
    fleet.clock.advance(SETTLE);
    fleet.origin.set("v2");
    let told = node.begin(path("/item/7"));
    tokio::task::yield_now().await;
    held.release();
    assert_eq!(lagging.await.expect("it is answered").body, "v1");
    let told = told.await.expect("it is answered");
    assert_eq!(told.body, "v2", "{}", told.how());
}

/// A node that has not read the record yet stamps below it.
#[tokio::test]
async fn rule_32_settle_start_a_fill_on_a_node_that_has_not_read_the_record() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/6").await;
    let mut held = fleet.origin.hold();
    let filling = b.begin(path("/item/7"));
    held.arrived().await;
    purge(&a, "item:7").await;
    held.release();
    filling.await.expect("it is answered");
    fleet.stored(2).await;
    fleet.clock.advance(SETTLE);
    fleet.origin.set("v2");
    for node in [&b, &a] {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{}", answer.how());
    }
}

/// > B starts after the purge and before the commit · knows of nothing that settles · v1 stored.
#[tokio::test]
async fn rule_32_settle_start_a_node_that_joins_in_the_settling_time() {
    for companion in [false, true] {
        let fleet = Fleet::new();
        let a = fleet.node();
        purge(&a, "item:7").await;
        let b = fleet.node_if(companion);
        serves_without_storing(&fleet, &b).await;
        fleet.clock.advance(SETTLE);
        fleet.origin.set("v2");
        for node in [&b, &a] {
            assert_eq!(node.warm("/item/7").await.body, "v2");
        }
    }
}

/// Where the record itself is not to be read any more, the longest time in use is known from
/// the configuration.
#[tokio::test]
async fn rule_32_settle_start_a_node_that_joins_a_trimmed_log_in_the_settling_time() {
    let fleet = Fleet::new();
    let a = fleet.node();
    purge(&a, "item:7").await;
    a.purger().tag("item:1").await.expect("redis is there");
    fleet.run("XTRIM LOG MAXLEN 1").await;
    let stream = Stream::rindexer("events")
        .settle(SETTLE)
        .on(On::event("Changed").purge("item:{id}"));
    let b = fleet.node_by(fleet.builder().stream(stream));
    serves_without_storing(&fleet, &b).await;
    fleet.clock.advance(SETTLE);
    assert!(b.warm("/item/7").await.is_hit());
}

/// A node whose epoch ends joins again, and knows as little.
#[tokio::test]
async fn rule_32_settle_start_a_log_that_is_lost_in_the_settling_time() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/6").await;
    let stream = Stream::rindexer("events")
        .settle(SETTLE)
        .on(On::event("Changed").purge("item:{id}"));
    let c = fleet.node_by(fleet.builder().stream(stream));
    c.get("/item/6").await;
    purge(&a, "item:7").await;
    fleet.run("DEL LOG").await;
    serves_without_storing(&fleet, &c).await;
    fleet.clock.advance(SETTLE);
    assert!(c.warm("/item/7").await.is_hit());
}
