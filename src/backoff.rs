//! Waiting longer after each failure, and telling of a change of state once.

use std::time::Duration;

use crate::error::Error;
use crate::telling::Telling;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// The state of one thing that is retried: how often it failed in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    telling: Telling,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self {
            failures: 0,
            telling: Telling::of_well(),
        }
    }

    /// It worked. Says `recovered` if it had failed before.
    pub(crate) fn reset(&mut self, recovered: &'static str) {
        self.failures = 0;
        if let Some(tell) = self.telling.well() {
            tracing::info!(changes_not_told = tell.unsaid, "{recovered}");
        }
    }

    /// It failed; says how long to wait before the next try.
    #[must_use]
    pub(crate) fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.delay()
    }

    /// How often it failed in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Says `failed` and why, if that was not said.
    pub(crate) fn tell(&mut self, failed: &'static str, error: &Error) {
        if let Some(tell) = self.telling.failing(error.kind() as u64) {
            tracing::warn!(%error, changes_not_told = tell.unsaid, "{failed}");
        }
    }

    /// Doubling from 50 ms to 5 s, half of it random so that nodes do not return together.
    fn delay(&self) -> Duration {
        let doubled = FIRST * 2_u32.saturating_pow(self.failures.saturating_sub(1).min(16));
        doubled.min(LONGEST).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_are_capped() {
        for (failures, longest) in [(1, 50), (2, 100), (5, 800), (100, 5_000)] {
            let mut backoff = Backoff::new();
            backoff.failures = failures;
            let delay = backoff.delay();
            assert!(
                delay <= Duration::from_millis(longest),
                "{failures}: {delay:?}"
            );
            assert!(
                delay >= Duration::from_millis(longest / 2),
                "{failures}: {delay:?}"
            );
        }
    }
}
