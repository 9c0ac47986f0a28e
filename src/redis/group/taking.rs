//! What is asked of a group, and what is found there.

use std::time::Duration;

use crate::redis::group::reply::{EntryId, GroupState, StreamEntry};

/// How much to ask for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portion {
    /// The most entries.
    pub(crate) count: usize,
    /// The most bytes, but always one entry.
    pub(crate) bytes: usize,
    /// How long the answer may take.
    pub(crate) patience: Duration,
}

/// What was found before reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// `None` if the stream or the group is missing.
    pub(crate) state: Option<GroupState>,
    /// The gaps that somebody found and did not finish closing.
    pub(crate) gaps: Vec<String>,
    /// The first entries that were delivered, to whomever, and are not acknowledged.
    pub(crate) waiting: Vec<EntryId>,
    /// After how long this consumer is to look again; `None` if the server does not share looks out.
    pub(crate) next: Option<Duration>,
}

/// How often the consumers of a group look at it, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LookPace {
    /// The time between two looks, whoever takes them.
    pub(crate) every: Duration,
    /// The longest that one consumer goes without a look, however many there are.
    pub(crate) most: Duration,
}

/// The losses that were told already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToldLosses {
    /// `XDEL` up to here.
    pub(crate) deleted: EntryId,
    /// The highest id that was seen.
    pub(crate) last: EntryId,
}

/// What a read delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Read {
    /// The state just before; `None` if the stream or the group is missing.
    pub(crate) state: Option<GroupState>,
    pub(crate) entries: Vec<StreamEntry>,
}

impl Read {
    /// Whether nothing was read because entries may be lost that were not told.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state.is_some_and(|state| state.stopped)
    }

    /// What it was, once there is nothing behind it: the last entry of the stream.
    pub(crate) fn end(&self) -> Option<EntryId> {
        let last = self.state?.last;
        let taken = self.entries.last().map(|entry| entry.id);
        match taken {
            Some(taken) => (taken >= last).then_some(taken),
            None => Some(last),
        }
    }
}

/// What is to be taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taking<'a> {
    /// `>` being what nobody was given yet.
    pub(super) after: &'a str,
    /// Only the state, if `None`.
    pub(super) portion: Option<Portion>,
    /// Nothing, where the state tells of other losses than these; whatever is lost, if `None`.
    pub(super) unless: Option<ToldLosses>,
    pub(super) pace: Option<LookPace>,
}

impl<'a> Taking<'a> {
    pub(super) const fn nothing(pace: LookPace) -> Self {
        Self {
            after: ">",
            portion: None,
            unless: None,
            pace: Some(pace),
        }
    }

    pub(super) const fn new(portion: Portion, unless: Option<ToldLosses>) -> Self {
        Self {
            unless,
            ..Self::behind(">", portion)
        }
    }

    pub(super) const fn behind(after: &'a str, portion: Portion) -> Self {
        Self {
            after,
            portion: Some(portion),
            unless: None,
            pace: None,
        }
    }
}
