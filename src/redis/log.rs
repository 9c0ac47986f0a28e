//! The purge log as a Redis stream.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::redis::Cmd;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::millis;
use crate::error::{Error, ErrorKind};
use crate::log::{
    Keep, Log, LogSize, NumberedRecord, Pulse, PurgeRecord, Receipt, Roll, Tail, Tip, Trouble,
};
use crate::position::{Epoch, Position};
use crate::redis::exclusive::{Exclusive, is_replica, turned_replica};
use crate::redis::fault;
use crate::redis::health::{Part, ServerHealth};
use crate::redis::link::Link;
use crate::redis::reply::{self, Last, RawRecord};
use crate::redis::trust::Knowledge;
use crate::redis::verify::Verifier;

mod append;
mod beat;
mod roll;
mod trim;

#[cfg(test)]
pub(crate) use self::roll::SCRIPTS;

/// The most records that one read returns.
const BATCH: usize = 1_000;
/// And that a page has: a record may have 256 KiB of updates.
#[cfg(feature = "activity")]
const PAGE: usize = 50;
/// A blocked read is late by up to 100 ms (PROTOCOL 21); one that is later by so much hangs.
const SLACK: Duration = Duration::from_secs(1);
/// A log that was not the expected one is looked at so often in one call.
const TRIES: usize = 3;

/// The purge log of one namespace on one server.
#[derive(Debug)]
pub(crate) struct RedisLog {
    pub(super) verifier: Arc<Verifier>,
    /// Shared with the store's lookups.
    pub(super) reads: Link,
    /// Its own, because `WAIT` blocks what comes after it on the same connection.
    pub(super) appends: Link,
    /// The store's, which heartbeats try when it failed.
    pub(super) writes: Link,
    /// That of the store of activity.
    #[cfg(feature = "activity")]
    pub(super) activity: Link,
    /// Each reader's own, because `XREAD BLOCK` does (SAFETY 65).
    pub(super) follower: Exclusive,
    pub(super) health: Arc<ServerHealth>,
    /// Of the records that this process has read. Held for moments.
    pub(super) size: Mutex<LogSize>,
    /// The replicas did not acknowledge the last record in time.
    pub(super) late: AtomicBool,
    /// The server refused a script over the roll when it was last sent one.
    pub(super) roll_denied: AtomicBool,
    /// Up to where they have, and how many. Held by whoever asks them.
    pub(super) confirmed: tokio::sync::Mutex<Option<(Position, u32)>>,
}

impl RedisLog {
    async fn read_tail(&self, limit: usize) -> Result<Tail, Error> {
        let mut tail = ::redis::cmd("XREVRANGE");
        tail.arg(self.verifier.keys.log()).arg("+").arg("-");
        tail.arg("COUNT").arg(limit.max(1));
        for _ in 0..TRIES {
            let sent = self.verifier.trust.sent();
            let within = self.verifier.server.budgets().purge;
            let (live, answer) = self.follower.ask("tail", within, &tail).await?;
            if fault::code(&answer) == Some("WRONGTYPE") {
                continue;
            }
            let newest_first = reply::entries(answer)?;
            let last = newest_first
                .first()
                .cloned()
                .map_or(Last::Missing, Last::Record);
            let judged = self
                .verifier
                .trust
                .judge(sent, &live.verified.identity, &last);
            // Dropping the connection has the log verified on the next one.
            let Ok(position) = judged else { continue };
            self.verifier.trust.read(sent, position);
            self.follower.keep(live);
            self.weigh(newest_first.iter().rev());
            let replicas = self.verifier.trust.replicas_seen();
            return Ok(Tail {
                tip: Tip { position, replicas },
                records: contiguous(&newest_first, limit),
            });
        }
        Err(changes_too_fast())
    }

    /// Records that are there already, on the connection of the lookups: a lookup that found the log
    /// ahead must not wait for the follower's blocked connection, nor make one of its own.
    async fn read_now(&self, after: Position) -> Result<Vec<NumberedRecord>, Error> {
        let within = self.verifier.server.budgets().read;
        let reading = self.reading(after, BATCH, Duration::ZERO);
        self.read_by(&self.reads, within, reading).await
    }

    /// Reads by the connection of `link`, from a server that is no replica.
    async fn read_by(
        &self,
        link: &Link,
        within: Duration,
        reading: Cmd,
    ) -> Result<Vec<NumberedRecord>, Error> {
        let deadline = Instant::now() + within;
        let live = link.verified(deadline).await?;
        let sent = self.verifier.trust.sent();
        let mut pipe = ::redis::pipe();
        pipe.cmd("ROLE");
        pipe.add_command(reading);
        let mut answer = link.ask(&live, deadline, &pipe).await?;
        if answer.first().is_some_and(is_replica) {
            live.distrusted(&self.verifier.trust);
            return Err(turned_replica());
        }
        let records = reply::read_entries(answer.pop().unwrap_or(::redis::Value::Nil))?;
        Ok(self.took(sent, &records))
    }

    async fn read(&self, after: Position, wait: Duration) -> Result<Vec<NumberedRecord>, Error> {
        if wait.is_zero() {
            return self.read_now(after).await;
        }
        let sent = self.verifier.trust.sent();
        let reading = self.reading(after, BATCH, wait);
        let (live, answer) = self.follower.follow(wait + SLACK, &reading).await?;
        let records = reply::read_entries(answer)?;
        self.follower.keep(live);
        Ok(self.took(sent, &records))
    }

    fn took(&self, sent: Knowledge, records: &[RawRecord]) -> Vec<NumberedRecord> {
        if let Some(last) = records.last() {
            self.verifier.trust.read(sent, last.position);
        }
        self.weigh(records.iter());
        records.iter().map(RawRecord::numbered).collect()
    }

    /// Notes how large `records` are, which come in ascending order.
    fn weigh<'r>(&self, records: impl Iterator<Item = &'r RawRecord>) {
        let mut size = self.size.lock();
        for record in records {
            size.note(record.position, record.bytes());
        }
    }

    fn reading(&self, after: Position, most: usize, wait: Duration) -> Cmd {
        let mut read = ::redis::cmd("XREAD");
        read.arg("COUNT").arg(most);
        if !wait.is_zero() {
            // `BLOCK 0` would wait for ever.
            read.arg("BLOCK").arg(millis(wait).max(1));
        }
        read.arg("STREAMS").arg(self.verifier.keys.log());
        read.arg(after.to_string());
        read
    }
}

impl Log for RedisLog {
    fn append<'a>(&'a self, record: &'a PurgeRecord) -> BoxFuture<'a, Result<Receipt, Error>> {
        async move {
            let records = std::slice::from_ref(record);
            let appended = self.append_within(records, None).await?;
            // Any epoch is right.
            appended
                .and_then(|mut appended| appended.pop())
                .ok_or_else(changes_too_fast)
        }
        .boxed()
    }

    fn append_each<'a>(
        &'a self,
        records: &'a [PurgeRecord],
        epoch: Option<Epoch>,
    ) -> BoxFuture<'a, Result<Option<Vec<Receipt>>, Error>> {
        self.append_within(records, epoch).boxed()
    }

    fn append_in<'a>(
        &'a self,
        record: &'a PurgeRecord,
        epoch: Epoch,
    ) -> BoxFuture<'a, Result<Option<Receipt>, Error>> {
        async move {
            let records = std::slice::from_ref(record);
            let appended = self.append_within(records, Some(epoch)).await?;
            Ok(appended.and_then(|mut appended| appended.pop()))
        }
        .boxed()
    }

    fn confirm(&self, position: Position) -> BoxFuture<'_, Result<Option<Receipt>, Error>> {
        async move {
            let confirmed = self.confirm_within(position).await;
            self.health.note(Part::Purges, &confirmed);
            confirmed
        }
        .boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Tip, Error>> {
        async move { Ok(self.heartbeat(None).await?.tip) }.boxed()
    }

    fn tail(&self, limit: usize) -> BoxFuture<'_, Result<Tail, Error>> {
        self.read_tail(limit).boxed()
    }

    fn read_after(
        &self,
        after: Position,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>> {
        self.read(after, wait).boxed()
    }

    #[cfg(feature = "activity")]
    fn read_page(&self, after: Position) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>> {
        let within = self.verifier.server.budgets().purge;
        let reading = self.reading(after, PAGE, Duration::ZERO);
        self.read_by(&self.activity, within, reading).boxed()
    }

    fn trim(&self, keep: Keep) -> BoxFuture<'_, Result<(), Error>> {
        self.trim_to(keep).boxed()
    }

    fn is_over(&self, keep: Keep) -> bool {
        self.size.lock().is_over(keep.records, keep.bytes)
    }

    fn roll(&self) -> Option<&dyn Roll> {
        Some(self)
    }

    fn has_replicas(&self) -> bool {
        self.verifier.trust.replicas_seen() > 0
    }

    fn troubles(&self) -> Vec<Trouble> {
        self.health.troubles()
    }

    fn server(&self) -> Option<String> {
        self.verifier.server.software()
    }

    fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(self.verifier.server.pulse())
    }
}

fn changes_too_fast() -> Error {
    let message = "redis: the purge log changed each time that it was verified";
    Error::new(ErrorKind::Unavailable, message)
}

/// The newest records without a hole between them, of one epoch, in ascending order.
fn contiguous(newest_first: &[RawRecord], limit: usize) -> Vec<NumberedRecord> {
    let mut records: Vec<NumberedRecord> = Vec::with_capacity(newest_first.len());
    for record in newest_first.iter().take(limit) {
        let next = record.position;
        let follows = records.last().is_none_or(|newer| {
            let newer = newer.position;
            newer.epoch == next.epoch && newer.ordinal == next.ordinal + 1
        });
        if !follows {
            break;
        }
        records.push(record.numbered());
    }
    records.reverse();
    records
}
