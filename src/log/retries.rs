//! [`Retries`]: something that the follower does until it works, and what is told of it.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::error::Error;
use crate::telling::Telling;

/// Something that is tried again after it failed; a change of its state is told once.
#[derive(Debug)]
pub(super) struct Retries {
    backoff: Backoff,
    telling: Telling,
}

impl Retries {
    pub(super) const fn new() -> Self {
        Self {
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(5)),
            telling: Telling::of_well(),
        }
    }

    /// It worked. Says `recovered` if it had failed before.
    pub(super) fn reset(&mut self, recovered: &'static str) {
        self.backoff.reset();
        if let Some(tell) = self.telling.well() {
            tracing::info!(changes_not_told = tell.unsaid, "{recovered}");
        }
    }

    /// It failed; says how long to wait before the next try.
    #[must_use]
    pub(super) fn failed(&mut self) -> Duration {
        self.backoff.pause()
    }

    /// How often it failed in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// Says `failed` and why, if that was not said.
    pub(super) fn tell(&mut self, failed: &'static str, error: &Error) {
        if let Some(tell) = self.telling.failing(error.kind() as u64) {
            tracing::warn!(%error, changes_not_told = tell.unsaid, "{failed}");
        }
    }
}
