//! What a consumer has in hand: entries that it took and whose purges are not acknowledged yet.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::invalidation::event::Fields;
use crate::invalidation::stream::Reading;
use crate::redis::EntryId;

/// The ids of what is in hand. Shared by the consumer, which adds and removes, and the
/// [keeper](super::keeper), which says to the server that they are worked on.
#[derive(Debug, Default)]
pub(super) struct EntriesInHand(Mutex<BTreeSet<EntryId>>);

impl EntriesInHand {
    pub(super) fn add(&self, ids: impl IntoIterator<Item = EntryId>) {
        self.0.lock().extend(ids);
    }

    pub(super) fn remove(&self, ids: &[EntryId]) {
        let mut held = self.0.lock();
        for id in ids {
            held.remove(id);
        }
    }

    pub(super) fn has(&self, id: EntryId) -> bool {
        self.0.lock().contains(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(super) fn all(&self) -> Vec<EntryId> {
        self.0.lock().iter().copied().collect()
    }
}

/// Entries that are purged together, and acknowledged afterwards.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) ids: Vec<EntryId>,
    pub(super) readings: Vec<Reading>,
    /// Records for the quarantine that are still to be written, the last one first.
    pub(super) aside: Vec<Fields>,
}

/// A purge that was acknowledged, and why it was made.
#[derive(Debug)]
pub(super) enum AcknowledgedPurge {
    /// For the events of these entries.
    Batch(Batch),
    /// For events that may be missing: these gaps, for this reason.
    Gap(Vec<String>, &'static str),
}
