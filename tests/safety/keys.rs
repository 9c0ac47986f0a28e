//! SAFETY 9–15: everything that can change a response is in its key, or keeps it out of the cache.

use axum::Router;
use http::{HeaderValue, Request};
use proptest::prelude::*;
use tagcache_test_support::{Body, Origin, Site, empty, get, ok, request, response, rule, secs};
use tower::{Layer, ServiceExt};
use tower_tagcache::{Cache, Cookies, Host, Query, Rule, Statuses};

/// Answers with the whole request, as an inner service might that reads all of it.
fn mirror() -> Origin {
    Origin::answering(|asked| {
        let parts = &asked.parts;
        ok(&[], format!("{} {:?}", parts.uri, parts.headers))
    })
}

#[tokio::test]
async fn safety_09_hosts_and_schemes_have_responses_of_their_own() {
    let origin = mirror();
    let site = Site::new(rule(), &origin);
    let rows: [(&str, &[(&str, &str)]); 7] = [
        ("/a", &[("host", "one.example")]),
        ("/a", &[("host", "two.example")]),
        ("/a", &[("host", "one.example:8080")]),
        ("/a", &[]),
        ("http://three.example/a", &[]),
        ("https://three.example/a", &[]),
        ("https://three.example/a", &[("host", "four.example")]),
    ];
    for (target, fields) in rows {
        let fresh = site.get_with(target, fields).await;
        assert!(!fresh.is_hit(), "{target} {fields:?}");
        let stored = site.get_with(target, fields).await;
        assert!(stored.is_hit(), "{target} {fields:?}");
        assert_eq!(stored.body, fresh.body, "{target} {fields:?}");
    }
    let other_case = site.get_with("/a", &[("host", "ONE.example")]).await;
    assert!(
        !other_case.is_hit(),
        "the inner service sees the difference"
    );
    let site = Site::new(rule().host(Host::Ignore), &origin);
    site.get_with("/a", &[("host", "one.example")]).await;
    assert!(
        site.get_with("/a", &[("host", "two.example")])
            .await
            .is_hit()
    );
}

/// What can be in a key, small enough to collide by accident, with bytes that separate things.
fn asked() -> impl Strategy<Value = Request<Body>> {
    let text = "[ab=&;,|:%\\./~-]{0,4}";
    let field = proptest::option::of("[ab=&;,|: \t\"\u{80}-]{0,4}");
    (
        text,
        proptest::option::of(text),
        field.clone(),
        field.clone(),
        field,
    )
        .prop_filter_map("a target", |(path, query, header, varied, cookie)| {
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            let mut request = Request::new(empty());
            *request.uri_mut() = format!("/p{path}{query}").parse().ok()?;
            for (name, value) in [("x-keyed", header), ("x-varied", varied)] {
                if let Some(value) = value {
                    // What stands around a value is no part of it (RFC 9110 §5.5), and none arrives with it.
                    let value = value.trim_matches([' ', '\t']);
                    let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
                    request.headers_mut().append(name, value);
                }
            }
            if let Some(cookie) = cookie {
                let cookie = HeaderValue::from_bytes(format!("k={cookie}").as_bytes()).ok()?;
                request.headers_mut().append("cookie", cookie);
            }
            Some(request)
        })
}

fn copy(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(empty());
    *copy.uri_mut() = request.uri().clone();
    copy.headers_mut().clone_from(request.headers());
    copy
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn safety_10_two_requests_that_differ_never_share_a_response(
        requests in proptest::collection::vec(asked(), 2..24)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let told = |parts: &http::request::Parts| format!("{} {:?}", parts.uri, parts.headers);
            let origin = Origin::answering(move |asked| ok(&[("vary", "x-varied")], told(&asked.parts)));
            let keyed = rule().header("x-keyed").cookies(Cookies::keyed(["k"]));
            let site = Site::new(keyed, &origin);
            for request in requests {
                let expected = told(&copy(&request).into_parts().0);
                for _ in 0..2 {
                    let reply = site.send(copy(&request)).await;
                    assert_eq!(reply.text(), expected, "{}", reply.how());
                }
            }
        });
    }
}

#[tokio::test]
async fn safety_10_a_request_cannot_spell_the_key_of_a_variant() {
    let origin = Origin::answering(|asked| {
        let language = asked.field("accept-language").unwrap_or("none").to_owned();
        ok(
            &[("vary", "accept-language")],
            format!("{} {language}", asked.parts.uri),
        )
    });
    let site = Site::new(rule().header("x-keyed"), &origin);
    site.get_with("/a", &[("accept-language", "de")]).await;
    for (target, fields) in [
        ("/a?accept-language=de", &[][..]),
        ("/a%00accept-language%00de", &[]),
        ("/a", &[("x-keyed", "accept-language: de")]),
        ("/a/accept-language/de", &[]),
        ("/a;accept-language=de", &[]),
    ] {
        let reply = site.get_with(target, fields).await;
        assert_eq!(reply.text(), format!("{target} none"), "{fields:?}");
    }
}

/// Each of these changes what some inner service answers, although no `Vary` says so.
async fn never_shared(fields: &[(&str, &str)]) {
    let origin = mirror();
    for (name, value) in fields {
        let site = Site::new(rule(), &origin);
        let clean = site.get("/a").await;
        let odd = site.get_with("/a", &[(name, value)]).await;
        assert_ne!(odd.body, clean.body, "{name}: answered from the clean one");
        let clean_again = site.get("/a").await;
        assert_eq!(clean_again.body, clean.body, "{name}: poisoned");
        let other = site.get_with("/a", &[(name, "other.example")]).await;
        assert_ne!(other.body, odd.body, "{name}: one value for another");
    }
}

#[tokio::test]
async fn safety_11_unkeyed_input_does_not_reach_others() {
    never_shared(&[
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-scheme", "nothttps"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "//evil.example"),
        ("x-forwarded-server", "evil.example"),
        ("x-forwarded-path", "/evil"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-host", "evil.example"),
        ("x-original-host", "evil.example"),
        ("x-http-host-override", "evil.example"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-http-method-override", "POST"),
        ("x-http-method", "DELETE"),
        ("x-method-override", "PUT"),
        ("x-api-key", "secret"),
        ("x-forwarded-user", "root"),
        ("remote-user", "root"),
    ])
    .await;
}

#[tokio::test]
async fn safety_12_fields_of_frameworks_change_the_response_for_one_only() {
    never_shared(&[
        ("rsc", "1"),
        ("next-router-prefetch", "1"),
        ("next-router-state-tree", "x"),
        ("next-url", "/evil"),
        ("next-action", "x"),
        ("x-nextjs-data", "1"),
        ("x-now-route-matches", "1"),
        ("x-matched-path", "/evil"),
        ("x-middleware-prefetch", "1"),
        ("x-middleware-subrequest", "x"),
        ("x-invoke-status", "404"),
        ("x-invoke-path", "/evil"),
        ("x-inertia", "true"),
        ("hx-request", "true"),
        ("turbo-frame", "a"),
        ("x-pjax", "true"),
        ("x-requested-with", "XMLHttpRequest"),
        ("purpose", "prefetch"),
        ("sec-purpose", "prefetch"),
    ])
    .await;
}

#[tokio::test]
async fn safety_13_an_error_provoked_by_one_request_is_no_answer_for_the_next() {
    let provoked = [
        400, 401, 403, 406, 408, 413, 414, 415, 421, 426, 429, 431, 500, 502, 503,
    ];
    let freshness = ["", "max-age=60", "public, s-maxage=600"];
    for status in provoked {
        for directives in freshness {
            let origin = Origin::answering(move |asked| {
                let fields = [("cache-control", directives)];
                match asked.field("x-odd") {
                    Some(_) => response(status, &fields, empty()),
                    None => ok(&fields, "page"),
                }
            });
            let errors = rule().ttl_for(Statuses::CLIENT_ERROR, secs(60));
            let site = Site::new(errors, &origin);
            let long = "y".repeat(20_000);
            site.get_with("/a", &[("x-odd", &long)]).await;
            let clean = site.get("/a").await;
            assert_eq!(clean.text(), "page", "{status} with {directives:?}");
        }
    }
}

#[tokio::test]
async fn safety_13_a_request_too_large_for_a_key_is_not_cached() {
    let origin = mirror();
    let site = Site::new(rule().header("x-big"), &origin);
    let big = "y".repeat(20_000);
    for _ in 0..2 {
        let reply = site.get_with("/a", &[("x-big", &big)]).await;
        assert_eq!(reply.how(), "fwd=bypass; detail=key-limit");
    }
}

/// Paths that have led caches to store a page under another name than the router's.
const DECEPTIVE: [&str; 31] = [
    "/me",
    "/me/",
    "/me/x.css",
    "/me.css",
    "/me;x.css",
    "/me%2fx.css",
    "/me%2Fx.css",
    "/me%00.css",
    "/me%3bx.css",
    "/me%3f.css",
    "/me%23.css",
    "//me",
    "/me//",
    "/./me",
    "/x/../me",
    "/%2e%2e/me",
    "/me.",
    "/me%20",
    "/ME",
    "/m%65",
    "/me\\x.css",
    "/static/a.css",
    "/static/../me",
    "/static/%2e%2e/me",
    "/static/..%2fme",
    "/static//me",
    "/static/",
    "/static",
    "/static/a;b/c",
    "/user/me.css",
    "/user/a/b",
];

#[tokio::test]
async fn safety_14_a_rule_takes_exactly_the_paths_that_the_router_takes() {
    let routes = ["/me", "/static/{*file}", "/user/{name}"];
    for route in routes {
        let page = axum::routing::get(|| async { "page" });
        let router = Router::new().route(route, page);
        let rule = Rule::new("only", route).ttl(secs(60));
        let (cache, _companion) = Cache::builder().rule(rule).build().expect("a rule");
        let cached = cache.layer().layer(router.clone());
        for path in DECEPTIVE {
            let Ok(target) = path.parse::<http::Uri>() else {
                continue;
            };
            let asked = |target: &http::Uri| {
                Request::get(target.clone())
                    .body(axum::body::Body::empty())
                    .expect("a request")
            };
            let routed = router
                .clone()
                .oneshot(asked(&target))
                .await
                .expect("an answer");
            let reply = cached
                .clone()
                .oneshot(asked(&target))
                .await
                .expect("an answer");
            let taken = reply.headers().contains_key("cache-status");
            assert_eq!(taken, routed.status() == 200, "{path} for {route}");
        }
    }
}

#[tokio::test]
async fn safety_15_spellings_of_a_path_are_matched_and_keyed_as_they_were_sent() {
    let origin = mirror();
    let site = Site::new(rule(), &origin);
    let twins = [
        "/a/b",
        "/a%2fb",
        "/a%2Fb",
        "/a/%62",
        "/a//b",
        "/a/./b",
        "/a/b/",
        "/a/b?",
        "/a/b?x",
        "/a/b?x=",
        "/a/B",
        "/a/b;c",
        "/a/b%3bc",
        "/a/b%20",
        "/a/b+",
        "/a/c/../b",
    ];
    for path in twins {
        let reply = site.get(path).await;
        assert_eq!(reply.how(), "fwd=uri-miss; stored", "{path}");
        assert!(site.get(path).await.is_hit(), "{path}");
    }
}

#[tokio::test]
async fn safety_15_a_query_that_a_rule_leaves_out_is_left_out_of_nothing_else() {
    let origin = mirror();
    let site = Site::new(rule().query(Query::allow(["page"])), &origin);
    site.send(get("/a?page=1&utm_source=x", &[])).await;
    for (target, hit) in [
        ("/a?page=1", true),
        ("/a?utm_source=y&page=1", true),
        ("/a?page=2", false),
        ("/a?p%61ge=3", false),
        ("/a?page[]=1", false),
        ("/a?page=1&page=2", false),
        ("/a?utm;page=4", false),
        ("/a", false),
    ] {
        assert_eq!(site.get(target).await.is_hit(), hit, "{target}");
    }
}

#[tokio::test]
async fn safety_21_no_request_purges_by_the_caches_own_word() {
    // RFC 9111 §4.4 has a method that succeeds invalidate its target, known or not; this inner service
    // knows none of these.
    let origin = Origin::answering(|asked| {
        let mut response = ok(&[], asked.number.to_string());
        if asked.parts.method != "GET" {
            *response.status_mut() = http::StatusCode::METHOD_NOT_ALLOWED;
        }
        response
    });
    let site = Site::new(rule().tag("all"), &origin);
    site.get("/a").await;
    for (method, fields) in [
        ("PURGE", &[][..]),
        ("BAN", &[("surrogate-key", "all")]),
        ("PURGEKEY", &[("xkey", "all")]),
        ("GET", &[("x-invalidate-cache", "1")]),
        ("GET", &[("x-purge", "1"), ("surrogate-key", "all")]),
        ("GET", &[("cache-tag", "all"), ("x-cache-refresh", "1")]),
    ] {
        site.send(request(method, "/a", fields)).await;
        let reply = site.get("/a").await;
        assert_eq!(reply.text(), "1", "{method} {fields:?}");
        assert!(reply.is_hit(), "{method} {fields:?}");
    }
}
