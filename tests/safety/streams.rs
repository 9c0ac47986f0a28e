//! SAFETY 54–56: streams, endless and huge bodies, slow readers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Response;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tagcache_test_support::{
    Answer, Body, Failure, Origin, Site, get, ok, response, rule, secs, settle,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower_tagcache::CacheBody;

use crate::bodies::{Counted, fed, is_silent, next_data};

const MIB: usize = 1 << 20;
/// The default body limit.
const LIMIT: usize = 2 * MIB;
/// What may be in memory of a body too large to store: what may be stored, what is kept ahead of the
/// slowest reader, and a piece in each hand. Far below the bodies used here.
const BOUND: usize = LIMIT + 6 * MIB;

/// A body of `left` pieces of 1 MiB, made when they are asked for once the gate lets it, that counts
/// what is in memory.
struct Pieces {
    gate: Option<BoxFuture<'static, ()>>,
    left: u64,
    declared: bool,
    alive: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
    page: &'static [u8],
}

impl Pieces {
    fn next(&mut self) -> Option<Bytes> {
        self.left = self.left.checked_sub(1)?;
        self.made.fetch_add(1, Ordering::SeqCst);
        Some(Bytes::from_owner(Counted::of(self.page, &self.alive)))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.poll_unpin(cx));
            self.gate = None;
        }
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.declared {
            SizeHint::with_exact(self.left * MIB as u64)
        } else {
            SizeHint::default()
        }
    }
}

/// Answers every request with so many MiB.
struct Huge {
    site: Site,
    gate: Arc<Semaphore>,
    alive: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl Huge {
    fn new(pieces: u64, declared: bool) -> Self {
        Self::opened(pieces, declared, Semaphore::MAX_PERMITS)
    }

    fn gated(pieces: u64) -> Self {
        Self::opened(pieces, false, 0)
    }

    fn opened(left: u64, declared: bool, calls: usize) -> Self {
        let gate = Arc::new(Semaphore::new(calls));
        let counts = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (alive, made) = counts.clone();
        let page: &'static [u8] = vec![7; MIB].leak();
        let opens = Arc::clone(&gate);
        let origin = Origin::answering(move |_| {
            let opens = Arc::clone(&opens);
            let opened = async move { opens.acquire().await.expect("open").forget() };
            let pieces = Pieces {
                gate: Some(opened.boxed()),
                left,
                declared,
                alive: Arc::clone(&alive),
                made: Arc::clone(&made),
                page,
            };
            response(200, &[], pieces.boxed_unsync())
        });
        Self {
            site: Site::new(rule(), &origin),
            gate,
            alive: counts.0,
            made: counts.1,
        }
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn safety_55_ten_gigabytes_pass_through_a_few_megabytes_of_memory() {
    const PIECES: u64 = 10 * 1024;
    for declared in [false, true] {
        let huge = Huge::new(PIECES, declared);
        let mut answer = huge.site.start(get("/a", &[])).await.expect("an answer");
        let (mut read, mut most) = (0, 0);
        while let Some(piece) = next_data(answer.body_mut()).await {
            read += piece.expect("whole").len();
            most = most.max(huge.alive());
        }
        assert_eq!(
            read as u64,
            PIECES * MIB as u64,
            "all of it, declared: {declared}"
        );
        assert!(
            most <= BOUND,
            "{most} bytes in memory, declared: {declared}"
        );
        drop(answer);
        settle().await;
        assert_eq!(huge.alive(), 0, "and none of it stored");
    }
}

#[tokio::test]
async fn safety_55_an_endless_body_ends_with_its_reader() {
    let huge = Huge::new(u64::MAX, false);
    let mut answer = huge.site.start(get("/a", &[])).await.expect("an answer");
    for _ in 0..100 {
        next_data(answer.body_mut())
            .await
            .expect("data")
            .expect("whole");
    }
    drop(answer);
    settle().await;
    let made = huge.made();
    settle().await;
    assert_eq!(
        (huge.made(), huge.alive()),
        (made, 0),
        "nobody reads, nobody writes"
    );
}

#[tokio::test]
async fn safety_55_who_comes_after_the_beginning_is_gone_has_a_call_of_its_own() {
    let huge = Huge::new(64, false);
    let mut first = huge.site.start(get("/a", &[])).await.expect("an answer");
    for _ in 0..10 {
        next_data(first.body_mut())
            .await
            .expect("data")
            .expect("whole");
    }
    let second = huge.site.start(get("/a", &[])).await.expect("an answer");
    let reading = Answer::read(second);
    let (rest, whole) = tokio::join!(Answer::read(first), reading);
    assert_eq!(rest.expect("the rest").body.len(), 54 * MIB);
    assert_eq!(whole.expect("the whole").body.len(), 64 * MIB);
    assert_eq!(huge.site.origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn safety_56_a_reader_that_stands_still_keeps_a_bounded_part_in_memory() {
    let huge = Huge::new(1024, false);
    let mut answer = huge.site.start(get("/a", &[])).await.expect("an answer");
    settle().await;
    let made = huge.made();
    assert!(made * MIB <= BOUND, "{made} pieces were asked for");
    tokio::time::advance(secs(3600)).await;
    settle().await;
    assert_eq!(huge.made(), made, "nothing more, however long it takes");
    // As without a cache: how long a client may take is for the server to say, not for a cache.
    let mut read = 0;
    while let Some(piece) = next_data(answer.body_mut()).await {
        read += piece.expect("a client that pauses is not cut off").len();
        tokio::time::advance(secs(60)).await;
    }
    assert_eq!(read, 1024 * MIB);
}

/// Two clients that share a call of 64 MiB: neither has read any of it.
async fn two_readers(huge: &Huge) -> [Response<CacheBody<Body>>; 2] {
    let ask = || async {
        let answer = huge.site.start(get("/a", &[])).await;
        answer.expect("an answer")
    };
    let readers = [ask().await, ask().await];
    huge.gate.add_permits(1);
    assert_eq!(huge.site.origin.calls(), 1, "they share a call");
    readers
}

#[tokio::test(start_paused = true)]
async fn safety_56_a_reader_that_stands_still_does_not_hold_up_others_for_ever() {
    let huge = Huge::gated(64);
    let [stuck, moving] = two_readers(&huge).await;
    let began = Instant::now();
    let whole = Answer::read(moving).await.expect("a whole body");
    assert_eq!(whole.body.len(), 64 * MIB);
    assert!(began.elapsed() <= secs(60), "{:?}", began.elapsed());
    assert!(
        Answer::read(stuck).await.is_err(),
        "it is told, not given half as a whole"
    );
}

#[tokio::test(start_paused = true)]
async fn safety_56_readers_that_both_pause_are_not_cut_off() {
    let huge = Huge::gated(64);
    let readers = two_readers(&huge).await;
    settle().await;
    tokio::time::advance(secs(3600)).await;
    settle().await;
    let [one, other] = readers.map(Answer::read);
    let (one, other) = tokio::join!(one, other);
    assert_eq!(one.expect("a whole body").body.len(), 64 * MIB);
    assert_eq!(other.expect("a whole body").body.len(), 64 * MIB);
}

#[tokio::test(start_paused = true)]
async fn safety_56_a_slow_reader_of_what_is_stored_holds_up_nobody() {
    let origin = Origin::answering(|_| ok(&[], vec![7; MIB]));
    let site = Site::new(rule(), &origin);
    let mut slow = site.start(get("/a", &[])).await.expect("an answer");
    settle().await;
    let began = Instant::now();
    assert!(
        site.get("/a").await.is_hit(),
        "stored, though the first has read nothing"
    );
    assert_eq!(began.elapsed(), secs(0));
    tokio::time::advance(secs(3600)).await;
    let piece = next_data(slow.body_mut())
        .await
        .expect("data")
        .expect("whole");
    assert_eq!(piece.len(), MIB);
}

#[tokio::test(start_paused = true)]
async fn safety_56_a_fill_that_nobody_reads_ends_within_its_limit() {
    let feeds = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let made = Arc::clone(&feeds);
    let origin = Origin::answering(move |_| {
        let (feed, body) = fed();
        made.lock().push(feed);
        response(200, &[], body)
    });
    let site = Site::new(rule(), &origin);
    drop(site.start(get("/a", &[])).await.expect("an answer"));
    let feed = feeds.lock()[0].clone();
    assert!(feed.data("it may still become whole"));
    settle().await;
    assert!(!feed.is_unread());
    tokio::time::advance(secs(130)).await;
    settle().await;
    assert!(feed.is_unread(), "the inner service is not asked for more");
    let mut next = site.start(get("/a", &[])).await.expect("an answer");
    assert_eq!(origin.calls(), 2, "and nobody waits for it");
    assert!(is_silent(next.body_mut()).await);
}

fn streaming(
    content_type: &'static str,
) -> (Site, Arc<parking_lot::Mutex<Vec<crate::bodies::Feed>>>) {
    let feeds = Arc::<parking_lot::Mutex<Vec<_>>>::default();
    let made = Arc::clone(&feeds);
    let origin = Origin::answering(move |_| {
        let (feed, body) = fed();
        made.lock().push(feed);
        response(200, &[("content-type", content_type)], body)
    });
    (Site::new(rule(), &origin), feeds)
}

#[tokio::test]
async fn safety_54_nothing_of_a_stream_is_held_back() {
    for content_type in [
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
        "multipart/x-mixed-replace; boundary=b",
        "application/x-ndjson",
        "application/octet-stream",
    ] {
        let (site, feeds) = streaming(content_type);
        let mut answer = site
            .start(get("/a", &[]))
            .await
            .expect("a head, before any byte");
        for event in ["1", "2", "3"] {
            assert!(is_silent(answer.body_mut()).await, "{content_type}");
            feeds.lock()[0].data(event);
            let piece = next_data(answer.body_mut())
                .await
                .expect("data")
                .expect("whole");
            assert_eq!(piece, event, "{content_type}");
        }
        feeds.lock().clear();
        assert!(
            next_data(answer.body_mut()).await.is_none(),
            "{content_type}: the end is one too"
        );
    }
}

#[tokio::test]
async fn safety_54_event_streams_are_neither_shared_nor_stored() {
    for content_type in ["text/event-stream", "multipart/x-mixed-replace; boundary=b"] {
        let (site, feeds) = streaming(content_type);
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(site.start(get("/a", &[])).await.expect("an answer"));
        }
        for (number, answer) in answers.iter_mut().enumerate() {
            feeds.lock()[number].data(number.to_string());
            let event = next_data(answer.body_mut())
                .await
                .expect("data")
                .expect("whole");
            assert_eq!(event, number.to_string(), "{content_type}");
            let told = answer.headers()["cache-status"].to_str().expect("text");
            assert!(told.ends_with("detail=endless"), "{told}");
        }
        drop(answers);
        settle().await;
        assert!(
            feeds.lock().iter().all(|feed| feed.is_unread()),
            "closed with its client"
        );
    }
}

#[tokio::test]
async fn safety_54_a_long_poll_is_answered_when_it_is() {
    let (site, feeds) = streaming("application/json");
    let mut polls = [get("/a", &[]), get("/b", &[])].map(|request| Box::pin(site.fetch(request)));
    for poll in &mut polls {
        assert!(poll.as_mut().now_or_never().is_none());
        settle().await;
        assert!(
            poll.as_mut().now_or_never().is_none(),
            "not before there is news"
        );
    }
    for feed in feeds.lock().drain(..) {
        feed.data("{}");
    }
    for poll in polls {
        assert_eq!(poll.await.expect("a reply").text(), "{}");
    }
}
