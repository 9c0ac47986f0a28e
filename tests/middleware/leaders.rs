//! Leaders that go away, panic, fail or hang: nobody else is harmed (SAFETY 51, 52).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tokio::time::Instant;
use tokio_test::task;
use tower::{Layer, ServiceExt, service_fn};

use crate::origin::{Call, Stream, origin};
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
    let (origin, mut calls) = origin();
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
async fn safety_52_followers_of_an_inner_service_that_never_answers_go_on_by_themselves() {
    let (origin, mut calls) = origin();
    let service = cache(rule()).layer().layer(origin);
    let begun = Instant::now();
    let ask = || tokio::spawn(service.clone().oneshot(get("/a")));
    let leader = ask();
    let hangs = calls.next().await;
    let followers = [ask(), ask()];
    for _ in 0..2 {
        calls.next().await.answer("late");
    }
    for follower in followers {
        let response = follower.await.expect("no panic").expect("it answers");
        assert_eq!(text(response).await, "late");
    }
    assert_eq!(begun.elapsed().as_secs(), 10);
    // The one who asked first waits on, as it would without a cache.
    assert!(!hangs.is_given_up() && !leader.is_finished());
    hangs.answer("at last");
    assert_eq!(
        text(leader.await.expect("no panic").expect("it answers")).await,
        "at last"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_others_no_longer_than_once() {
    // Each flight that it follows fails just before its patience ends.
    let (origin, mut calls) = origin();
    let service = cache(rule()).layer().layer(origin);
    let ask = || tokio::spawn(service.clone().oneshot(get("/a")));
    let leader = ask();
    let first = calls.next().await;
    let (second_leader, follower) = (ask(), ask());
    settle().await;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(9)).await;
    first.fail("down");
    let hangs = calls.next().await;
    let own = calls.next().await;
    assert_eq!(begun.elapsed().as_secs(), 10, "not nine and then ten more");
    own.answer("own");
    hangs.fail("down");
    leader.await.expect("no panic").expect_err("it failed");
    let mut answers = Vec::new();
    for asked in [second_leader, follower] {
        match asked.await.expect("no panic") {
            Ok(response) => answers.push(text(response).await),
            Err(error) => answers.push(error.to_string()),
        }
    }
    answers.sort_unstable();
    assert_eq!(answers, ["down", "own"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_inner_service_does_not_answer_its_clients_one_after_the_other() {
    let inner = service_fn(|_: Request<Empty<Bytes>>| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Err::<Response<Full<Bytes>>, _>("down")
    });
    let service = cache(rule()).layer().layer(inner);
    let begun = Instant::now();
    let asked: Vec<_> = (0..101)
        .map(|_| tokio::spawn(service.clone().oneshot(get("/a"))))
        .collect();
    for asked in asked {
        assert_eq!(
            asked.await.expect("no panic").expect_err("it is down"),
            "down"
        );
    }
    // Together, together once more, then each by itself.
    assert_eq!(begun.elapsed().as_secs(), 3);
}
