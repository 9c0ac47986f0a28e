//! P1 for soft purges: usable as stale where the rule allows it, and as nothing else (PROTOCOL 5, 17).

use std::time::Duration;

use bytes::Bytes;
use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::request::Parts;
use http::{HeaderName, Response, StatusCode};
use tagcache_test_support::{Fleet, Node, Origin, item_rule, until};
use tower_tagcache::ErrorKind;

async fn purge(node: &Node, soft: bool) {
    let purger = node.purger();
    let purger = if soft { purger.soft() } else { purger };
    purger.tag("item:7").await.expect("redis is there");
}

fn lenient() -> Fleet {
    let window = Duration::from_secs(600);
    Fleet::new().rule(item_rule().stale_while_revalidate(window))
}

/// > purge @1 · soft purge @2 · one "last mark, soft" · v1 served as stale.
#[tokio::test]
async fn rule_05_two_marks_a_soft_purge_does_not_soften_an_earlier_hard_one() {
    for by_other in [false, true] {
        for reader_is_companied in [false, true] {
            let fleet = lenient();
            let (a, b) = (fleet.node(), fleet.node_if(reader_is_companied));
            b.warm("/item/7").await;
            fleet.origin.set("v2");
            let softener = if by_other { &b } else { &a };
            purge(&a, false).await;
            purge(softener, true).await;
            let answer = b.get("/item/7").await;
            assert_eq!(answer.body, "v2", "{}", answer.how());
        }
    }
}

#[tokio::test]
async fn rule_05_two_marks_a_hard_purge_hardens_an_earlier_soft_one() {
    let fleet = lenient();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/7").await;
    fleet.origin.set("v2");
    purge(&a, true).await;
    purge(&b, false).await;
    for node in [&a, &b] {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{}", answer.how());
    }
}

/// The glob and the tag are the two purges.
#[tokio::test]
async fn rule_05_two_marks_of_different_kinds() {
    let fleet = lenient();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/7").await;
    fleet.origin.set("v2");
    let glob = a.purger().glob("/item/*").await;
    glob.expect("redis is there");
    purge(&a, true).await;
    let soft_glob = a.purger().soft().glob("/item/*").await;
    soft_glob.expect("redis is there");
    let answer = b.get("/item/7").await;
    assert_eq!(answer.body, "v2", "{}", answer.how());
}

#[tokio::test]
async fn a_soft_purge_leaves_a_response_usable_as_stale_until_it_is_refilled() {
    let fleet = lenient();
    let (a, b) = (fleet.node(), fleet.companied());
    b.warm("/item/7").await;
    fleet.origin.set("v2");
    purge(&a, true).await;
    let stale = b.get("/item/7").await;
    let how = (stale.text(), stale.detail());
    assert_eq!(how, ("v1", "stale-while-revalidate"), "{}", stale.how());
    for node in [&a, &b] {
        until("the refresh is stored", async || {
            let answer = node.get("/item/7").await;
            answer.body == "v2" && answer.is_hit() && answer.detail() == "none"
        })
        .await;
    }
}

#[tokio::test]
async fn a_soft_purge_without_a_stale_window_is_a_miss() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.node());
    b.warm("/item/7").await;
    fleet.origin.set("v2");
    purge(&a, true).await;
    for node in [&a, &b] {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{}", answer.how());
    }
}

/// An origin with one validator that does not change with the data, and so answers 304 to whoever
/// sends it.
fn unchanging(name: &'static HeaderName, value: &'static str) -> Origin {
    Origin::of_data(move |request: &Parts, data: &str| {
        let response = Response::builder().header(name, value);
        let condition = if *name == ETAG {
            IF_NONE_MATCH
        } else {
            IF_MODIFIED_SINCE
        };
        let theirs = request.headers.get(condition);
        let response = if theirs.is_some_and(|theirs| theirs == value) {
            response.status(StatusCode::NOT_MODIFIED).body(Bytes::new())
        } else {
            response.body(Bytes::copy_from_slice(data.as_bytes()))
        };
        response.expect("a good response")
    })
}

/// > soft purge for v2 · `If-Modified-Since` of the same second · 304 · v1 stamped new, fresh again.
#[tokio::test]
async fn rule_17_strong_a_weak_validator_does_not_freshen_what_was_soft_purged() {
    // The clock of the test reads 2026-11-23 00:00:00.
    let weak = [
        (&LAST_MODIFIED, "Mon, 23 Nov 2026 00:00:00 GMT"),
        (&ETAG, "W/\"same\""),
    ];
    for (name, value) in weak {
        let fleet = Fleet::new().origin(unchanging(name, value));
        let (a, b) = (fleet.node(), fleet.node());
        a.warm("/item/7").await;
        fleet.origin.set("v2");
        purge(&b, true).await;
        let answer = a.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{name}: {}", answer.how());
        let asked = fleet.origin.last().parts.headers;
        assert!(!asked.contains_key(IF_NONE_MATCH), "{name}");
        assert!(!asked.contains_key(IF_MODIFIED_SINCE), "{name}");
        let later = b.warm("/item/7").await;
        assert_eq!(later.body, "v2", "{name}: {}", later.how());
    }
}

/// The other side of it: a strong one saves the body, and the stamp is a new one, so that the
/// response is not soft-stale for ever.
#[tokio::test]
async fn rule_17_strong_validators_freshen_what_was_soft_purged() {
    let strong = [
        (&LAST_MODIFIED, "Sun, 22 Nov 2026 00:00:00 GMT"),
        (&ETAG, "\"same\""),
    ];
    for (name, value) in strong {
        let fleet = Fleet::new().origin(unchanging(name, value));
        let (a, b) = (fleet.node(), fleet.node());
        a.warm("/item/7").await;
        purge(&b, true).await;
        let answer = a.get("/item/7").await;
        assert_eq!(answer.param("fwd-status"), Some("304"), "{}", answer.how());
        for node in [&a, &b] {
            let hit = node.warm("/item/7").await;
            assert_eq!((hit.text(), hit.detail()), ("v1", "none"), "{}", hit.how());
        }
        // And a hard purge still ends it.
        fleet.origin.set("v2");
        purge(&b, false).await;
        let answer = a.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{name}: {}", answer.how());
        let asked = fleet.origin.last().parts.headers;
        assert!(!asked.contains_key(IF_NONE_MATCH), "no base for conditions");
        assert!(!asked.contains_key(IF_MODIFIED_SINCE), "{name}");
    }
}

/// first asks conditionally · second follows it · purge @1 · first fails · second asks, stamp 1, by the
/// validator of the response that @1 purged · 304 · v1 stamped new, fresh again.
#[tokio::test]
async fn rule_17_a_follower_that_takes_over_does_not_ask_by_a_purged_response() {
    for soft in [false, true] {
        let value = "Mon, 23 Nov 2026 00:00:00 GMT";
        let fleet = Fleet::new().origin(unchanging(&LAST_MODIFIED, value));
        let (a, b) = (fleet.node(), fleet.node());
        a.warm("/item/7").await;
        fleet.clock.advance(Duration::from_secs(4000));
        let mut held = fleet.origin.hold();
        let first = a.begin(tagcache_test_support::path("/item/7"));
        held.arrived().await;
        let second = a.begin(tagcache_test_support::path("/item/7"));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        fleet.origin.set("v2");
        purge(&b, soft).await;
        // Moves the position of node a past the purge.
        a.get("/item/other").await;
        held.release();
        first.await.unwrap();
        second.await.unwrap();
        for _ in 0..3 {
            let later = b.get("/item/7").await;
            assert_eq!(later.body, "v2", "soft={soft} {}", later.how());
        }
    }
}

/// A long list becomes several records: those behind the first that cannot be appended are in force
/// all the same (PROTOCOL 24).
#[tokio::test]
async fn rule_24_every_record_of_a_long_list_is_in_force_while_redis_is_away() {
    let fleet = Fleet::private();
    let a = fleet.companied_by(fleet.builder().purge_timeout(Duration::from_millis(200)));
    a.warm("/item/7").await;
    fleet.origin.set("v2");
    fleet.server.suspend();
    let others = (0..1000).map(|n| format!("other:{n}"));
    let tags: Vec<String> = others.chain(["item:7".into()]).collect();
    let purged = a.purger().tags(&tags).await;
    assert_eq!(
        purged.map_err(|error| error.kind()),
        Err(ErrorKind::Pending)
    );
    fleet.server.resume();
    for _ in 0..3 {
        let later = a.get("/item/7").await;
        assert_eq!(later.body, "v2", "{}", later.how());
    }
}
