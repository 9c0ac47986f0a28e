//! P1 for near rules: a hit asks nobody, a purge arrives by itself, and while Redis cannot be reached
//! no copy outlives the lease (PROTOCOL 18, 21; SAFETY 38, 39).

use std::time::Duration;

use tagcache_test_support::{Answer, Fleet, Forwarder, Node, Origin, item_rule, path, until};
use tower_tagcache::{Cache, Rule};

const LEASE: Duration = Duration::from_secs(1);

fn near_fleet() -> Fleet {
    Fleet::private().copying().rule(item_rule().near())
}

/// A node whose companion runs and whose way to Redis can be disturbed. It does not wait for Redis
/// longer than a moment.
async fn behind_a_forwarder(fleet: &Fleet) -> (Forwarder, Node) {
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let builder = fleet.builder_at(forwarder.url()).lease(LEASE);
    let impatient = builder.read_timeout(Duration::from_millis(50));
    let node = fleet.companied_by(impatient);
    (forwarder, node)
}

/// Asks until the copy answers by itself: as long as the server is asked for entries, it was not the copy,
/// and without the lease the log is asked about it.
async fn warm_near(fleet: &Fleet, node: &Node, uri: &str) -> Answer {
    let mut last = None;
    until("the copy answers", async || {
        let (before, followed) = (
            fleet.server.calls("get").await,
            node.cache.health().followed,
        );
        // A breaker that opened meanwhile wants time to pass.
        fleet.clock.advance(Duration::from_millis(1));
        let answer = node.get(uri).await;
        let asked = fleet.server.calls("get").await > before;
        last.insert(answer).is_hit() && followed && !asked
    })
    .await;
    last.expect("it was asked at least once")
}

#[tokio::test]
async fn a_near_hit_asks_redis_nothing() {
    let fleet = near_fleet();
    let node = fleet.companied();
    warm_near(&fleet, &node, "/item/7").await;
    let before = fleet.server.calls("get").await;
    let tips = fleet.server.calls("xrevrange").await;
    for _ in 0..1_000 {
        assert!(node.get("/item/7").await.is_hit());
    }
    assert_eq!(fleet.server.calls("get").await, before);
    // Those are heartbeats.
    let tips = fleet.server.calls("xrevrange").await - tips;
    assert!(tips < 100, "{tips}");
    assert_eq!(fleet.origin.calls(), 1);
}

#[tokio::test]
async fn without_its_companion_a_near_rule_looks_up_strictly() {
    let fleet = near_fleet();
    let node = fleet.node();
    node.warm("/item/7").await;
    let before = fleet.server.calls("xrevrange").await;
    for _ in 0..5 {
        assert!(node.get("/item/7").await.is_hit());
    }
    assert_eq!(fleet.server.calls("xrevrange").await, before + 5);
}

#[tokio::test]
async fn safety_39_a_purge_reaches_the_copies_of_all_nodes() {
    let fleet = near_fleet();
    let nodes = [fleet.companied(), fleet.companied(), fleet.companied()];
    for node in &nodes {
        warm_near(&fleet, node, "/item/7").await;
        warm_near(&fleet, node, "/item/8").await;
    }
    fleet.origin.set("v2");
    nodes[0]
        .purger()
        .tag("item:7")
        .await
        .expect("redis is there");
    let here = nodes[0].get("/item/7").await;
    assert_eq!(
        here.body,
        "v2",
        "at once where it was purged: {}",
        here.how()
    );
    for node in &nodes[1..] {
        // The clock stands still, so that no lease ends: the record itself has to arrive.
        until("the purge arrives", async || {
            node.get("/item/7").await.body == "v2"
        })
        .await;
        assert_eq!(node.get("/item/7").await.body, "v2", "and never goes again");
        let other = node.get("/item/8").await;
        assert!(other.is_hit(), "what was not named stays: {}", other.how());
    }
}

/// > copy on A · A is cut off · B purges · A knows nothing of it, and must not for longer than the lease
#[tokio::test]
async fn rule_21_a_node_that_hears_nothing_serves_copies_for_the_lease_and_no_longer() {
    for silent in [Forwarder::stall, Forwarder::refuse] {
        let fleet = near_fleet();
        let (forwarder, a) = behind_a_forwarder(&fleet).await;
        let b = fleet.node();
        warm_near(&fleet, &a, "/item/7").await;
        silent(&forwarder);
        fleet.origin.set("v2");
        b.purger().tag("item:7").await.expect("B has redis");
        fleet.clock.advance(LEASE);
        let after = a.get("/item/7").await;
        assert_eq!(after.body, "v2", "{}", after.how());
        assert!(!after.is_hit(), "nothing can be known: {}", after.how());

        forwarder.resume();
        let again = warm_near(&fleet, &a, "/item/7").await;
        assert_eq!(again.body, "v2", "and copies again when it is heard");
    }
}

#[tokio::test]
async fn rule_21_a_suspended_server_ends_the_lease() {
    let fleet = near_fleet();
    let (_forwarder, node) = behind_a_forwarder(&fleet).await;
    warm_near(&fleet, &node, "/item/7").await;
    fleet.server.suspend();
    fleet.clock.advance(LEASE);
    let answer = node.get("/item/7").await;
    assert!(!answer.is_hit(), "{}", answer.how());
    fleet.server.resume();
    warm_near(&fleet, &node, "/item/7").await;
}

/// PROTOCOL 18 [near_stamp]: the copy has the stamp of its fill, which began before the purge.
#[tokio::test]
async fn safety_38_a_copy_of_a_fill_that_began_before_the_purge_answers_nobody() {
    let fleet = near_fleet();
    let (a, b) = (fleet.companied(), fleet.companied());
    for node in [&a, &b] {
        warm_near(&fleet, node, "/item/unrelated").await;
    }
    let mut held = fleet.origin.hold();
    let client = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    let purged = b.purger().tag("item:7").await.expect("redis is there");
    // A knows of it before the fill ends, so that a copy stamped then would look good.
    until("A knows of the purge", async || {
        a.cache.position() == Some(purged.position)
    })
    .await;
    held.release();
    client.await.expect("no panic");
    let next = a.get("/item/7").await;
    assert_eq!(next.body, "v2", "{}", next.how());
    assert_eq!(warm_near(&fleet, &a, "/item/7").await.body, "v2");
}

#[tokio::test]
async fn a_lost_log_ends_every_copy() {
    let fleet = near_fleet();
    let node = fleet.companied();
    warm_near(&fleet, &node, "/item/7").await;
    fleet.run("FLUSHALL").await;
    until("the epoch changes", async || {
        !node.get("/item/7").await.is_hit()
    })
    .await;
    assert_eq!(fleet.origin.calls(), 2);
}

#[tokio::test]
async fn a_soft_purge_reaches_the_copies_too() {
    let window = Duration::from_secs(60);
    let rule = item_rule().near().stale_while_revalidate(window);
    let fleet = Fleet::private().copying().rule(rule);
    let (a, b) = (fleet.companied(), fleet.companied());
    warm_near(&fleet, &a, "/item/7").await;
    fleet.origin.set("v2");
    b.purger()
        .soft()
        .tag("item:7")
        .await
        .expect("redis is there");
    until("A serves it as stale, then v2", async || {
        a.get("/item/7").await.body == "v2"
    })
    .await;
}

/// The copy of a response is judged by the same clock: it is never fresh for longer.
#[tokio::test]
async fn a_copy_expires_when_its_response_does() {
    let fleet = near_fleet();
    let node = fleet.companied();
    warm_near(&fleet, &node, "/item/7").await;
    fleet.origin.set("v2");
    fleet.clock.advance(Duration::from_secs(60));
    until("it is fetched again", async || {
        node.get("/item/7").await.body == "v2"
    })
    .await;
}

#[tokio::test]
async fn copies_can_be_switched_off_and_admitted_late() {
    let fleet = near_fleet();
    let off = fleet.companied_by(fleet.builder().store_bytes(0));
    let late = fleet.companied_by(fleet.builder().near_after(3));
    off.warm("/item/7").await;
    let asked = async |node: &Node| {
        let before = fleet.server.calls("get").await;
        assert!(node.get("/item/7").await.is_hit());
        fleet.server.calls("get").await - before
    };
    for _ in 0..5 {
        assert_eq!(asked(&off).await, 1);
    }
    let mut from_redis = 0;
    until("it is let in", async || match asked(&late).await {
        0 => true,
        asked => {
            from_redis += asked;
            false
        }
    })
    .await;
    assert!(from_redis >= 3, "{from_redis}");
}

#[test]
fn too_small_a_bound_is_an_error_that_names_the_rule() {
    let builder = || Cache::builder().rule(Rule::new("item", "/item/{id}"));
    let redis = || builder().redis("redis://127.0.0.1:1");
    for (name, builder) in [
        ("embedded", builder().store_bytes(0)),
        ("embedded", builder().store_bytes(1_000)),
        ("redis", redis().store_bytes(1_000)),
        ("strict", redis().strict().store_bytes(1_000)),
    ] {
        let error = builder.build().expect_err(name).to_string();
        assert!(error.starts_with("rule `item`, store bytes:"), "{error}");
    }
    assert!(redis().store_bytes(0).build().is_ok());
    let error = redis().lease(Duration::ZERO).build().expect_err("a lease");
    assert!(error.to_string().starts_with("lease:"), "{error}");
}

/// A response that varies has copies of its variants.
#[tokio::test]
async fn variants_have_copies_of_their_own() {
    let varying = |parts: &http::request::Parts, data: &str| {
        let language = parts.headers.get("accept-language");
        let language = language.map_or("none", |name| name.to_str().expect("ascii"));
        let response = http::Response::builder().header("vary", "accept-language");
        let body = bytes::Bytes::from(format!("{language} {data}"));
        response.body(body).expect("a good response")
    };
    let fleet = near_fleet().origin(Origin::of_data(varying));
    let node = fleet.companied();
    let in_language = |language: &'static str| {
        let mut request = path("/item/7");
        let value = http::HeaderValue::from_static(language);
        request.headers_mut().insert("accept-language", value);
        request
    };
    for language in ["en", "de"] {
        node.warm_by(|| in_language(language)).await;
    }
    until("the copies answer", async || {
        let before = fleet.server.calls("get").await;
        for language in ["en", "de"] {
            let answer = node.send(in_language(language)).await;
            assert!(answer.is_hit(), "{}", answer.how());
            assert!(answer.text().starts_with(language), "{}", answer.text());
        }
        fleet.server.calls("get").await == before
    })
    .await;
}
