//! Where events may be missing, and what is done about it.
//!
//! Lost events cannot be named, so everything that the stream can touch is purged. The order is
//! PROTOCOL 30's: a durable marker, the group, the purge, the marker's removal. Whoever finds a
//! marker finishes the work, so that a worker which dies in between loses nothing.

use crate::redis::{EntryId, GroupState, ToldLosses};

/// What the states of a group, seen one after the other, say about lost entries.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The highest id that was ever seen.
    highest: EntryId,
    /// What was told already, so that each loss is told once.
    told: Told,
    /// Up to where the group had read, and how many entries, when the server did not know it.
    counted: Option<(EntryId, u64)>,
}

/// The losses that were told.
#[derive(Debug, Default)]
struct Told {
    /// `XDEL` up to here.
    deleted: EntryId,
    /// The end of the stream when it was empty.
    emptied: EntryId,
    /// How many entries are gone that the group has not read.
    missing: u64,
    /// How many entries were gone when a loss was told: what was purged then covers them all.
    gone: u64,
    /// The position and the first entry behind it, where nobody counts.
    uncounted: Option<(EntryId, EntryId)>,
}

impl Watch {
    /// Why events may be missing, judged by the group's state: `None` for a missing group or stream.
    /// Each loss is told once, so the caller must see to it.
    pub(crate) fn judge(&mut self, state: Option<&GroupState>) -> Option<&'static str> {
        let Some(state) = state else {
            // All that was known is about a stream that is gone.
            *self = Self::default();
            return Some("no group");
        };
        if state.last < self.highest {
            *self = Self::default();
            self.highest = state.last;
            return Some("stream went back");
        }
        self.highest = state.last;
        // What the gap that was marked with it purges covers all that is lost by now: one loss is one gap.
        let lost = self.told.lost(&self.completed(*state));
        if state.read.is_none() {
            self.counted = unaligned(state, false).or(self.counted);
        }
        lost.filter(|_| !state.taken)
    }

    /// The losses that a read need not stop for.
    pub(crate) const fn told(&self) -> ToldLosses {
        ToldLosses {
            deleted: self.told.deleted,
            last: self.highest,
        }
    }

    /// `state` with what was counted last, where the server does not know it and the group has not moved since.
    fn completed(&self, state: GroupState) -> GroupState {
        let counted = self.counted.filter(|(to, _)| *to == state.delivered);
        GroupState {
            read: state.read.or(counted.map(|(_, read)| read)),
            ..state
        }
    }

    /// What is missing where nothing was left to be read: what was added and not read is lost.
    pub(crate) fn judge_read(&mut self, state: &GroupState) -> Option<&'static str> {
        let (Some(added), Some(read)) = (state.added, state.read) else {
            return None;
        };
        let missing = added.saturating_sub(read);
        let more = self.told.count(missing, added.saturating_sub(state.length));
        more.then_some("entries deleted unread")
    }
}

impl Told {
    /// Whether entries behind the group's position are gone, and that was not told yet.
    fn lost(&mut self, state: &GroupState) -> Option<&'static str> {
        let gone = state.added.map(|added| added.saturating_sub(state.length));
        // `XDEL` is recorded. Trimming is not, but takes entries from the front only.
        if state.max_deleted > state.delivered && state.max_deleted > self.deleted {
            self.deleted = state.max_deleted;
            self.emptied = state.last;
            self.gone = self.gone.max(gone.unwrap_or(0));
            if let (Some(added), Some(read), Some(unread)) = (state.added, state.read, state.unread)
            {
                self.missing = added.saturating_sub(read).saturating_sub(unread);
            }
            return Some("entries deleted unread");
        }
        let Some(first) = state.first else {
            let more = state.last > state.delivered && state.last > self.emptied;
            self.emptied = self.emptied.max(state.last);
            self.gone = self.gone.max(gone.unwrap_or(0));
            return more.then_some("trimmed unread");
        };
        if first <= state.delivered {
            return None;
        }
        // Everything up to our position is trimmed. Whether more is: if more entries are gone than
        // the group has read. Without the counters (Redis before 7) nobody can tell.
        let lost = match (gone, state.read) {
            (Some(gone), Some(read)) => self.count(gone.saturating_sub(read), gone),
            // Nothing was ever taken out.
            (Some(0), _) => false,
            _ => {
                let uncounted = Some((state.delivered, first));
                std::mem::replace(&mut self.uncounted, uncounted) != uncounted
            }
        };
        lost.then_some("trimmed unread")
    }

    /// So many entries are missing, of so many that are gone: whether that is a loss that was not told.
    fn count(&mut self, missing: u64, gone: u64) -> bool {
        let more = missing > self.missing && gone > self.gone;
        self.missing = missing;
        if more {
            self.gone = gone;
        }
        more
    }
}

/// Up to where the group has read and how many entries, where the server does not know that or has it
/// wrong since a loss. What it does not know looks like a further loss at each trimming.
pub(crate) fn unaligned(state: &GroupState, nothing_left: bool) -> Option<(EntryId, u64)> {
    let added = state.added?;
    let right = if nothing_left {
        (state.last, added)
    } else if state.first.is_some_and(|first| first > state.delivered) {
        (state.delivered, added.saturating_sub(state.length))
    } else {
        (state.delivered, added.saturating_sub(state.unread?))
    };
    let known = state.read.map(|read| (state.delivered, read));
    (known != Some(right)).then_some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64) -> EntryId {
        EntryId::new(ms, 0)
    }

    /// Entries 1..=10 were added, of which the group has read five.
    fn state() -> GroupState {
        GroupState {
            last: id(10),
            first: Some(id(1)),
            length: 10,
            added: Some(10),
            max_deleted: id(0),
            delivered: id(5),
            read: Some(5),
            ..GroupState::default()
        }
    }

    #[test]
    fn safety_45_loss_by_trimming_is_told_from_ordinary_trimming() {
        let base = state();
        let trimmed_to = |n: u64| GroupState {
            first: Some(id(n)),
            length: 11 - n,
            ..base
        };
        for (name, state, expected) in [
            ("nothing trimmed", base, None),
            ("trimmed before our position", trimmed_to(3), None),
            ("trimmed at our position", trimmed_to(5), None),
            ("trimmed exactly what was read", trimmed_to(6), None),
            ("one unread trimmed", trimmed_to(7), Some("trimmed unread")),
            (
                "trimmed to nothing, all read",
                GroupState {
                    first: None,
                    length: 0,
                    delivered: id(10),
                    read: Some(10),
                    ..base
                },
                None,
            ),
            (
                "trimmed to nothing, some unread",
                GroupState {
                    first: None,
                    length: 0,
                    ..base
                },
                Some("trimmed unread"),
            ),
        ] {
            assert_eq!(Watch::default().judge(Some(&state)), expected, "{name}");
        }
    }

    #[test]
    fn safety_45_loss_is_told_by_deletions() {
        let base = state();
        for (name, state, expected) in [
            (
                "a read entry deleted",
                GroupState {
                    max_deleted: id(4),
                    length: 9,
                    ..base
                },
                None,
            ),
            (
                "an unread entry deleted",
                GroupState {
                    max_deleted: id(7),
                    length: 9,
                    ..base
                },
                Some("entries deleted unread"),
            ),
        ] {
            assert_eq!(Watch::default().judge(Some(&state)), expected, "{name}");
        }
    }

    #[test]
    fn safety_45_loss_is_assumed_where_there_are_no_counters() {
        let base = state();
        let behind = GroupState {
            first: Some(id(6)),
            length: 5,
            ..base
        };
        for (name, state, expected) in [
            (
                "no counter of reads, first entry behind our position",
                GroupState {
                    read: None,
                    ..behind
                },
                Some("trimmed unread"),
            ),
            (
                "a group at the start that has read nothing",
                GroupState {
                    delivered: id(0),
                    read: None,
                    ..base
                },
                None,
            ),
            (
                "before Redis 7, behind our position",
                GroupState {
                    added: None,
                    read: None,
                    ..behind
                },
                Some("trimmed unread"),
            ),
            (
                "before Redis 7, not trimmed that far",
                GroupState {
                    added: None,
                    read: None,
                    ..base
                },
                None,
            ),
        ] {
            assert_eq!(Watch::default().judge(Some(&state)), expected, "{name}");
        }
    }

    #[test]
    fn a_loss_is_told_once_and_a_further_one_again() {
        let mut watch = Watch::default();
        let mut lossy = GroupState {
            first: Some(id(7)),
            length: 4,
            ..state()
        };
        assert_eq!(watch.judge(Some(&lossy)), Some("trimmed unread"));
        assert_eq!(watch.judge(Some(&lossy)), None);
        // One more entry came, and nothing more was lost.
        lossy = GroupState {
            last: id(11),
            length: 5,
            added: Some(11),
            ..lossy
        };
        assert_eq!(watch.judge(Some(&lossy)), None);
        lossy = GroupState {
            first: Some(id(9)),
            length: 3,
            ..lossy
        };
        assert_eq!(watch.judge(Some(&lossy)), Some("trimmed unread"));
        lossy = GroupState {
            first: None,
            length: 0,
            ..lossy
        };
        assert_eq!(watch.judge(Some(&lossy)), Some("trimmed unread"));
        lossy = GroupState {
            last: id(12),
            added: Some(12),
            ..lossy
        };
        assert_eq!(watch.judge(Some(&lossy)), Some("trimmed unread"));
        assert_eq!(watch.judge(Some(&lossy)), None);
    }

    #[test]
    fn safety_101_what_is_trimmed_before_the_server_is_told_what_was_read_is_no_loss() {
        let mut watch = Watch::default();
        // The group was moved to the end, and that is known as a gap.
        let mut moved = GroupState {
            delivered: id(10),
            read: None,
            unread: Some(0),
            taken: true,
            ..state()
        };
        assert_eq!(watch.judge(Some(&moved)), None);
        // A further entry comes, and its writer trims all others.
        moved = GroupState {
            last: id(11),
            first: Some(id(11)),
            length: 1,
            added: Some(11),
            unread: Some(1),
            taken: false,
            ..moved
        };
        assert_eq!(watch.judge(Some(&moved)), None);
        // Another one, which trims that unread.
        moved = GroupState {
            last: id(12),
            first: Some(id(12)),
            added: Some(12),
            ..moved
        };
        assert_eq!(watch.judge(Some(&moved)), Some("trimmed unread"));
    }

    #[test]
    fn a_stream_that_lost_its_end_is_a_gap() {
        let mut watch = Watch::default();
        assert_eq!(watch.judge(Some(&state())), None);
        let restored = GroupState {
            last: id(8),
            length: 8,
            added: Some(8),
            ..state()
        };
        assert_eq!(watch.judge(Some(&restored)), Some("stream went back"));
        assert_eq!(watch.judge(Some(&restored)), None);
        assert_eq!(watch.judge(None), Some("no group"));
        // The new stream may have any ids.
        let fresh = GroupState {
            last: id(2),
            first: None,
            delivered: id(2),
            ..GroupState::default()
        };
        assert_eq!(watch.judge(Some(&fresh)), None);
    }
}
