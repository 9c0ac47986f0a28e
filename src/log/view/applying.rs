//! Moving the current view along the log, with all that depends on it: what settles, who is asked, and what people are told.

use std::time::Duration;

use super::{ApplyResult, View, Views};
use crate::log::{NumberedRecord, PurgeRecord};
use crate::position::Position;
use crate::weaken::{ProtocolRule, weakened};

impl Views {
    /// Applies what was read to `view`.
    pub(crate) fn apply(&self, view: &View, records: &[NumberedRecord]) -> ApplyResult {
        for NumberedRecord { record, .. } in records {
            self.settling.begin(self.clock.monotonic(), record);
        }
        let gaps = view.would_gap(records);
        if gaps {
            self.settling.joined(self.clock.monotonic(), Duration::ZERO);
        }
        let is_told = |read: &NumberedRecord| read.record.updates.is_some();
        let applied = match gaps || records.iter().any(is_told) {
            true => self.apply_in_turn(view, records),
            false => view.apply(records),
        };
        if let Some(regions) = &self.regions {
            let of_view = records
                .iter()
                .filter(|read| read.position.epoch == view.epoch);
            regions.applied(of_view, self.clock.monotonic());
        }
        self.moved.send_replace(());
        let missed = matches!(applied, ApplyResult::Gap(_));
        if missed || records.iter().any(|read| read.record.asks) {
            self.asked.send_replace(true);
        }
        applied
    }

    /// Applies `records`, and tells of what they announce: one after the other, in the order of the log, and each once. What
    /// was missed is told before what comes after it: who is told that, and then goes on at another node, asks for no more
    /// than comes behind.
    fn apply_in_turn(&self, view: &View, records: &[NumberedRecord]) -> ApplyResult {
        let mut board = self.updates.board.lock();
        let before = view.position();
        let applied = view.apply(records);
        let now = self.wait_time.now();
        let mut here = before.ordinal;
        for NumberedRecord { position, record } in records {
            if position.epoch != before.epoch || position.ordinal <= here {
                continue;
            }
            let missed = position.ordinal - 1;
            if here != missed && !weakened(ProtocolRule::ResumeGap) {
                board.lose(Position {
                    ordinal: missed,
                    ..*position
                });
            }
            here = position.ordinal;
            board.applied(*position, record, now);
        }
        applied
    }

    /// Gives up reading what stands before `tip`.
    pub(crate) fn skip_to(&self, view: &View, tip: u64) {
        self.settling.joined(self.clock.monotonic(), Duration::ZERO);
        let mut board = self.updates.board.lock();
        if view.skip_to(tip) {
            board.lose(view.position());
        }
        drop(board);
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
