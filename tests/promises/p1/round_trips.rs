//! What P1 costs: a strict hit is one round trip, and a purge is one command, whatever it names.
//! Counted by the server and by a forwarder in between, never timed.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT_LANGUAGE, VARY};
use http::{Request, Response};
use http_body_util::Empty;
use tagcache_test_support::{Fleet, Forwarder, Node, Origin, RedisServer, path};

/// How often each command was called; what asking for it calls is left out.
async fn commands(server: &RedisServer) -> BTreeMap<String, u64> {
    let stats = server.info("commandstats").await;
    let counts = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let asking = [
            "info",
            "hello",
            "client|setinfo",
            "client|setname",
            "select",
        ];
        let calls = rest.strip_prefix("calls=")?.split(',').next()?;
        (!asking.contains(&name)).then(|| (name.to_owned(), calls.parse().expect("a count")))
    });
    counts.collect()
}

/// What was called, and how many round trips it took, while `work` was done.
async fn cost(
    fleet: &Fleet,
    forwarder: &Forwarder,
    work: impl AsyncFnOnce(),
) -> (BTreeMap<String, u64>, u64) {
    let (before, trips) = (commands(&fleet.server).await, forwarder.round_trips());
    work().await;
    let mut called = commands(&fleet.server).await;
    for (name, calls) in before {
        let now = called.get_mut(&name).expect("counts only grow");
        *now -= calls;
    }
    called.retain(|_, calls| *calls > 0);
    (called, forwarder.round_trips() - trips)
}

fn called(calls: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let owned = calls
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count));
    owned.collect()
}

async fn behind_a_forwarder(fleet: &Fleet) -> (Forwarder, Node) {
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let node = fleet.node_by(fleet.builder_at(forwarder.url()));
    (forwarder, node)
}

#[tokio::test]
async fn a_strict_hit_is_one_round_trip_for_entry_and_tip() {
    let fleet = Fleet::private();
    let (forwarder, node) = behind_a_forwarder(&fleet).await;
    node.warm("/item/7").await;
    for _ in 0..3 {
        let cost = cost(&fleet, &forwarder, async || {
            assert!(node.get("/item/7").await.is_hit());
        });
        assert_eq!(cost.await, (called(&[("get", 1), ("xrevrange", 1)]), 1));
    }
}

/// PROTOCOL 19 `[tip_fresh]`: without copies, requests do not even wait for each other's lookups.
#[tokio::test]
async fn rule_19_tip_fresh_each_request_has_a_lookup_of_its_own() {
    let fleet = Fleet::private();
    let (forwarder, node) = behind_a_forwarder(&fleet).await;
    node.warm("/item/7").await;
    let (called_, _) = cost(&fleet, &forwarder, async || {
        let (one, two) = tokio::join!(node.get("/item/7"), node.get("/item/7"));
        assert!(one.is_hit() && two.is_hit());
    })
    .await;
    assert_eq!(called_, called(&[("get", 2), ("xrevrange", 2)]));
}

#[tokio::test]
async fn a_miss_asks_once_and_stores_once() {
    let fleet = Fleet::private();
    let (forwarder, node) = behind_a_forwarder(&fleet).await;
    node.warm("/item/7").await;
    let cost = cost(&fleet, &forwarder, async || {
        node.get("/item/8").await;
        fleet.stored(2).await;
    });
    let (mut called_, trips) = cost.await;
    // The test looks for the entry by this.
    called_.remove("keys");
    let expected = called(&[("get", 1), ("set", 1), ("xrevrange", 1)]);
    assert_eq!((called_, trips), (expected, 2));
}

fn in_language(language: &str) -> Request<Empty<Bytes>> {
    let mut request = path("/item/7");
    let language = language.parse().expect("a field value");
    request.headers_mut().insert(ACCEPT_LANGUAGE, language);
    request
}

#[tokio::test]
async fn a_variant_costs_a_second_round_trip_once_in_a_process() {
    let varying = |_: &_, data: &str| {
        let response = Response::builder().header(VARY, "accept-language");
        let body = Bytes::copy_from_slice(data.as_bytes());
        response.body(body).expect("a good response")
    };
    let fleet = Fleet::private().origin(Origin::of_data(varying));
    let other = fleet.node();
    other.warm_by(|| in_language("en")).await;
    other.warm_by(|| in_language("de")).await;
    let (forwarder, node) = behind_a_forwarder(&fleet).await;
    node.warm("/item/6").await;

    let hit = async |language: &str| {
        let answer = node.send(in_language(language)).await;
        assert!(answer.is_hit(), "{}", answer.how());
    };
    let unknown = cost(&fleet, &forwarder, async || hit("en").await).await;
    assert_eq!(unknown.1, 2, "which fields select is read first");
    for language in ["en", "de", "en"] {
        // The entry of the URI itself is asked for as well: it may vary no more.
        let known = cost(&fleet, &forwarder, async || hit(language).await).await;
        assert_eq!(known, (called(&[("get", 2), ("xrevrange", 1)]), 1));
    }
}

#[tokio::test]
async fn a_purge_is_one_command_whatever_it_names() {
    let fleet = Fleet::private();
    let (forwarder, node) = behind_a_forwarder(&fleet).await;
    for id in 0..20 {
        node.warm(&format!("/item/{id}")).await;
    }
    node.purger().tag("first").await.expect("redis is there");
    let purger = node.purger();
    for name in ["tag", "tags", "family", "rule", "url", "glob", "all"] {
        let cost = cost(&fleet, &forwarder, async || {
            let purged = match name {
                "tag" => purger.tag("items").await,
                "tags" => purger.tags((0..1_000).map(|n| format!("item:{n}"))).await,
                "family" => purger.family("item").await,
                "rule" => purger.rule("item").await,
                "url" => purger.url("/item/7").await,
                "glob" => purger.glob("/item/*").await,
                _ => purger.all().await,
            };
            purged.expect("redis is there");
        });
        assert_eq!(cost.await, (called(&[("xadd", 1)]), 1), "{name}");
    }
}

/// A node that is behind asks once more, for the records in between.
#[tokio::test]
async fn a_lookup_that_finds_the_log_ahead_is_two_round_trips_and_the_next_one_again() {
    let fleet = Fleet::private();
    let (forwarder, node) = behind_a_forwarder(&fleet).await;
    let other = fleet.node();
    node.warm("/item/7").await;
    for _ in 0..5 {
        other.purger().tag("item:9").await.expect("redis is there");
    }
    for trips in [2, 1] {
        let cost = cost(&fleet, &forwarder, async || {
            assert!(node.get("/item/7").await.is_hit());
        });
        assert_eq!(cost.await.1, trips);
    }
}
