//! From *everywhere* to *announced*: the record that lets people be told of a purge (PROTOCOL 38).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{CONFIRM_AGAIN, GRACE, Purges, late};
use crate::backoff::Backoff;
use crate::error::Error;
use crate::log::roll::longest_wait;
use crate::log::{AnnouncementStage, Awaited, Everywhere, PurgeRecord, Receipt, RecordUpdates};
use crate::observe::Notice;
use crate::position::Position;
use crate::tag::{PurgeKind, Target};
use crate::update::Update;
use crate::weaken::{ProtocolRule, weakened};

/// The longest that a settling time is slept through at once.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(250);
/// The pauses after an announcement that the log did not take.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// A purge that people are told of.
#[derive(Debug)]
pub(crate) struct AnnouncedPurge {
    pub(crate) kind: PurgeKind,
    pub(crate) targets: Vec<Target>,
    pub(crate) settle: Duration,
    /// What is purged again, hard, when it has settled; empty: `targets`, in their way.
    pub(crate) again: Vec<Target>,
    pub(crate) updates: Vec<Arc<Update>>,
}

impl Purges {
    pub(super) fn owing_record(&self, purge: AnnouncedPurge) -> PurgeRecord {
        let mut record = self.record(purge.kind, purge.targets, purge.settle);
        record.asks = true;
        record.updates = Some(Arc::new(RecordUpdates {
            stage: AnnouncementStage::Owed(purge.again),
            updates: purge.updates,
        }));
        record
    }

    /// Purges, waits until that is everywhere and has settled, and announces it when it is its `turn`, however long all that
    /// takes. Where it was announced.
    ///
    /// # Cancel safety
    /// What is in the log by then is announced by any node, later.
    pub(crate) async fn purge_until_announced(
        &self,
        purge: AnnouncedPurge,
        turn: impl Future<Output = ()>,
    ) -> Position {
        let record = self.owing_record(purge);
        let mut turn = Some(turn);
        loop {
            let position = self.append_until_acknowledged(&record).await;
            let Some(everywhere) = self.everywhere(&record, position).await else {
                continue;
            };
            self.let_settle(&record, everywhere).await;
            if let Some(turn) = turn.take() {
                turn.await;
            }
            if let Some(announced) = self.announce_until_done(&record, position).await {
                return announced;
            }
        }
    }

    /// `None`: the log is another one, and the purge is to be made again.
    pub(super) async fn everywhere(
        &self,
        record: &PurgeRecord,
        position: Position,
    ) -> Option<Everywhere> {
        if record.updates.is_some() && weakened(ProtocolRule::AnnounceEverywhere) {
            return Some(Everywhere::default());
        }
        let has_replicas = self.log.has_replicas();
        match self.roll.wait(position, has_replicas).await {
            Awaited::Everywhere(everywhere) => Some(everywhere),
            Awaited::OtherLog => None,
        }
    }

    /// Waits until no fill that begins anywhere can bring data from before `record`, which is everywhere: its settling
    /// time, and twice that where a node was waited out, as that one begins to settle up to as much later.
    /// `[announce_settle]`, `[announce_late]`
    pub(super) async fn let_settle(&self, record: &PurgeRecord, everywhere: Everywhere) {
        if weakened(ProtocolRule::AnnounceSettle) {
            return;
        }
        let time = self.views.wait_time();
        let was_told = everywhere.waited_out == 0 && !everywhere.by_time;
        let times = match was_told {
            true => 1,
            false => 2,
        };
        let until = time.now() + record.settle * times;
        while time.now() < until {
            sleep((until - time.now()).min(LOOK_AT_CLOCK)).await;
        }
    }

    async fn announce_until_done(
        &self,
        owing: &PurgeRecord,
        position: Position,
    ) -> Option<Position> {
        let mut pauses = PAUSES;
        loop {
            match self.announce(owing, position).await {
                Ok(announced) => return announced,
                Err(error) => {
                    tracing::debug!(%error, "an announcement waits for the purge log");
                    self.pulse.rest(pauses.pause()).await;
                }
            }
        }
    }

    /// Announces what the record `owing` at `position` owes, in the epoch of that. `None`: the log is in another one.
    /// `[announce_epoch]`
    ///
    /// # Errors
    /// The log did not take it, or not for good.
    pub(super) async fn announce(
        &self,
        owing: &PurgeRecord,
        position: Position,
    ) -> Result<Option<Position>, Error> {
        let Some(record) = self.announcement(owing, position) else {
            return Ok(Some(position));
        };
        let most = self.budget + GRACE;
        let appending = self.append_announcement(&record, position);
        let appended = timeout(most, appending).await.map_err(late)??;
        let Some(appended) = appended else {
            return Ok(None);
        };
        self.views.apply_own(appended.position, &record);
        let updates = owing.updates.as_ref();
        self.observer.notify(&Notice::Announced {
            position: appended.position,
            updates: updates.map_or(0, |owed| owed.updates.len()),
        });
        Ok(Some(appended.position))
    }

    async fn append_announcement(
        &self,
        record: &PurgeRecord,
        position: Position,
    ) -> Result<Option<Receipt>, Error> {
        let joins = self.joins();
        let appended = match weakened(ProtocolRule::AnnounceEpoch) {
            true => Some(self.log.append(record).await?),
            false => self.log.append_in(record, position.epoch).await?,
        };
        let Some(mut appended) = appended else {
            return Ok(None);
        };
        while !appended.durable {
            appended = match self.log.confirm(appended.position).await {
                Ok(Some(appended)) => appended,
                Ok(None) => return Ok(None),
                Err(_) => {
                    sleep(CONFIRM_AGAIN).await;
                    continue;
                }
            };
        }
        let is_over = self.is_over(position.epoch, joins) && !weakened(ProtocolRule::AnnounceEpoch);
        Ok((!is_over).then_some(appended))
    }

    /// The record that announces what `owing` at `position` owes; none if that owes nothing.
    fn announcement(&self, owing: &PurgeRecord, position: Position) -> Option<PurgeRecord> {
        let owed = owing.updates.as_ref()?;
        let AnnouncementStage::Owed(again) = &owed.stage else {
            return None;
        };
        // Once they have settled, the same again: whoever is told joins no flight that began meanwhile. [announce_again]
        let settles = !owing.settle.is_zero();
        let (kind, targets) = match settles {
            false => (PurgeKind::Hard, Vec::new()),
            true if again.is_empty() => (owing.kind, owing.targets.clone()),
            true => (PurgeKind::Hard, again.clone()),
        };
        let mut record = self.record(kind, targets, Duration::ZERO);
        record.updates = Some(Arc::new(RecordUpdates {
            stage: AnnouncementStage::Announced(position.ordinal),
            updates: owed.updates.clone(),
        }));
        Some(record)
    }

    /// Announces what nobody has announced in time: whoever purged has died, or cannot reach the log.
    pub(crate) async fn announce_overdue(&self) {
        let longest = self.views.longest_lease();
        let longest = longest_wait(longest, self.log.has_replicas());
        // By then it is everywhere by time, and has settled on who was late.
        let patience = |settle: Duration| (settle + longest * 2).max(settle * 2 + longest);
        let now = self.views.wait_time().now();
        for (position, record) in self.views.updates.overdue(now, patience) {
            if let Err(error) = self.announce(&record, position).await {
                tracing::debug!(%error, "an overdue announcement waits for the purge log");
                return;
            }
        }
    }
}
