//! Responses that are not stored: nobody queues for them.

use std::time::Duration;

use http::{HeaderValue, Response};
use tagcache_test_support::{Call, Origin, body as whole};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};
use tower_tagcache::Rule;

use crate::{cache, get, get_with, rule, status, text};

#[tokio::test(start_paused = true)]
async fn safety_53_answers_that_are_not_storable_do_not_queue() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    tokio::spawn(async move {
        loop {
            let call = calls.next().await;
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let mut response = Response::new(whole("own"));
                let private = HeaderValue::from_static("private");
                response.headers_mut().insert("cache-control", private);
                call.respond(response);
            });
        }
    });
    // The first time they have to find out, by one call; then each has its own from the start.
    for (round, most) in [("unknown", 200), ("remembered", 100)] {
        let begun = Instant::now();
        let asked: Vec<_> = (0..1000)
            .map(|_| tokio::spawn(service.clone().oneshot(get("/a"))))
            .collect();
        for asked in asked {
            assert_eq!(
                text(asked.await.expect("no panic").expect("it answers")).await,
                "own"
            );
        }
        assert_eq!(begun.elapsed().as_millis(), most, "{round}");
    }
}

#[tokio::test(start_paused = true)]
async fn safety_53_nor_do_they_where_the_key_is_that_of_a_variant() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let ask = || tokio::spawn(service.clone().oneshot(get_with("/a", &[("x", "1")])));
    let respond = |call: Call, cache_control| {
        let response = Response::builder()
            .header("vary", "x")
            .header("cache-control", cache_control);
        call.respond(response.body(whole("a")).expect("a response"));
    };
    let first = ask();
    respond(calls.next().await, "max-age=0, stale-if-error=60");
    text(first.await.expect("no panic").expect("it answers")).await;
    let second = ask();
    respond(calls.next().await, "private");
    text(second.await.expect("no panic").expect("it answers")).await;

    let third = [ask(), ask()];
    let call = calls.next().await;
    respond(calls.next().await, "private");
    respond(call, "private");
    for asked in third {
        text(asked.await.expect("no panic").expect("it answers")).await;
    }
}

#[tokio::test]
async fn a_rule_without_a_lifetime_shares_nothing_that_is_not_stored() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(Rule::new("page", "/{name}")).layer().layer(origin);
    let asked = [0; 2].map(|_| tokio::spawn(service.clone().oneshot(get("/a"))));
    calls.next().await.answer("one");
    calls.next().await.answer("two");
    let mut got = Vec::new();
    for asked in asked {
        got.push(text(asked.await.expect("no panic").expect("it answers")).await);
    }
    assert_eq!(got, ["one", "two"]);
}

#[tokio::test]
async fn an_authorised_request_does_not_keep_others_from_sharing() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let authorised = get_with("/a", &[("authorization", "Bearer x")]);
    let asked = tokio::spawn(service.clone().oneshot(authorised));
    calls.next().await.answer("own");
    let response = asked.await.expect("no panic").expect("it answers");
    assert_eq!(
        status(&response),
        "tagcache; fwd=uri-miss; detail=authorization"
    );

    let asked = [0; 3].map(|_| tokio::spawn(service.clone().oneshot(get("/a"))));
    let mut shared = calls.all().await;
    assert_eq!(shared.len(), 1);
    shared.remove(0).answer("shared");
    for asked in asked {
        assert_eq!(
            text(asked.await.expect("no panic").expect("it answers")).await,
            "shared"
        );
    }
}
