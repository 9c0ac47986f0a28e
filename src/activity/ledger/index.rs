//! [`FeedIndex`]: what stands in a feed, in its order.

use std::collections::BTreeSet;

use crate::activity::cursor::ActivityCursor;

/// What stands in a feed. All that is remembered, so that what a reorg undoes makes room for what is older.
#[derive(Debug, Default)]
pub(super) struct FeedIndex {
    shown: BTreeSet<ActivityCursor>,
    undone: BTreeSet<ActivityCursor>,
}

impl FeedIndex {
    /// Puts an entry where it belongs.
    pub(super) fn put(&mut self, cursor: ActivityCursor, is_undone: bool) {
        self.remove(cursor);
        match is_undone {
            true => self.undone.insert(cursor),
            false => self.shown.insert(cursor),
        };
    }

    pub(super) fn remove(&mut self, cursor: ActivityCursor) {
        self.shown.remove(&cursor);
        self.undone.remove(&cursor);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.undone.is_empty()
    }

    /// The newest `most` that are not undone, newest first, and those between them that are, if they are wanted `also`.
    pub(super) fn newest(&self, most: usize, also: bool) -> Vec<ActivityCursor> {
        let shown = self.shown.iter().rev().take(most).copied();
        if !also {
            return shown.collect();
        }
        let last = self.shown.iter().rev().nth(most.saturating_sub(1));
        let undone = match last {
            Some(last) => self.undone.range(last..),
            None => self.undone.range(..),
        };
        let mut all: Vec<_> = shown.chain(undone.copied()).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all
    }
}
