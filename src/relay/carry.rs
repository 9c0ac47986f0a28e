//! What becomes of records of one region's log in another's (PROTOCOL 39c and 39d).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::log::{
    AnnouncementStage, NumberedRecord, PurgeKind, PurgeRecord, RecordUpdates, Relayed,
};
use crate::position::Epoch;
use crate::tag::Target;
use crate::weaken::{ProtocolRule, weakened};

/// The most announcements that wait to be everywhere and settled. Past it the far region's own nodes announce them.
pub(super) const MAX_OWED: usize = 16_384;
/// The most targets of one record that stands for several, and the most bytes of them.
const TOGETHER: usize = 1_000;
const BYTES_TOGETHER: u64 = 64 * 1024;

/// Which records of the followed log owe announcements, and how long they settle.
#[derive(Debug, Default)]
pub(super) struct Debts {
    /// Ordinals of records whose updates are announced in the other region by themselves, or came from there.
    known: BTreeSet<u64>,
    /// The longest settling time that was seen.
    pub(super) longest: Duration,
}

/// What came of some records.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) records: Vec<PurgeRecord>,
    /// So many of those that were read have been in the other region before.
    pub(super) returned: u64,
    /// So many are relayed.
    pub(super) relayed: u64,
}

impl Debts {
    /// Another log is followed, or another part of it. How long its records settle stays known: what was lost with a log
    /// settles all the same.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    pub(super) fn note_settle(&mut self, settle: Duration) {
        self.longest = self.longest.max(settle);
    }

    /// What `read`, which came from the log of the epoch `from`, becomes in that of the epoch `to`, written at `now`.
    pub(super) fn load(
        &mut self,
        read: &[NumberedRecord],
        (from, to): (Epoch, Epoch),
        now: Timestamp,
    ) -> Load {
        let mut load = Load::default();
        for NumberedRecord { position, record } in read {
            self.note_settle(record.settle);
            let nothing = record.targets.is_empty() && record.updates.is_none();
            if record.kind == PurgeKind::Open || nothing {
                continue;
            }
            let before: &[Epoch] = record.relayed.as_ref().map_or(&[], |relayed| &relayed.path);
            if before.contains(&to) && !weakened(ProtocolRule::RelayPath) {
                load.returned += 1;
                if let Some(AnnouncementStage::Owed) = stage(record) {
                    self.know(position.ordinal);
                }
                continue;
            }
            let Some(mut carried) = self.carry(position.ordinal, record) else {
                continue;
            };
            let path = Relayed::extended(before, from);
            carried.relayed = Some(Arc::new(Relayed { path, claim: None }));
            carried.at = now;
            load.relayed += 1;
            match load.records.last_mut() {
                Some(last) if stands_for_both(last, &carried) => {
                    last.targets.append(&mut carried.targets);
                }
                _ => load.records.push(carried),
            }
        }
        load
    }

    /// The record that `record` becomes; none if what it says is said there without it.
    fn carry(&mut self, ordinal: u64, record: &PurgeRecord) -> Option<PurgeRecord> {
        let mut carried = PurgeRecord {
            asks: false,
            relayed: None,
            ..record.clone()
        };
        match (stage(record), &record.updates) {
            (Some(AnnouncementStage::Owed), _) => {
                self.know(ordinal);
                carried.asks = true;
            }
            (Some(AnnouncementStage::Announced(of)), Some(told)) => {
                if self.known.remove(&of) {
                    return None;
                }
                // What owes it was relayed by another run, or is covered by a purge of everything: it is owed anew. How
                // long it settles is not known here.
                carried.settle = self.longest;
                carried.asks = true;
                carried.updates = Some(Arc::new(RecordUpdates {
                    stage: AnnouncementStage::Owed,
                    updates: told.updates.clone(),
                }));
            }
            _ => {}
        }
        Some(carried)
    }

    fn know(&mut self, ordinal: u64) {
        self.known.insert(ordinal);
        if self.known.len() > MAX_OWED {
            self.known.pop_first();
        }
    }
}

fn stage(record: &PurgeRecord) -> Option<AnnouncementStage> {
    record.updates.as_ref().map(|told| told.stage)
}

/// Whether `a` can stand for `b` as well: both are hard, plain, and come by the same way.
fn stands_for_both(a: &PurgeRecord, b: &PurgeRecord) -> bool {
    let plain = |record: &PurgeRecord| {
        record.kind == PurgeKind::Hard && record.settle.is_zero() && record.updates.is_none()
    };
    let bytes = |record: &PurgeRecord| record.targets.iter().map(Target::bytes).sum::<u64>();
    plain(a)
        && plain(b)
        && a.relayed == b.relayed
        && a.targets.len() + b.targets.len() <= TOGETHER
        && bytes(a) + bytes(b) <= BYTES_TOGETHER
}
