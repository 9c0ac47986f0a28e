//! SAFETY 61 and 62 on several nodes: what a fleet asks of its inner service when responses end or are
//! gone.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tower_tagcache::ManualClock;

use crate::support::{Fleet, Node, Origin, item_rule, until};

/// An origin that takes a second to answer, by the clock of the fleet.
fn slow(fleet: Fleet) -> Fleet {
    let clock: ManualClock = fleet.clock.clone();
    fleet.origin(Origin::answering(move |_, data| {
        clock.advance(Duration::from_secs(1));
        Response::new(Bytes::copy_from_slice(data.as_bytes()))
    }))
}

/// A node of `fleet` whose near copies hold for a minute, and whose hits are chosen whenever they can.
fn eager(fleet: &Fleet) -> Node {
    let builder = fleet.builder().lease(Duration::from_secs(60));
    fleet.companied_by(builder.chance(|| 0.0))
}

/// Whether `uri` is a hit that Redis was not asked about.
async fn is_near_hit(fleet: &Fleet, node: &Node, uri: &str) -> bool {
    let before = fleet.server.calls("get").await;
    let hit = node.get(uri).await.is_hit();
    hit && fleet.server.calls("get").await == before
}

#[tokio::test]
async fn safety_61_a_near_hit_is_chosen_to_fetch_behind_and_the_copy_is_replaced() {
    let rule = item_rule().near().refresh_early(1.0);
    let fleet = slow(Fleet::private().rule(rule));
    let node = eager(&fleet);
    until("the copy answers", async || {
        is_near_hit(&fleet, &node, "/item/7").await
    })
    .await;
    fleet.clock.advance(Duration::from_secs(40));
    assert!(
        is_near_hit(&fleet, &node, "/item/7").await,
        "asks nothing yet"
    );
    assert_eq!(fleet.origin.calls(), 1);
    fleet.origin.set("v2");
    // In the last 14 s, in which one may be chosen.
    fleet.clock.advance(Duration::from_secs(10));
    let chosen = node.get("/item/7").await;
    assert_eq!((chosen.is_hit(), &*chosen.body), (true, "v1"));
    until("the copy is replaced", async || {
        let answer = node.get("/item/7").await;
        assert!(answer.is_hit(), "nobody waits: {}", answer.how);
        answer.body == "v2"
    })
    .await;
    assert!(is_near_hit(&fleet, &node, "/item/7").await);
    assert_eq!(fleet.origin.calls(), 2);
}

#[tokio::test]
async fn safety_61_how_long_a_response_took_is_known_to_the_other_nodes() {
    let rule = item_rule().refresh_early(1.0);
    let fleet = slow(Fleet::private().rule(rule));
    let (one, other) = (eager(&fleet), eager(&fleet));
    one.warm("/item/7").await;
    fleet.clock.advance(Duration::from_secs(50));
    assert!(other.get("/item/7").await.is_hit());
    until("it is fetched behind", async || fleet.origin.calls() == 2).await;
}
