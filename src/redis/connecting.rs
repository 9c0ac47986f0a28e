//! Attempts to connect that have not ended: nothing is known yet, and more will be.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::Error;

/// So long after its time limit an attempt to connect has told how it ended, on a busy machine too.
const ENDED: Duration = Duration::from_secs(1);

/// Since when no attempt to connect to a server has ended.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    waiting: Mutex<Option<Instant>>,
}

impl Attempts {
    /// Whether more will be known than `error`, once an attempt has ended that may take as long as `limit`.
    pub(super) fn will_say_more(&self, error: &Error, limit: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        if !StillConnecting::is_cause_of(error) {
            *waiting = None;
            return false;
        }
        let since = *waiting.get_or_insert_with(Instant::now);
        since.elapsed() < limit + ENDED
    }

    /// One has ended well.
    pub(super) fn ended(&self) {
        *self.waiting.lock() = None;
    }
}

/// Why an answer is late whose reason nobody knows yet: the attempt to connect has not ended. It will, and say more.
#[derive(Debug)]
pub(super) struct StillConnecting;

impl StillConnecting {
    /// Whether that is all that `error` knows.
    pub(super) fn is_cause_of(error: &Error) -> bool {
        let source = std::error::Error::source(error);
        source.is_some_and(|source| source.is::<Self>())
    }
}

impl fmt::Display for StillConnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("still connecting")
    }
}

impl std::error::Error for StillConnecting {}
