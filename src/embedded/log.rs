//! A purge log in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::log::{Keep, Log, NumberedRecord, PurgeRecord, Receipt, Tail, Tip};
use crate::position::{Epoch, Position};
use crate::sync::Mutex;

/// The most records that one read returns.
const BATCH: usize = 1_000;
/// Records kept even if nobody ever trims; what is dropped raises the floor of who had not read it.
const MOST: usize = 100_000;
/// And their bytes.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

/// A purge log in this process. Cheap to clone; clones are the same log.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddedLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Held for moments only, by appenders and readers.
    records: Mutex<Records>,
    /// Told after each append.
    grown: Notify,
}

/// Never empty, contiguous and of one epoch.
#[derive(Debug, Clone)]
struct Records {
    kept: VecDeque<NumberedRecord>,
    last: Position,
    /// What `kept` takes, about.
    bytes: u64,
}

impl EmbeddedLog {
    /// A log with nothing in it but the record that opens its epoch.
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        let records = Records::open(0, clock.now());
        Self {
            shared: Arc::new(Shared {
                records: Mutex::new(records),
                grown: Notify::new(),
            }),
        }
    }

    /// The end of the log, now.
    pub(super) fn current(&self) -> Tip {
        self.shared.records.lock().tip()
    }

    /// Loses the log: a new epoch, as after a `FLUSHALL` of Redis.
    #[cfg(test)]
    pub(crate) fn lose(&self) {
        let mut records = self.shared.records.lock();
        *records = Records::open(records.last.epoch.get(), Timestamp::default());
        drop(records);
        self.shared.grown.notify_waiters();
    }

    /// A log of its own with the same records, as an old master has that was cut off.
    #[cfg(test)]
    pub(crate) fn fork(&self) -> Self {
        let records = self.shared.records.lock().clone();
        Self {
            shared: Arc::new(Shared {
                records: Mutex::new(records),
                grown: Notify::new(),
            }),
        }
    }

    /// Drops all but the newest `most` records, and never the last.
    #[cfg(test)]
    pub(crate) fn trim_to(&self, most: usize) {
        self.shared.records.lock().keep_newest(most);
    }

    fn push(&self, record: PurgeRecord) -> Position {
        let position = self.shared.records.lock().push(record);
        self.shared.grown.notify_waiters();
        position
    }

    /// `None` if the log is in another epoch.
    fn push_in(&self, record: &PurgeRecord, epoch: Epoch) -> Option<Position> {
        let mut records = self.shared.records.lock();
        let position = (records.last.epoch == epoch).then(|| records.push(record.clone()));
        drop(records);
        self.shared.grown.notify_waiters();
        position
    }

    async fn read(&self, after: Position, wait: Duration) -> Vec<NumberedRecord> {
        if wait.is_zero() {
            return self.shared.records.lock().after(after);
        }
        let waiting = timeout(wait, async {
            loop {
                // Before the look, so that an append in between is not missed.
                let grown = self.shared.grown.notified();
                let records = self.shared.records.lock().after(after);
                if !records.is_empty() {
                    return records;
                }
                grown.await;
            }
        });
        waiting.await.unwrap_or_default()
    }
}

impl Records {
    /// The clock makes the epoch differ from those of other processes; it must differ from the last.
    fn open(last: u64, now: Timestamp) -> Self {
        let by_clock = now.as_millis() << 20 | fastrand::u64(..1 << 20);
        let epoch = by_clock.max(last + 1);
        let last = Position::new(epoch, 0);
        let first = NumberedRecord {
            position: last,
            record: PurgeRecord::open(now),
        };
        Self {
            bytes: first.record.bytes(),
            kept: VecDeque::from([first]),
            last,
        }
    }

    fn tip(&self) -> Tip {
        Tip {
            position: self.last,
            replicas: 0,
        }
    }

    fn push(&mut self, record: PurgeRecord) -> Position {
        self.last.ordinal += 1;
        let position = self.last;
        self.bytes += record.bytes();
        self.kept.push_back(NumberedRecord { position, record });
        self.keep_newest(MOST);
        self.keep_bytes(MOST_BYTES);
        position
    }

    /// Records behind `after`; all of them if it is of another epoch.
    fn after(&self, after: Position) -> Vec<NumberedRecord> {
        let known = |kept: &NumberedRecord| after.reaches(kept.position);
        let skip = self.kept.partition_point(known);
        self.kept.iter().skip(skip).take(BATCH).cloned().collect()
    }

    fn keep_newest(&mut self, most: usize) {
        let excess = self.kept.len().saturating_sub(most.max(1));
        for dropped in self.kept.drain(..excess) {
            self.bytes -= dropped.record.bytes();
        }
    }

    fn keep_bytes(&mut self, most: u64) {
        while self.bytes > most && self.kept.len() > 1 {
            self.keep_newest(self.kept.len() - 1);
        }
    }

    fn drop_older_than(&mut self, time: Timestamp) {
        let young = self.kept.iter().position(|kept| kept.record.at >= time);
        self.keep_newest(self.kept.len() - young.unwrap_or(self.kept.len()));
    }
}

impl Log for EmbeddedLog {
    fn append<'a>(&'a self, record: &'a PurgeRecord) -> BoxFuture<'a, Result<Receipt, Error>> {
        async move { Ok(Receipt::durable(self.push(record.clone()))) }.boxed()
    }

    fn append_in<'a>(
        &'a self,
        record: &'a PurgeRecord,
        epoch: Epoch,
    ) -> BoxFuture<'a, Result<Option<Receipt>, Error>> {
        async move { Ok(self.push_in(record, epoch).map(Receipt::durable)) }.boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Tip, Error>> {
        async move { Ok(self.current()) }.boxed()
    }

    fn tail(&self, limit: usize) -> BoxFuture<'_, Result<Tail, Error>> {
        async move {
            let records = self.shared.records.lock();
            let skip = records.kept.len().saturating_sub(limit);
            Ok(Tail {
                tip: records.tip(),
                records: records.kept.iter().skip(skip).cloned().collect(),
            })
        }
        .boxed()
    }

    fn read_after(
        &self,
        after: Position,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>> {
        self.read(after, wait).map(Ok).boxed()
    }

    fn trim(&self, keep: Keep) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let mut records = self.shared.records.lock();
            records.keep_newest(keep.records);
            records.keep_bytes(keep.bytes);
            records.drop_older_than(keep.since);
            Ok(())
        }
        .boxed()
    }
}
