//! P4: what the inner service sent is what a client gets, on a miss and on a hit, but for the fields
//! that DESIGN names. SAFETY 28, 34, 36.

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::BodyExt;
use tagcache_test_support::{Answer, Failure, Origin, Site, body, empty, rule, secs, settle};
use tower_tagcache::{ClientPolicy, Rule, SetCookie};

use crate::bodies::fed;
use crate::samples::{SAMPLES, Sample, made};

async fn sent(sample: &'static Sample) -> Answer {
    Answer::read(made(sample)).await.expect("a whole body")
}

/// Asserts that `got` is `sent` but for the fields that the cache may add, and returns those.
fn same_but_for(sent: &Answer, got: &Answer, allowed: &[&str], name: &str) -> Vec<String> {
    assert_eq!(got.status, sent.status, "{name}");
    assert_eq!(got.body, sent.body, "{name}");
    assert_eq!(got.trailers, sent.trailers, "{name}");
    let mut added = Vec::new();
    for field in got.headers.keys() {
        let of = |reply: &Answer| -> Vec<HeaderValue> {
            reply.headers.get_all(field).iter().cloned().collect()
        };
        if of(got) != of(sent) {
            assert!(
                allowed.contains(&field.as_str()),
                "{name}: {field} is {:?}",
                of(got)
            );
            added.push(field.to_string());
        }
    }
    for field in sent.headers.keys() {
        assert!(got.headers.contains_key(field), "{name}: {field} is lost");
    }
    added
}

async fn miss_and_hit(rule: Rule, sample: &'static Sample) -> (Answer, Answer) {
    let origin = Origin::answering(move |_| made(sample));
    let site = Site::new(rule, &origin);
    let (miss, hit) = (site.get("/a").await, site.get("/a").await);
    assert!(
        miss.how().ends_with("stored"),
        "{}: {}",
        sample.name,
        miss.how()
    );
    assert!(hit.is_hit(), "{}: {}", sample.name, hit.how());
    (miss, hit)
}

#[tokio::test]
async fn safety_36_origin_miss_and_hit_are_the_same_field_by_field() {
    for sample in SAMPLES {
        let (miss, hit) = miss_and_hit(rule(), sample).await;
        let sent = sent(sample).await;
        let mut added = same_but_for(&sent, &miss, &["cache-status", "etag"], sample.name);
        if sent.field("etag").is_none() && miss.field("etag").is_some() {
            assert_eq!(miss.field("etag"), hit.field("etag"), "{}", sample.name);
            added.retain(|name| name != "etag");
        }
        assert_eq!(
            added,
            ["cache-status"],
            "{}: a miss adds nothing else",
            sample.name
        );
        // What a hit needs to be validated and aged (DESIGN P4; "Browsers and CDNs").
        let ours = ["cache-status", "age", "etag", "date"];
        let added = same_but_for(&sent, &hit, &ours, sample.name);
        for field in ["etag", "date"] {
            let there = sent.headers.contains_key(field);
            assert!(
                !(there && added.iter().any(|name| name == field)),
                "{}: {field}",
                sample.name
            );
        }
    }
}

#[tokio::test]
async fn safety_36_every_status_that_is_stored_keeps_its_number_and_body() {
    // All final ones but those that answer one client's condition or range, and those of RFC 6585.
    let never = [206, 304, 412, 416, 428, 429, 431, 511];
    for status in (200..=599).filter(|status| !never.contains(status)) {
        let rule = rule().ttl_for(status, secs(60));
        let origin = Origin::answering(move |_| {
            let bodiless = [204, 205].contains(&status);
            let body = if bodiless {
                empty()
            } else {
                body(Bytes::from_static(b"a page"))
            };
            tagcache_test_support::response(status, &[("location", "/b"), ("x-a", "1")], body)
        });
        let site = Site::new(rule, &origin);
        let (miss, hit) = (site.get("/a").await, site.get("/a").await);
        assert_eq!(miss.status.as_u16(), status);
        assert_eq!(hit.status.as_u16(), status);
        assert_eq!(hit.body, miss.body, "{status}");
        assert_eq!(hit.sent_fields(), miss.sent_fields(), "{status}");
        assert!(hit.is_hit(), "{status}: {}", hit.how());
    }
}

#[tokio::test]
async fn safety_28_lines_of_a_field_are_neither_folded_nor_lost() {
    let sample = &SAMPLES[1];
    let (miss, hit) = miss_and_hit(rule(), sample).await;
    for reply in [miss, hit] {
        let links: Vec<_> = reply.headers.get_all("link").iter().collect();
        assert_eq!(
            links,
            ["<a>; rel=next", "<b>; rel=\"x, y\"", "<a>; rel=next"]
        );
        assert_eq!(
            reply.headers.get_all("x-b").iter().collect::<Vec<_>>(),
            ["1", "0"]
        );
    }
}

#[tokio::test]
async fn safety_28_two_cookies_reach_the_one_who_asked_as_two_lines() {
    let origin = Origin::answering(|_| {
        tagcache_test_support::ok(&[("set-cookie", "a=1, x"), ("set-cookie", "b=2")], "page")
    });
    for rule in [rule(), rule().set_cookie(SetCookie::Strip)] {
        let site = Site::new(rule, &origin);
        let miss = site.get("/a").await;
        let cookies: Vec<_> = miss.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1, x", "b=2"]);
    }
}

#[tokio::test]
async fn safety_34_trailers_come_with_a_body_of_any_shape() {
    // Data in pieces, an empty piece, and trailers, as a framework may hand them over.
    let origin = Origin::with(|_, _| async {
        let (feed, body) = fed();
        feed.data("a ");
        feed.data("");
        feed.data("page");
        feed.trailers(&[("x-sum", "1")]);
        Ok(tagcache_test_support::response(200, &[], body))
    });
    let site = Site::new(rule(), &origin);
    for hit in [false, true] {
        let reply = site.get("/a").await;
        assert_eq!((reply.text(), reply.is_hit()), ("a page", hit));
        assert_eq!(reply.trailers.expect("trailers")["x-sum"], "1");
    }
}

/// Ends with the head. Who asks before reading never reads it.
struct Ended;

impl http_body::Body for Ended {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Failure>>> {
        std::task::Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn safety_34_a_body_that_has_ended_is_known_to_have_ended() {
    use http_body::Body as _;
    let origin =
        Origin::answering(|_| tagcache_test_support::response(204, &[], Ended.boxed_unsync()));
    let site = Site::new(rule(), &origin);
    for hit in [false, true] {
        let response = site
            .start(tagcache_test_support::get("/a", &[]))
            .await
            .expect("an answer");
        assert!(response.body().is_end_stream());
        settle().await;
        let reply = Answer::read(response).await.expect("a body");
        assert_eq!(reply.is_hit(), hit);
    }
}

#[tokio::test]
async fn safety_36_a_response_that_is_not_stored_is_passed_on_untouched() {
    for extra in [
        ("cache-control", "no-store"),
        ("set-cookie", "a=1"),
        ("vary", "*"),
    ] {
        for sample in SAMPLES {
            let all = move || {
                let mut response = made(sample);
                let (name, value) = extra;
                response
                    .headers_mut()
                    .insert(name, HeaderValue::from_static(value));
                response
            };
            let origin = Origin::answering(move |_| all());
            let site = Site::new(rule(), &origin);
            let sent = Answer::read(all()).await.expect("a whole body");
            for _ in 0..2 {
                let reply = site.get("/a").await;
                let added = same_but_for(&sent, &reply, &["cache-status"], sample.name);
                assert_eq!(added, ["cache-status"], "{extra:?}");
            }
        }
    }
}

#[tokio::test]
async fn safety_36_a_request_that_no_rule_takes_is_as_without_a_cache() {
    let rule = || Rule::new("other", "/other").ttl(secs(60));
    for sample in SAMPLES {
        let origin = Origin::answering(move |_| made(sample));
        let site = Site::new(rule(), &origin);
        assert_eq!(site.get("/a").await, sent(sample).await, "{}", sample.name);
        assert!(site.outcomes.lock().is_empty());
    }
}

#[tokio::test]
async fn safety_36_cache_status_of_caches_before_us_stays_first() {
    let origin = Origin::answering(|_| {
        tagcache_test_support::ok(
            &[
                ("cache-status", "far; hit"),
                ("cache-status", "near; fwd=miss"),
            ],
            "",
        )
    });
    let site = Site::new(rule(), &origin);
    for ours in ["tagcache; fwd=uri-miss; stored", "tagcache; hit; ttl=60"] {
        let reply = site.get("/a").await;
        let lines: Vec<_> = reply.headers.get_all("cache-status").iter().collect();
        assert_eq!(lines, ["far; hit", "near; fwd=miss", ours]);
    }
}

#[tokio::test]
async fn browsers_are_told_to_ask_again_about_what_a_purge_can_reach() {
    let tagged = || rule().tag("x");
    let long = ClientPolicy::Set("public, max-age=5".into());
    let rows = [
        (tagged(), "max-age=60", Some("no-cache"), None),
        (
            tagged(),
            "max-age=60, private=\"x\"",
            Some("private, no-cache"),
            None,
        ),
        (tagged(), "no-store", Some("no-store"), Some("gone")),
        (
            tagged().client(ClientPolicy::Pass),
            "max-age=60",
            Some("max-age=60"),
            Some("gone"),
        ),
        (
            tagged().client(long.clone()),
            "max-age=60",
            Some("public, max-age=5"),
            None,
        ),
        (
            tagged().client(long),
            "no-store",
            Some("no-store"),
            Some("gone"),
        ),
        (rule(), "max-age=60", Some("max-age=60"), Some("gone")),
    ];
    for (rule, directives, told, expires) in rows {
        let origin = Origin::answering(move |_| {
            tagcache_test_support::ok(
                &[("cache-control", directives), ("expires", "gone")],
                "page",
            )
        });
        let site = Site::new(rule, &origin);
        for _ in 0..2 {
            let reply = site.get("/a").await;
            assert_eq!(
                reply.field("cache-control"),
                told,
                "{directives}: {}",
                reply.how()
            );
            assert_eq!(reply.field("expires"), expires, "{directives}");
        }
        let head = site.head("/a").await;
        assert_eq!(head.field("cache-control"), told, "{directives}: HEAD");
    }
}
