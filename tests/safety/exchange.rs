//! SAFETY 16–20: fields of a connection, conditions, collapsing.

use std::sync::Arc;

use tagcache_test_support::{
    Origin, OriginResult, Site, empty, get, ok, request, response, rule, secs, settle,
};
use tokio::sync::Notify;

#[tokio::test]
async fn safety_16_fields_of_a_connection_are_not_stored() {
    let origin = Origin::answering(|_| {
        let fields = [
            ("connection", "x-secret, close"),
            ("connection", "X-Other"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("x-kept", "1"),
        ];
        ok(&fields, "page")
    });
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    let hit = site.get("/a").await;
    let names: Vec<_> = hit
        .sent_fields()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(hit.is_hit());
    assert_eq!(names, ["x-kept"]);
}

#[tokio::test]
async fn safety_18_a_get_with_a_body_is_neither_answered_nor_stored() {
    let origin = Origin::answering(|asked| ok(&[], asked.number.to_string()));
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    for number in 2..=3 {
        let mut request = get("/a", &[]);
        *request.body_mut() = tagcache_test_support::body("body");
        let reply = site.send(request).await;
        assert_eq!(reply.text(), number.to_string());
        assert_eq!(reply.how(), "fwd=bypass; detail=body");
    }
    assert_eq!(site.get("/a").await.text(), "1");
}

#[tokio::test]
async fn safety_19_a_clients_condition_is_not_forwarded_and_its_304_not_stored() {
    let origin = Origin::answering(|asked| {
        let conditional = asked
            .parts
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("if-"));
        if conditional {
            response(304, &[("etag", "\"1\"")], empty())
        } else {
            ok(&[("etag", "\"1\"")], "page")
        }
    });
    for condition in [
        ("if-none-match", "\"1\""),
        ("if-none-match", "*"),
        ("if-modified-since", "Mon, 23 Nov 2026 00:00:00 GMT"),
        ("if-match", "\"2\""),
        ("if-unmodified-since", "Mon, 23 Nov 2020 00:00:00 GMT"),
        ("if-range", "\"1\""),
    ] {
        let site = Site::new(rule(), &origin);
        site.get_with("/a", &[condition]).await;
        let reply = site.get("/a").await;
        assert_eq!(
            (reply.status.as_u16(), reply.text()),
            (200, "page"),
            "{condition:?}"
        );
        assert!(
            reply.is_hit(),
            "{condition:?}: the whole response was stored"
        );
    }
}

#[tokio::test]
async fn safety_19_a_304_from_nowhere_is_neither_passed_on_nor_stored() {
    let origin = Origin::script([|| response(304, &[], empty()), || ok(&[], "page")]);
    let site = Site::new(rule(), &origin);
    let odd = site.get("/a").await;
    assert_eq!((odd.status.as_u16(), odd.how()), (502, "fwd=uri-miss"));
    assert_eq!(site.get("/a").await.text(), "page");
}

#[tokio::test]
async fn safety_20_coalesced_requests_that_differ_in_a_varied_field_do_not_share() {
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    let origin = Origin::with(move |asked, _| {
        let gate = Arc::clone(&waiting);
        async move {
            if asked.number == 1 {
                gate.notified().await;
            }
            let language = asked.field("accept-language").unwrap_or("none").to_owned();
            OriginResult::Ok(ok(&[("vary", "accept-language")], language))
        }
    });
    let site = Site::new(rule(), &origin);
    let languages = ["de", "en", "de", "fr", "en", "de"];
    let asking: Vec<_> = languages
        .map(|language| {
            let site = site.clone();
            tokio::spawn(async move { site.get_with("/a", &[("accept-language", language)]).await })
        })
        .into();
    settle().await;
    assert_eq!(
        origin.calls(),
        1,
        "nobody knows yet that the responses vary"
    );
    gate.notify_one();
    for (language, reply) in languages.into_iter().zip(asking) {
        assert_eq!(reply.await.expect("a reply").text(), language);
    }
    assert_eq!(origin.calls(), 3, "one for each variant");
}

#[tokio::test]
async fn safety_20_a_head_does_not_join_the_flight_of_a_get() {
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    let origin = Origin::with(move |asked, _| {
        let gate = Arc::clone(&waiting);
        async move {
            if asked.parts.method == http::Method::GET {
                gate.notified().await;
            }
            OriginResult::Ok(ok(&[], "page"))
        }
    });
    let site = Site::new(rule(), &origin);
    let asking = site.clone();
    let first = tokio::spawn(async move { asking.get("/a").await });
    settle().await;
    let head = site.send(request("HEAD", "/a", &[])).await;
    assert_eq!(head.how(), "fwd=uri-miss; detail=method");
    gate.notify_one();
    assert_eq!(first.await.expect("a reply").text(), "page");
    site.clock.advance(secs(1));
    assert!(site.get("/a").await.is_hit());
}
