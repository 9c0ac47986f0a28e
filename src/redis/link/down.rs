//! That connections do not last, and when the next one is made.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};

const FIRST: Duration = Duration::from_millis(50);
/// Short, as heartbeats wait for it as well, and what is away is to be found when it is back (SAFETY 89).
const LONGEST: Duration = Duration::from_millis(300);

/// That connections do not last, the last one for this `cause`.
pub(super) fn flapping(cause: Option<&str>) -> Error {
    let cause = cause.unwrap_or("each was lost at once");
    let message = format!("{cause}; connections do not last, the next is made after a pause");
    Error::new(ErrorKind::Unavailable, message)
}

/// The pause after the `n`th connection of a burst.
pub(super) fn pause(n: u32) -> Duration {
    Backoff::new(FIRST, LONGEST)
        .after(n.saturating_sub(1))
        .pause()
}
