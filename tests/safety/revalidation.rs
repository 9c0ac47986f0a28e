//! SAFETY 32 and PROTOCOL 17: what a 304 does to a stored response.

use http::Response;
use tagcache_test_support::{Answer, Body, Origin, Site, empty, ok, response, rule, secs, settle};

fn not_modified(fields: &[(&str, &str)]) -> Response<Body> {
    response(304, fields, empty())
}

#[tokio::test]
async fn safety_32_a_304_freshens_the_fields_and_leaves_the_bytes() {
    let origin = Origin::script([
        || {
            let fields = [
                ("etag", "\"1\""),
                ("cache-control", "max-age=10"),
                ("content-length", "4"),
                ("content-type", "text/plain"),
                ("x-changed", "old"),
                ("x-changed", "older"),
                ("x-kept", "1"),
                ("age", "5"),
            ];
            ok(&fields, "page")
        },
        || {
            let fields = [
                ("etag", "\"1\""),
                ("cache-control", "max-age=100"),
                ("content-length", "0"),
                ("content-encoding", "gzip"),
                ("content-range", "bytes 0-1/4"),
                ("x-changed", "new"),
                ("x-added", "1"),
            ];
            not_modified(&fields)
        },
    ]);
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(secs(6));
    let fresh = site.get("/a").await;
    assert_eq!(fresh.how(), "fwd=stale; fwd-status=304; stored");
    for wait in [0, 99] {
        site.clock.advance(secs(wait));
        let reply = site.get("/a").await;
        assert!(
            reply.is_hit(),
            "fresh for the 304's lifetime, from the 304 on"
        );
        assert_eq!(reply.text(), "page");
        assert_eq!(reply.field("content-length"), Some("4"));
        assert_eq!(reply.field("content-encoding"), None);
        assert_eq!(reply.field("content-range"), None);
        let changed: Vec<_> = reply.headers.get_all("x-changed").iter().collect();
        assert_eq!(changed, ["new"]);
        assert_eq!(reply.field("x-added"), Some("1"));
        assert_eq!(reply.field("x-kept"), Some("1"));
        assert_eq!(reply.field("age"), Some(&*wait.to_string()));
    }
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn safety_32_a_304_about_another_response_freshens_nothing() {
    let origin = Origin::script([
        || ok(&[("etag", "\"1\"")], "old"),
        || not_modified(&[("etag", "\"2\"")]),
        || ok(&[("etag", "\"2\"")], "new"),
    ]);
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(secs(61));
    let odd = site.get("/a").await;
    assert_ne!(odd.text(), "old", "{}", odd.how());
    site.clock.advance(secs(1));
    assert_eq!(site.get("/a").await.text(), "new");
    assert!(!origin.last().parts.headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn safety_32_a_304_that_forbids_storing_answers_once() {
    let origin = Origin::script([
        || ok(&[("etag", "\"1\"")], "page"),
        || not_modified(&[("etag", "\"1\""), ("cache-control", "no-store")]),
        || ok(&[("etag", "\"1\""), ("cache-control", "no-store")], "new"),
    ]);
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(secs(61));
    let reply = site.get("/a").await;
    assert_eq!(reply.text(), "page");
    assert_eq!(reply.how(), "fwd=stale; fwd-status=304; detail=no-store");
    let next = site.get("/a").await;
    assert_eq!(next.text(), "new");
    assert_eq!(origin.last().field("if-none-match"), None);
}

/// Softly purges a response with `fields`, then asks again of an inner service that answers 304 to
/// any condition. Returns the condition that it got.
async fn after_soft_purge(
    fields: &'static [(&'static str, &'static str)],
) -> (Option<String>, Answer) {
    let origin = Origin::answering(move |asked| {
        let conditional = ["if-none-match", "if-modified-since"]
            .iter()
            .any(|name| asked.parts.headers.contains_key(*name));
        match asked.number {
            1 => ok(fields, "old"),
            _ if conditional => not_modified(&[]),
            _ => ok(fields, "new"),
        }
    });
    let site = Site::new(rule().tag("x"), &origin);
    site.get("/a").await;
    site.cache.purger().soft().tag("x").await.expect("a purge");
    let reply = site.get("/a").await;
    let asked = origin.last();
    let condition = asked
        .field("if-none-match")
        .or(asked.field("if-modified-since"));
    let condition = condition.map(str::to_owned);
    let after = site.get("/a").await;
    assert!(
        after.is_hit(),
        "freshened or stored anew, it is fresh: {}",
        after.how()
    );
    assert_eq!(after.text(), reply.text());
    (condition, reply)
}

#[tokio::test]
async fn protocol_17_a_strong_validator_freshens_what_was_softly_purged() {
    let (condition, reply) = after_soft_purge(&[("etag", "\"1\"")]).await;
    assert_eq!(condition.as_deref(), Some("\"1\""));
    assert_eq!(reply.text(), "old");
    assert_eq!(
        reply.how(),
        "fwd=stale; fwd-status=304; stored; detail=soft-purged"
    );
    let old = &[
        ("last-modified", "Sun, 22 Nov 2026 23:00:00 GMT"),
        ("date", "Mon, 23 Nov 2026 00:00:00 GMT"),
    ];
    let (condition, reply) = after_soft_purge(old).await;
    assert!(condition.is_some(), "an hour apart, the date is strong");
    assert_eq!(reply.text(), "old");
}

#[tokio::test]
async fn protocol_17_a_weak_validator_does_not_freshen_what_was_softly_purged() {
    let rows: [&[(&str, &str)]; 4] = [
        &[("etag", "W/\"1\"")],
        &[],
        &[
            ("last-modified", "Mon, 23 Nov 2026 00:00:00 GMT"),
            ("date", "Mon, 23 Nov 2026 00:00:00 GMT"),
        ],
        &[("last-modified", "Mon, 23 Nov 2026 00:00:00 GMT")],
    ];
    for fields in rows {
        let (condition, reply) = after_soft_purge(fields).await;
        assert_eq!(condition, None, "{fields:?}");
        assert_eq!(reply.text(), "new", "{fields:?}");
        assert_eq!(reply.how(), "fwd=stale; stored; detail=soft-purged");
    }
}

#[tokio::test]
async fn protocol_17_a_weak_validator_freshens_what_only_grew_stale() {
    for (name, value) in [
        ("etag", "W/\"1\""),
        ("last-modified", "Mon, 23 Nov 2026 00:00:00 GMT"),
    ] {
        let origin = Origin::answering(move |asked| match asked.number {
            1 => ok(&[(name, value)], "old"),
            _ => not_modified(&[]),
        });
        let site = Site::new(rule(), &origin);
        site.get("/a").await;
        site.clock.advance(secs(61));
        assert_eq!(site.get("/a").await.text(), "old", "{name}");
        assert!(site.get("/a").await.is_hit(), "{name}");
    }
}

#[tokio::test]
async fn protocol_17_a_soft_purge_during_the_conditional_request_is_not_lost() {
    let origin = Origin::answering(|asked| match asked.number {
        1 => ok(&[("etag", "\"1\"")], "old"),
        2 => not_modified(&[("etag", "\"1\"")]),
        _ => ok(&[("etag", "\"2\"")], "new"),
    });
    let site = Site::new(rule().tag("x"), &origin);
    site.get("/a").await;
    site.clock.advance(secs(61));
    // The purge returns while the 304 is on its way: it was made from the data of before.
    let purger = site.cache.purger();
    let slow = Origin::with({
        let (origin, purger) = (origin.clone(), purger.clone());
        move |_, _| {
            let (origin, purger) = (origin.clone(), purger.clone());
            async move {
                let request = tagcache_test_support::get("/a", &[("if-none-match", "\"1\"")]);
                let answer = tower::ServiceExt::oneshot(origin, request).await;
                purger.soft().tag("x").await.expect("a purge");
                answer
            }
        }
    });
    let behind = tower::Layer::layer(&site.layer, slow);
    let reply = tower::ServiceExt::oneshot(behind, tagcache_test_support::get("/a", &[])).await;
    assert_eq!(
        Answer::read(reply.expect("an answer"))
            .await
            .expect("a body")
            .text(),
        "old"
    );
    settle().await;
    let next = site.get("/a").await;
    assert_eq!(next.text(), "new", "{}", next.how());
}
