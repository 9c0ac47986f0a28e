//! What a consumer has in hand: entries that it took and whose purges are not acknowledged yet.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::invalidation::event::Fields;
use crate::invalidation::stream::Reading;
use crate::redis::EntryId;

/// The ids of what is in hand, and whether its purge is in the log: then it only waits for people to be told. Shared by the
/// consumer, which adds and removes, those who purge, and the [keeper](super::keeper), which says to the server that they are
/// worked on.
#[derive(Debug, Default)]
pub(super) struct EntriesInHand(Mutex<BTreeMap<EntryId, bool>>);

impl EntriesInHand {
    pub(super) fn add(&self, ids: impl IntoIterator<Item = EntryId>) {
        self.0.lock().extend(ids.into_iter().map(|id| (id, false)));
    }

    /// Their purges are in the log.
    pub(super) fn logged(&self, ids: &[EntryId]) {
        let mut held = self.0.lock();
        for id in ids {
            if let Some(logged) = held.get_mut(id) {
                *logged = true;
            }
        }
    }

    pub(super) fn remove(&self, ids: &[EntryId]) {
        let mut held = self.0.lock();
        for id in ids {
            held.remove(id);
        }
    }

    pub(super) fn has(&self, id: EntryId) -> bool {
        self.0.lock().contains_key(&id)
    }

    /// Whether it is in hand and its purge is not in the log yet.
    pub(super) fn has_to_purge(&self, id: EntryId) -> bool {
        self.0.lock().get(&id) == Some(&false)
    }

    /// Whether it is in hand and its purge is in the log.
    pub(super) fn is_logged(&self, id: EntryId) -> bool {
        self.0.lock().get(&id) == Some(&true)
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(super) fn all(&self) -> Vec<EntryId> {
        self.0.lock().keys().copied().collect()
    }
}

/// Entries that are purged together, and acknowledged afterwards.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) ids: Vec<EntryId>,
    pub(super) readings: Vec<Reading>,
    /// Records for the quarantine that are still to be written.
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
