use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::*;
use crate::builder::Cache;
use crate::clock::ManualClock;
use crate::embedded::{EmbeddedLog, EmbeddedStore};
use crate::entry::Entry;
use crate::key::CacheKey;
use crate::store::StoreReply;

/// Answers one read for each permit, and refuses when there are none any more.
#[derive(Debug)]
struct Slow {
    store: EmbeddedStore,
    permits: Semaphore,
    reads: AtomicUsize,
    /// Reads that are not answered in time, before any other.
    late: AtomicUsize,
}

impl Store for Slow {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<StoreReply, Error>> {
        async move {
            self.reads.fetch_add(1, Ordering::SeqCst);
            let late = |left: usize| left.checked_sub(1);
            let order = Ordering::SeqCst;
            if self.late.fetch_update(order, order, late).is_ok() {
                return Err(Error::new(ErrorKind::Timeout, "late"));
            }
            match self.permits.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => return Err(Error::new(ErrorKind::Unavailable, "closed")),
            }
            self.store.get(keys).await
        }
        .boxed()
    }

    fn put<'a>(
        &'a self,
        _: &'a CacheKey,
        _: Entry,
        _: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }

    fn remove<'a>(&'a self, _: &'a CacheKey) -> BoxFuture<'a, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }
}

fn slow() -> (Arc<Slow>, Tips) {
    let clock = ManualClock::default();
    let log = EmbeddedLog::new(&clock);
    let store = EmbeddedStore::new(log.clone(), Arc::new(clock.clone()), 1 << 20);
    let slow = Arc::new(Slow {
        store,
        permits: Semaphore::new(0),
        reads: AtomicUsize::new(0),
        late: AtomicUsize::new(0),
    });
    let given = Arc::clone(&slow) as Arc<dyn Store>;
    let cache = Cache::builder().clock(clock).backend(Arc::new(log), given);
    let (cache, _companion) = cache.build().expect("no rule is wrong");
    (slow, cache.engine().lookups.tips.clone())
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without I/O can always be built")
}

/// Lets all run that can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn who_comes_while_a_read_is_under_way_waits_for_the_next_and_all_of_those_share_it() {
    let (slow, tips) = slow();
    runtime().block_on(async {
        let read = || {
            let tips = tips.clone();
            tokio::spawn(async move { tips.read().await })
        };
        let first = [read(), read()];
        settle().await;
        assert_eq!(slow.reads.load(Ordering::SeqCst), 1);
        let second = [read(), read(), read()];
        settle().await;
        assert_eq!(slow.reads.load(Ordering::SeqCst), 1, "one at a time");
        slow.permits.add_permits(1);
        for read in first {
            assert!(read.await.expect("no panic").is_ok());
        }
        settle().await;
        assert!(second.iter().all(|read| !read.is_finished()));
        slow.permits.add_permits(1);
        for read in second {
            assert!(read.await.expect("no panic").is_ok());
        }
        assert_eq!(slow.reads.load(Ordering::SeqCst), 2);
        // Nobody waits: the next one begins anew.
        slow.permits.add_permits(1);
        assert!(tips.read().await.is_ok());
    });
}

#[test]
fn safety_57_who_waits_behind_a_read_that_fails_is_told_at_once() {
    let (slow, tips) = slow();
    runtime().block_on(async {
        let read = || {
            let tips = tips.clone();
            tokio::spawn(async move { tips.read().await })
        };
        let first = read();
        settle().await;
        let behind = read();
        settle().await;
        slow.permits.close();
        for read in [first, behind] {
            let seen = read.await.expect("no panic");
            assert_eq!(seen.err(), Some(Detail::StoreUnavailable));
        }
        assert_eq!(slow.reads.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn safety_91_a_read_that_is_not_answered_in_time_is_sent_again_a_few_times() {
    let (slow, tips) = slow();
    runtime().block_on(async {
        slow.permits.add_permits(1);
        slow.late.store(AGAIN, Ordering::SeqCst);
        assert!(tips.read().await.is_ok(), "the last try was answered");
        slow.permits.add_permits(1);
        slow.late.store(AGAIN + 1, Ordering::SeqCst);
        let seen = tips.read().await;
        assert_eq!(seen.err(), Some(Detail::StoreTimeout), "no more than that");
    });
}

/// Another runtime may have begun the task, and end before those who wait.
#[test]
fn safety_52_a_task_that_is_ended_early_leaves_nobody_waiting() {
    let (slow, tips) = slow();
    let (one, other) = (runtime(), runtime());
    let (waits, behind) = one.block_on(async {
        let waits = tips.join();
        settle().await;
        (waits, tips.join())
    });
    assert_eq!(slow.reads.load(Ordering::SeqCst), 1);
    drop(one);
    other.block_on(async {
        for read in [waits, behind] {
            assert_eq!(read.ended().await.err(), Some(Detail::StoreUnavailable));
        }
        slow.permits.add_permits(1);
        assert!(tips.read().await.is_ok(), "a new task");
    });
}

/// The runtime that the task is on stands still, without ending.
#[test]
fn nobody_waits_without_bound_for_a_task_that_does_not_get_on() {
    let (slow, tips) = slow();
    let stuck = runtime();
    stuck.block_on(async { tips.join() });
    let other = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    other.expect("a runtime").block_on(async {
        assert_eq!(tips.read().await.err(), Some(Detail::StoreTimeout));
        slow.permits.add_permits(1);
        assert!(tips.read().await.is_ok(), "a new task");
    });
    drop(stuck);
}
