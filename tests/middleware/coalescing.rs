//! Identical misses share one call of the inner service.

use std::time::Duration;

use http::{HeaderValue, Response};
use tagcache_test_support::{Call, Origin, body as whole};
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt};
use tower_tagcache::{ManualClock, SetCookie};

use crate::{TTL, cache, cache_at, get, get_with, is_hit, rule, settle, status, text, try_text};

#[tokio::test]
async fn a_thousand_identical_misses_are_one_call() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let ask = || tokio::spawn(service.clone().oneshot(get("/a")));
    let asked: Vec<_> = (0..1000).map(|_| ask()).collect();
    let call = calls.next().await;
    assert!(calls.are_over().await);
    call.answer("a");
    let mut collapsed = 0;
    for answer in asked {
        let response = answer.await.expect("no panic").expect("it answers");
        collapsed += usize::from(status(&response).contains("; collapsed"));
        assert_eq!(text(response).await, "a");
    }
    assert_eq!(collapsed, 999);
    assert!(calls.are_over().await);
}

#[tokio::test]
async fn a_follower_that_leaves_harms_nobody() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let ask = || task::spawn(service.clone().oneshot(get("/a")));
    let (mut leader, mut early, mut late, mut stays) = (ask(), ask(), ask(), ask());
    for asked in [&mut leader, &mut early, &mut late, &mut stays] {
        assert_pending!(asked.poll());
    }
    let call = calls.next().await;
    drop(early);
    let stream = call.stream();
    stream.send("half");
    let late = late.await.expect("it answers");
    settle().await;
    drop(late);
    stream.send(" whole");
    drop(stream);
    for asked in [leader, stays] {
        assert_eq!(text(asked.await.expect("it answers")).await, "half whole");
    }
    assert!(is_hit(
        &service.oneshot(get("/a")).await.expect("it answers")
    ));
    assert!(calls.are_over().await);
}

#[tokio::test]
async fn safety_20_followers_of_another_variant_forward_by_themselves() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let ask = |language| {
        let request = get_with("/a", &[("accept-language", language)]);
        tokio::spawn(service.clone().oneshot(request))
    };
    let asked = ["de", "de", "fr", "fr", "it"].map(|language| (language, ask(language)));
    let answer = |call: Call| {
        let language = call.request.headers["accept-language"].clone();
        let body = ["de", "fr", "it"]
            .into_iter()
            .find(|body| language == *body);
        let response = Response::builder().header("vary", "Accept-Language");
        let response = response.body(whole(body.expect("one of them")));
        call.respond(response.expect("a response"));
        language
    };
    // One call for the first; by its `Vary`, one more for each of the other languages.
    let first = calls.all().await;
    assert_eq!(first.len(), 1);
    first
        .into_iter()
        .for_each(|call| assert_eq!(answer(call), "de"));
    // In which order they forward is the scheduler's.
    let mut others: Vec<_> = calls.all().await.into_iter().map(answer).collect();
    others.sort_unstable();
    assert_eq!(others, ["fr", "it"]);
    for (language, asked) in asked {
        let response = asked.await.expect("no panic").expect("it answers");
        assert_eq!(text(response).await, language);
    }
    assert!(calls.are_over().await);
    for language in ["de", "fr", "it"] {
        let response = ask(language).await.expect("no panic").expect("it answers");
        assert!(is_hit(&response), "{language}");
        assert_eq!(text(response).await, language);
    }
}

/// An origin may name other fields each time. What a follower is told then sends it back to where it
/// was.
#[tokio::test]
async fn flights_that_send_a_request_to_each_other_do_not_keep_it() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let ask = |x, y| {
        task::spawn(
            service
                .clone()
                .oneshot(get_with("/a", &[("x", x), ("y", y)])),
        )
    };
    let varying = |fields| {
        Response::builder()
            .header("vary", fields)
            .body(())
            .expect("a head")
    };

    // The key of (x 1) is learnt, then its flight turns out to be for (y 1).
    let mut first = ask("1", "1");
    assert_pending!(first.poll());
    drop(calls.next().await.stream_as(varying("x")));
    text(first.await.expect("it answers")).await;
    let mut stale = ask("2", "1");
    assert_pending!(stale.poll());
    let to_y = calls.next().await.stream_as(varying("y"));
    settle().await;
    // The key of (y 3) is learnt by a follower that goes on to lead there.
    let mut teaches = ask("2", "3");
    assert_pending!(teaches.poll());
    let _teaches = calls.next().await;
    // The flight of (y 2) turns out to be for (x 9).
    let mut ninth = ask("9", "2");
    assert_pending!(ninth.poll());
    let to_x = calls.next().await.stream_as(varying("x"));
    settle().await;
    // So (x 2, y 2) goes from (y 2) to (x 2) to (y 2) …
    let mut lost = ask("2", "2");
    assert_pending!(lost.poll());
    calls.next().await.answer("found");
    assert_eq!(text(lost.await.expect("it answers")).await, "found");
    drop((to_x, to_y));
}

#[tokio::test]
async fn safety_02_a_cookie_is_for_the_one_who_asked() {
    for (name, rule, shared) in [
        ("refused", rule(), false),
        ("stripped", rule().set_cookie(SetCookie::Strip), true),
    ] {
        let (origin, mut calls) = Origin::by_hand();
        let service = cache(rule).layer().layer(origin);
        let asked = [0; 3].map(|_| tokio::spawn(service.clone().oneshot(get("/a"))));
        for number in 0..if shared { 1 } else { 3 } {
            let call = calls.next().await;
            settle().await;
            let mut response = Response::new(whole("a"));
            response
                .headers_mut()
                .insert("set-cookie", HeaderValue::from(number));
            call.respond(response);
        }
        let mut cookies = Vec::new();
        for asked in asked {
            let response = asked.await.expect("no panic").expect("it answers");
            cookies.extend(response.headers().get("set-cookie").cloned());
            text(response).await;
        }
        // No two have the same one. Which of them called first is not settled.
        cookies.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        let expected: Vec<HeaderValue> = (0..if shared { 1 } else { 3 })
            .map(HeaderValue::from)
            .collect();
        assert_eq!(cookies, expected, "{name}");
        assert!(calls.are_over().await, "{name}");
    }
}

#[tokio::test]
async fn safety_25_a_truncated_body_reaches_nobody_as_whole_and_is_not_stored() {
    type End = (&'static str, Option<&'static str>, bool);
    let rows: [End; 3] = [
        ("reset", None, true),
        ("shorter than declared", Some("10"), false),
        ("longer than declared", Some("3"), false),
    ];
    for (name, declared, breaks) in rows {
        let (origin, mut calls) = Origin::by_hand();
        let service = cache(rule()).layer().layer(origin);
        let asked = [0; 3].map(|_| tokio::spawn(service.clone().oneshot(get("/a"))));
        let call = calls.next().await;
        settle().await;
        let head = Response::builder();
        let head = declared
            .into_iter()
            .fold(head, |head, length| head.header("content-length", length));
        let stream = call.stream_as(head.body(()).expect("a head"));
        stream.send("half");
        settle().await;
        match breaks {
            true => stream.break_off("connection reset"),
            false => drop(stream),
        }
        for asked in asked {
            let response = asked.await.expect("no panic").expect("its head was there");
            try_text(response).await.expect_err(name);
        }
        let again = tokio::spawn(service.oneshot(get("/a")));
        calls.next().await.answer("whole");
        assert_eq!(
            text(again.await.expect("no panic").expect("it answers")).await,
            "whole",
            "{name}"
        );
    }
}

#[tokio::test]
async fn safety_26_a_half_written_response_is_no_hit() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let leader = tokio::spawn(service.clone().oneshot(get("/a")));
    let stream = calls.next().await.stream();
    stream.send("half");
    settle().await;
    let reader = service
        .clone()
        .oneshot(get("/a"))
        .await
        .expect("it answers");
    assert!(!is_hit(&reader));
    stream.send(" whole");
    drop(stream);
    assert_eq!(text(reader).await, "half whole");
    assert_eq!(
        text(leader.await.expect("no panic").expect("it answers")).await,
        "half whole"
    );
}

#[tokio::test]
async fn a_stale_response_is_refreshed_once_for_all_who_get_it() {
    let clock = ManualClock::default();
    let window = Duration::from_secs(30);
    let (origin, mut calls) = Origin::by_hand();
    let service = cache_at(rule().stale_while_revalidate(window), &clock)
        .layer()
        .layer(origin);
    let ask = || service.clone().oneshot(get("/a"));
    let first = tokio::spawn(ask());
    calls.next().await.answer("old");
    text(first.await.expect("no panic").expect("it answers")).await;

    clock.advance(TTL + Duration::from_secs(1));
    for _ in 0..100 {
        let response = ask().await.expect("it answers");
        assert!(
            status(&response).contains("stale-while-revalidate"),
            "{}",
            status(&response)
        );
        assert_eq!(text(response).await, "old");
    }
    let refresh = calls.next().await;
    assert!(calls.are_over().await, "one refresh");
    refresh.answer("new");
    settle().await;
    let fresh = ask().await.expect("it answers");
    assert_eq!(status(&fresh), "tagcache; hit; ttl=60");
    assert_eq!(text(fresh).await, "new");

    // The next time it fails: the stale one goes on, and one that comes some seconds later tries again.
    clock.advance(TTL + Duration::from_secs(1));
    for _ in 0..2 {
        assert_eq!(text(ask().await.expect("it answers")).await, "new");
        calls.next().await.fail("down");
        settle().await;
        assert_eq!(text(ask().await.expect("it answers")).await, "new");
        assert!(calls.are_over().await, "not for each request");
        clock.advance(Duration::from_secs(5));
    }
}

/// On a clock of its own: a follower does not wait for a flight that has lasted for long, and it takes a busy
/// machine a while to begin so many.
#[tokio::test(start_paused = true)]
async fn past_the_limit_of_flights_requests_are_forwarded_and_not_stored() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let mut flying = Vec::new();
    for number in 0..10_000 {
        let mut asked = task::spawn(service.clone().oneshot(get(&format!("/{number}"))));
        assert_pending!(asked.poll());
        flying.push((asked, calls.next().await));
    }
    let more = tokio::spawn(service.clone().oneshot(get("/more")));
    calls.next().await.answer("more");
    let more = more.await.expect("no panic").expect("it answers");
    assert_eq!(status(&more), "tagcache; fwd=uri-miss; detail=busy");
    assert_eq!(text(more).await, "more");
    // Those under way can still be joined.
    let mut follower = task::spawn(service.clone().oneshot(get("/7")));
    assert_pending!(follower.poll());
    let (leader, call) = flying.swap_remove(7);
    call.answer("seven");
    for asked in [leader, follower] {
        assert_eq!(text(asked.await.expect("it answers")).await, "seven");
    }
    assert!(calls.are_over().await);
}
