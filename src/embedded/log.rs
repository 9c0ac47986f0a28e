//! The purge log in the process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::log::{Appended, Head, Log, Numbered, PurgeRecord, Tail};
use crate::position::{Epoch, Position};

/// Records handed out by one read.
const BATCH: usize = 1_000;

/// A log that lives as long as the process. A cheap clone; clones are the same log.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddedLog {
    shared: Arc<Shared>,
}

/// Held by every clone.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    appended: Notify,
}

#[derive(Debug)]
struct State {
    epoch: u64,
    /// Contiguous, never empty.
    records: VecDeque<(u64, PurgeRecord)>,
}

impl State {
    fn open(epoch: u64, at: Timestamp) -> Self {
        Self {
            epoch,
            records: VecDeque::from([(0, PurgeRecord::open(at))]),
        }
    }

    fn head(&self) -> Head {
        let ordinal = self.records.back().map_or(0, |(ordinal, _)| *ordinal);
        Head {
            position: Position {
                epoch: Epoch::new(self.epoch),
                ordinal,
            },
            replicas: 0,
        }
    }

    fn numbered(&self, ordinal: u64, record: &PurgeRecord) -> Numbered {
        Numbered {
            position: Position {
                epoch: Epoch::new(self.epoch),
                ordinal,
            },
            record: record.clone(),
        }
    }

    /// The records with an ordinal above `after`.
    fn behind(&self, after: Position) -> Vec<Numbered> {
        let first = self.records.front().map_or(0, |(ordinal, _)| *ordinal);
        let skip = if after.epoch.get() == self.epoch {
            (after.ordinal + 1).saturating_sub(first)
        } else if after.epoch.get() < self.epoch {
            0
        } else {
            // Ids of an earlier epoch stand before the reader's position: it hears nothing of them.
            return Vec::new();
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let records = self.records.iter().skip(skip).take(BATCH);
        records
            .map(|(ordinal, record)| self.numbered(*ordinal, record))
            .collect()
    }

    fn drop_oldest(&mut self, keep: usize) {
        let surplus = self.records.len().saturating_sub(keep.max(1));
        self.records.drain(..surplus);
    }
}

impl EmbeddedLog {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        let now = clock.now();
        let epoch = now.as_millis() << 20 | fastrand::u64(..1 << 20);
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::open(epoch, now)),
                appended: Notify::new(),
            }),
        }
    }

    /// The head, without a future: reading it takes no round trip.
    pub(crate) fn head_now(&self) -> Head {
        self.shared.state.lock().head()
    }
}

#[cfg(test)]
impl EmbeddedLog {
    /// Everything is gone, as after a flush: a new epoch.
    pub(crate) fn lose(&self) {
        let mut state = self.shared.state.lock();
        *state = State::open(state.epoch + 1, Timestamp::default());
        drop(state);
        self.shared.appended.notify_waiters();
    }

    /// Only the newest `keep` records are left.
    pub(crate) fn trim_to(&self, keep: usize) {
        self.shared.state.lock().drop_oldest(keep);
    }
}

impl Log for EmbeddedLog {
    fn append<'a>(&'a self, record: &'a PurgeRecord) -> BoxFuture<'a, Result<Appended, Error>> {
        async move {
            let mut state = self.shared.state.lock();
            let ordinal = state.head().position.ordinal + 1;
            state.records.push_back((ordinal, record.clone()));
            let position = state.head().position;
            drop(state);
            self.shared.appended.notify_waiters();
            Ok(Appended {
                position,
                replicas: 0,
            })
        }
        .boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, Error>> {
        async { Ok(self.head_now()) }.boxed()
    }

    fn tail(&self, limit: usize) -> BoxFuture<'_, Result<Tail, Error>> {
        async move {
            let state = self.shared.state.lock();
            let skip = state.records.len().saturating_sub(limit);
            let records = state.records.iter().skip(skip);
            let records = records
                .map(|(ordinal, record)| state.numbered(*ordinal, record))
                .collect();
            Ok(Tail {
                head: state.head(),
                records,
            })
        }
        .boxed()
    }

    fn read_after(
        &self,
        after: Position,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Numbered>, Error>> {
        async move {
            let arrived = async {
                loop {
                    let appended = self.shared.appended.notified();
                    let records = self.shared.state.lock().behind(after);
                    if !records.is_empty() || wait.is_zero() {
                        return records;
                    }
                    appended.await;
                }
            };
            Ok(timeout(wait, arrived).await.unwrap_or_default())
        }
        .boxed()
    }

    fn trim(&self, older_than: Timestamp, most: usize) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let mut state = self.shared.state.lock();
            let old = state
                .records
                .iter()
                .take_while(|(_, record)| record.at < older_than)
                .count();
            let young = state.records.len() - old;
            state.drop_oldest(young.min(most));
            Ok(())
        }
        .boxed()
    }
}
