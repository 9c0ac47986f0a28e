//! Moving the current view along the log, with all that depends on it: what settles, who is asked, and what people are told.

use std::time::Duration;

use super::{ApplyResult, View, Views};
use crate::log::{NumberedRecord, PurgeRecord};
use crate::position::Position;

impl Views {
    /// Applies what was read to `view`.
    pub(crate) fn apply(&self, view: &View, records: &[NumberedRecord]) -> ApplyResult {
        for NumberedRecord { record, .. } in records {
            self.settling.begin(self.clock.monotonic(), record);
        }
        if view.would_gap(records) {
            self.settling.joined(self.clock.monotonic(), Duration::ZERO);
        }
        let applied = self.apply_in_turn(view, records);
        self.moved.send_replace(());
        let missed = matches!(applied, ApplyResult::Gap(_));
        if missed {
            self.updates.missed(view.position());
        }
        if missed || records.iter().any(|read| read.record.asks) {
            self.asked.send_replace(true);
        }
        applied
    }

    /// Applies `records`, and tells of what they announce: one after the other, in the order of the log, and each once.
    fn apply_in_turn(&self, view: &View, records: &[NumberedRecord]) -> ApplyResult {
        if records.iter().all(|read| read.record.updates.is_none()) {
            return view.apply(records);
        }
        let mut board = self.updates.board.lock();
        let before = view.position();
        let applied = view.apply(records);
        let now = self.wait_time.now();
        let new = records.iter().filter(|read| {
            read.position.epoch == before.epoch && read.position.ordinal > before.ordinal
        });
        for NumberedRecord { position, record } in new {
            board.applied(*position, record, now);
        }
        applied
    }

    /// Gives up reading what stands before `tip`.
    pub(crate) fn skip_to(&self, view: &View, tip: u64) {
        self.settling.joined(self.clock.monotonic(), Duration::ZERO);
        view.skip_to(tip);
        self.updates.missed(view.position());
        self.moved.send_replace(());
        self.asked.send_replace(true);
    }

    /// A record of our own was acknowledged at `position`.
    pub(crate) fn apply_own(&self, position: Position, record: &PurgeRecord) {
        self.settling.begin(self.clock.monotonic(), record);
        match self.current() {
            Some(view) if view.epoch == position.epoch => view.apply_own(position.ordinal, record),
            // The log is in an epoch that this view is not of: nothing here may be served from it.
            Some(view) => view.end_lease(),
            None => {}
        }
    }
}
