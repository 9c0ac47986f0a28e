//! SAFETY 51 on Redis: a request that goes away at any point where it waits leaves nothing behind that
//! others wait for, and costs no second call.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::{Fleet, Node, item_rule, path, until};
use tower_tagcache::Rule;

const BUDGET: Duration = Duration::from_secs(5);
const CLAIM: Duration = Duration::from_secs(600);

/// Drops `future` at the `point`th time that it waits, counted from 0. Whether it was ready before.
async fn leaves_at(point: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    let mut waited = 0;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if waited == point => Poll::Ready(false),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}

/// Two nodes that know the log.
async fn two(rule: &Rule) -> (Fleet, [Node; 2]) {
    let fleet = Fleet::new().rule(rule.clone());
    // Longer than any test waits: a claim that is not given back is seen.
    let claiming = || fleet.builder().fleet_claim(CLAIM);
    let nodes = [fleet.node_by(claiming()), fleet.companied_by(claiming())];
    for node in &nodes {
        node.warm("/item/0").await;
    }
    (fleet, nodes)
}

async fn no_claim_is_left(fleet: &Fleet) {
    let pattern = format!("{}:claim:*", fleet.namespace);
    until("no claim is left", async || {
        fleet.server.command(&["KEYS", &pattern]).await == Value::Array(vec![])
    })
    .await;
}

/// A miss that goes away at `point`. Others of both nodes then ask for the same and for something else.
async fn miss_leaves_at(point: usize, rule: &Rule, calls: usize) -> bool {
    let (fleet, [a, b]) = two(rule).await;
    let before = fleet.origin.calls();
    let finished = leaves_at(point, a.get("/item/7")).await;
    let others = [&a, &b, &a].map(|node| node.begin(path("/item/7")));
    for other in others {
        let other = other.await.expect("no panic");
        assert_eq!(other.body, "v1", "point {point}: {}", other.how());
    }
    for node in [&a, &b] {
        assert_eq!(node.warm("/item/7").await.body, "v1", "point {point}");
    }
    let called = fleet.origin.calls() - before;
    assert!(called <= calls, "point {point}: {called} calls");
    no_claim_is_left(&fleet).await;
    assert_eq!(a.warm("/item/8").await.body, "v1", "a permit is left");
    finished
}

#[tokio::test]
async fn safety_51_a_miss_that_goes_away_at_any_point_costs_others_nothing() {
    let fleet_wide = item_rule().fleet_coalesce(BUDGET);
    for (rule, calls) in [
        // Each node calls for itself.
        (item_rule(), 2),
        (item_rule().forward_limit(1), 2),
        (fleet_wide.clone(), 1),
        (fleet_wide.forward_limit(1), 1),
    ] {
        let mut point = 0;
        while !miss_leaves_at(point, &rule, calls).await {
            point += 1;
        }
        assert!(point >= 2, "it went away while it looked and as it waited");
    }
}

/// A stale answer and the refresh behind it.
async fn refresh_is_left_at(point: usize, rule: &Rule) -> bool {
    let (fleet, [a, b]) = two(rule).await;
    a.warm("/item/7").await;
    fleet.clock.advance(Duration::from_secs(61));
    fleet.origin.set("v2");
    let before = fleet.origin.calls();
    let finished = leaves_at(point, a.get("/item/7")).await;
    for node in [&a, &b] {
        until("it is refreshed", async || {
            let answer = node.get("/item/7").await;
            answer.is_hit() && answer.body == "v2"
        })
        .await;
    }
    let called = fleet.origin.calls() - before;
    assert!(called <= 2, "point {point}: {called} calls");
    no_claim_is_left(&fleet).await;
    finished
}

#[tokio::test]
async fn safety_51_a_refresh_whose_request_goes_away_at_any_point_is_made() {
    let stale = item_rule().stale_while_revalidate(BUDGET);
    for rule in [stale.clone(), stale.fleet_coalesce(BUDGET).forward_limit(1)] {
        let mut point = 0;
        while !refresh_is_left_at(point, &rule).await {
            point += 1;
        }
        assert!(point >= 1, "it went away while it looked");
    }
}

/// A strict hit on a copy, whose read of the log's tip others share.
async fn copy_is_left_at(point: usize) -> bool {
    let fleet = Fleet::new().copying();
    let node = fleet.node();
    node.warm("/item/7").await;
    let others: Vec<_> = (0..3).map(|_| node.begin(path("/item/7"))).collect();
    let finished = leaves_at(point, node.get("/item/7")).await;
    for other in others {
        assert!(other.await.expect("no panic").is_hit(), "point {point}");
    }
    assert!(node.get("/item/7").await.is_hit(), "point {point}");
    assert_eq!(fleet.origin.calls(), 1);
    finished
}

#[tokio::test]
async fn safety_51_a_strict_hit_on_a_copy_that_goes_away_at_any_point_costs_others_nothing() {
    let mut point = 0;
    while !copy_is_left_at(point).await {
        point += 1;
    }
    assert!(point >= 1, "it went away while it asked");
}
