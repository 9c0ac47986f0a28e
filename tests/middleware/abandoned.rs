//! Calls of the inner service whose clients have gone.

use std::time::Duration;

use http::{HeaderValue, Response};
use tagcache_test_support::{Origin, body as whole};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt};
use tower_tagcache::ManualClock;

use crate::{TTL, cache, cache_at, get, get_with, is_hit, rule, settle, text};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn safety_72_a_fill_that_nobody_wants_and_nothing_answers_ends_after_five_seconds() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let mut leader = task::spawn(service.oneshot(get("/a")));
    assert_pending!(leader.poll());
    let mut call = calls.next().await;
    sleep(10 * MINUTE).await;
    assert!(!call.is_given_up(), "as long as somebody waits it goes on");
    let begun = Instant::now();
    drop(leader);
    call.given_up().await;
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn safety_72_the_oldest_such_fill_ends_at_once_where_its_place_is_wanted() {
    let (origin, mut calls) = Origin::by_hand();
    let cache = cache(rule());
    let service = cache.layer().layer(origin);
    let ask = |path| task::spawn(service.clone().oneshot(get(path)));
    let begun = Instant::now();
    let mut leaders = [ask("/a"), ask("/b"), ask("/c")];
    let mut asked = Vec::new();
    for leader in &mut leaders {
        assert_pending!(leader.poll());
        asked.push(calls.next().await);
    }
    assert!(!cache.end_orphan(), "all are waited for");
    let [a, b, c] = leaders;
    drop(b);
    settle().await;
    drop(c);
    settle().await;
    assert!(cache.end_orphan());
    asked[1].given_up().await;
    settle().await;
    assert!(!asked[2].is_given_up());
    assert!(cache.end_orphan() && !cache.end_orphan());
    asked[2].given_up().await;
    assert!(begun.elapsed().is_zero() && !asked[0].is_given_up());
    drop(a);
}

#[tokio::test(start_paused = true)]
async fn safety_56_it_ends_after_a_minute_though_bytes_trickle_in() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let mut leader = task::spawn(service.oneshot(get("/a")));
    assert_pending!(leader.poll());
    let stream = calls.next().await.stream();
    drop(leader);
    let begun = Instant::now();
    while !stream.is_dropped() {
        stream.send("x");
        sleep(Duration::from_secs(1)).await;
    }
    assert!(
        (60..=61).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn who_comes_in_that_time_is_served_and_begins_it_anew() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let ask = || task::spawn(service.clone().oneshot(get("/a")));
    let mut leader = ask();
    assert_pending!(leader.poll());
    let mut call = calls.next().await;
    drop(leader);
    advance(Duration::from_secs(4)).await;
    let mut follower = ask();
    assert_pending!(follower.poll());
    sleep(Duration::from_secs(3)).await;
    let begun = Instant::now();
    drop(follower);
    call.given_up().await;
    // Counted from when somebody was last seen to want it, which is looked at when the time is over.
    assert!(
        begun.elapsed() <= Duration::from_secs(5 + 3),
        "{:?}",
        begun.elapsed()
    );

    let mut leader = ask();
    assert_pending!(leader.poll());
    let call = calls.next().await;
    drop(leader);
    sleep(Duration::from_secs(4)).await;
    let follower = tokio::spawn(service.clone().oneshot(get("/a")));
    settle().await;
    call.answer("a");
    assert_eq!(
        text(follower.await.expect("no panic").expect("it answers")).await,
        "a"
    );
    assert!(is_hit(
        &service.oneshot(get("/a")).await.expect("it answers")
    ));
}

#[tokio::test]
async fn a_call_that_is_for_one_client_only_ends_with_it() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    // From now on the key is known as not storable.
    let first = tokio::spawn(service.clone().oneshot(get("/a")));
    let mut response = Response::new(whole("own"));
    response
        .headers_mut()
        .insert("cache-control", HeaderValue::from_static("private"));
    calls.next().await.respond(response);
    text(first.await.expect("no panic").expect("it answers")).await;

    let rows = [
        ("not storable", get("/a")),
        (
            "authorised",
            get_with("/b", &[("authorization", "Bearer x")]),
        ),
        ("bypassed", get_with("/b", &[("cookie", "a=b")])),
        ("range", get_with("/b", &[("range", "bytes=0-1")])),
        ("no rule", get("/b/c")),
    ];
    for (name, request) in rows {
        let mut asked = task::spawn(service.clone().oneshot(request));
        assert_pending!(asked.poll(), "{name}");
        let call = calls.next().await;
        drop(asked);
        settle().await;
        assert!(call.is_given_up(), "{name}");
    }
}

#[tokio::test]
async fn the_body_of_a_call_for_one_client_only_ends_with_it() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let request = get_with("/b", &[("authorization", "Bearer x")]);
    let asked = tokio::spawn(service.clone().oneshot(request));
    let head = Response::builder()
        .header("cache-control", "public, max-age=60")
        .body(());
    let stream = calls.next().await.stream_as(head.expect("a head"));
    let response = asked.await.expect("no panic").expect("it answers");
    assert!(
        crate::status(&response).ends_with("; stored"),
        "{}",
        crate::status(&response)
    );
    settle().await;
    assert!(!stream.is_dropped());
    drop(response);
    settle().await;
    assert!(stream.is_dropped());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_behind_a_stale_response_ends_after_a_minute() {
    let clock = ManualClock::default();
    let (origin, mut calls) = Origin::by_hand();
    let rule = rule().stale_while_revalidate(10 * MINUTE);
    let service = cache_at(rule, &clock).layer().layer(origin);
    let first = tokio::spawn(service.clone().oneshot(get("/a")));
    calls.next().await.answer("old");
    text(first.await.expect("no panic").expect("it answers")).await;

    clock.advance(TTL + MINUTE);
    for round in 0..2 {
        let begun = Instant::now();
        let stale = service
            .clone()
            .oneshot(get("/a"))
            .await
            .expect("it answers");
        assert_eq!(text(stale).await, "old", "{round}");
        let mut refresh = calls.next().await;
        refresh.given_up().await;
        assert_eq!(begun.elapsed().as_secs(), 60, "{round}");
        // One that brought nothing is not repeated at once.
        clock.advance(Duration::from_secs(5));
    }
}
