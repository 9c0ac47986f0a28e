//! Leaders that go away, panic, fail or hang: nobody else is harmed (SAFETY 51, 52).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tagcache_test_support::{Call, Origin, Stream};
use tokio::time::Instant;
use tokio_test::task;
use tower::{Layer, ServiceExt, service_fn};

use crate::{cache, get, is_hit, rule, settle, text};

/// What the inner service does while a test polls the leader, one step at a time.
enum Script {
    Waiting(Box<Call>),
    Streaming(Stream, usize),
    Over,
}

impl Script {
    fn step(self) -> Self {
        match self {
            Self::Waiting(call) => Self::Streaming(call.stream(), 0),
            Self::Streaming(stream, 3) => {
                drop(stream);
                Self::Over
            }
            Self::Streaming(stream, sent) => {
                stream.send(["a", "b", "c"][sent]);
                Self::Streaming(stream, sent + 1)
            }
            Self::Over => Self::Over,
        }
    }
}

/// Drops the leader after `polls` polls, the inner service being `lead` steps ahead of them. Returns
/// whether it had finished before.
async fn drop_leader_after(polls: usize, ahead: usize) -> bool {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let whole = || {
        let asked = service.clone().oneshot(get("/a"));
        async move { text(asked.await.expect("it answers")).await }
    };
    let mut leader = task::spawn(whole());
    let mut finished = false;
    let mut left = polls;
    if left > 0 {
        finished = leader.poll().is_ready();
        left -= 1;
    }
    let mut follower = task::spawn(whole());
    assert!(follower.poll().is_pending());
    let mut script = Script::Waiting(Box::new(calls.next().await));
    for _ in 0..ahead {
        script = script.step();
    }
    while left > 0 && !finished {
        settle().await;
        finished = leader.poll().is_ready();
        left -= 1;
        script = script.step();
    }
    drop(leader);
    settle().await;
    while !matches!(script, Script::Over) {
        script = script.step();
        settle().await;
    }
    let name = format!("after {polls} polls, {ahead} steps ahead");
    assert!(follower.is_woken(), "{name}");
    assert_eq!(follower.await, "abc", "{name}");
    let hit = service.oneshot(get("/a")).await.expect("it answers");
    assert!(is_hit(&hit), "{name}");
    assert_eq!(text(hit).await, "abc", "{name}");
    assert!(calls.are_over().await, "{name}: one call served all");
    finished
}

#[tokio::test]
async fn safety_51_wherever_the_leader_is_dropped_the_fill_goes_on() {
    for ahead in 0..4 {
        let mut polls = 0;
        while !drop_leader_after(polls, ahead).await {
            polls += 1;
        }
        assert!(polls > 1, "it was dropped while it waited, too");
    }
}

#[tokio::test]
async fn safety_52_a_panic_is_the_caller_s_own_and_followers_forward() {
    let calls = Arc::new(AtomicUsize::new(0));
    let begun = Arc::new(tokio::sync::Notify::new());
    let inner = {
        let (calls, begun) = (Arc::clone(&calls), Arc::clone(&begun));
        service_fn(move |_: Request<Empty<Bytes>>| {
            let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            let begun = Arc::clone(&begun);
            async move {
                if first {
                    begun.notified().await;
                    panic!("a bug in the handler");
                }
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("fine")))
            }
        })
    };
    let service = cache(rule()).layer().layer(inner);
    let ask = || tokio::spawn(service.clone().oneshot(get("/a")));
    let leader = ask();
    settle().await;
    let followers = [ask(), ask(), ask()];
    settle().await;
    begun.notify_one();

    let panic = leader
        .await
        .expect_err("the one who called it")
        .into_panic();
    assert_eq!(panic.downcast_ref(), Some(&"a bug in the handler"));
    for follower in followers {
        let response = follower.await.expect("no panic").expect("it answers");
        assert_eq!(text(response).await, "fine");
    }
    assert_eq!(
        calls.load(Ordering::SeqCst),
        2,
        "the followers share one call again"
    );
}

#[tokio::test(start_paused = true)]
async fn safety_52_followers_of_an_inner_service_that_never_answers_go_on_together() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let begun = Instant::now();
    let ask = || tokio::spawn(service.clone().oneshot(get("/a")));
    let leader = ask();
    let hangs = calls.next().await;
    let followers = [ask(), ask(), ask()];
    calls.next().await.answer("late");
    for follower in followers {
        let response = follower.await.expect("no panic").expect("it answers");
        assert_eq!(text(response).await, "late");
    }
    assert_eq!(begun.elapsed().as_secs(), 30);
    // The one who asked first waits on, as it would without a cache.
    assert!(!hangs.is_given_up() && !leader.is_finished());
    hangs.answer("at last");
    assert_eq!(
        text(leader.await.expect("no panic").expect("it answers")).await,
        "at last"
    );
    assert!(calls.are_over().await, "one more call for all of them");
}

/// Asks `n` times at once for what takes `time`; how many calls that made.
async fn herd(n: usize, time: Duration) -> usize {
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = {
        let calls = Arc::clone(&calls);
        service_fn(move |_: Request<Empty<Bytes>>| {
            calls.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(time).await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("slow")))
            }
        })
    };
    let service = cache(rule()).layer().layer(inner);
    let begun = Instant::now();
    let ask = || {
        let asked = service.clone().oneshot(get("/a"));
        tokio::spawn(async move {
            assert_eq!(text(asked.await.expect("it answers")).await, "slow");
            begun.elapsed()
        })
    };
    let asked: Vec<_> = (0..n).map(|_| ask()).collect();
    let mut waited = Vec::new();
    for asked in asked {
        waited.push(asked.await.expect("no panic"));
    }
    let calls = calls.load(Ordering::SeqCst);
    let soon = time + Duration::from_millis(1);
    let on_time = waited.iter().filter(|waited| **waited <= soon).count();
    assert_eq!(on_time, n, "the first that answers answers all");
    calls
}

#[tokio::test(start_paused = true)]
async fn safety_91_an_answer_that_takes_too_long_costs_one_call_more_and_not_one_for_each_client() {
    assert_eq!(herd(500, Duration::from_secs(9)).await, 1);
    assert_eq!(herd(500, Duration::from_secs(12)).await, 1);
    assert_eq!(herd(500, Duration::from_secs(25)).await, 1);
    assert_eq!(herd(500, Duration::from_secs(35)).await, 2);
    assert_eq!(herd(500, Duration::from_secs(70)).await, 3);
    assert_eq!(
        herd(500, Duration::from_secs(600)).await,
        4,
        "no more than that"
    );
}

#[tokio::test(start_paused = true)]
async fn safety_91_a_failed_flight_has_one_successor_and_a_second_failure_is_everybody_s() {
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = {
        let calls = Arc::clone(&calls);
        service_fn(move |_: Request<Empty<Bytes>>| {
            calls.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_secs(36)).await;
                Err::<Response<Full<Bytes>>, _>("down")
            }
        })
    };
    let service = cache(rule()).layer().layer(inner);
    let begun = Instant::now();
    let asked: Vec<_> = (0..101)
        .map(|_| tokio::spawn(service.clone().oneshot(get("/a"))))
        .collect();
    let (mut errors, mut told) = (0, 0);
    for asked in asked {
        match asked.await.expect("no panic") {
            Err(error) => errors += usize::from(error == "down"),
            Ok(response) => {
                assert_eq!(response.status(), http::StatusCode::BAD_GATEWAY);
                let how = response.headers()["cache-status"].to_str().expect("text");
                assert!(how.contains("collapsed-failed"), "{how}");
                told += 1;
            }
        }
    }
    // The first at 0 s; the second at 30 s, as that takes too long, and the third at 60 s. The first fails at
    // 36 s, the second at 66 s: that is enough for who waited for both.
    assert_eq!((calls.load(Ordering::SeqCst), errors, told), (3, 3, 98));
    assert_eq!(begun.elapsed().as_secs(), 96);
}

#[tokio::test(start_paused = true)]
async fn a_failing_inner_service_does_not_answer_its_clients_one_after_the_other() {
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = {
        let calls = Arc::clone(&calls);
        service_fn(move |_: Request<Empty<Bytes>>| {
            calls.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err::<Response<Full<Bytes>>, _>("down")
            }
        })
    };
    let service = cache(rule()).layer().layer(inner);
    let begun = Instant::now();
    let asked: Vec<_> = (0..101)
        .map(|_| tokio::spawn(service.clone().oneshot(get("/a"))))
        .collect();
    let mut errors = 0;
    for asked in asked {
        errors += usize::from(asked.await.expect("no panic").is_err());
    }
    // Together, then together once more.
    assert_eq!((begun.elapsed().as_secs(), errors), (2, 2));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

/// Purges that come one upon the other end each flight under those that joined it, but not one that began
/// after they had come (PROTOCOL 20).
#[tokio::test]
async fn safety_91_purges_one_upon_the_other_cost_one_call_more_and_not_one_for_each_client() {
    let (origin, mut calls) = Origin::by_hand();
    let cache = cache(rule().tag("x"));
    let service = cache.layer().layer(origin);
    let ask = || tokio::spawn(service.clone().oneshot(get("/a")));
    let leader = ask();
    let first = calls.next().await;
    cache.purger().tag("x").await.expect("purged");
    let late: Vec<_> = (0..50).map(|_| ask()).collect();
    let second = calls.next().await;
    settle().await;
    cache.purger().tag("x").await.expect("purged");
    first.answer("one");
    second.answer("two");
    // It began with the first of them, before the others had come: they make one more, which the next purge
    // does not take from them.
    let third = calls.next().await;
    settle().await;
    cache.purger().tag("x").await.expect("purged");
    third.answer("three");
    let text_of = async |asked: tokio::task::JoinHandle<Result<_, _>>| {
        text(asked.await.expect("no panic").expect("it answers")).await
    };
    assert_eq!(text_of(leader).await, "one");
    let mut answers = Vec::new();
    for late in late {
        answers.push(text_of(late).await);
    }
    answers.sort_unstable();
    assert_eq!(answers.iter().filter(|got| *got == "three").count(), 49);
    assert_eq!(answers.last().map(String::as_str), Some("two"));
    assert!(calls.are_over().await);
    // Who comes after the purge gets none of them.
    let later = ask();
    calls.next().await.answer("four");
    assert_eq!(text_of(later).await, "four");
}
