//! SAFETY 68: what the answer to a question about a stored response does to that one.

#![allow(
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "tables of cases stand in their tests"
)]

use http::Response;
use tagcache_test_support::{
    Body, Origin, Site, empty, get, ok, request, response, rule, secs, settle,
};

const FRESH: &[(&str, &str)] = &[("etag", "\"1\""), ("cache-control", "max-age=1000")];

/// Answers once with `FRESH`, then with the status and fields that each request asks for.
fn obedient() -> Origin {
    Origin::answering(|asked| {
        let status = asked
            .field("x-answer")
            .map_or(200, |status| status.parse().unwrap());
        if asked.number == 1 {
            return ok(FRESH, "old");
        }
        let mut fields = vec![(
            "cache-control",
            asked.field("x-control").unwrap_or("max-age=9"),
        )];
        fields.extend(asked.field("x-tag").map(|tag| ("etag", tag)));
        fields.extend(asked.field("x-vary").map(|vary| ("vary", vary)));
        response(status, &fields, tagcache_test_support::body("new"))
    })
}

fn site(origin: &Origin) -> Site {
    Site::new(rule().honor_request_directives(), origin)
}

#[tokio::test]
async fn safety_68_an_answer_that_forbids_ends_the_stored_response() {
    type Row = (&'static str, &'static [(&'static str, &'static str)], bool);
    let rows: [Row; 19] = [
        (
            "GET",
            &[
                ("x-answer", "304"),
                ("x-tag", "\"1\""),
                ("x-control", "private"),
            ],
            true,
        ),
        (
            "GET",
            &[
                ("x-answer", "304"),
                ("x-tag", "\"1\""),
                ("x-control", "no-store"),
            ],
            true,
        ),
        (
            "GET",
            &[("x-answer", "304"), ("x-tag", "\"1\""), ("x-vary", "*")],
            true,
        ),
        ("GET", &[("x-answer", "304"), ("x-tag", "\"1\"")], false),
        ("GET", &[("x-control", "no-store")], true),
        ("GET", &[("x-control", "private")], true),
        (
            "GET",
            &[("x-answer", "404"), ("x-control", "no-store")],
            true,
        ),
        (
            "GET",
            &[("x-answer", "410"), ("x-control", "no-store")],
            true,
        ),
        (
            "GET",
            &[("x-answer", "302"), ("x-control", "no-store")],
            true,
        ),
        (
            "GET",
            &[("x-answer", "451"), ("x-control", "no-store")],
            true,
        ),
        // They blame the inner service, the request, or the client.
        (
            "GET",
            &[("x-answer", "500"), ("x-control", "no-store")],
            false,
        ),
        (
            "GET",
            &[("x-answer", "501"), ("x-control", "no-store")],
            false,
        ),
        (
            "GET",
            &[("x-answer", "400"), ("x-control", "no-store")],
            false,
        ),
        (
            "GET",
            &[("x-answer", "403"), ("x-control", "no-store")],
            false,
        ),
        (
            "GET",
            &[("x-answer", "429"), ("x-control", "no-store")],
            false,
        ),
        (
            "HEAD",
            &[("x-tag", "\"1\""), ("x-control", "no-store")],
            true,
        ),
        (
            "HEAD",
            &[("x-answer", "404"), ("x-control", "no-store")],
            true,
        ),
        (
            "HEAD",
            &[("x-answer", "401"), ("x-control", "no-store")],
            false,
        ),
        // To a part.
        (
            "GET",
            &[
                ("range", "bytes=0-1"),
                ("x-answer", "206"),
                ("x-tag", "\"1\""),
                ("x-control", "private"),
            ],
            true,
        ),
    ];
    for (method, fields, ended) in rows {
        let origin = obedient();
        let site = site(&origin);
        site.get("/a").await;
        assert!(site.get("/a").await.is_hit());
        let asked: Vec<_> = [("cache-control", "no-cache")]
            .into_iter()
            .chain(fields.iter().copied())
            .collect();
        site.send(request(method, "/a", &asked)).await;
        assert_eq!(origin.calls(), 2, "{method} {fields:?}");
        let next = site.get("/a").await;
        assert_eq!(!next.is_hit(), ended, "{method} {fields:?}: {}", next.how());
    }
}

#[tokio::test]
async fn safety_68_a_refresh_behind_ends_what_the_answer_ends() {
    for status in [404, 200] {
        let origin = Origin::answering(move |asked| match asked.number {
            1 => ok(
                &[("cache-control", "max-age=1, stale-while-revalidate=999")],
                "old",
            ),
            _ => response(status, &[("cache-control", "no-store")], empty()),
        });
        let site = Site::new(rule(), &origin);
        site.get("/a").await;
        site.clock.advance(secs(2));
        assert_eq!(site.get("/a").await.text(), "old");
        settle().await;
        assert_eq!(site.get("/a").await.status, status);
    }
}

#[tokio::test]
async fn safety_68_a_refresh_that_fails_is_not_repeated_by_each_request() {
    let failing: [fn() -> Response<Body>; 3] = [
        || response(503, &[], empty()),
        || response(429, &[], empty()),
        // Nobody asked for it.
        || response(304, &[], empty()),
    ];
    for fail in failing {
        let origin = Origin::answering(move |asked| match asked.number {
            1 => ok(
                &[("cache-control", "max-age=1, stale-while-revalidate=999")],
                "old",
            ),
            _ => fail(),
        });
        let site = Site::new(rule(), &origin);
        site.get("/a").await;
        site.clock.advance(secs(2));
        for _ in 0..20 {
            assert_eq!(site.get("/a").await.text(), "old");
        }
        assert_eq!(origin.calls(), 2);
        site.clock.advance(secs(10));
        site.get("/a").await;
        assert_eq!(origin.calls(), 3, "but it is tried again");
    }
}

#[tokio::test]
async fn safety_84_a_304_that_was_not_asked_for_is_no_answer() {
    let asks: [(&str, &[(&str, &str)]); 5] = [
        ("GET", &[]),
        ("HEAD", &[]),
        ("GET", &[("range", "bytes=0-1")]),
        ("GET", &[("cookie", "a=b")]),
        (
            "GET",
            &[("if-none-match", "\"tc-00112233445566778899aabbccddeeff\"")],
        ),
    ];
    for (method, fields) in asks {
        let origin = Origin::answering(|_| response(304, &[], empty()));
        let site = site(&origin);
        let reply = site.send(request(method, "/a", fields)).await;
        assert_eq!(reply.status, 502, "{method} {fields:?}");
    }
    // With a condition of its own, a bypassed client gets what it asked for.
    let origin = Origin::answering(|_| response(304, &[], empty()));
    let asked = [("cookie", "a=b"), ("if-none-match", "\"a\"")];
    assert_eq!(site(&origin).get_with("/a", &asked).await.status, 304);
}

#[tokio::test]
async fn safety_85_a_whole_answer_to_a_range_is_stored() {
    let ranges: [&[(&str, &str)]; 5] = [
        &[("range", "bytes=0-1")],
        &[("range", "bytes=0-1"), ("if-range", "\"1\"")],
        &[("range", "bytes=0-1"), ("if-range", "\"2\"")],
        &[("range", "bytes=0-1, 3-3")],
        &[("range", "bytes=0-1"), ("if-none-match", "\"2\"")],
    ];
    for fields in ranges {
        let origin = Origin::answering(|_| ok(FRESH, "old"));
        let site = Site::new(rule(), &origin);
        let reply = site.get_with("/a", fields).await;
        assert_eq!(reply.status, 200, "{fields:?}");
        assert!(
            reply.how().contains("stored"),
            "{fields:?}: {}",
            reply.how()
        );
        assert_eq!(origin.last().field("range"), Some(fields[0].1));
        assert!(site.get("/a").await.is_hit(), "{fields:?}");
    }
}

#[tokio::test]
async fn safety_81_a_416_says_its_range_once() {
    let origin = Origin::answering(|_| {
        ok(
            &[("content-range", "bytes 0-2/3"), ("content-range", "x")],
            "old",
        )
    });
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    for (range, status, said) in [
        ("bytes=1000-", 416, "bytes */3"),
        ("bytes=0-1", 206, "bytes 0-1/3"),
    ] {
        let reply = site.get_with("/a", &[("range", range)]).await;
        assert_eq!(reply.status, status);
        let lines: Vec<_> = reply.headers.get_all("content-range").iter().collect();
        assert_eq!(lines, [said]);
    }
}

const OURS: &str = "\"tc-00112233445566778899aabbccddeeff\"";

#[tokio::test]
async fn safety_77_our_own_validators_do_not_reach_the_inner_service() {
    let weak = format!("W/{OURS}, \"theirs\"");
    let rows: [(&str, &str, &[(&str, &str)], Option<&str>); 7] = [
        (
            "GET",
            "/a",
            &[("cookie", "a=b"), ("if-none-match", OURS)],
            None,
        ),
        (
            "GET",
            "/a",
            &[("cookie", "a=b"), ("if-none-match", &weak)],
            Some("\"theirs\""),
        ),
        ("HEAD", "/a", &[("if-none-match", OURS)], None),
        ("GET", "/a", &[("if-none-match", OURS)], None),
        ("PUT", "/a", &[("if-none-match", OURS)], None),
        (
            "GET",
            "/other/a",
            &[("if-none-match", &weak)],
            Some("\"theirs\""),
        ),
        (
            "GET",
            "/a",
            &[
                ("cookie", "a=b"),
                ("if-range", OURS),
                ("range", "bytes=0-1"),
            ],
            None,
        ),
    ];
    for (method, path, fields, expected) in rows {
        let origin = Origin::answering(|_| ok(&[], "page"));
        let site = Site::new(tower_tagcache::Rule::new("a", "/{a}").ttl(secs(9)), &origin);
        site.send(request(method, path, fields)).await;
        let seen = origin.last();
        assert_eq!(seen.field("if-none-match"), expected, "{method} {fields:?}");
        assert_eq!(seen.field("if-range"), None);
        assert_eq!(seen.field("range"), None);
    }
}

#[tokio::test]
async fn safety_77_a_change_that_only_our_validators_permit_is_refused_here() {
    let mixed = format!("{OURS}, \"theirs\"");
    for path in ["/a", "/other/a"] {
        for (method, fields) in [
            ("PUT", &[][..]),
            ("DELETE", &[]),
            ("GET", &[("x-http-method-override", "PUT")]),
        ] {
            let origin = Origin::answering(|_| ok(&[], "done"));
            let site = Site::new(tower_tagcache::Rule::new("a", "/{a}").ttl(secs(9)), &origin);
            let ours: Vec<_> = fields.iter().copied().chain([("if-match", OURS)]).collect();
            let reply = site.send(request(method, path, &ours)).await;
            assert_eq!(
                (reply.status.as_u16(), origin.calls()),
                (412, 0),
                "{method} {path}"
            );
            let both: Vec<_> = fields
                .iter()
                .copied()
                .chain([("if-match", &*mixed)])
                .collect();
            assert_eq!(site.send(request(method, path, &both)).await.status, 200);
            assert_eq!(origin.last().field("if-match"), Some("\"theirs\""));
        }
    }
}

#[tokio::test]
async fn safety_79_a_method_in_a_field_counts_with_a_body_and_without() {
    let fields: [&[(&str, &str)]; 5] = [
        &[("x-http-method-override", "DELETE")],
        &[("x-http-method", "put")],
        &[("x-method-override", " PATCH")],
        &[("x-http-method-override", "DELETE"), ("upgrade", "x")],
        &[("x-http-method-override", "DELETE"), ("cookie", "a=b")],
    ];
    for method in ["GET", "HEAD", "OPTIONS"] {
        for fields in fields {
            for text in ["", "a body"] {
                let origin = Origin::answering(|_| ok(&[], "page"));
                let site = Site::new(rule(), &origin);
                site.get("/a").await;
                assert!(site.get("/a").await.is_hit());
                let mut asked = request(method, "/a", fields);
                *asked.body_mut() = tagcache_test_support::body(text);
                site.send(asked).await;
                assert!(
                    !site.get("/a").await.is_hit(),
                    "{method} {fields:?} {text:?}"
                );
            }
        }
    }
    let origin = Origin::answering(|_| ok(&[], "page"));
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.send(get("/a", &[("x-http-method-override", "HEAD")]))
        .await;
    assert!(
        site.get("/a").await.is_hit(),
        "a safe method changes nothing"
    );
}
