//! What a consumer has in hand: entries that it took and whose purges are not acknowledged yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::invalidation::event::Fields;
use crate::invalidation::mapping::Plan;
use crate::invalidation::quarantine;
use crate::invalidation::stream::{Exactness, Reading};
use crate::redis::{EntryId, StreamEntry};
use crate::update::Update;

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

/// What is to be done for the entries of a batch.
#[derive(Debug, Default)]
pub(super) struct BatchWork {
    pub(super) plan: Plan,
    pub(super) updates: Vec<Arc<Update>>,
    /// One purge for all that cannot be understood, also of other batches, and what people are told of that.
    pub(super) scope: Plan,
    pub(super) resync: Option<Arc<Update>>,
    pub(super) batch: Batch,
}

impl BatchWork {
    pub(super) fn add(&mut self, entry: &StreamEntry, mut reading: Reading) {
        let plan = std::mem::take(&mut reading.plan);
        let updates = std::mem::take(&mut reading.updates);
        let mut updates = updates.into_iter().map(Arc::new);
        if let Exactness::Unreadable(unreadable) = &reading.exactness {
            self.scope.merge(plan);
            self.resync = self.resync.take().or_else(|| updates.next());
            let record = quarantine::record(entry, &unreadable.to_string());
            self.batch.aside.insert(0, record);
        } else {
            self.plan.merge(plan);
            self.updates.extend(updates);
        }
        self.batch.ids.push(entry.id);
        self.batch.readings.push(reading);
    }
}

/// Entries that are purged together, and acknowledged afterwards.
#[derive(Debug, Default)]
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
