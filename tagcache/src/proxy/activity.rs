//! What a client's connection is doing, and how long it may.
//!
//! One timer for each connection, and no work on it for each request: what happens notes the time, and
//! the timer, when it is due, looks whether it still is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::proxy::Timeouts;

/// Shared by a connection, its stream and its bodies. All of it is advice to the timer, which looks
/// again: no order between the fields is relied upon.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// What the clock said in this poll of the connection, so that each poll reads it once at most:
    /// [`NOT_READ`], or [`BETWEEN`] polls, where it is read each time.
    read: AtomicU64,
    limits: Limits,
    /// HTTP/2 reads more than requests, so that reading begins none.
    streams: AtomicBool,
    /// Requests that are not answered to the end.
    in_hand: AtomicUsize,
    /// Those of them that are answered with live updates, which have no end that the client could wait for.
    listening: AtomicUsize,
    /// A part of a request's head has been read.
    in_head: AtomicBool,
    /// When the head or the idle time began, in milliseconds after `start`.
    since: AtomicU64,
    /// When writing came to a halt, plus one; 0 if it has not.
    stalled: AtomicU64,
    /// Of the requests in hand those that wait for upstream, which has limits of its own. The client
    /// is to take the others' answers.
    waiting: AtomicUsize,
    /// When a part of any answer was last taken. HTTP/2 has a window for each stream: a client that
    /// opens none of them stalls no write.
    taken: AtomicU64,
    /// Request bodies that are being read: what ends then is cut short.
    reading: AtomicUsize,
    /// Those of them that wait for the client.
    starving: AtomicUsize,
    /// When the client ended its side while its requests were in hand, plus one; 0 if it has not.
    ended: AtomicU64,
    /// That end is shown although they are not answered.
    given_up: AtomicBool,
    /// Who is to see that end once they are answered.
    reader: Mutex<Option<Waker>>,
}

/// How long a client that has ended its side is waited with for the beginning of an answer: it may have gone,
/// and then others want what is held for it (SAFETY 72).
const ENDED: u64 = 5_000;

const NOT_READ: u64 = u64::MAX;
const BETWEEN: u64 = u64::MAX - 1;

#[derive(Debug, Clone, Copy)]
struct Limits {
    head: u64,
    idle: u64,
    write: u64,
}

/// A request's body is being read.
#[derive(Debug)]
pub(super) struct Reading {
    activity: Arc<Activity>,
    starves: bool,
}

impl Reading {
    /// Whether more of the body is waited for.
    pub(super) fn starves(&mut self, starves: bool) {
        if starves != self.starves {
            self.starves = starves;
            match starves {
                true => self.activity.starving.fetch_add(1, SeqCst),
                false => self.activity.starving.fetch_sub(1, SeqCst),
            };
        }
    }
}

/// What becomes of the end of what a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It waits for no answer, or nobody waits for it any more.
    Shown,
    /// It waits for answers, and has sent all of its requests.
    Kept,
    /// A body that has been read is not yet taken by who it is for.
    Later,
    /// More of a body is waited for: it was cut off, if what was read has been handed on.
    Starved,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.starves(false);
        self.activity.reading.fetch_sub(1, SeqCst);
    }
}

/// What the timer finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is due before then.
    Until(Instant),
    /// No request has come for long enough.
    Idle,
    /// The client is too slow to ask, or to take the answer.
    TooSlow,
}

impl Activity {
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        let limits = Limits {
            head: millis(timeouts.client_head),
            idle: millis(timeouts.client_idle),
            write: millis(timeouts.client_write),
        };
        Self {
            start: Instant::now(),
            read: AtomicU64::new(BETWEEN),
            limits,
            streams: AtomicBool::new(false),
            in_hand: AtomicUsize::new(0),
            listening: AtomicUsize::new(0),
            // Whoever connects means to ask.
            in_head: AtomicBool::new(true),
            since: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            reading: AtomicUsize::new(0),
            starving: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            given_up: AtomicBool::new(false),
            reader: Mutex::new(None),
        }
    }

    /// The connection is one of HTTP/2.
    pub(super) fn has_streams(&self) {
        self.streams.store(true, Relaxed);
    }

    /// Does `work`, one poll of the connection, in which time stands still.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.read.store(NOT_READ, Relaxed);
        let result = work();
        self.read.store(BETWEEN, Relaxed);
        result
    }

    /// Milliseconds after `start`.
    fn now(&self) -> u64 {
        let read = self.read.load(Relaxed);
        if read < BETWEEN {
            return read;
        }
        let now = millis(self.start.elapsed());
        if read == NOT_READ {
            // Unless the poll has ended, which another thread may not have seen yet.
            let _ = self.read.compare_exchange(NOT_READ, now, Relaxed, Relaxed);
        }
        now
    }

    /// Bytes have been read.
    pub(super) fn heard(&self) {
        if self.in_hand.load(Relaxed) == 0
            && !self.in_head.load(Relaxed)
            && !self.streams.load(Relaxed)
        {
            self.since.store(self.now(), Relaxed);
            self.in_head.store(true, Relaxed);
        }
    }

    /// Whether what was to be written was taken.
    pub(super) fn wrote(&self, taken: bool) {
        let stalled = self.stalled.load(Relaxed);
        if taken && stalled != 0 {
            self.stalled.store(0, Relaxed);
        } else if !taken && stalled == 0 {
            self.stalled.store(self.now() + 1, Relaxed);
        }
    }

    /// An answer, or more of it, is waited for.
    pub(super) fn wait(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// It is there, or nobody waits any more.
    pub(super) fn waited(&self) {
        self.taken.store(self.now(), Relaxed);
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// A part of an answer was taken.
    pub(super) fn took(&self) {
        self.taken.store(self.now(), Relaxed);
    }

    /// A request's head is complete.
    pub(super) fn begin(&self) {
        self.in_head.store(false, Relaxed);
        self.in_hand.fetch_add(1, Relaxed);
    }

    /// A response is complete, or given up, be it while it `waited`.
    pub(super) fn end(&self, waited: bool) {
        let now = self.now();
        self.taken.store(now, Relaxed);
        self.since.store(now, Relaxed);
        if waited {
            self.waiting.fetch_sub(1, Relaxed);
        }
        self.in_hand.fetch_sub(1, SeqCst);
        self.settle_end();
    }

    /// A request in hand is answered with live updates.
    pub(super) fn listen(&self) {
        self.listening.fetch_add(1, SeqCst);
        self.settle_end();
    }

    /// It is so no more, which it was until it [ends](Self::end).
    pub(super) fn listened(&self) {
        self.listening.fetch_sub(1, SeqCst);
    }

    /// Whether answers are waited for that come to an end.
    fn is_owed(&self) -> bool {
        self.in_hand.load(SeqCst) > self.listening.load(SeqCst)
    }

    /// Shows the end of what the client sends, if there was one and nothing is owed any more.
    fn settle_end(&self) {
        if self.ended.load(SeqCst) != 0 && !self.is_owed() {
            self.show_end();
        }
    }

    /// What the one who reads the client's stream is told of its end.
    pub(super) fn end_of_input(&self, cx: &Context<'_>) -> End {
        *self.reader.lock() = Some(cx.waker().clone());
        // Before the look, so that whoever answers the last one sees it.
        let ended = self.ended.load(SeqCst);
        if ended == 0 {
            self.ended.store(self.now() + 1, SeqCst);
        }
        if self.given_up.load(SeqCst) || !self.is_owed() {
            End::Shown
        } else if self.reading.load(SeqCst) == 0 {
            End::Kept
        } else if self.starving.load(SeqCst) == 0 {
            End::Later
        } else {
            End::Starved
        }
    }

    /// Whether the client has ended its side, and waits for the beginning of each answer.
    pub(super) fn may_have_gone(&self) -> bool {
        let in_hand = self.in_hand.load(Relaxed);
        self.ended.load(Relaxed) != 0 && in_hand > 0 && in_hand == self.waiting.load(Relaxed)
    }

    /// The places of its requests are wanted by others: it is taken for one that has gone.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, SeqCst);
        self.show_end();
    }

    fn show_end(&self) {
        if let Some(reader) = self.reader.lock().take() {
            reader.wake();
        }
    }

    /// A request's body is being read, until the answer is dropped.
    pub(super) fn read_body(self: &Arc<Self>) -> Reading {
        self.reading.fetch_add(1, SeqCst);
        Reading {
            activity: Arc::clone(self),
            starves: false,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let (now, limits) = (self.now(), self.limits);
        let stalled = self.stalled.load(Relaxed);
        let late = |since: u64, limit: u64| since.saturating_add(limit) <= now;
        let (since, limit) = (self.since.load(Relaxed), self.limit());
        if stalled != 0 && late(stalled - 1, limits.write) {
            return Verdict::TooSlow;
        }
        let in_hand = self.in_hand.load(Relaxed);
        let ended = self.ended.load(Relaxed);
        if self.may_have_gone() {
            // Since the last of an answer, if there was one.
            let since = (ended - 1).max(self.taken.load(Relaxed));
            return match late(since, ENDED) {
                true => Verdict::TooSlow,
                false => self.until(since.saturating_add(ENDED)),
            };
        }
        if in_hand > self.waiting.load(Relaxed) && late(self.taken.load(Relaxed), limits.write) {
            return Verdict::TooSlow;
        }
        if in_hand > 0 {
            // The client may end its side meanwhile.
            return self.until(now.saturating_add(limits.write.min(limit).min(ENDED)));
        }
        match late(since, limit) {
            true if self.in_head.load(Relaxed) => Verdict::TooSlow,
            true => Verdict::Idle,
            false => self.until(since.saturating_add(limit).min(now + limits.write)),
        }
    }

    fn limit(&self) -> u64 {
        match self.in_head.load(Relaxed) {
            true => self.limits.head,
            // A head may begin meanwhile, and its time may be the shorter one.
            false => self.limits.idle,
        }
    }

    fn until(&self, at: u64) -> Verdict {
        let soonest = self.now() + 1;
        let at = Duration::from_millis(at.max(soonest).min(self.now() + self.limits.head.max(1)));
        Verdict::Until(self.start + at)
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests;
