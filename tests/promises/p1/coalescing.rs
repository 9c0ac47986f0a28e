//! P1: who may take an answer from a call that somebody else's request began (PROTOCOL 20).
//!
//! > flight begins, v1 read · purge returns · request arrives, misses, joins · gets v1

use std::time::Duration;

use tagcache_test_support::{Fleet, Node, item_rule, path, until};

/// The flight of `a` has read v1 when the purge returns; `a` is asked again, and must not join it.
async fn a_late_comer_starts_its_own(companions: bool, purge: impl AsyncFn(&Node, &Node)) {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node_if(companions), fleet.node_if(companions));
    b.warm("/item/unrelated").await;
    let mut held = fleet.origin.hold();
    let first = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    purge(&a, &b).await;

    let late = a.get("/item/7").await;
    assert_eq!(late.body, "v2", "{}", late.how());
    held.release();
    let first = first.await.expect("it is answered");
    assert_eq!(first.body, "v1", "it arrived before the purge");
    let later = a.get("/item/7").await;
    assert_eq!(later.body, "v2", "{}", later.how());
}

#[tokio::test]
async fn rule_20_joiner_after_a_purge_on_this_node() {
    for companions in [false, true] {
        a_late_comer_starts_its_own(companions, async |a, _| {
            a.purger().tag("item:7").await.expect("redis is there");
        })
        .await;
    }
}

#[tokio::test]
async fn rule_20_joiner_after_a_purge_on_another_node() {
    for companions in [false, true] {
        a_late_comer_starts_its_own(companions, async |_, b| {
            b.purger().tag("item:7").await.expect("redis is there");
        })
        .await;
    }
}

#[tokio::test]
async fn rule_20_joiner_after_a_purge_of_everything_on_another_node() {
    a_late_comer_starts_its_own(false, async |_, b| {
        b.purger().all().await.expect("redis is there");
    })
    .await;
}

#[tokio::test]
async fn rule_20_joiner_after_a_soft_purge() {
    a_late_comer_starts_its_own(false, async |_, b| {
        let soft = b.purger().soft().tag("item:7").await;
        soft.expect("redis is there");
    })
    .await;
}

/// The purge of an epoch that was lost since counts as well: the flight is of another one.
#[tokio::test]
async fn rule_20_joiner_after_the_log_was_lost() {
    let fleet = Fleet::new();
    let a = fleet.node();
    let mut held = fleet.origin.hold();
    let first = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    fleet.run("DEL LOG").await;
    let late = a.get("/item/7").await;
    assert_eq!(late.body, "v2", "{}", late.how());
    held.release();
    first.await.expect("it is answered");
}

#[tokio::test]
async fn rule_20_a_late_comer_does_not_read_along_in_a_body_that_began_before() {
    for by_other in [false, true] {
        let fleet = Fleet::new();
        let (a, b) = (fleet.node(), fleet.node());
        let mut held = fleet.origin.hold_body();
        let first = a.begin(path("/item/7"));
        held.arrived().await;
        fleet.origin.set("v2");
        let purger = if by_other { b.purger() } else { a.purger() };
        purger.tag("item:7").await.expect("redis is there");

        let late = a.get("/item/7").await;
        assert_eq!(late.body, "v2", "{}", late.how());
        held.release();
        assert_eq!(first.await.expect("it is answered").body, "v1");
    }
}

#[tokio::test]
async fn rule_20_later_comers_join_the_flight_that_replaced_the_purged_one() {
    let fleet = Fleet::new();
    let a = fleet.node();
    let mut held = fleet.origin.hold();
    let first = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    a.purger().tag("item:7").await.expect("redis is there");

    let mut replaced = fleet.origin.hold();
    let late: Vec<_> = (0..5).map(|_| a.begin(path("/item/7"))).collect();
    replaced.arrived().await;
    held.release();
    first.await.expect("it is answered");
    replaced.release();
    for late in late {
        assert_eq!(late.await.expect("it is answered").body, "v2");
    }
    assert_eq!(
        fleet.origin.calls(),
        2,
        "one for v1, one for all the others"
    );
}

#[tokio::test]
async fn rule_20_a_request_without_a_purge_in_between_joins() {
    let fleet = Fleet::private();
    let a = fleet.node();
    let mut held = fleet.origin.hold();
    let first = a.begin(path("/item/7"));
    held.arrived().await;
    // A purge of something else does not keep anybody from sharing.
    a.purger().tag("item:8").await.expect("redis is there");
    let lookups = fleet.server.calls("get").await;
    let second = a.begin(path("/item/7"));
    until("it has looked for a stored response", async || {
        fleet.server.calls("get").await > lookups
    })
    .await;
    held.release();
    first.await.expect("it is answered");
    assert_eq!(second.await.expect("it is answered").body, "v1");
    assert_eq!(fleet.origin.calls(), 1);
}

/// PROTOCOL 5: what is hard-invalid stands in for no error either, and a 304 does not revive it.
#[tokio::test]
async fn rule_05_a_hard_purge_ends_a_response_for_errors_too_and_a_soft_one_does_not() {
    use http::{Response, StatusCode};
    for soft in [false, true] {
        let failing = tagcache_test_support::Origin::of_data(|_, data| {
            let mut response = Response::new(bytes::Bytes::copy_from_slice(data.as_bytes()));
            if data == "down" {
                *response.status_mut() = StatusCode::BAD_GATEWAY;
            }
            response
        });
        let rule = item_rule().stale_if_error(Duration::from_secs(600));
        let fleet = Fleet::new().rule(rule).origin(failing);
        let (a, b) = (fleet.node(), fleet.node());
        a.warm("/item/7").await;
        fleet.origin.set("down");
        let purger = if soft { b.purger().soft() } else { b.purger() };
        purger.tag("item:7").await.expect("redis is there");
        let answer = a.get("/item/7").await;
        let expected = if soft { "v1" } else { "down" };
        assert_eq!(answer.body, expected, "soft {soft}: {}", answer.how());
    }
}
