//! The log as a node reaches it, with what can go wrong on the way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::node::{Faults, Side};
use super::roll::SharedRoll;
use crate::embedded::EmbeddedLog;
use crate::error::{Error, ErrorKind};
use crate::log::{Keep, Log, NumberedRecord, PurgeRecord, Receipt, Roll, Tail, Tip};
use crate::position::{Epoch, Position};

#[derive(Debug, Clone)]
pub(super) struct FaultyLog {
    pub(super) side: Arc<Mutex<Side>>,
    pub(super) faults: Arc<Faults>,
    /// Whether purges are told when they are everywhere.
    pub(super) has_roll: bool,
}

impl FaultyLog {
    pub(super) fn log(&self) -> EmbeddedLog {
        self.side.lock().log.clone()
    }

    pub(super) fn shared_roll(&self) -> SharedRoll {
        self.side.lock().roll.clone()
    }

    /// What came of `append`, unless it could not be reached.
    async fn appended<T>(
        &self,
        append: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.faults.check()?;
        if self.faults.split.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "no replicas"));
        }
        let appended = append.await;
        self.faults.until_false(&self.faults.ack_held).await;
        appended
    }
}

impl Log for FaultyLog {
    fn append<'a>(&'a self, record: &'a PurgeRecord) -> BoxFuture<'a, Result<Receipt, Error>> {
        async move {
            let log = self.log();
            self.appended(log.append(record)).await
        }
        .boxed()
    }

    fn append_in<'a>(
        &'a self,
        record: &'a PurgeRecord,
        epoch: Epoch,
    ) -> BoxFuture<'a, Result<Option<Receipt>, Error>> {
        async move {
            let log = self.log();
            self.appended(log.append_in(record, epoch)).await
        }
        .boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Tip, Error>> {
        async move {
            self.faults.check()?;
            let tip = self.log().tip().await;
            self.faults.until_false(&self.faults.tip_held).await;
            tip
        }
        .boxed()
    }

    fn tail(&self, limit: usize) -> BoxFuture<'_, Result<Tail, Error>> {
        async move {
            self.faults.until_false(&self.faults.lagging).await;
            self.faults.check()?;
            self.log().tail(limit).await
        }
        .boxed()
    }

    fn read_after(
        &self,
        after: Position,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>> {
        async move {
            self.faults.until_false(&self.faults.lagging).await;
            self.faults.check()?;
            self.log().read_after(after, wait).await
        }
        .boxed()
    }

    fn trim(&self, keep: Keep) -> BoxFuture<'_, Result<(), Error>> {
        async move { self.log().trim(keep).await }.boxed()
    }

    fn roll(&self) -> Option<&dyn Roll> {
        self.has_roll.then_some(self)
    }
}
