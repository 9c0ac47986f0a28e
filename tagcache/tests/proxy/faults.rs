//! Upstream down, slow, resetting, sending garbage: the client learns it, and nothing broken is kept.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Version};
use http_body_util::Empty;
use tagcache_test_support::Answer;
use tower_tagcache::{Cache, ManualClock, Rule};

use crate::client::{Raw, VERSIONS, get, read, request, start};
use crate::raw_origin::{RawOrigin, Reply, ok, reply};
use crate::site::{ProxySite, settings};

fn detail(answer: &Answer) -> &str {
    let status = answer.field("cache-status").unwrap_or_default();
    status
        .strip_prefix("tagcache; fwd=miss; detail=")
        .unwrap_or(status)
}

#[tokio::test]
async fn an_upstream_that_gives_no_answer_is_told_plainly_and_not_kept() {
    let rows = [
        ("closes", Reply::Last("".into()), 502, "upstream-closed"),
        (
            "closes in the head",
            Reply::Last("HTTP/1.1 200 OK\r\nx-a".into()),
            502,
            "upstream-closed",
        ),
        ("resets", Reply::Reset("".into()), 502, "upstream-closed"),
        (
            "garbage",
            Reply::Last("nonsense\r\n\r\n".into()),
            502,
            "upstream-malformed",
        ),
        (
            "another protocol",
            Reply::Last("220 mail ESMTP\r\n".into()),
            502,
            "upstream-malformed",
        ),
        (
            "two lengths",
            reply("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
            502,
            "upstream-malformed",
        ),
        (
            "safety_17: a length beside a coding",
            reply(
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            ),
            502,
            "upstream-malformed",
        ),
        (
            "a coding that nobody asked for",
            reply(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            ),
            502,
            "upstream-malformed",
        ),
        (
            "folded field",
            reply("HTTP/1.1 200 OK\r\nx-a: 1\r\n b\r\ncontent-length: 0\r\n\r\n"),
            502,
            "upstream-malformed",
        ),
        (
            "null in a field",
            reply("HTTP/1.1 200 OK\r\nx-a: \0\r\ncontent-length: 0\r\n\r\n"),
            502,
            "upstream-malformed",
        ),
        (
            "endless head",
            reply(format!(
                "HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n",
                "a".repeat(100_000)
            )),
            502,
            "upstream-malformed",
        ),
    ];
    for (name, broken, status, expected) in rows {
        for version in VERSIONS {
            let origin = RawOrigin::replies([broken.clone(), ok("", "a page")]).await;
            let site = ProxySite::before(&origin).await;
            let answer = get(site.address, version, "/a").await;
            assert_eq!(
                (answer.status.as_u16(), detail(&answer)),
                (status, expected),
                "{name} {version:?}"
            );
            assert_eq!(
                answer.field("content-type"),
                Some("text/plain; charset=utf-8")
            );
            assert!(
                answer.text().ends_with('\n') && answer.text().len() < 80,
                "{name}"
            );
            let answer = get(site.address, version, "/a").await;
            assert_eq!(
                (answer.text(), answer.is_hit()),
                ("a page", false),
                "{name} {version:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_a_502_and_one_that_is_too_slow_a_504() {
    let origin = RawOrigin::start(|_| Reply::Held(Default::default(), Box::new(reply("")))).await;
    let mut slow = settings(origin.url());
    slow.timeouts.response_head = Duration::from_millis(50);
    let site = ProxySite::with(slow).await;
    let answer = get(site.address, Version::HTTP_11, "/a").await;
    assert_eq!(
        (answer.status.as_u16(), detail(&answer)),
        (504, "upstream-timeout")
    );
    origin.stop();
    let site = ProxySite::before(&origin).await;
    let answer = get(site.address, Version::HTTP_11, "/a").await;
    assert_eq!(
        (answer.status.as_u16(), detail(&answer)),
        (502, "upstream-connect")
    );
    let mut client = Raw::connect(site.address).await;
    let answer = client
        .ask("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await;
    let expected = Some("tagcache; fwd=method; detail=upstream-connect");
    assert_eq!(
        (answer.status(), answer.field("cache-status")),
        (502, expected)
    );
}

#[tokio::test]
async fn safety_25_a_body_that_ends_early_is_neither_completed_nor_kept() {
    let rows = [
        (
            "short of its length",
            Reply::Last("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\na page".into()),
        ),
        (
            "reset",
            Reply::Reset("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\na page".into()),
        ),
        (
            "without the last chunk",
            Reply::Last(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\na page\r\n".into(),
            ),
        ),
        (
            "in a chunk",
            Reply::Last("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\na page".into()),
        ),
        (
            "malformed chunk",
            Reply::Last(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\na page\r\nxyz\r\n"
                    .into(),
            ),
        ),
        (
            "in the trailers",
            Reply::Last(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\na page\r\n0\r\nx-a"
                    .into(),
            ),
        ),
        (
            "stops",
            Reply::Then(
                "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\na page".into(),
                Default::default(),
                Box::new(reply("")),
            ),
        ),
    ];
    for (name, broken) in rows {
        for version in VERSIONS {
            let origin = RawOrigin::replies([broken.clone(), ok("", "a page")]).await;
            let mut settings = settings(origin.url());
            settings.timeouts.response_body = Duration::from_millis(200);
            let site = ProxySite::with(settings).await;
            let asked = request(site.address, Method::GET, "/a", &[]);
            let asked = asked.body(Empty::<Bytes>::new()).unwrap();
            let whole = match start(site.address, version, asked).await {
                Ok(answer) => read(answer).await,
                Err(error) => Err(error),
            };
            assert!(whole.is_err(), "{name} {version:?}: {whole:?}");
            let answer = get(site.address, version, "/a").await;
            assert_eq!(
                (answer.text(), answer.is_hit()),
                ("a page", false),
                "{name} {version:?}"
            );
        }
    }
}

#[tokio::test]
async fn stale_stands_in_for_an_upstream_that_is_down_where_that_is_allowed() {
    for (fields, allowed) in [
        ("", true),
        ("cache-control: max-age=60, must-revalidate", false),
    ] {
        let origin = RawOrigin::start(move |_| ok(fields, "a page")).await;
        let clock = ManualClock::default();
        let rule = Rule::new("all", "/{*path}")
            .ttl(Duration::from_secs(60))
            .stale_if_error(Duration::from_secs(600));
        let site = ProxySite::start(
            settings(origin.url()),
            Cache::builder().rule(rule).clock(clock.clone()),
        )
        .await;
        get(site.address, Version::HTTP_11, "/a").await;
        origin.stop();
        clock.advance(Duration::from_secs(120));
        let answer = get(site.address, Version::HTTP_11, "/a").await;
        match allowed {
            true => {
                assert_eq!((answer.status.as_u16(), answer.text()), (200, "a page"));
                assert_eq!(answer.field("age"), Some("120"));
            }
            false => assert_eq!(answer.status, 502),
        }
    }
}

/// The first request of each connection is answered; the second is read, and the connection closed.
async fn closing_origin() -> RawOrigin {
    let seen = parking_lot::Mutex::new(std::collections::HashSet::new());
    RawOrigin::start(move |heard| match seen.lock().insert(heard.connection) {
        true => ok("cache-control: no-store", heard.path()),
        false => Reply::Last("".into()),
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_no_reason_to_fail_an_idempotent_request() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let origin = closing_origin().await;
        let site = ProxySite::before(&origin).await;
        get(site.address, Version::HTTP_11, "/first").await;
        let mut client = Raw::connect(site.address).await;
        client
            .write(format!(
                "{method} /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            ))
            .await;
        let answer = String::from_utf8(client.rest().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{method}: {answer}");
        assert_eq!(
            (origin.calls(), origin.connections()),
            (3, 2),
            "{method}: once more, not for ever"
        );
    }
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_is_seen_once() {
    for (method, body) in [
        ("POST", ""),
        ("PATCH", ""),
        ("POST", "abc"),
        ("PUT", "abc"),
        ("FROB", ""),
    ] {
        let origin = closing_origin().await;
        let site = ProxySite::before(&origin).await;
        get(site.address, Version::HTTP_11, "/first").await;
        let mut client = Raw::connect(site.address).await;
        let length = body.len();
        let answer = client
            .ask(&format!(
                "{method} /a HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
            .await;
        assert_eq!(answer.status(), 502, "{method} {body}");
        let seen = origin
            .heard()
            .iter()
            .filter(|heard| heard.path() == "/a")
            .count();
        assert_eq!(seen, 1, "{method} {body}");
    }
}

#[tokio::test]
async fn a_request_on_a_new_connection_is_not_repeated() {
    let origin = RawOrigin::replies([Reply::Last("".into())]).await;
    let site = ProxySite::before(&origin).await;
    assert_eq!(get(site.address, Version::HTTP_11, "/a").await.status, 502);
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn an_answer_that_began_on_a_kept_connection_is_not_asked_for_again() {
    let seen = parking_lot::Mutex::new(0);
    let origin = RawOrigin::start(move |_| {
        *seen.lock() += 1;
        match *seen.lock() {
            1 => ok("cache-control: no-store", "first"),
            _ => Reply::Last("HTTP/1.1 200 OK\r\nx-a".into()),
        }
    })
    .await;
    let site = ProxySite::before(&origin).await;
    get(site.address, Version::HTTP_11, "/first").await;
    assert_eq!(get(site.address, Version::HTTP_11, "/a").await.status, 502);
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn an_early_answer_to_an_upload_reaches_the_client() {
    let origin = RawOrigin::start(|_| reply("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let site = ProxySite::before(&origin).await;
    let mut client = Raw::connect(site.address).await;
    client
        .write("POST /a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 100 "));
    client.write("abc").await;
    assert_eq!(client.answer().await.unwrap().status(), 200);
    assert_eq!(origin.last().body, b"abc");
}
