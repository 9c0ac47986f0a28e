//! Bodies that turn out larger than what may be stored: read by all who share them, kept by nobody.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use tagcache_test_support::{Origin, Stream};
use tower::{Layer, ServiceExt};
use tower_tagcache::Rule;

use crate::{cache, get, is_hit, rule, settle, status, text, try_text};

/// What is kept ahead of the slowest reader.
const WINDOW: usize = 256 * 1024;

fn small() -> Rule {
    rule().body_limit(4)
}

fn chunk() -> Bytes {
    vec![b'x'; WINDOW].into()
}

#[tokio::test]
async fn safety_55_all_who_share_it_get_all_of_it_and_it_is_not_stored() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(small()).layer().layer(origin);
    let ask = || tokio::spawn(service.clone().oneshot(get("/a")));
    let asked = [ask(), ask(), ask()];
    let call = calls.next().await;
    settle().await;
    let stream = call.stream();
    for chunk in ["abc", "def", "ghi"] {
        stream.send(chunk);
        settle().await;
    }
    // Who comes now is too late for the first byte, and the key is remembered as not storable.
    let late = [ask(), ask()];
    let calls_of_late = [calls.next().await, calls.next().await];
    drop(stream);
    for asked in asked {
        let response = asked.await.expect("no panic").expect("it answers");
        assert_eq!(text(response).await, "abcdefghi");
    }
    calls_of_late
        .into_iter()
        .for_each(|call| call.answer("lots"));
    for asked in late {
        assert_eq!(
            text(asked.await.expect("no panic").expect("it answers")).await,
            "lots"
        );
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_not_shared_at_all() {
    for (name, declared) in [("by its length", Some("5")), ("by its body", None)] {
        let (origin, mut calls) = Origin::by_hand();
        let service = cache(small()).layer().layer(origin);
        let asked = tokio::spawn(service.clone().oneshot(get("/a")));
        let call = calls.next().await;
        match declared {
            Some(length) => {
                let head = Response::builder()
                    .header("content-length", length)
                    .body(());
                call.stream_as(head.expect("a head")).send("large");
            }
            None => call.answer("large"),
        }
        let response = asked.await.expect("no panic").expect("it answers");
        assert_eq!(
            status(&response),
            "tagcache; fwd=uri-miss; detail=too-large",
            "{name}"
        );
        assert_eq!(text(response).await, "large");
    }
}

#[tokio::test]
async fn a_body_of_countless_crumbs_is_not_stored() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let asked = tokio::spawn(service.clone().oneshot(get("/a")));
    let stream = calls.next().await.stream();
    let crumbs = 64 * 1024 + 1;
    for _ in 0..crumbs {
        stream.send("x");
    }
    drop(stream);
    let response = asked.await.expect("no panic").expect("it answers");
    assert_eq!(text(response).await.len(), crumbs);
    settle().await;
    let again = tokio::spawn(service.oneshot(get("/a")));
    calls.next().await.answer("again");
    assert!(!is_hit(
        &again.await.expect("no panic").expect("it answers")
    ));
}

/// A leader and a follower of a body that has outgrown its limit, which both have begun to read.
async fn two_readers(
    rule: Rule,
) -> (
    Stream,
    [Response<tower_tagcache::CacheBody<tagcache_test_support::Body>>; 2],
) {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule).layer().layer(origin);
    let asked = [0; 2].map(|_| tokio::spawn(service.clone().oneshot(get("/a"))));
    let call = calls.next().await;
    settle().await;
    let stream = call.stream();
    let [leader, follower] =
        asked.map(|asked| async { asked.await.expect("no panic").expect("it answers") });
    let readers = [leader.await, follower.await];
    stream.send(chunk());
    settle().await;
    (stream, readers)
}

#[tokio::test(start_paused = true)]
async fn safety_56_a_reader_that_stands_still_is_cut_off_when_it_holds_up_another() {
    let (stream, [stuck, mut reads]) = two_readers(small()).await;
    for _ in 0..3 {
        stream.send(chunk());
    }
    drop(stream);
    let mut read = 0;
    while let Some(frame) = reads.frame().await {
        read += frame
            .expect("it is not cut off")
            .into_data()
            .expect("data")
            .len();
    }
    assert_eq!(read, 4 * WINDOW);
    try_text(stuck).await.expect_err("not the whole body");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_holds_up_nobody_may_take_its_time() {
    let (stream, [other, alone]) = two_readers(small()).await;
    drop(other);
    stream.send(chunk());
    stream.send(chunk());
    drop(stream);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(text(alone).await.len(), 3 * WINDOW);
}

#[tokio::test]
async fn safety_55_the_inner_body_is_read_no_faster_than_the_slowest_reads() {
    let (stream, readers) = two_readers(small()).await;
    for _ in 0..100 {
        stream.send(chunk());
        settle().await;
    }
    // Nobody reads: what the inner body has stays in the inner body.
    let left: usize = stream.unread();
    assert!(left >= 98, "{left} of 100 chunks were not taken");
    drop(readers);
    settle().await;
    assert!(stream.is_dropped(), "nobody reads any more");
}

#[tokio::test]
async fn the_inner_body_is_dropped_when_its_last_reader_leaves_though_it_has_nothing_to_say() {
    let (stream, [mut leader, mut follower]) = two_readers(small()).await;
    leader.frame().await.expect("a frame").expect("no error");
    follower.frame().await.expect("a frame").expect("no error");
    settle().await;
    drop(leader);
    settle().await;
    assert!(!stream.is_dropped());
    drop(follower);
    settle().await;
    assert!(stream.is_dropped());
}

#[tokio::test]
async fn safety_25_a_large_body_that_breaks_off_breaks_off_for_all() {
    let (stream, readers) = two_readers(small()).await;
    stream.break_off("connection reset");
    let [leader, follower] = readers;
    let (leader, follower) = tokio::join!(try_text(leader), try_text(follower));
    for read in [leader, follower] {
        assert_eq!(read.expect_err("it broke off"), "connection reset");
    }
}

#[tokio::test]
async fn who_waits_for_tags_from_the_body_goes_on_when_it_is_too_large() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(small().tag("item:{/id}")).layer().layer(origin);
    let leader = tokio::spawn(service.clone().oneshot(get("/a")));
    let call = calls.next().await;
    let follower = tokio::spawn(service.clone().oneshot(get("/a")));
    settle().await;
    let stream = call.stream();
    stream.send("{\"id\":");
    // The body does not end, and cannot be stored any more.
    calls.next().await.answer("{}");
    assert_eq!(
        text(follower.await.expect("no panic").expect("it answers")).await,
        "{}"
    );
    drop(stream);
    assert_eq!(
        text(leader.await.expect("no panic").expect("it answers")).await,
        "{\"id\":"
    );
}
