//! **P1 — No stale after purge.** Once a purge has returned, no node serves a response whose generation began before
//! it (`everywhere`). One that is waited for in the log only, as by most tests here, holds for strict rules, and for near ones on
//! the node that purged; on another these may serve such a response for about a round trip more, and for the lease at
//! most where that node cannot reach Redis.
//!
//! Here: each thing that a purge can name, and each form that a response is asked for in. Beside it, what was under
//! way when the purge came (`fills`, `coalescing`, `cancelled`), where a hit comes from (`copies`, `near`), what a
//! node knows (`positions`), purges that are special (`pending`, `soft`, `settle`), and the price (`round_trips`).

mod cancelled;
mod coalescing;
mod copies;
mod everywhere;
mod fills;
mod near;
mod pending;
mod positions;
mod round_trips;
mod settle;
mod soft;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, RANGE, VARY};
use http::request::Parts;
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::Empty;
use tagcache_test_support::{Fleet, Node, Origin, item_rule, path};
use tower_tagcache::{Error, Purged, Purger};

/// Each thing that a purge can name, all of which name `/item/7?page=2`.
const NAMES: &[&str] = &[
    "tag",
    "one of several tags",
    "family",
    "rule",
    "url",
    "whole url",
    "glob",
    "all",
];

async fn purge(purger: &Purger, name: &str) -> Result<Purged, Error> {
    match name {
        "tag" => purger.tag("item:7").await,
        "one of several tags" => purger.tags(["item:6", "item:7"]).await,
        "family" => purger.family("item").await,
        "rule" => purger.rule("item").await,
        "url" => purger.url("/item/7").await,
        "whole url" => purger.url("http://example.org/item/7?page=9").await,
        "glob" => purger.glob("/item/*").await,
        "all" => purger.all().await,
        other => unreachable!("{other}"),
    }
}

#[tokio::test]
async fn a_purge_of_any_name_is_in_force_on_every_node_once_it_has_returned() {
    for soft in [false, true] {
        for &name in NAMES {
            let fleet = Fleet::new();
            let nodes = [fleet.node(), fleet.companied(), fleet.node()];
            for node in &nodes {
                node.warm("/item/7?page=2").await;
            }
            fleet.origin.set("v2");
            let purger = nodes[0].purger();
            let purger = if soft { purger.soft() } else { purger };
            let purged = purge(&purger, name).await;
            assert_eq!(purged.expect("redis is there").position.ordinal, 1);
            for node in nodes.iter().rev() {
                let answer = node.get("/item/7?page=2").await;
                assert_eq!(answer.body, "v2", "{name}, soft {soft}: {}", answer.how());
            }
        }
    }
}

#[tokio::test]
async fn a_purge_leaves_alone_what_it_does_not_name() {
    let others = [
        ("tag", "item:70"),
        ("tag", "item:8"),
        ("family", "items"),
        ("family", "ite"),
        ("rule", "item2"),
        ("url", "/item/70"),
        ("url", "/item"),
        ("glob", "/*"),
        ("glob", "/item/?/*"),
    ];
    let fleet = Fleet::new();
    let (a, b) = (fleet.node(), fleet.companied());
    b.warm("/item/7").await;
    let filled = fleet.origin.calls();
    for (kind, name) in others {
        let purger = a.purger();
        let purged = match kind {
            "tag" => purger.tag(name).await,
            "family" => purger.family(name).await,
            "rule" => purger.rule(name).await,
            "url" => purger.url(name).await,
            _ => purger.glob(name).await,
        };
        purged.expect("redis is there");
        for node in [&a, &b] {
            let answer = node.get("/item/7").await;
            assert!(answer.is_hit(), "{kind} {name}: {}", answer.how());
        }
    }
    assert_eq!(fleet.origin.calls(), filled);
}

/// An origin that answers in two encodings, which it names in `Vary`.
fn encoding(request: &Parts, data: &str) -> Response<Bytes> {
    let response = Response::builder().header(VARY, "accept-encoding");
    let response = match request.headers.get(ACCEPT_ENCODING) {
        Some(accepted) => response.header(CONTENT_ENCODING, accepted),
        None => response,
    };
    let body = Bytes::copy_from_slice(data.as_bytes());
    response.body(body).expect("a good response")
}

fn with(method: &Method, field: Option<(&HeaderName, &str)>) -> Request<Empty<Bytes>> {
    let mut request = path("/item/7");
    *request.method_mut() = method.clone();
    if let Some((name, value)) = field {
        let value = value.parse().expect("a field value");
        request.headers_mut().insert(name, value);
    }
    request
}

#[tokio::test]
async fn safety_40_no_variant_head_or_range_survives_a_purge() {
    let forms = [
        ("plain", with(&Method::GET, None)),
        ("gzip", with(&Method::GET, Some((&ACCEPT_ENCODING, "gzip")))),
        ("br", with(&Method::GET, Some((&ACCEPT_ENCODING, "br")))),
        ("head", with(&Method::HEAD, None)),
        ("range", with(&Method::GET, Some((&RANGE, "bytes=0-1")))),
    ];
    for &name in NAMES {
        let fleet = Fleet::new().origin(Origin::of_data(encoding));
        let nodes = [fleet.node(), fleet.node()];
        for encoding in [None, Some("gzip"), Some("br")] {
            let field = encoding.map(|encoding| (&ACCEPT_ENCODING, encoding));
            nodes[0].warm_by(|| with(&Method::GET, field)).await;
        }
        for node in &nodes {
            for (form, request) in &forms {
                let answer = node.send(request.clone()).await;
                assert!(answer.is_hit(), "{form}: {}", answer.how());
            }
        }
        // The origin of this test answers HEAD with a body, so that it can be told from a hit.
        let filled = fleet.origin.calls();
        fleet.origin.set("v2");
        let purged = purge(&nodes[1].purger(), name).await;
        purged.expect("redis is there");

        // Those that fill nothing first, so that each meets what was purged.
        for (turn, node) in nodes.iter().enumerate() {
            for (form, request) in forms[3..].iter().chain(&forms[..3]) {
                let answer = node.send(request.clone()).await;
                // The second node finds what the first one has filled.
                let expected = if *form == "head" && turn > 0 {
                    ""
                } else {
                    "v2"
                };
                assert_eq!(answer.body, expected, "{name}, {form}: {}", answer.how());
            }
        }
        let calls = fleet.origin.calls() - filled;
        // The whole that comes for a range is stored, and is what the plain form finds.
        assert!(calls >= 4, "{name}: every form reached the origin: {calls}");
    }
}

/// An origin whose data are the tags of its response.
fn tagging(_: &Parts, data: &str) -> Response<Bytes> {
    let response = Response::builder().header("surrogate-key", data);
    let body = Bytes::copy_from_slice(data.as_bytes());
    response.body(body).expect("a good response")
}

async fn filled(fleet: &Fleet, node: &Node, tags: &str) {
    fleet.origin.set(tags);
    node.purger().url("/item/7").await.expect("redis is there");
    assert_eq!(node.warm("/item/7").await.body, tags);
}

#[tokio::test]
async fn safety_41_a_response_filled_again_with_other_tags_obeys_those() {
    let fleet = Fleet::new().origin(Origin::of_data(tagging));
    let (a, b) = (fleet.node(), fleet.companied());
    filled(&fleet, &a, "a").await;
    filled(&fleet, &a, "b").await;
    a.purger().tag("a").await.expect("redis is there");
    for node in [&a, &b] {
        let answer = node.get("/item/7").await;
        assert!(answer.is_hit(), "it has that tag no more: {}", answer.how());
    }
    fleet.origin.set("c");
    b.purger().tag("b").await.expect("redis is there");
    for node in [&a, &b] {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, "c", "{}", answer.how());
    }
}

/// PROTOCOL 17: a freshened response has the old tags and those of the 304.
#[tokio::test]
async fn safety_41_a_response_freshened_with_other_tags_obeys_both() {
    let etagged = |request: &Parts, data: &str| {
        let response = Response::builder()
            .header("etag", "\"same\"")
            .header("surrogate-key", data);
        let response = match request.headers.get("if-none-match") {
            Some(_) => response.status(StatusCode::NOT_MODIFIED).body(Bytes::new()),
            None => response.body(Bytes::copy_from_slice(data.as_bytes())),
        };
        response.expect("a good response")
    };
    for purged in ["old", "new"] {
        let fleet = Fleet::new().origin(Origin::of_data(etagged));
        let (a, b) = (fleet.node(), fleet.node());
        fleet.origin.set("old");
        a.warm("/item/7").await;
        fleet.origin.set("new");
        fleet.clock.advance(Duration::from_secs(61));
        let freshened = a.get("/item/7").await;
        assert_eq!(freshened.param("fwd-status"), Some("304"));
        let still = a.warm("/item/7").await;
        assert_eq!(still.body, "old", "the stored body, freshened");

        b.purger().tag(purged).await.expect("redis is there");
        for node in [&a, &b] {
            let answer = node.get("/item/7").await;
            assert_eq!(answer.body, "new", "purge of {purged}: {}", answer.how());
        }
    }
}

/// SAFETY 43: there is no list of a tag's responses that two nodes could write at once.
#[tokio::test]
async fn safety_43_responses_that_nodes_tag_at_once_are_purged_together() {
    let fleet = Fleet::new();
    let nodes = [fleet.node(), fleet.node(), fleet.companied()];
    let uris: Vec<String> = (0..24).map(|n| format!("/item/{n}")).collect();
    let asked = uris.iter().zip(nodes.iter().cycle());
    let filling: Vec<_> = asked.map(|(uri, node)| node.begin(path(uri))).collect();
    for filled in filling {
        filled.await.expect("it is answered");
    }
    // Those that were asked before their node knew the log are not stored yet.
    for (uri, node) in uris.iter().zip(nodes.iter().cycle()) {
        node.warm(uri).await;
    }
    fleet.origin.set("v2");
    let purged = nodes[0].purger().tag("items").await;
    purged.expect("redis is there");
    for (uri, node) in uris.iter().zip(nodes.iter().rev().cycle()) {
        let answer = node.get(uri).await;
        assert_eq!(answer.body, "v2", "{uri}: {}", answer.how());
    }
}

#[tokio::test]
async fn safety_48_an_address_is_one_tag_however_it_is_written() {
    const CHECKSUMMED: &str = "0xA16E02E87b7454126E5E10d957A927A7F5B5d2be";
    let rule = item_rule().tag("auction:{id:address}");
    let fleet = Fleet::new().rule(rule);
    let (a, b) = (fleet.node(), fleet.node());
    let uri = format!("/item/{CHECKSUMMED}");
    for spelling in [CHECKSUMMED.to_owned(), CHECKSUMMED.to_lowercase()] {
        a.warm(&uri).await;
        let before = fleet.origin.calls();
        let purged = b.purger().tag(format!("auction:{spelling}")).await;
        purged.expect("redis is there");
        let answer = a.get(&uri).await;
        assert!(!answer.is_hit(), "{spelling}: {}", answer.how());
        assert_eq!(fleet.origin.calls(), before + 1);
    }
}
