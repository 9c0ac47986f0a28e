//! SAFETY 24 and what clients ask under conditions: parts, and 304 instead of what they have.

use tagcache_test_support::{Answer, Origin, Site, empty, ok, request, response, rule, secs};

/// Ten bytes, with a strong validator, from an inner service that knows no ranges.
fn digits() -> Origin {
    Origin::answering(|_| {
        let fields = [
            ("etag", "\"1\""),
            ("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT"),
            ("content-type", "text/plain"),
        ];
        ok(&fields, "0123456789")
    })
}

async fn stored(origin: &Origin) -> Site {
    let site = Site::new(rule(), origin);
    site.get("/a").await;
    site
}

fn summary(reply: &Answer) -> (u16, &str, Option<&str>) {
    (
        reply.status.as_u16(),
        reply.text(),
        reply.field("content-range"),
    )
}

#[tokio::test]
async fn safety_24_a_range_of_a_stored_response() {
    let whole = (200, "0123456789", None);
    let none = (416, "", Some("bytes */10"));
    type Expected = (u16, &'static str, Option<&'static str>);
    let rows: &[(&str, Expected)] = &[
        ("bytes=0-3", (206, "0123", Some("bytes 0-3/10"))),
        ("bytes=7-", (206, "789", Some("bytes 7-9/10"))),
        ("bytes=-2", (206, "89", Some("bytes 8-9/10"))),
        ("bytes=-99", (206, "0123456789", Some("bytes 0-9/10"))),
        ("bytes=8-99", (206, "89", Some("bytes 8-9/10"))),
        ("BYTES=0-0", (206, "0", Some("bytes 0-0/10"))),
        ("bytes=10-", none),
        ("bytes=99-100", none),
        ("bytes=18446744073709551616-", none),
        ("bytes=-0", none),
        // Not valid, so not there at all (RFC 9110 §14.2).
        ("bytes=", whole),
        ("bytes=-", whole),
        ("bytes=5-2", whole),
        ("bytes=a-b", whole),
        ("lines=0-3", whole),
        ("bytes 0-3", whole),
        // A list whose parts overlap is answered by the whole.
        ("bytes=0-4,3-9", whole),
    ];
    let site = stored(&digits()).await;
    for (range, expected) in rows {
        let reply = site.get_with("/a", &[("range", range)]).await;
        assert_eq!(summary(&reply), *expected, "{range}");
        assert!(reply.is_hit(), "{range}");
        if reply.status == 206 {
            assert_eq!(reply.field("etag"), Some("\"1\""), "{range}");
            assert_eq!(reply.field("content-type"), Some("text/plain"), "{range}");
        }
    }
    assert_eq!(site.origin.calls(), 1);
}

#[tokio::test]
async fn safety_24_a_range_applies_only_while_if_range_holds() {
    let site = stored(&digits()).await;
    for (condition, part) in [
        ("\"1\"", true),
        ("\"2\"", false),
        ("W/\"1\"", false),
        ("Sun, 22 Nov 2026 00:00:00 GMT", true),
        ("Sun, 22 Nov 2026 00:00:01 GMT", false),
        ("Sat, 21 Nov 2026 00:00:00 GMT", false),
        ("1", false),
    ] {
        let reply = site
            .get_with("/a", &[("range", "bytes=0-3"), ("if-range", condition)])
            .await;
        assert_eq!(reply.status == 206, part, "{condition}");
        assert_eq!(reply.text().len(), if part { 4 } else { 10 }, "{condition}");
    }
}

#[tokio::test]
async fn safety_24_a_part_is_stored_as_a_part_and_never_as_the_whole() {
    let origin = Origin::answering(|asked| match asked.field("range") {
        Some(_) => response(
            206,
            &[("content-range", "bytes 0-3/10")],
            tagcache_test_support::body("0123"),
        ),
        None => ok(&[], "0123456789"),
    });
    let site = Site::new(rule(), &origin);
    for hit in [false, true] {
        let part = site.get_with("/a", &[("range", "bytes=0-3")]).await;
        assert_eq!(summary(&part), (206, "0123", Some("bytes 0-3/10")));
        assert_eq!(part.is_hit(), hit, "{}", part.how());
    }
    let whole = site.get("/a").await;
    assert_eq!(summary(&whole), (200, "0123456789", None));
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn safety_24_a_part_that_nobody_asked_for_is_not_stored() {
    for status in [206, 416] {
        let origin = Origin::answering(move |asked| match asked.number {
            1 => response(
                status,
                &[
                    ("content-range", "bytes 0-3/10"),
                    ("cache-control", "max-age=60"),
                ],
                tagcache_test_support::body("0123"),
            ),
            _ => ok(&[], "0123456789"),
        });
        let site = Site::new(rule(), &origin);
        site.get("/a").await;
        assert_eq!(
            summary(&site.get("/a").await),
            (200, "0123456789", None),
            "{status}"
        );
    }
}

#[tokio::test]
async fn safety_24_no_range_of_what_is_no_200_or_no_get() {
    let origin = Origin::answering(|_| {
        response(
            404,
            &[("cache-control", "max-age=60")],
            tagcache_test_support::body("0123456789"),
        )
    });
    let site = stored(&origin).await;
    let reply = site.get_with("/a", &[("range", "bytes=0-3")]).await;
    assert_eq!(
        (summary(&reply), reply.is_hit()),
        ((404, "0123456789", None), true)
    );
    let site = stored(&digits()).await;
    let head = site
        .send(request("HEAD", "/a", &[("range", "bytes=0-3")]))
        .await;
    assert_eq!((head.status.as_u16(), head.is_hit()), (200, true));
}

#[tokio::test]
async fn safety_24_an_empty_response_has_no_range() {
    let site = stored(&Origin::answering(|_| ok(&[], ""))).await;
    for (range, status) in [("bytes=0-", 416), ("bytes=0-0", 416), ("bytes=-1", 200)] {
        assert_eq!(
            site.get_with("/a", &[("range", range)]).await.status,
            status,
            "{range}"
        );
    }
}

#[tokio::test]
async fn a_client_that_has_it_gets_a_304_on_a_hit() {
    let site = stored(&digits()).await;
    let rows: &[(&[(&str, &str)], u16)] = &[
        (&[("if-none-match", "\"1\"")], 304),
        (&[("if-none-match", "\"0\", W/\"1\"")], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"2\"")], 200),
        (&[("if-none-match", "1")], 200),
        (
            &[("if-modified-since", "Sun, 22 Nov 2026 00:00:00 GMT")],
            304,
        ),
        (
            &[("if-modified-since", "Sat, 21 Nov 2026 00:00:00 GMT")],
            200,
        ),
        // The tag is the better word (RFC 9110 §13.1.3).
        (
            &[
                ("if-none-match", "\"2\""),
                ("if-modified-since", "Sun, 22 Nov 2026 00:00:00 GMT"),
            ],
            200,
        ),
        // RFC 9110 §13.2.2: conditions come before ranges.
        (&[("if-none-match", "\"1\""), ("range", "bytes=0-3")], 304),
        (&[("if-match", "\"2\"")], 200),
    ];
    for (fields, status) in rows {
        let reply = site.get_with("/a", fields).await;
        assert_eq!(reply.status, *status, "{fields:?}");
        assert!(reply.is_hit(), "{fields:?}");
        if *status == 304 {
            assert_eq!(reply.text(), "");
            assert_eq!(reply.field("etag"), Some("\"1\""));
            assert_eq!(reply.field("content-type"), None);
            assert_eq!(reply.field("content-length"), None);
        }
    }
    assert_eq!(site.origin.calls(), 1);
}

#[tokio::test]
async fn a_client_that_has_it_gets_a_304_on_a_miss_and_the_whole_is_stored() {
    let origin = digits();
    let site = Site::new(rule(), &origin);
    let first = site.get_with("/a", &[("if-none-match", "\"1\"")]).await;
    assert_eq!((first.status.as_u16(), first.text()), (304, ""));
    assert_eq!(first.how(), "fwd=uri-miss; fwd-status=200; stored");
    assert_eq!(origin.last().field("if-none-match"), None);
    let whole = site.get("/a").await;
    assert_eq!(
        (summary(&whole), whole.is_hit()),
        ((200, "0123456789", None), true)
    );
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn a_response_without_validator_gets_a_strong_one_that_tells_its_bytes_apart() {
    let origin = Origin::answering(|asked| ok(&[], asked.parts.uri.path().to_owned()));
    let site = Site::new(rule(), &origin);
    let mut tags = Vec::new();
    for path in ["/a", "/b"] {
        site.get(path).await;
        let hit = site.get(path).await;
        let tag = hit.field("etag").expect("a validator").to_owned();
        assert!(tag.starts_with('"'), "strong: {tag}");
        let again = site.get_with(path, &[("if-none-match", &tag)]).await;
        assert_eq!(again.status, 304);
        tags.push(tag);
    }
    assert_ne!(tags[0], tags[1]);
}

#[tokio::test]
async fn the_inner_service_is_never_asked_by_a_validator_that_it_did_not_make() {
    let origin = Origin::answering(|_| ok(&[], "page"));
    let site = stored(&origin).await;
    let tag = site
        .get("/a")
        .await
        .field("etag")
        .expect("a validator")
        .to_owned();
    site.clock.advance(secs(61));
    let reply = site.get_with("/a", &[("if-none-match", &tag)]).await;
    assert_eq!(origin.last().field("if-none-match"), None);
    // The new body is the same, and so is the tag that is made from it.
    assert_eq!((reply.status.as_u16(), reply.text()), (304, ""));
}

#[tokio::test]
async fn a_stale_response_answers_a_304_once_it_is_freshened() {
    let origin = Origin::answering(|asked| match asked.field("if-none-match") {
        Some("\"1\"") => response(304, &[("etag", "\"1\"")], empty()),
        _ => ok(&[("etag", "\"1\"")], "page"),
    });
    let site = stored(&origin).await;
    site.clock.advance(secs(61));
    let reply = site.get_with("/a", &[("if-none-match", "\"1\"")]).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (304, ""));
    assert!(site.get("/a").await.is_hit());
}
