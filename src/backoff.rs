//! [`Backoff`]: waiting longer after each failure.

use std::time::Duration;

/// Pauses that double from the first to the longest, each shortened by up to half at random, so that a fleet
/// does not come back all at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    /// How often it failed in a row.
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// As it is after so many failures.
    #[cfg(any(test, feature = "activity", feature = "redis"))]
    pub(crate) const fn after(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// How often it failed in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed; how long to wait before the next try.
    #[must_use]
    pub(crate) fn pause(&mut self) -> Duration {
        self.pause_by(fastrand::u64(..))
    }

    /// [`pause`](Self::pause), with the number that decides how much of it is left out.
    #[must_use]
    pub(crate) fn pause_by(&mut self, random: u64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        jittered(doubled.min(self.longest), random)
    }
}

/// Between half of `wait` and the whole of it.
pub(crate) fn jittered(wait: Duration, random: u64) -> Duration {
    let half = wait / 2;
    let share = u32::try_from(random & 0xffff).unwrap_or(0);
    half + half * share / 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_are_capped() {
        for (failures, longest) in [(1, 50), (2, 100), (5, 800), (100, 5_000)] {
            let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
            let delay = backoff.after(failures - 1).pause();
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
