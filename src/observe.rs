//! The one hook through which the cache tells what it does: requests, failures, changes of state.

use std::fmt::Debug;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::position::Position;

/// Something that happened. Borrowed and cheap: nothing is formatted unless an observer does.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A request that a rule matched was answered.
    Request {
        /// The rule's name.
        rule: &'a str,
        /// How it was answered.
        outcome: &'a Outcome,
    },
    /// A stored entry could not be read and counts as a miss.
    EntryRejected {
        /// What was wrong with it.
        reason: &'static str,
    },
    /// The store or the log failed.
    StoreFailed {
        /// The operation.
        operation: &'static str,
        /// Why.
        error: &'a Error,
    },
    /// A request named a position (`Cache-After`) that is not in the purge log.
    UnknownPosition {
        /// The rule's name.
        rule: &'a str,
        /// It was a miss for that. If not, others have forced as many as a rule's requests may.
        heard: bool,
    },
    /// The breaker opened.
    BreakerOpened,
    /// The breaker closed again.
    BreakerClosed,
    /// What a shared store or its log is used for fails, and that lasts.
    PartFailed {
        /// `lookups`, `stores` or `purges`.
        part: &'static str,
        /// Why.
        error: &'a Error,
    },
    /// It works again.
    PartRestored {
        /// As above.
        part: &'static str,
    },
    /// The replicas of the server of the log have changed.
    Replicas {
        /// Those in step.
        connected: u32,
        /// The most that were, lately.
        expected: u32,
    },
    /// A purge was appended to the log.
    Purged {
        /// Its position.
        position: Position,
        /// How many targets it names; none, where only people are told of something.
        targets: usize,
    },
    /// A purge is everywhere, and its announcement is in the log.
    Announced {
        /// Where that stands in the log.
        position: Position,
        /// How many updates they are told.
        updates: usize,
    },
    /// A purge could not be appended yet.
    PurgePending {
        /// How many wait.
        waiting: usize,
    },
    /// This process joined an epoch of the purge log.
    EpochJoined {
        /// Where it joined.
        position: Position,
    },
    /// Records of the purge log were missed; the floor was raised.
    LogGap {
        /// The new floor.
        position: Position,
    },
    /// An event was read from a stream or handed in, and its purges are in the log.
    EventApplied {
        /// The stream.
        stream: &'a str,
        /// The event's name, if it has one.
        event: &'a str,
        /// How many targets it purged; none, if people are only told of it.
        targets: usize,
    },
    /// An event could not be understood. One from a stream is put aside in its quarantine.
    EventQuarantined {
        /// The stream.
        stream: &'a str,
        /// The stream entry's id.
        id: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// An event is understood but nothing is configured for it, or it names nothing to purge or to tell.
    EventIgnored {
        /// The stream.
        stream: &'a str,
        /// Why.
        reason: &'static str,
    },
    /// Events of a stream were not read for too long, so that nothing that they can touch is served
    /// from the cache in this process; or they are read again.
    EventsInDoubt {
        /// The stream.
        stream: &'a str,
        /// Whether the doubt begins or ends.
        begins: bool,
    },
    /// Events of a stream may be missing: everything that it can touch was purged.
    EventGap {
        /// The stream.
        stream: &'a str,
        /// Why.
        reason: &'static str,
    },
}

/// Receives every [`Notice`]. Called on the request path: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, notice: &Notice<'_>);
}

impl Observer for () {
    fn observe(&self, _: &Notice<'_>) {}
}

impl<F> Observer for F
where
    F: Fn(&Notice<'_>) + Send + Sync + 'static,
{
    fn observe(&self, notice: &Notice<'_>) {
        self(notice);
    }
}

/// Two observers, one after the other.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&self, notice: &Notice<'_>) {
        self.0.observe(notice);
        self.1.observe(notice);
    }
}

/// A shared observer.
#[derive(Clone)]
pub(crate) struct SharedObserver(std::sync::Arc<dyn Observer>);

impl SharedObserver {
    pub(crate) fn new(observer: impl Observer) -> Self {
        Self(std::sync::Arc::new(observer))
    }

    pub(crate) fn notify(&self, notice: &Notice<'_>) {
        self.0.observe(notice);
    }
}

impl Debug for SharedObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedObserver")
    }
}
