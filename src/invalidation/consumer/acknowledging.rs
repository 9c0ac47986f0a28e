//! What is told to the server when purges have ended: entries put aside, acknowledgements, gaps that are closed.

use tokio::task::JoinError;

use super::held::{AcknowledgedPurge, Batch};
use crate::error::Error;
use crate::invalidation::consumer::Consumer;
use crate::redis::{EntryId, Group};

/// The most entries that are put aside in one write; each has 16 KiB at most.
const ASIDE_TOGETHER: usize = 64;

/// Purges that ended and were not told to the server yet.
#[derive(Debug, Default)]
pub(super) struct PurgedWork {
    batches: Vec<Batch>,
    /// Whether their entries are acknowledged.
    is_acknowledged: bool,
    gaps: Vec<(Vec<String>, &'static str)>,
}

impl PurgedWork {
    /// Tells the server: all entries are acknowledged by one command.
    pub(super) async fn send(&mut self, source: &Group) -> Result<(), Error> {
        let aside = self.batches.iter().flat_map(|batch| &batch.aside);
        let aside: Vec<_> = aside.map(Vec::as_slice).collect();
        for together in aside.chunks(ASIDE_TOGETHER) {
            source.quarantine(together).await?;
        }
        for batch in &mut self.batches {
            batch.aside.clear();
        }
        source.acknowledge(&self.ids()).await?;
        self.is_acknowledged = true;
        for (gaps, _) in &self.gaps {
            source.clear_gaps(gaps).await?;
        }
        Ok(())
    }

    fn ids(&self) -> Vec<EntryId> {
        let ids = self.batches.iter().flat_map(|batch| &batch.ids);
        ids.copied().collect()
    }
}

impl Consumer {
    /// Notes the purges that have ended.
    pub(super) fn collect(&mut self) {
        while let Some(ended) = self.purging.try_join_next() {
            self.ended(ended);
        }
    }

    pub(super) fn ended(&mut self, purged: Result<AcknowledgedPurge, JoinError>) {
        match purged {
            Ok(purged) => self.purged.push_back(purged),
            Err(error) => {
                // What it held is pending in Redis, and read again.
                tracing::error!(stream = %self.stream.name, %error, "a purge ended early");
                self.held.remove(&self.held.all());
                self.closing.clear();
                self.recover = Some(EntryId::default());
                self.look_at = None;
            }
        }
    }

    /// Acknowledges what was purged. What fails is tried again in the next turn.
    pub(super) async fn acknowledge(&mut self) -> Result<(), Error> {
        self.collect();
        let mut purged = self.take_purged();
        let done = purged.send(&self.source).await;
        self.told_server(purged, done)
    }

    /// What was purged, to be told to the server and then [here](Self::told_server).
    pub(super) fn take_purged(&mut self) -> PurgedWork {
        let mut work = PurgedWork::default();
        for purged in self.purged.drain(..) {
            match purged {
                AcknowledgedPurge::Batch(batch) => {
                    // What the server has acknowledged is in nobody's hands: the keeper must not miss it there.
                    self.held.remove(&batch.ids);
                    work.batches.push(batch);
                }
                AcknowledgedPurge::Gap(gaps, reason) => work.gaps.push((gaps, reason)),
            }
        }
        work
    }

    /// The server was told of `work`, or not all of it: the rest is told in the next turn.
    pub(super) fn told_server(
        &mut self,
        work: PurgedWork,
        done: Result<(), Error>,
    ) -> Result<(), Error> {
        if work.is_acknowledged {
            for batch in &work.batches {
                self.tidy.acknowledged(batch.ids.len());
                for (id, reading) in batch.ids.iter().zip(&batch.readings) {
                    self.applier
                        .report(&self.stream.name, &id.to_string(), reading);
                }
            }
        } else {
            self.held.add(work.ids());
            let batches = work.batches.into_iter().map(AcknowledgedPurge::Batch);
            self.purged.extend(batches);
        }
        for (gaps, reason) in work.gaps {
            match done {
                Ok(()) => self.forget_gaps(&gaps, reason),
                Err(_) => self.purged.push_back(AcknowledgedPurge::Gap(gaps, reason)),
            }
        }
        done
    }
}
