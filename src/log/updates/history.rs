//! [`History`]: what was told lately, for receivers that come back.

use std::collections::VecDeque;
use std::sync::Arc;

use super::told::Told;
use super::{Resync, ResyncReason, UpdateMessage};
use crate::defaults::{HISTORY_BYTES, HISTORY_UPDATES};
use crate::position::Position;
use crate::update::UpdateCursor;
use crate::weaken::{ProtocolRule, weakened};

/// What was told lately, and what the log held of it when this process joined. Of one epoch.
#[derive(Debug, Default)]
pub(in crate::log) struct History {
    told: VecDeque<Arc<Told>>,
    bytes: usize,
    /// The number of the first one. Numbers are not used again, so that a reader knows what it missed.
    first: u64,
    /// All that was announced behind it is here. `None` before the log was reached.
    reaches: Option<UpdateCursor>,
}

/// Some of the history.
#[derive(Debug, Default)]
pub(crate) struct HistoryPage {
    pub(crate) told: Vec<Arc<Told>>,
    /// The number of the one behind these.
    pub(crate) next: u64,
}

impl History {
    /// Begins anew: all that is announced behind `reaches` will be here.
    pub(super) fn begin(&mut self, reaches: Option<Position>) {
        // One is skipped: who has read up to the end has not read what stands between the two.
        self.first = self.end() + 1;
        self.told.clear();
        self.bytes = 0;
        self.reaches = reaches.map(UpdateCursor::from);
    }

    pub(super) fn add(&mut self, told: Arc<Told>) {
        self.bytes += bytes_of(&told);
        self.told.push_back(told);
        while self.told.len() > HISTORY_UPDATES || self.bytes > HISTORY_BYTES {
            let Some(oldest) = self.told.pop_front() else {
                return;
            };
            self.bytes -= bytes_of(&oldest);
            self.first += 1;
            self.reaches = oldest.through.or(self.reaches);
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.first + self.told.len() as u64
    }

    /// The number of the first one behind `cursor`; `None` if what stands behind it may be gone.
    pub(in crate::log) fn behind(&self, cursor: UpdateCursor) -> Option<u64> {
        let reaches = self.reaches?;
        let is_reached = cursor == reaches || cursor.is_after(reaches);
        if !is_reached && !weakened(ProtocolRule::ResumeReach) {
            return None;
        }
        let is_behind = |told: &Arc<Told>| told.through.is_some_and(|id| id.is_after(cursor));
        // In the order of the log.
        let before = self.told.partition_point(|told| !is_behind(told));
        Some(self.first + before as u64)
    }

    /// Up to `most` from the one with the number `from` on; `None` if some of these are gone.
    pub(in crate::log) fn page(&self, from: u64, most: usize) -> Option<HistoryPage> {
        let skip = usize::try_from(from.checked_sub(self.first)?).ok()?;
        let told: Vec<_> = self.told.iter().skip(skip).take(most).cloned().collect();
        let next = from + told.len() as u64;
        Some(HistoryPage { told, next })
    }
}

/// What it takes, about: itself, and as it is sent.
fn bytes_of(told: &Told) -> usize {
    let update = match &told.message {
        Some(UpdateMessage::Update(announcement)) => &announcement.update,
        Some(UpdateMessage::Resync(Resync {
            reason: ResyncReason::Announced(announcement),
            ..
        })) => &announcement.update,
        _ => return 256,
    };
    256 + 3 * update.bytes()
}
