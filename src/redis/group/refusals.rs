//! Commands that a consumer can do without, where the server refuses them: by an access list, on a
//! managed server that lacks them, or because its memory is full.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, ErrorKind};

/// Such a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Script,
    State,
    Gaps,
    Heard,
    PendingEntries,
    Claim,
    Renew,
    Consumers,
    Quarantine,
    Align,
    Bell,
}

impl Side {
    /// The command, and what is lost without it.
    const fn loss(self) -> (&'static str, &'static str) {
        match self {
            Self::Script => (
                "EVAL",
                "the size of entries is not known before they are read, and each look at the stream \
                 transfers its first and last entry; after a loss, trimming may look like a further one",
            ),
            Self::State => ("XINFO", "events trimmed unread are not noticed"),
            Self::Gaps => (
                "HSET, HDEL or HKEYS",
                "a consumer that dies while it closes a gap leaves it open",
            ),
            Self::Heard => (
                "SET or EXISTS",
                "after a start nobody knows how long the events were not read: if no consumer is left to \
                 tell, all that they can touch is purged",
            ),
            Self::PendingEntries => (
                "XPENDING",
                "events that another consumer cannot apply are not noticed, nor those that kill their consumers",
            ),
            Self::Claim => (
                "XAUTOCLAIM",
                "events that a dead consumer left are not read: all that they can touch is purged instead",
            ),
            Self::Renew => (
                "XCLAIM",
                "other consumers take over what this one works on for long, and purge it twice",
            ),
            Self::Consumers => (
                "XINFO CONSUMERS or XGROUP DELCONSUMER",
                "consumers that ended stay listed in the group",
            ),
            Self::Quarantine => (
                "XADD",
                "entries that cannot be understood are not kept for people",
            ),
            Self::Align => (
                "XGROUP SETID",
                "after a loss, trimming may look like a further one",
            ),
            Self::Bell => (
                "XGROUP CREATE or XREADGROUP of a second group, at which consumers wait",
                "each entry wakes all consumers, and not one",
            ),
        }
    }
}

/// Which of them are refused now, so that each is told once.
#[derive(Debug)]
pub(super) struct Refusals {
    /// For messages.
    stream: Box<str>,
    refused: AtomicU32,
}

impl Refusals {
    pub(super) fn of(stream: &str) -> Self {
        Self {
            stream: stream.into(),
            refused: AtomicU32::new(0),
        }
    }

    /// `result`, or `None` if the server refuses the command and the consumer goes on without it.
    ///
    /// # Errors
    /// Any other failure than a refusal.
    pub(super) fn allow<T>(
        &self,
        side: Side,
        result: Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => {
                self.works(side);
                Ok(Some(value))
            }
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Protocol) => {
                self.tell(side, &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// `side` is not refused, or not any more.
    pub(super) fn works(&self, side: Side) {
        self.refused.fetch_and(!bit(side), Ordering::Relaxed);
    }

    /// Says, once, that `side` is refused and what that costs.
    pub(super) fn tell(&self, side: Side, error: &Error) {
        if self.refused.fetch_or(bit(side), Ordering::Relaxed) & bit(side) == 0 {
            let (command, lost) = side.loss();
            let stream = &*self.stream;
            tracing::warn!(stream, %error, lost, "{command} is refused; events are consumed without it");
        }
    }
}

const fn bit(side: Side) -> u32 {
    1 << side as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_103_a_refusal_is_no_failure_and_a_failure_no_refusal() {
        let refused = Refusals::of("s");
        let denied = || Err::<(), _>(Error::new(ErrorKind::Denied, "NOPERM"));
        assert!(refused.allow(Side::Claim, denied()).unwrap().is_none());
        assert_ne!(refused.refused.load(Ordering::Relaxed), 0);
        assert!(refused.allow(Side::Claim, Ok(())).unwrap().is_some());
        assert_eq!(
            refused.refused.load(Ordering::Relaxed),
            0,
            "told again if it is refused again"
        );
        let away = Err::<(), _>(Error::new(ErrorKind::Timeout, "late"));
        assert!(refused.allow(Side::Claim, away).is_err());
    }
}
