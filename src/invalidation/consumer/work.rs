//! What is to be done for the entries that were read together, and doing it.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use super::held::{AcknowledgedPurge, Batch, EntriesInHand};
use super::merged::MergedPurge;
use super::turn::Turn;
use crate::invalidation::intake::Applier;
use crate::invalidation::mapping::Plan;
use crate::invalidation::quarantine;
use crate::invalidation::stream::{Exactness, Reading};
use crate::redis::StreamEntry;
use crate::update::Update;

/// What is to be done for the entries that were read together.
#[derive(Debug, Default)]
pub(super) struct ReadWork {
    /// The most entries that are purged by one record.
    together: usize,
    pub(super) named: NamedWork,
    pub(super) doubtful: DoubtfulWork,
}

/// For those that say what they purge.
#[derive(Debug, Default)]
pub(super) struct NamedWork {
    /// What is purged together, and what people are told of it, in order.
    purges: Vec<(Plan, Vec<Arc<Update>>)>,
    /// Entries that the last of them is for.
    in_last: usize,
    pub(super) batch: Batch,
}

/// For those that cannot be understood.
#[derive(Debug, Default)]
pub(super) struct DoubtfulWork {
    /// One purge for all of them, also of other batches, and what people are told of that.
    scope: Plan,
    resync: Option<Arc<Update>>,
    pub(super) batch: Batch,
}

impl ReadWork {
    pub(super) fn new(together: usize) -> Self {
        Self {
            together,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, entry: &StreamEntry, mut reading: Reading) {
        let plan = std::mem::take(&mut reading.plan);
        let updates = std::mem::take(&mut reading.updates);
        let batch = if let Exactness::Unreadable(unreadable) = &reading.exactness {
            let doubtful = &mut self.doubtful;
            doubtful.scope.merge(plan);
            // It stands for others, so it must be no repeat of one that was told for this entry alone.
            let resync = updates.into_iter().next_back();
            let resync = resync.map(|resync| Arc::new(resync.told_anew()));
            doubtful.resync = doubtful.resync.take().or(resync);
            let record = quarantine::record(entry, &unreadable.to_string());
            doubtful.batch.aside.push(record);
            &mut doubtful.batch
        } else {
            let named = &mut self.named;
            named.add(plan, updates.into_iter().map(Arc::new), self.together);
            &mut named.batch
        };
        batch.ids.push(entry.id);
        batch.readings.push(reading);
    }
}

impl NamedWork {
    fn add(&mut self, plan: Plan, updates: impl Iterator<Item = Arc<Update>>, together: usize) {
        if self.in_last >= together || self.purges.is_empty() {
            self.purges.push(<(Plan, Vec<_>)>::default());
            self.in_last = 0;
        }
        self.in_last += 1;
        if let Some((plans, told)) = self.purges.last_mut() {
            plans.merge(plan);
            told.extend(updates);
        }
    }

    /// Whether people are told of something.
    pub(super) fn is_told(&self) -> bool {
        self.purges.iter().any(|(_, updates)| !updates.is_empty())
    }
}

/// By what it is done.
#[derive(Debug, Clone)]
pub(super) struct ReadWays {
    pub(super) applier: Applier,
    pub(super) settle: Duration,
    pub(super) held: Arc<EntriesInHand>,
    pub(super) merged: Arc<MergedPurge>,
    pub(super) merged_resync: Arc<MergedPurge>,
}

impl ReadWays {
    /// Returns when all is purged, and people are told of it in their `turn`.
    pub(super) async fn purge(
        self,
        work: NamedWork,
        turn: Option<(Turn, impl Future<Output = ()> + Send)>,
    ) -> AcknowledgedPurge {
        let NamedWork { purges, batch, .. } = work;
        let (turn, comes) = turn.unzip();
        let comes = async {
            if let Some(comes) = comes {
                comes.await;
            }
        };
        let logged = || self.held.logged(&batch.ids);
        self.applier
            .purge_until_announced(purges, self.settle, logged, comes)
            .await;
        drop(turn);
        AcknowledgedPurge::Batch(batch)
    }

    /// Purges the scope for what cannot be understood at once, with others, and then has people told. A task of its own:
    /// it waits for others, and what was read with it must not.
    pub(super) async fn doubtful(self, work: DoubtfulWork) -> AcknowledgedPurge {
        let DoubtfulWork {
            scope,
            resync,
            batch,
        } = work;
        if scope.len() > 0 {
            let purge = || {
                self.applier
                    .purge_until_acknowledged(vec![scope.clone()], self.settle)
            };
            self.merged.purge(purge).await;
        }
        if let Some(resync) = resync {
            let tell = || {
                let purges = vec![(scope.clone(), vec![resync])];
                let (logged, at_once) = (|| {}, ready(()));
                self.applier
                    .purge_until_announced(purges, self.settle, logged, at_once)
            };
            self.merged_resync.purge(tell).await;
        }
        AcknowledgedPurge::Batch(batch)
    }
}
