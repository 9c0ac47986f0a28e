//! What is to be done for a batch of entries, and doing it.

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

/// What is to be done for the entries of a batch.
#[derive(Debug, Default)]
pub(super) struct BatchWork {
    plan: Plan,
    pub(super) updates: Vec<Arc<Update>>,
    /// One purge for all that cannot be understood, also of other batches, and what people are told of that.
    scope: Plan,
    resync: Option<Arc<Update>>,
    pub(super) batch: Batch,
}

impl BatchWork {
    pub(super) fn add(&mut self, entry: &StreamEntry, mut reading: Reading) {
        let plan = std::mem::take(&mut reading.plan);
        let updates = std::mem::take(&mut reading.updates);
        if let Exactness::Unreadable(unreadable) = &reading.exactness {
            self.scope.merge(plan);
            // It stands for others, so it must be no repeat of one that was told for this entry alone.
            let resync = updates.into_iter().next_back();
            let resync = resync.map(|resync| Arc::new(resync.told_anew()));
            self.resync = self.resync.take().or(resync);
            let record = quarantine::record(entry, &unreadable.to_string());
            self.batch.aside.insert(0, record);
        } else {
            self.plan.merge(plan);
            self.updates.extend(updates.into_iter().map(Arc::new));
        }
        self.batch.ids.push(entry.id);
        self.batch.readings.push(reading);
    }
}

/// By what it is done.
#[derive(Debug)]
pub(super) struct BatchWays {
    pub(super) applier: Applier,
    pub(super) settle: Duration,
    pub(super) held: Arc<EntriesInHand>,
    pub(super) merged: Arc<MergedPurge>,
    pub(super) merged_resync: Arc<MergedPurge>,
}

impl BatchWays {
    /// Returns when all is purged, and people are told of it in their `turn`.
    pub(super) async fn purge(
        self,
        work: BatchWork,
        turn: Option<(Turn, impl Future<Output = ()> + Send)>,
    ) -> AcknowledgedPurge {
        let BatchWork {
            plan,
            updates,
            scope,
            resync,
            batch,
        } = work;
        let (turn, comes) = turn.unzip();
        let comes = async {
            if let Some(comes) = comes {
                comes.await;
            }
        };
        let is_exact = scope.len() == 0 && resync.is_none();
        let logged = || {
            if is_exact {
                self.held.logged(&batch.ids);
            }
        };
        let named = async {
            self.applier
                .purge_until_announced(plan, self.settle, updates, logged, comes)
                .await;
            drop(turn);
        };
        tokio::join!(named, self.doubtful(scope, resync));
        AcknowledgedPurge::Batch(batch)
    }

    /// Purges the `scope` for what cannot be understood at once, with others, and then has people told.
    async fn doubtful(&self, scope: Plan, resync: Option<Arc<Update>>) {
        if scope.len() > 0 {
            let purge = || {
                self.applier
                    .purge_until_acknowledged(scope.clone(), self.settle)
            };
            self.merged.purge(purge).await;
        }
        let Some(resync) = resync else {
            return;
        };
        let tell = || {
            let (scope, resync) = (scope.clone(), vec![resync]);
            let (logged, at_once) = (|| {}, ready(()));
            self.applier
                .purge_until_announced(scope, self.settle, resync, logged, at_once)
        };
        self.merged_resync.purge(tell).await;
    }
}
