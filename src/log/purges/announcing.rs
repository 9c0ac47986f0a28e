//! From *everywhere* to *announced*: the records that let people be told of a purge (PROTOCOL 38).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{CONFIRM_AGAIN, GRACE, Purges, late};
use crate::backoff::Backoff;
use crate::error::Error;
use crate::log::roll::longest_wait;
use crate::log::{AnnouncementStage, Awaited, Everywhere, PurgeRecord, RecordUpdates};
use crate::observe::Notice;
use crate::position::Position;
use crate::tag::{PurgeKind, Target};
use crate::update::Update;
use crate::weaken::{ProtocolRule, weakened};

/// The most updates of one record, and the most bytes of them.
const MAX_UPDATES: usize = 250;
const MAX_UPDATE_BYTES: usize = 256 * 1024;
/// The longest that a settling time is slept through at once.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(250);
/// The pauses after an announcement that the log did not take.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// Purges that people are to be told of, together.
#[derive(Debug)]
pub(crate) struct PurgeToAnnounce {
    /// A record of the log each; none where people are told of something that purges nothing.
    pub(crate) purges: Vec<(PurgeKind, Vec<Target>)>,
    pub(crate) settle: Duration,
    pub(crate) updates: Vec<Arc<Update>>,
}

impl Purges {
    /// Its records, in the order in which they are appended: who announces the last knows that all are in the log.
    pub(super) fn owing_records(&self, purge: PurgeToAnnounce) -> Vec<PurgeRecord> {
        let settle = purge.settle;
        let owing = |mut record: PurgeRecord, updates| {
            record.updates = Some(Arc::new(RecordUpdates {
                stage: AnnouncementStage::Owed,
                updates,
            }));
            record
        };
        let purges = purge.purges.into_iter();
        let mut records: Vec<_> = purges
            .map(|(kind, targets)| {
                let record = self.record(kind, targets, settle);
                match settle.is_zero() {
                    true => record,
                    // It is purged again when it has settled.
                    false => owing(record, Vec::new()),
                }
            })
            .collect();
        for updates in parts(purge.updates) {
            let purging = records.pop_if(|record| record.owed().is_none_or(<[_]>::is_empty));
            let nothing = || self.record(PurgeKind::Hard, Vec::new(), settle);
            records.push(owing(purging.unwrap_or_else(nothing), updates));
        }
        if let Some(last) = records.last_mut() {
            last.asks = true;
        }
        records
    }

    /// Makes `purges`, says so when all are `logged`, waits until they are everywhere and have settled, and announces them in
    /// order when it is their `turn`, however long all that takes. Where the last was announced. All settle for as long as
    /// the first.
    ///
    /// # Cancel safety
    /// What is in the log by then is announced by any node, later.
    pub(crate) async fn purge_until_announced(
        &self,
        purges: Vec<PurgeToAnnounce>,
        logged: impl FnOnce(),
        turn: impl Future<Output = ()>,
    ) -> Option<Position> {
        let settle = purges.first()?.settle;
        let owing = purges.into_iter().map(|purge| self.owing_records(purge));
        let owing: Vec<Vec<PurgeRecord>> = owing.collect();
        let records: Vec<PurgeRecord> = owing.iter().flatten().cloned().collect();
        let (mut logged, mut turn) = (Some(logged), Some(turn));
        loop {
            let positions = self.all_until_acknowledged(&owing).await;
            let last = positions.iter().copied().max_by_key(|at| at.ordinal)?;
            if !in_one_epoch(&positions) {
                continue;
            }
            if let Some(logged) = logged.take() {
                logged();
            }
            let Some(everywhere) = self.everywhere(&records, last).await else {
                continue;
            };
            self.let_settle(settle, everywhere).await;
            if let Some(turn) = turn.take() {
                turn.await;
            }
            if let Some(announced) = self.announce_until_done(&records, &positions).await {
                return Some(announced);
            }
        }
    }

    /// Where each record of `purges` is. The last of each purge is appended when the others are in the log, which whoever
    /// announces it takes for granted; most have one.
    async fn all_until_acknowledged(&self, purges: &[Vec<PurgeRecord>]) -> Vec<Position> {
        let (mut before, mut last) = (Vec::new(), Vec::new());
        for (last_of, before_it) in purges.iter().filter_map(|purge| purge.split_last()) {
            before.extend_from_slice(before_it);
            last.push(last_of.clone());
        }
        let before = self.append_each_until_acknowledged(&before).await;
        let last = self.append_each_until_acknowledged(&last).await;
        let (mut before, mut last) = (before.into_iter(), last.into_iter());
        let order = purges.iter().flat_map(|purge| {
            let before = before.by_ref().take(purge.len().saturating_sub(1));
            let before: Vec<_> = before.collect();
            before
                .into_iter()
                .chain(last.by_ref().take(purge.len().min(1)).collect::<Vec<_>>())
        });
        order.collect()
    }

    /// `None`: the log is another one, and the purge is to be made again.
    pub(super) async fn everywhere(
        &self,
        records: &[PurgeRecord],
        position: Position,
    ) -> Option<Everywhere> {
        let is_told = records.iter().any(|record| record.updates.is_some());
        if is_told && weakened(ProtocolRule::AnnounceEverywhere) {
            return Some(Everywhere::default());
        }
        let has_replicas = self.log.has_replicas();
        match self.roll.wait(position, has_replicas).await {
            Awaited::Everywhere(everywhere) => Some(everywhere),
            Awaited::OtherLog => None,
        }
    }

    /// Waits until no fill that begins anywhere can bring data from before a purge that is everywhere: its settling
    /// time, and twice that where a node was waited out, as that one begins to settle up to as much later.
    /// `[announce_settle]`
    pub(super) async fn let_settle(&self, settle: Duration, everywhere: Everywhere) {
        if weakened(ProtocolRule::AnnounceSettle) {
            return;
        }
        let time = self.views.wait_time();
        let was_told = everywhere.waited_out == 0 && !everywhere.by_time;
        let settle = match was_told {
            true => settle,
            false => settle.saturating_mul(2),
        };
        let until = time.now().saturating_add(settle);
        while time.now() < until {
            sleep((until - time.now()).min(LOOK_AT_CLOCK)).await;
        }
    }

    /// `None`: the log is another one.
    pub(super) async fn announce_until_done(
        &self,
        records: &[PurgeRecord],
        positions: &[Position],
    ) -> Option<Position> {
        match self.announce_together(records, positions).await {
            Ok(announced) => return announced,
            Err(None) => {}
            Err(Some(error)) => tracing::debug!(%error, "announcements wait for the purge log"),
        }
        let (mut pauses, mut announced) = (PAUSES, None);
        for (record, position) in records.iter().zip(positions) {
            let mut logged = None;
            announced = loop {
                match self.announce(record, *position, &mut logged).await {
                    Ok(None) => return None,
                    Ok(announced) => break announced,
                    Err(error) => {
                        tracing::debug!(%error, "an announcement waits for the purge log");
                        self.pulse.rest(pauses.pause()).await;
                    }
                }
            };
        }
        announced
    }

    /// Announces what `records` at `positions` owe in one write, if there are several. Where the last was announced; `None`:
    /// the log is another one.
    ///
    /// # Errors
    /// The log did not take all of them, or not for good, or there is nothing to be saved: they are announced one by one. Some
    /// may be announced, and are repeats then.
    async fn announce_together(
        &self,
        records: &[PurgeRecord],
        positions: &[Position],
    ) -> Result<Option<Position>, Option<Error>> {
        let owing = records.iter().zip(positions);
        let announcing = owing.filter_map(|(record, at)| self.announcement(record, *at));
        let announcing: Vec<PurgeRecord> = announcing.collect();
        let epoch = positions.first().map(|position| position.epoch);
        let (Some(epoch), 2..) = (epoch, announcing.len()) else {
            return Err(None);
        };
        let joins = self.joins();
        let in_epoch = (!weakened(ProtocolRule::AnnounceEpoch)).then_some(epoch);
        let appending = self.log.append_each(&announcing, in_epoch);
        let most = self.budget + GRACE;
        let appended = timeout(most, appending).await.map_err(late)??;
        let Some(appended) = appended else {
            return Ok(None);
        };
        for (record, appended) in announcing.iter().zip(&appended) {
            self.views.apply_own(appended.position, record);
        }
        if appended.iter().any(|appended| !appended.durable) {
            return Err(None);
        }
        if self.is_over(epoch, joins) && !weakened(ProtocolRule::AnnounceEpoch) {
            return Ok(None);
        }
        for (record, appended) in announcing.iter().zip(&appended) {
            self.announced(record, appended.position);
        }
        Ok(appended.last().map(|appended| appended.position))
    }

    fn announced(&self, record: &PurgeRecord, position: Position) {
        let updates = record.owed().map_or(0, <[_]>::len);
        if updates > 0 {
            self.observer
                .notify(&Notice::Announced { position, updates });
        }
    }

    /// Announces what `records` at `positions` owe. Where the last was announced; `None`: the log is another one.
    ///
    /// # Errors
    /// The log did not take one of them, or not for good.
    pub(super) async fn announce_all(
        &self,
        records: &[PurgeRecord],
        positions: &[Position],
    ) -> Result<Option<Position>, Error> {
        let mut announced = None;
        for (record, position) in records.iter().zip(positions) {
            announced = self.announce(record, *position, &mut None).await?;
            if announced.is_none() {
                break;
            }
        }
        Ok(announced)
    }

    /// Announces what the record `owing` at `position` owes, in the epoch of that. `None`: the log is in another one.
    /// `[announce_epoch]` What is `logged` by an earlier try is not appended again, only confirmed (SAFETY 102).
    ///
    /// # Errors
    /// The log did not take it, or not for good.
    async fn announce(
        &self,
        owing: &PurgeRecord,
        position: Position,
        logged: &mut Option<Position>,
    ) -> Result<Option<Position>, Error> {
        let Some(record) = self.announcement(owing, position) else {
            return Ok(Some(position));
        };
        let most = self.budget + GRACE;
        let appending = self.append_announcement(&record, position, logged);
        let appended = timeout(most, appending).await.map_err(late)??;
        let Some(appended) = appended else {
            return Ok(None);
        };
        self.announced(&record, appended);
        Ok(Some(appended))
    }

    async fn append_announcement(
        &self,
        record: &PurgeRecord,
        position: Position,
        logged: &mut Option<Position>,
    ) -> Result<Option<Position>, Error> {
        let joins = self.joins();
        let mut durable = false;
        let at = match *logged {
            Some(at) => at,
            None => {
                let appended = match weakened(ProtocolRule::AnnounceEpoch) {
                    true => Some(self.log.append(record).await?),
                    false => self.log.append_in(record, position.epoch).await?,
                };
                let Some(appended) = appended else {
                    return Ok(None);
                };
                durable = appended.durable;
                self.views.apply_own(appended.position, record);
                *logged.insert(appended.position)
            }
        };
        while !durable {
            match self.log.confirm(at).await {
                Ok(Some(confirmed)) => durable = confirmed.durable,
                Ok(None) => return Ok(None),
                Err(_) => sleep(CONFIRM_AGAIN).await,
            }
        }
        let is_over = self.is_over(position.epoch, joins) && !weakened(ProtocolRule::AnnounceEpoch);
        Ok((!is_over).then_some(at))
    }

    /// The record that announces what `owing` at `position` owes; none if that owes nothing. Once they have settled, it
    /// purges the same targets again: whoever is told joins no flight that began meanwhile.
    fn announcement(&self, owing: &PurgeRecord, position: Position) -> Option<PurgeRecord> {
        let owed = owing.owed()?;
        let (kind, targets) = match owing.settle.is_zero() {
            true => (PurgeKind::Hard, Vec::new()),
            false => (owing.kind, owing.targets.clone()),
        };
        let mut record = self.record(kind, targets, Duration::ZERO);
        record.updates = Some(Arc::new(RecordUpdates {
            stage: AnnouncementStage::Announced(position.ordinal),
            updates: owed.to_vec(),
        }));
        // No relay brings it back to where the purge came from (PROTOCOL 39c).
        record.relayed = owing
            .relayed
            .as_ref()
            .and_then(|relayed| relayed.path_only());
        Some(record)
    }

    /// Announces what nobody has announced in time: whoever purged has died, or cannot reach the log.
    pub(crate) async fn announce_overdue(&self) {
        let longest = self.views.longest_lease();
        let longest = longest_wait(longest, self.log.has_replicas());
        // By then it is everywhere by time, and has settled on who was late.
        let patience = |settle: Duration| {
            let twice = settle.saturating_mul(2).saturating_add(longest);
            settle.saturating_add(longest * 2).max(twice)
        };
        let now = self.views.wait_time().now();
        for (position, record) in self.views.updates.overdue(now, patience) {
            match self.announce(&record, position, &mut None).await {
                Ok(Some(_)) => self.views.updates.paid(position),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "an overdue announcement waits for the purge log");
                    return;
                }
            }
        }
    }
}

/// Whether all are in one epoch; a purge in an earlier one says nothing in the last.
pub(super) fn in_one_epoch(positions: &[Position]) -> bool {
    let mut pairs = positions.windows(2);
    pairs.all(|pair| pair[0].epoch == pair[1].epoch)
}

fn parts(updates: Vec<Arc<Update>>) -> Vec<Vec<Arc<Update>>> {
    let (mut parts, mut bytes) = (Vec::<Vec<_>>::new(), 0);
    for update in updates {
        bytes += update.bytes();
        let has_room = |part: &&mut Vec<_>| part.len() < MAX_UPDATES && bytes <= MAX_UPDATE_BYTES;
        match parts.last_mut().filter(has_room) {
            Some(part) => part.push(update),
            None => {
                bytes = update.bytes();
                parts.push(vec![update]);
            }
        }
    }
    parts
}
