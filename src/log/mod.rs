//! The purge log: one append-only list of purge records that every node follows.
//!
//! Contract, for every implementation (the suite in `contract.rs` checks it):
//!
//! - A record's [`Position`] is its id. Within an epoch ordinals grow by one; a record, once read
//!   at a position, is never another one there.
//! - [`append`](Log::append) answers `Ok` only when the record is in the log of the epoch that the
//!   position names. A repeated append is harmless.
//! - A tip is read after the call began, never remembered, from a log whose identity was checked
//!   (PROTOCOL 6–9). If the log was lost, rolled back or replaced, its epoch differs from before.
//! - Nothing is promised about silence: a reader that hears nothing learns nothing (PROTOCOL 14).

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::position::{Epoch, Position};
use crate::sync::OnDrop;
pub(crate) use crate::tag::PurgeKind;

#[cfg(test)]
pub(crate) mod contract;
mod everywhere;
mod follower;
mod health;
mod pending;
mod pulse;
mod purges;
mod record;
mod regions;
mod registrar;
mod relayed;
mod retries;
pub(crate) mod roll;
mod settling;
mod size;
mod updates;
mod view;

pub use self::everywhere::Everywhere;
pub(crate) use self::everywhere::{Awaited, RollCaller};
pub(crate) use self::follower::{Follower, Retention};
pub use self::health::{Health, Trouble};
pub(crate) use self::pulse::Pulse;
pub use self::purges::{Durability, Purged};
pub(crate) use self::purges::{PurgeToAnnounce, Purges, Until};
pub(crate) use self::record::{AnnouncementStage, PurgeRecord, RecordUpdates};
pub(crate) use self::regions::Regions;
pub(crate) use self::registrar::Registrar;
pub(crate) use self::relayed::{RelayClaim, Relayed};
pub(crate) use self::roll::Roll;
#[cfg(feature = "redis")]
pub(crate) use self::size::LogSize;
pub(crate) use self::size::OVERHEAD;
pub(crate) use self::updates::UpdateHub;
pub use self::updates::{Announcement, Resync, ResyncReason, UpdateMessage, Updates};
#[cfg(feature = "live")]
pub(crate) use self::updates::{ClientFrame, HistoryPage, Told};
pub(crate) use self::view::{ApplyResult, View, Views};
#[cfg(feature = "live")]
pub(crate) use self::view::{Listening, LossReason, NextTold, Resumption};

/// Something is in doubt in this process as long as this is there.
pub(crate) type Doubt = OnDrop<Box<dyn FnOnce() + Send + Sync>>;

/// The tip of the log, as one read saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tip {
    /// The last record's position.
    pub(crate) position: Position,
    /// Replicas that the server has: with any, strict lookups need the lease too (PROTOCOL 22).
    pub(crate) replicas: u32,
}

/// A record that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) position: Position,
    /// Replicas that acknowledged it.
    pub(crate) replicas: u32,
    /// Whether it is as durable as PROTOCOL 23 asks. What is not is [confirmed](Log::confirm) later.
    pub(crate) durable: bool,
}

impl Receipt {
    /// Of a log whose records are durable at once, and that has no replicas.
    pub(crate) const fn durable(position: Position) -> Self {
        Self {
            position,
            replicas: 0,
            durable: true,
        }
    }
}

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumberedRecord {
    pub(crate) position: Position,
    pub(crate) record: PurgeRecord,
}

/// The end of the log, without a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) tip: Tip,
    /// Ascending, contiguous, of the tip's epoch, ending at the tip. May be cut at the front.
    pub(crate) records: Vec<NumberedRecord>,
}

/// Which records of the log stay when it is trimmed: the newest that are within all of these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// Those written at that time or later.
    pub(crate) since: Timestamp,
    /// So many.
    pub(crate) records: usize,
    /// So many bytes of them.
    pub(crate) bytes: u64,
}

/// One append-only purge log, shared by nodes or private to the process.
pub(crate) trait Log: Debug + Send + Sync + 'static {
    /// Appends `record`.
    ///
    /// # Errors
    /// Not known to be in the log: repeat it until it is (PROTOCOL 23).
    fn append<'a>(&'a self, record: &'a PurgeRecord) -> BoxFuture<'a, Result<Receipt, Error>>;

    /// Appends `record` in `epoch` only; `None` if the log is in another one.
    ///
    /// # Errors
    /// As of [`append`](Self::append).
    fn append_in<'a>(
        &'a self,
        record: &'a PurgeRecord,
        epoch: Epoch,
    ) -> BoxFuture<'a, Result<Option<Receipt>, Error>>;

    /// Appends `records` in this order, in one step of the wire where there is one; in `epoch` only, if one is given: `None`
    /// if the log is in another one.
    ///
    /// # Errors
    /// As of [`append`](Self::append): some of them may be in the log, the first ones.
    fn append_each<'a>(
        &'a self,
        records: &'a [PurgeRecord],
        epoch: Option<Epoch>,
    ) -> BoxFuture<'a, Result<Option<Vec<Receipt>>, Error>> {
        Box::pin(async move {
            let mut receipts = Vec::with_capacity(records.len());
            for record in records {
                let appended = match epoch {
                    None => Some(self.append(record).await?),
                    Some(epoch) => self.append_in(record, epoch).await?,
                };
                let Some(appended) = appended else {
                    return Ok(None);
                };
                receipts.push(appended);
            }
            Ok(Some(receipts))
        })
    }

    /// Whether the record that was appended at `position` is durable by now, so that it need not be
    /// appended again; `None` if the log is another one since, and it must be.
    ///
    /// # Errors
    /// Not durable yet, or nobody can tell.
    fn confirm(&self, position: Position) -> BoxFuture<'_, Result<Option<Receipt>, Error>> {
        // A log whose records are durable at once is not asked.
        let _ = position;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// A heartbeat: checks the log's identity afresh, opens an epoch if it must, and reads the tip.
    fn tip(&self) -> BoxFuture<'_, Result<Tip, Error>>;

    /// The last records, at most `limit`.
    fn tail(&self, limit: usize) -> BoxFuture<'_, Result<Tail, Error>>;

    /// Some records behind `after` that are there already, as of [`read_after`](Self::read_after), for who keeps what they
    /// announce: they may be large, and are in the way of no lookup.
    #[cfg(feature = "activity")]
    fn read_page(&self, after: Position) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>> {
        self.read_after(after, Duration::ZERO)
    }

    /// Records behind `after`, in the order of the log, at most a few thousand; waits up to `wait`
    /// for the first. Empty when none came. They may be of another epoch, and there may be a hole.
    fn read_after(
        &self,
        after: Position,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>>;

    /// Drops what `keep` does not keep, approximately and never the last record. What is dropped
    /// raises the floor of whoever had not read it.
    fn trim(&self, keep: Keep) -> BoxFuture<'_, Result<(), Error>>;

    /// Whether the log has outgrown `keep` by much, as far as this process knows without asking: it
    /// is then trimmed at once, and not when its time comes.
    fn is_over(&self, keep: Keep) -> bool {
        let _ = keep;
        false
    }

    /// What is wrong with the server that it is on. Default: nothing.
    fn troubles(&self) -> Vec<Trouble> {
        Vec::new()
    }

    /// What that server calls itself. Default: there is none.
    fn server(&self) -> Option<String> {
        None
    }

    /// Who may answer near, where nodes share the log. Default: this process alone does, and a purge is everywhere as
    /// soon as it is in the log.
    fn roll(&self) -> Option<&dyn Roll> {
        None
    }

    /// Whether its server has replicas, or had: then a master that was cut off may take records for a while.
    fn has_replicas(&self) -> bool {
        false
    }

    /// Whether its heartbeats are answered, where they can fail: whoever calls [`tip`](Self::tip) learns it
    /// there. Default: a pulse that nobody changes.
    fn pulse(&self) -> Arc<Pulse> {
        Arc::default()
    }
}
