//! Reads of the purge log's tip, each for all requests that had come before it was sent.
//!
//! A strict hit on a copy in this process needs nothing of the shared store but the tip of the log, read
//! after the request arrived (PROTOCOL 19). So one read is under way at a time; who comes meanwhile waits
//! for the next, which is sent when that one has ended `[tip_fresh]`. Many requests then cost one command.
//!
//! Reads are made in a task that belongs to none of them. It ends when nobody waits for another; each read
//! ends within the store's read budget, and the follower's. One that is not answered in time is sent again, a
//! few times: a server that is slow for a moment must not make all who wait forward what they could have had
//! (SAFETY 91). When one fails, those who wait behind it are told at once: nobody waits for two.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::error::{Error, ErrorKind};
use crate::log::{Follower, Tip, View};
use crate::observe::{Notice, SharedObserver};
use crate::outcome::Detail;
use crate::store::Store;
use crate::sync::{Mutex, owned};
use crate::weaken::{ProtocolRule, weakened};

/// How long a request waits for the task, which may be on a runtime that is held up. No more than a last
/// resort: reads have bounds of their own, and those count no time in which this process is late.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a read that is not answered in time is sent again where no heartbeats tell whether that is of
/// use.
const AGAIN: usize = 3;
/// How long, and how often, it is tried where they are answered: a heartbeat that is asked for by the first
/// failure tells within its own budget, or as late as this process is.
const DOUBT: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(5);

/// A tip of the log and a view that has reached it, or why there is none.
pub(crate) type SeenTip = Result<(Tip, Arc<View>), Detail>;

/// Cheap to clone; clones share their reads.
#[derive(Debug, Clone)]
pub(crate) struct Tips {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    follower: Arc<Follower>,
    observer: SharedObserver,
    /// Held for moments only.
    reads: Mutex<Reads>,
}

#[derive(Debug, Default)]
struct Reads {
    /// There is a task that makes them.
    at_work: bool,
    /// Under way.
    sent: Option<Arc<Read>>,
    /// To be sent when that has ended: who comes now may join it.
    next: Option<Arc<Read>>,
}

#[derive(Debug, Default)]
struct Read {
    seen: OnceLock<SeenTip>,
    done: Notify,
}

impl Read {
    fn end(&self, seen: SeenTip) {
        // The first end counts.
        let _ = self.seen.set(seen);
        self.done.notify_waiters();
    }

    async fn ended(&self) -> SeenTip {
        // Before the look, so that an end in between is not missed.
        let done = self.done.notified();
        if self.seen.get().is_none() {
            done.await;
        }
        let seen = self.seen.get().expect("ended reads have been seen");
        seen.clone()
    }
}

impl Tips {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        follower: &Arc<Follower>,
        observer: &SharedObserver,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store: Arc::clone(store),
                follower: Arc::clone(follower),
                observer: observer.clone(),
                reads: Mutex::default(),
            }),
        }
    }

    /// A tip that is read after this was called.
    ///
    /// # Errors
    /// Why there is none, within a few budgets of store and follower.
    pub(crate) async fn read(&self) -> SeenTip {
        let read = self.join();
        match timeout(PATIENCE, read.ended()).await {
            Ok(seen) => seen,
            Err(_) => {
                self.give_up(&read);
                Err(Detail::StoreTimeout)
            }
        }
    }

    /// The task does not get on, as when the runtime that it is on is held up. The next who comes starts
    /// another; should both run, each makes reads that nobody had joined when it sent them.
    fn give_up(&self, read: &Arc<Read>) {
        let mut reads = self.inner.reads.lock();
        let stuck = [&reads.sent, &reads.next].into_iter().flatten();
        if stuck.into_iter().any(|stuck| Arc::ptr_eq(stuck, read)) {
            *reads = Reads::default();
        }
    }

    fn join(&self) -> Arc<Read> {
        let mut reads = self.inner.reads.lock();
        if let Some(sent) = reads
            .sent
            .as_ref()
            .filter(|_| weakened(ProtocolRule::TipFresh))
        {
            return Arc::clone(sent);
        }
        let read = Arc::clone(reads.next.get_or_insert_default());
        if !reads.at_work {
            reads.at_work = true;
            drop(reads);
            let inner = Arc::clone(&self.inner);
            tokio::spawn(owned(Task { inner, over: false }.run()));
        }
        read
    }
}

/// Makes one read after another. Should the runtime end it early, it tells those who wait.
struct Task {
    inner: Arc<Inner>,
    over: bool,
}

impl Task {
    async fn run(mut self) {
        while let Some(read) = self.inner.begin() {
            let seen = self.inner.read().await;
            if let Err(detail) = seen {
                self.inner.fail_next(detail);
            }
            read.end(seen);
        }
        self.over = true;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let reads = std::mem::take(&mut *self.inner.reads.lock());
        for read in [reads.sent, reads.next].into_iter().flatten() {
            read.end(Err(Detail::StoreUnavailable));
        }
    }
}

impl Inner {
    /// The read to send now. `None`: nobody waits for one, and the next who does starts a task.
    fn begin(&self) -> Option<Arc<Read>> {
        let mut reads = self.reads.lock();
        reads.sent = reads.next.take();
        reads.at_work = reads.sent.is_some();
        reads.sent.clone()
    }

    async fn read(&self) -> SeenTip {
        let (begun, mut again) = (Instant::now(), 0);
        loop {
            let error = match self.store.get(&[]).await {
                Ok(found) => return Ok((found.tip, self.follower.reach(found.tip).await?)),
                Err(error) => error,
            };
            let in_doubt = matches!(error.kind(), ErrorKind::Timeout | ErrorKind::BreakerOpen);
            if in_doubt && self.follower.is_answered() && begun.elapsed() < DOUBT {
                sleep(PAUSE).await;
            } else if error.kind() == ErrorKind::Timeout && again < AGAIN {
                again += 1;
            } else {
                return Err(failed(&self.observer, &error));
            }
        }
    }

    fn fail_next(&self, detail: Detail) {
        if let Some(next) = self.reads.lock().next.take() {
            next.end(Err(detail));
        }
    }
}

/// Tells that the store failed; what that is to a lookup.
pub(crate) fn failed(observer: &SharedObserver, error: &Error) -> Detail {
    observer.notify(&Notice::StoreFailed {
        operation: "get",
        error,
    });
    match error.kind() {
        ErrorKind::Timeout => Detail::StoreTimeout,
        ErrorKind::BreakerOpen => Detail::BreakerOpen,
        _ => Detail::StoreUnavailable,
    }
}

#[cfg(test)]
mod tests;
