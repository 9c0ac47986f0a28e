//! Whether an upstream is worth asking.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::proxy::activity::millis;

/// What is known of one upstream. Shared by all requests and the task that asks it; each field is
/// right by itself, and a request that sees one of them too late asks in vain once.
#[derive(Debug)]
pub(super) struct Health {
    start: Instant,
    threshold: u32,
    pause: Duration,
    /// Failures in a row.
    failures: AtomicU32,
    /// Passed over until then, in milliseconds after `start`.
    paused_until: AtomicU64,
    /// The last questions found it down. Requests do not try it, unless all are down.
    questioned_down: AtomicBool,
}

impl Health {
    pub(super) fn new(threshold: u32, pause: Duration) -> Self {
        Self {
            start: Instant::now(),
            threshold: threshold.max(1),
            pause,
            failures: AtomicU32::new(0),
            paused_until: AtomicU64::new(0),
            questioned_down: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        millis(self.start.elapsed())
    }

    pub(super) fn is_up(&self) -> bool {
        !self.questioned_down.load(Relaxed) && self.paused_until.load(Relaxed) <= self.now()
    }

    /// When it is tried again, for choosing among those that are down.
    pub(super) fn due(&self) -> u64 {
        self.paused_until.load(Relaxed)
    }

    /// It failed neither the last request nor the last questions.
    pub(super) fn is_well(&self) -> bool {
        !self.questioned_down.load(Relaxed) && self.failures.load(Relaxed) == 0
    }

    /// It answered. True if it had failed before.
    pub(super) fn succeeded(&self) -> bool {
        if self.failures.load(Relaxed) == 0 {
            return false;
        }
        self.paused_until.store(0, Relaxed);
        self.failures.swap(0, Relaxed) != 0
    }

    /// It did not answer. True if it is down with that.
    pub(super) fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < self.threshold {
            return false;
        }
        let until = self.now().saturating_add(millis(self.pause));
        self.paused_until.store(until, Relaxed);
        true
    }

    /// What a question found. True if it is down with that.
    pub(super) fn questioned(&self, answered: bool) -> bool {
        if answered {
            self.succeeded();
            self.questioned_down.store(false, Relaxed);
            return false;
        }
        let down = self.failed();
        if down {
            self.questioned_down.store(true, Relaxed);
        }
        down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_upstream_is_passed_over_after_failures_in_a_row_and_then_tried_again() {
        let health = Health::new(3, Duration::from_secs(10));
        health.failed();
        health.failed();
        assert!(health.succeeded(), "it had failed");
        assert!(!health.succeeded(), "it had not");
        assert!(!health.failed());
        assert!(!health.failed());
        assert!(health.is_up() && !health.is_well());
        assert!(health.failed());
        assert!(!health.is_up());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(health.is_up());
        assert!(health.failed(), "one more failure is enough");
        assert!(!health.is_up());
        assert!(health.succeeded());
        assert!(health.is_up());
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_questions_found_down_stays_so_until_one_is_answered() {
        let health = Health::new(2, Duration::from_secs(10));
        assert!(!health.questioned(false));
        assert!(health.questioned(false));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!health.is_up());
        assert!(!health.questioned(true));
        assert!(health.is_up() && health.is_well());
    }
}
