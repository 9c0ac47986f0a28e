//! SAFETY 51–53, 60: leaders that vanish, inner services that panic or hang, private answers, floods.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tagcache_test_support::{
    Answer, Failure, Origin, OriginResult, Site, get, ok, response, rule, secs, settle,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::bodies::{Counted, fed};

/// Gives way to other tasks `times` times.
async fn pause(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// Takes its time before the head and between the pieces of the body.
fn hesitant() -> Origin {
    Origin::with(|asked, _| async move {
        pause(3).await;
        let (feed, body) = fed();
        tokio::spawn(async move {
            for piece in ["a ", "slow ", "page"] {
                pause(2).await;
                feed.data(piece);
            }
            pause(2).await;
        });
        OriginResult::Ok(response(
            200,
            &[("x-number", &*asked.number.to_string())],
            body,
        ))
    })
}

/// Polls `future` at most `times` times, giving way in between; `None` if it was dropped unfinished.
async fn abort_after<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..times {
        let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        pause(1).await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn safety_51_a_leader_that_goes_away_at_any_await_strands_nobody() {
    let mut points = 0;
    for polls in 0.. {
        let began = Instant::now();
        let origin = hesitant();
        let site = Site::new(rule(), &origin);
        let leader = site.clone();
        let leader =
            tokio::spawn(async move { abort_after(leader.fetch(get("/a", &[])), polls).await });
        let followers: Vec<_> = (0..3)
            .map(|_| {
                let site = site.clone();
                tokio::spawn(async move { site.get("/a").await })
            })
            .collect();
        for follower in followers {
            let reply = follower.await.expect("a reply");
            assert_eq!(
                reply.text(),
                "a slow page",
                "the leader left after {polls} polls"
            );
        }
        assert_eq!(
            origin.calls(),
            1,
            "one call, whether the leader left after {polls} polls or not"
        );
        assert_eq!(began.elapsed(), secs(0), "nobody waited for a time limit");
        assert!(
            site.get("/a").await.is_hit(),
            "stored, though the leader left after {polls} polls"
        );
        points = polls;
        if leader.await.expect("no panic").is_some() {
            break;
        }
    }
    assert!(points >= 10, "only {points} await points were tried");
}

#[tokio::test(start_paused = true)]
async fn safety_51_a_leader_alone_that_goes_away_leaves_a_stored_response() {
    for polls in 1..20 {
        let origin = hesitant();
        let site = Site::new(rule(), &origin);
        abort_after(site.fetch(get("/a", &[])), polls).await;
        // As long as it takes; nobody waits.
        pause(200).await;
        assert!(site.get("/a").await.is_hit(), "left after {polls} polls");
        assert_eq!(origin.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn safety_51_a_follower_that_goes_away_disturbs_nobody() {
    for polls in 0..20 {
        let origin = hesitant();
        let site = Site::new(rule(), &origin);
        let leader = site.clone();
        let leader = tokio::spawn(async move { leader.get("/a").await });
        pause(1).await;
        abort_after(site.fetch(get("/a", &[])), polls).await;
        assert_eq!(
            leader.await.expect("a reply").text(),
            "a slow page",
            "{polls} polls"
        );
        assert_eq!(origin.calls(), 1);
    }
}

/// Panics or fails for the first `bad` calls, after a moment.
fn bad_at_first(bad: usize, panics: bool) -> Origin {
    Origin::with(move |asked, _| async move {
        pause(3).await;
        if asked.number > bad {
            return Ok(ok(&[], "page"));
        }
        assert!(!panics, "the inner service panics");
        Err(Failure("down"))
    })
}

#[tokio::test(start_paused = true)]
async fn safety_52_a_panic_reaches_the_one_who_asked_and_strands_nobody() {
    for panics in [true, false] {
        let began = Instant::now();
        let origin = bad_at_first(1, panics);
        let site = Site::new(rule(), &origin);
        let asking: Vec<_> = (0..10)
            .map(|_| {
                let site = site.clone();
                tokio::spawn(async move { site.fetch(get("/a", &[])).await })
            })
            .collect();
        let mut failed = 0;
        for (number, asked) in asking.into_iter().enumerate() {
            match asked.await {
                Ok(Ok(reply)) => assert_eq!(reply.text(), "page"),
                failure => {
                    assert_eq!((number, failure.is_err()), (0, panics), "{failure:?}");
                    failed += 1;
                }
            }
        }
        assert_eq!((failed, origin.calls()), (1, 2), "panics: {panics}");
        assert_eq!(began.elapsed(), secs(0), "nobody waited for a time limit");
    }
}

#[tokio::test(start_paused = true)]
async fn safety_52_when_every_call_fails_everybody_is_told_and_not_one_after_the_other() {
    for panics in [true, false] {
        let began = Instant::now();
        let origin = bad_at_first(usize::MAX, panics);
        let site = Site::new(rule(), &origin);
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let site = site.clone();
                tokio::spawn(async move { site.fetch(get("/a", &[])).await })
            })
            .collect();
        for asked in asking {
            // The error is for those who called; the others are told by a status.
            let failed = |reply: Result<Answer, _>| {
                reply.map_or(true, |reply| reply.status == http::StatusCode::BAD_GATEWAY)
            };
            let failed = asked.await.map_or(true, failed);
            assert!(failed, "panics: {panics}");
        }
        assert_eq!(
            origin.calls(),
            2,
            "safety_91: together, then together once more"
        );
        assert_eq!(began.elapsed(), secs(0), "nobody waited for a time limit");
    }
}

#[tokio::test(start_paused = true)]
async fn safety_52_a_body_that_panics_breaks_off_for_its_readers() {
    struct Panics(bool);
    impl http_body::Body for Panics {
        type Data = bytes::Bytes;
        type Error = Failure;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Failure>>> {
            assert!(!self.0, "the body panics");
            self.0 = true;
            Poll::Ready(Some(Ok(http_body::Frame::data("a ".into()))))
        }
    }
    let origin = Origin::answering(|asked| match asked.number {
        1 => response(
            200,
            &[],
            http_body_util::BodyExt::boxed_unsync(Panics(false)),
        ),
        _ => ok(&[], "page"),
    });
    let site = Site::new(rule(), &origin);
    let broken = site.fetch(get("/a", &[])).await;
    assert!(broken.is_err(), "{broken:?}");
    assert_eq!(site.get("/a").await.text(), "page");
}

/// Counts itself as long as it lives.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn safety_52_an_inner_service_that_never_answers_holds_up_its_own_client_only() {
    let calls = Arc::new(AtomicUsize::new(0));
    let alive = Arc::clone(&calls);
    let origin = Origin::with(move |asked, _| {
        let alive = Alive::new(&alive);
        async move {
            if asked.number == 1 {
                std::future::pending::<()>().await;
            }
            drop(alive);
            OriginResult::Ok(ok(&[], "page"))
        }
    });
    let site = Site::new(rule(), &origin);
    let hung = site.clone();
    let hung = tokio::spawn(async move { hung.get("/a").await });
    settle().await;
    let began = Instant::now();
    let reply = site.get("/a").await;
    assert_eq!(reply.text(), "page");
    assert!(
        began.elapsed() <= secs(30),
        "its wait is bounded: {:?}",
        began.elapsed()
    );
    assert!(!hung.is_finished(), "without a cache it would wait as well");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    hung.abort();
    settle().await;
    tokio::time::advance(secs(130)).await;
    settle().await;
    assert_eq!(
        calls.load(Ordering::SeqCst),
        0,
        "nobody waits for it any more: it is dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn safety_53_private_answers_are_not_given_one_after_the_other() {
    const CLIENTS: usize = 1_000;
    let open = Arc::new(Semaphore::new(0));
    let (inside, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let origin = {
        let (open, inside, most) = (Arc::clone(&open), Arc::clone(&inside), Arc::clone(&most));
        Origin::with(move |asked, _| {
            let (open, inside, most) = (Arc::clone(&open), Arc::clone(&inside), Arc::clone(&most));
            async move {
                let alive = Alive::new(&inside);
                most.fetch_max(inside.load(Ordering::SeqCst), Ordering::SeqCst);
                open.acquire().await.expect("open").forget();
                drop(alive);
                OriginResult::Ok(ok(
                    &[("cache-control", "private")],
                    asked.number.to_string(),
                ))
            }
        })
    };
    let site = Site::new(rule(), &origin);
    let began = Instant::now();
    for (round, released_first) in [(0, 1), (1, 0)] {
        let asking: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let site = site.clone();
                tokio::spawn(async move { site.fetch(get("/a", &[])).await })
            })
            .collect();
        settle().await;
        // Nobody knows at first that it is private: one answer tells them all.
        open.add_permits(released_first);
        settle().await;
        let waiting = CLIENTS - released_first;
        assert_eq!(
            inside.load(Ordering::SeqCst),
            waiting,
            "at once, in round {round}"
        );
        open.add_permits(waiting);
        let mut answers = std::collections::HashSet::new();
        for asked in asking {
            let reply: Answer = asked.await.expect("a reply").expect("a body");
            assert!(
                answers.insert(reply.text().to_owned()),
                "nobody got another's answer"
            );
        }
    }
    assert_eq!(most.load(Ordering::SeqCst), CLIENTS);
    assert_eq!(began.elapsed(), secs(0), "nobody waited for a time limit");
}

#[tokio::test]
async fn safety_60_a_flood_of_distinct_urls_stays_within_the_bytes_of_the_store() {
    const BODY: usize = 1 << 20;
    const BOUND: usize = 64 << 20;
    let alive = Arc::<AtomicUsize>::default();
    let page: &'static [u8] = vec![7; BODY].leak();
    let origin = {
        let alive = Arc::clone(&alive);
        Origin::answering(move |_| ok(&[], bytes::Bytes::from_owner(Counted::of(page, &alive))))
    };
    let site = Site::new(rule(), &origin);
    for number in 0..300 {
        site.get(&format!("/a?{number}")).await;
        let held = alive.load(Ordering::SeqCst);
        assert!(held <= BOUND, "{held} bytes after {number} requests");
    }
    let held = alive.load(Ordering::SeqCst);
    assert!(held >= BOUND / 2, "it does store: {held}");
}

#[tokio::test]
async fn safety_60_fields_count_as_bodies_do() {
    const COUNT: usize = 600;
    const FIELD: usize = 200_000;
    let value = http::HeaderValue::from_bytes(&[b'y'; FIELD]).expect("a value");
    let origin = Origin::answering(move |_| {
        let mut response = ok(&[], "x");
        response.headers_mut().insert("x-long", value.clone());
        response
    });
    let site = Site::new(rule(), &origin);
    for number in 0..COUNT {
        site.get(&format!("/a?{number}")).await;
    }
    let mut hits = 0;
    for number in (0..COUNT).rev() {
        hits += usize::from(site.get(&format!("/a?{number}")).await.is_hit());
    }
    assert!(
        hits > 0 && hits * FIELD <= 64 << 20,
        "{hits} of {COUNT} are still there"
    );
}
