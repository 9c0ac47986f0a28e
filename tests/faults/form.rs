//! How long a row lasts, and how much is asked.

use std::path::PathBuf;
use std::time::Duration;

/// Short, as one of the tests, or at full length, with times that are worth writing down.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// Where results go to; none in the short form.
    pub(crate) results: Option<PathBuf>,
    /// Requests a second, of all clients.
    pub(crate) rate: u32,
    pub(crate) clients: usize,
    /// Changes a second, each with its purge.
    pub(crate) changes: u32,
    pub(crate) before: Duration,
    pub(crate) after: Duration,
}

impl Form {
    /// Short, unless `TAGCACHE_FAULTS` names a directory for the results.
    pub(crate) fn given() -> Self {
        match std::env::var_os("TAGCACHE_FAULTS") {
            None => Self {
                results: None,
                rate: 60,
                clients: 6,
                changes: 2,
                before: Duration::from_millis(300),
                after: Duration::from_millis(300),
            },
            Some(results) => Self {
                results: Some(results.into()),
                rate: 2_000,
                clients: 40,
                changes: 10,
                before: Duration::from_secs(4),
                after: Duration::from_secs(4),
            },
        }
    }

    pub(crate) fn is_short(&self) -> bool {
        self.results.is_none()
    }

    /// A time, by the form.
    pub(crate) fn millis(&self, short: u64, full: u64) -> Duration {
        Duration::from_millis(self.number(short, full))
    }

    pub(crate) fn number(&self, short: u64, full: u64) -> u64 {
        if self.is_short() { short } else { full }
    }
}
