//! SAFETY 22, 23, 27, 29, 30, 33, 35: the right response for method, encoding, age and router.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Path};
use axum::routing::get as route;
use http::Request;
use tagcache_test_support::{
    Answer, Origin, Site, empty, ok, request, response, rule, secs, settle,
};
use tower::ServiceExt;
use tower_tagcache::{Cache, Rule, Timestamp};

fn counting() -> Origin {
    Origin::answering(|asked| ok(&[("x-number", &*asked.number.to_string())], "a page"))
}

#[tokio::test]
async fn safety_22_a_head_never_fills_a_get() {
    let origin = Origin::answering(|asked| match asked.parts.method.as_str() {
        "HEAD" => response(200, &[("content-length", "6"), ("etag", "\"1\"")], empty()),
        _ => ok(&[("etag", "\"1\"")], "a page"),
    });
    let site = Site::new(rule(), &origin);
    for _ in 0..2 {
        let head = site.head("/a").await;
        assert_eq!(head.how(), "fwd=uri-miss; detail=method");
        assert_eq!(head.field("content-length"), Some("6"));
    }
    let page = site.get("/a").await;
    assert_eq!(
        (page.text(), page.how()),
        ("a page", "fwd=uri-miss; stored")
    );
}

#[tokio::test]
async fn safety_22_a_head_is_answered_from_a_stored_get_without_its_body() {
    let origin = counting();
    let site = Site::new(rule(), &origin);
    let page = site.get("/a").await;
    let head = site.head("/a").await;
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
    // The length that the server gives the page (SAFETY 111, RFC 9110 §8.6).
    let mut fields = head.sent_fields();
    let length = page.body.len().to_string();
    assert_eq!(head.field("content-length"), Some(&*length));
    fields.retain(|(name, _)| name != "content-length");
    assert_eq!(fields, page.sent_fields());
    assert!(head.is_hit());
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn safety_22_a_head_for_a_stale_response_freshens_its_fields_and_leaves_its_body() {
    let origin = Origin::answering(|asked| {
        ok(
            &[("etag", "\"1\""), ("x-method", asked.parts.method.as_str())],
            "a page",
        )
    });
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(secs(61));
    let head = site.head("/a").await;
    assert_eq!(head.field("x-method"), Some("HEAD"), "{}", head.how());
    let page = site.get("/a").await;
    assert_eq!(
        (page.text(), page.field("x-method")),
        ("a page", Some("HEAD")),
        "RFC 9111 §4.3.5: the tag is the same"
    );
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn safety_23_only_get_and_head_are_answered_from_the_cache() {
    let methods = [
        "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "M-SEARCH", "PROPFIND",
        "QUERY", "get", "Get", "HEAD2",
    ];
    let origin = counting();
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    for (place, method) in methods.into_iter().enumerate() {
        let reply = site.send(request(method, "/a", &[])).await;
        assert_eq!(
            reply.field("x-number"),
            Some(&*(place + 2).to_string()),
            "{method}"
        );
        assert_eq!(reply.how(), "", "{method}");
    }
    // RFC 9111 §4.4: those that are not safe have invalidated it.
    assert_eq!(site.get("/a").await.field("x-number"), Some("15"));
}

#[tokio::test]
async fn safety_23_a_get_that_stands_for_another_method_is_not_answered_from_the_cache() {
    let origin = counting();
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    let reply = site
        .get_with("/a", &[("x-http-method-override", "DELETE")])
        .await;
    assert_eq!(reply.how(), "fwd=method; detail=method-override");
    assert_eq!(reply.field("x-number"), Some("2"));
    assert_eq!(site.get("/a").await.field("x-number"), Some("3"));
}

#[tokio::test]
async fn safety_27_encoded_bytes_are_for_those_who_accept_them_and_keep_their_label() {
    let origin = Origin::answering(|asked| {
        let accepted = asked.field("accept-encoding").unwrap_or_default();
        let coding = ["br", "zstd", "gzip"]
            .into_iter()
            .find(|coding| accepted.contains(coding));
        match coding {
            Some(coding) => {
                let fields = [("vary", "accept-encoding"), ("content-encoding", coding)];
                ok(&fields, format!("<{coding}>"))
            }
            None => ok(&[("vary", "accept-encoding")], "plain"),
        }
    });
    let site = Site::new(rule(), &origin);
    for hit in [false, true] {
        for accepted in ["gzip", "br", "zstd", "gzip, br", "identity", ""] {
            let reply = site.get_with("/a", &[("accept-encoding", accepted)]).await;
            let label = reply
                .field("content-encoding")
                .map(|coding| format!("<{coding}>"));
            assert_eq!(
                reply.text(),
                label.as_deref().unwrap_or("plain"),
                "{accepted}"
            );
            let labels = reply.headers.get_all("content-encoding");
            assert!(labels.iter().count() <= 1, "{accepted}");
            assert_eq!(reply.is_hit(), hit, "{accepted}");
        }
    }
}

/// Fields of a response received at midnight, seconds to wait, and what the client then sees.
type Aged = (
    &'static [(&'static str, &'static str)],
    u64,
    Option<&'static str>,
);

const NOW: &str = "Mon, 23 Nov 2026 00:00:00 GMT";

const AGED: &[Aged] = &[
    (&[("cache-control", "max-age=60")], 59, Some("59")),
    (&[("cache-control", "max-age=60")], 60, None),
    (
        &[("cache-control", "max-age=60"), ("age", "50")],
        9,
        Some("59"),
    ),
    (&[("cache-control", "max-age=60"), ("age", "50")], 10, None),
    (
        &[
            ("cache-control", "max-age=60"),
            ("age", "99999999999999999999"),
        ],
        1,
        None,
    ),
    // RFC 9111 §5.1: not an age; the whole response is as old as its `Date` says.
    (
        &[("cache-control", "max-age=60"), ("age", "-5")],
        59,
        Some("59"),
    ),
    (
        &[("cache-control", "max-age=60"), ("age", "1.5")],
        59,
        Some("59"),
    ),
    (
        &[
            ("cache-control", "max-age=60"),
            ("date", "Sun, 22 Nov 2026 23:59:20 GMT"),
        ],
        19,
        Some("59"),
    ),
    (
        &[
            ("cache-control", "max-age=60"),
            ("date", "Sun, 22 Nov 2026 23:59:20 GMT"),
        ],
        20,
        None,
    ),
    // A `Date` from the future makes nobody younger than new.
    (
        &[
            ("cache-control", "max-age=60"),
            ("date", "Tue, 24 Nov 2026 00:00:00 GMT"),
        ],
        59,
        Some("59"),
    ),
    (
        &[
            ("cache-control", "max-age=60"),
            ("date", "Tue, 24 Nov 2026 00:00:00 GMT"),
        ],
        60,
        None,
    ),
    (
        &[("date", NOW), ("expires", "Mon, 23 Nov 2026 00:01:00 GMT")],
        59,
        Some("59"),
    ),
    (
        &[("date", NOW), ("expires", "Mon, 23 Nov 2026 00:01:00 GMT")],
        60,
        None,
    ),
    // Only GMT is a zone (RFC 9110 §5.6.7); what is no date has passed.
    (
        &[("date", NOW), ("expires", "Mon, 23 Nov 2026 00:01:00 CET")],
        1,
        None,
    ),
    (&[("date", NOW), ("expires", "0")], 1, None),
    (
        &[
            ("date", NOW),
            ("expires", "Mon, 23 Nov 2026 00:01:00 GMT"),
            ("expires", "0"),
        ],
        1,
        None,
    ),
    (&[("cache-control", "max-age=1, max-age=3600")], 2, None),
    (&[("cache-control", "max-age=60.5")], 1, None),
    (&[("cache-control", "max-age=-1")], 1, None),
    (
        &[("cache-control", "max-age=60"), ("expires", "0")],
        59,
        Some("59"),
    ),
    (
        &[("cache-control", "max-age=1, s-maxage=60")],
        59,
        Some("59"),
    ),
];

#[tokio::test]
async fn safety_29_age_and_date_are_read_as_rfc_9111_has_it() {
    for (fields, wait, expected) in AGED {
        let origin = Origin::answering(move |_| ok(fields, "page"));
        let site = Site::new(rule(), &origin);
        site.get("/a").await;
        site.clock.advance(secs(*wait));
        let reply = site.get("/a").await;
        let age = reply
            .is_hit()
            .then(|| reply.field("age").unwrap_or_default());
        assert_eq!(age, *expected, "{fields:?} after {wait} s: {}", reply.how());
    }
}

#[tokio::test]
async fn safety_30_a_clock_that_jumps_makes_nothing_immortal() {
    const MIDNIGHT: u64 = 1_795_392_000_000;
    let day = 24 * 60 * 60 * 1000;
    // Where the clock goes after storing, and whether the response still answers there.
    for (at, answers) in [
        (MIDNIGHT - 4_000, true),
        (MIDNIGHT - day, false),
        (MIDNIGHT + day, false),
        (0, false),
        (u64::MAX, false),
    ] {
        let origin = counting();
        let site = Site::new(rule(), &origin);
        site.get("/a").await;
        site.clock.set_wall(Timestamp::from_millis(at));
        assert_eq!(site.get("/a").await.is_hit(), answers, "at {at}");
        // What was stored under the odd time ends with its lifetime as well.
        site.clock.advance(secs(65));
        assert!(!site.get("/a").await.is_hit(), "a minute after {at}");
    }
}

#[tokio::test]
async fn safety_30_a_clock_set_back_keeps_no_response_past_its_lifetime() {
    let origin = counting();
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(secs(30));
    site.clock
        .set_wall(Timestamp::from_millis(1_795_392_000_000 - 86_400_000));
    site.get("/a").await;
    site.clock
        .set_wall(Timestamp::from_millis(1_795_392_000_000));
    let reply = site.get("/a").await;
    assert_eq!(reply.field("x-number"), Some("3"), "{}", reply.how());
}

#[tokio::test]
async fn safety_33_an_interim_status_is_never_stored() {
    for status in [100, 102, 103, 199] {
        let origin = Origin::answering(move |asked| match asked.number {
            1 => response(status, &[("cache-control", "max-age=60")], empty()),
            _ => ok(&[], "page"),
        });
        let site = Site::new(rule(), &origin);
        assert_eq!(site.get("/a").await.status.as_u16(), status);
        assert_eq!(site.get("/a").await.text(), "page", "{status}");
    }
}

async fn seen(path: Path<String>, matched: MatchedPath, from: ConnectInfo<SocketAddr>) -> String {
    format!("{} {} {}", path.0, matched.as_str(), from.0)
}

#[tokio::test]
async fn safety_35_what_routers_put_beside_a_request_arrives_behind_the_layer() {
    let rule = Rule::new("user", "/user/{name}").ttl(secs(60));
    let (cache, _companion) = Cache::builder().rule(rule).build().expect("a rule");
    let routed = Router::new()
        .route("/user/{name}", route(seen))
        .route_layer(cache.layer());
    let layered = Router::new()
        .route("/user/{name}", route(seen))
        .layer(cache.layer());
    let nested = Router::new().nest("/user", Router::new().route("/{name}", route(seen)));
    for (name, router, path) in [
        ("route_layer", routed, "/user/a%20b"),
        ("layer", layered, "/user/c"),
        ("outside", nested.layer(cache.layer()), "/user/d"),
    ] {
        let ask = || async {
            let mut asked = Request::get(path)
                .body(axum::body::Body::empty())
                .expect("a request");
            let from = SocketAddr::from(([10, 0, 0, 1], 99));
            asked.extensions_mut().insert(ConnectInfo(from));
            let response = router.clone().oneshot(asked).await.expect("an answer");
            settle().await;
            Answer::read(response).await.expect("a body")
        };
        let fresh = ask().await;
        let name_seen = path.trim_start_matches("/user/").replace("%20", " ");
        assert_eq!(
            fresh.text(),
            format!("{name_seen} /user/{{name}} 10.0.0.1:99"),
            "{name}"
        );
        let stored = ask().await;
        assert!(stored.is_hit(), "{name}: {}", stored.how());
        assert_eq!(stored.body, fresh.body, "{name}");
    }
}
