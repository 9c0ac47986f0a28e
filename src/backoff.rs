//! Waiting longer after each failure, and telling of a change of state once.

use std::time::Duration;

use tokio::time::sleep;

use crate::error::Error;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// The state of one thing that is retried: how often it failed in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { failures: 0 }
    }

    /// It worked. Says `recovered` if it had failed before.
    pub(crate) fn reset(&mut self, recovered: &'static str) {
        if self.failures > 0 {
            tracing::info!("{recovered}");
        }
        self.failures = 0;
    }

    /// It failed. Says `failed` and why, the first time.
    pub(crate) fn note(&mut self, failed: &'static str, error: &Error) {
        if self.failures == 0 {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, cause, "{failed}");
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// It failed; waits before the next try.
    pub(crate) async fn wait(&mut self, failed: &'static str, error: &Error) {
        self.note(failed, error);
        sleep(self.delay()).await;
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
            let delay = Backoff { failures }.delay();
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
