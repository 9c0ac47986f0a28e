//! Reason there is no connection, and when the next one is made.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};

const FIRST: Duration = Duration::from_millis(50);
/// Short, as heartbeats wait for it as well, and what is away is to be found when it is back (SAFETY 89).
const LONGEST: Duration = Duration::from_millis(300);

/// Reason there is no connection; kept to be told to many.
#[derive(Debug, Clone)]
pub(super) struct Reason {
    kind: ErrorKind,
    message: Box<str>,
}

impl Reason {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string().into(),
        }
    }

    pub(super) fn flapping(cause: Option<&str>) -> Self {
        let cause = cause.unwrap_or("each was lost at once");
        let message = format!("{cause}; connections do not last, the next is made after a pause");
        Self {
            kind: ErrorKind::Unavailable,
            message: message.into(),
        }
    }

    pub(super) fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}

/// The pause after the `n`th connection of a burst.
pub(super) fn pause(n: u32) -> Duration {
    Backoff::new(FIRST, LONGEST)
        .after(n.saturating_sub(1))
        .pause()
}
