//! One purge of the scope for many entries that cannot be understood (SAFETY 107).
//!
//! A purge covers whatever was read before it was appended. So entries that follow each other need one
//! purge: the first is purged at once, and those that come within [`EVERY`] after it wait for the next.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep_until};

/// How long such entries wait for others at most.
const EVERY: Duration = Duration::from_secs(1);

/// Who waits for a purge of the scope, and how far the purges have come.
#[derive(Debug, Default)]
pub(super) struct MergedPurge {
    /// Numbers of those who asked.
    asked: AtomicU64,
    /// All up to this number are covered by a purge that was acknowledged.
    covered: AtomicU64,
    /// When the last purge began. Held by who purges, or waits to.
    turn: Mutex<Option<Instant>>,
    /// There is no room for more that wait.
    full: Notify,
}

impl MergedPurge {
    /// Returns once a `purge` that began after this was called is done; its own, or another's.
    pub(super) async fn purge<F: Future<Output = ()>>(&self, purge: impl FnOnce() -> F) {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.turn.lock().await;
        if self.covered.load(Ordering::SeqCst) >= number {
            return;
        }
        if let Some(last) = *last {
            tokio::select! {
                () = sleep_until(last + EVERY) => {}
                () = self.full.notified() => {}
            }
        }
        *last = Some(Instant::now());
        // Before the purge is appended: who asks from here on is not covered.
        let covers = self.asked.load(Ordering::SeqCst);
        purge().await;
        self.covered.fetch_max(covers, Ordering::SeqCst);
    }

    /// Those who wait must not wait for others any more.
    pub(super) fn hurry(&self) {
        self.full.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn safety_107_those_who_wait_share_a_purge_that_began_after_each_asked() {
        let merged = Arc::new(MergedPurge::default());
        let purges = Arc::new(AtomicUsize::new(0));
        let ask = |after: u64| {
            let (merged, purges) = (Arc::clone(&merged), Arc::clone(&purges));
            async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                let began = Instant::now();
                let purge = || async {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    purges.fetch_add(1, Ordering::SeqCst);
                };
                merged.purge(purge).await;
                began.elapsed()
            }
        };
        let started = Instant::now();
        // The second asks while the first purge is on its way, which may not cover it.
        let waited = join_all([0, 50, 200, 900, 1_050].map(ask)).await;
        assert_eq!(purges.load(Ordering::SeqCst), 3);
        assert_eq!(waited[0], Duration::from_millis(100), "the first at once");
        assert!(
            waited
                .iter()
                .all(|waited| *waited <= EVERY + Duration::from_millis(200))
        );
        assert!(started.elapsed() < Duration::from_millis(2_300));
    }

    #[tokio::test(start_paused = true)]
    async fn safety_107_who_has_no_room_does_not_wait() {
        let merged = Arc::new(MergedPurge::default());
        merged.purge(|| async {}).await;
        let second = tokio::spawn({
            let merged = Arc::clone(&merged);
            async move { merged.purge(|| async {}).await }
        });
        let began = Instant::now();
        merged.hurry();
        second.await.unwrap();
        assert!(began.elapsed() < EVERY);
    }
}
