//! [`Pump`]: the steps of a relay, each of which may be its last (PROTOCOL 39a to 39f).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::mpsc;

use super::announcer::Owed;
use super::carry::Debts;
use super::status::RelayBoard;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::log::{
    AnnouncementStage, Log, NumberedRecord, PurgeKind, PurgeRecord, Purges, Receipt, RelayClaim,
    Relayed,
};
use crate::position::{Epoch, Position};
use crate::weaken::{ProtocolRule, weakened};

/// Records at the end of the far log among which others of the same name are looked for.
const LOOKED_AT: usize = 64;
/// The longest that one read waits for a record.
const BLOCK: Duration = Duration::from_secs(1);
/// Records that are appended at a time.
const AT_ONCE: usize = 256;

mod beginning;

/// What a relay is made of.
#[derive(Debug)]
pub(crate) struct RelayParts {
    /// What the region is called whose log is followed.
    pub(crate) region: Box<str>,
    pub(crate) from: Arc<dyn Log>,
    pub(crate) to: Arc<Purges>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How often it is to be heard.
    pub(crate) beat: Duration,
    /// The longest settling time in use in the region that is followed, as far as it is known beforehand.
    pub(crate) settle: Duration,
    pub(crate) board: Arc<RelayBoard>,
}

/// Reads one log and appends to another.
#[derive(Debug)]
pub(crate) struct Pump {
    parts: RelayParts,
    owes: mpsc::Sender<Owed>,
    link: Option<RelayPlace>,
    debts: Debts,
    /// Behind this position of the followed log something is missing that this relay was to read.
    hole: Option<Position>,
}

/// Where it is.
#[derive(Debug)]
struct RelayPlace {
    /// All of the followed log up to here is in the far one.
    at: Position,
    into: Epoch,
    /// Where its last claim stands there.
    claimed: Option<Position>,
    /// What is there and not durable yet: where, and what it brings this to.
    undurable: Option<(Position, Position)>,
    /// When the next beat is due (monotonic).
    beat_at: Duration,
}

/// Whether it makes no sense to try again.
pub(super) fn is_final(error: &Error) -> bool {
    error.kind() == ErrorKind::Invalid
}

impl Pump {
    pub(super) fn new(parts: RelayParts, owes: mpsc::Sender<Owed>) -> Self {
        let mut debts = Debts::default();
        debts.note_settle(parts.settle);
        Self {
            parts,
            owes,
            link: None,
            debts,
            hole: None,
        }
    }

    /// One step: begins, or relays what there is, waiting for it a moment; and beats when that is due.
    ///
    /// # Errors
    /// One of the two logs could not be used. What was not relayed, the next step does.
    ///
    /// # Cancel safety
    /// As a relay that dies.
    pub(crate) async fn turn(&mut self) -> Result<(), Error> {
        let Some(mut link) = self.link.take() else {
            self.link = Some(self.begin().await?);
            return Ok(());
        };
        let stays = self.step(&mut link).await;
        self.parts.board.busy(false);
        match stays {
            Ok(Some(())) => {
                self.parts
                    .board
                    .change(|status| status.position = Some(link.at));
                self.link = Some(link);
                Ok(())
            }
            // It begins anew.
            Ok(None) => Ok(()),
            Err(error) => {
                self.link = Some(link);
                Err(error)
            }
        }
    }

    /// `None`: one of the logs is another one, or records were missed.
    async fn step(&mut self, link: &mut RelayPlace) -> Result<Option<()>, Error> {
        if self.settle_undurable(link).await?.is_none() {
            return Ok(None);
        }
        let now = self.parts.clock.monotonic();
        if now >= link.beat_at {
            return self.beat(link).await;
        }
        let wait = (link.beat_at - now).min(BLOCK);
        let read = self.parts.from.read_after(link.at, wait).await?;
        if read.is_empty() {
            return Ok(Some(()));
        }
        self.relay(link, &read).await
    }

    /// Reads up to the end of the followed log, and says in the far one that it did. The end is asked for only after its
    /// last claim was acknowledged there: who knows when that was, knows how new this is.
    async fn beat(&mut self, link: &mut RelayPlace) -> Result<Option<()>, Error> {
        let (base, asked) = (link.claimed, self.parts.clock.monotonic());
        let tip = self.parts.from.tip().await?.position;
        if tip.epoch != link.at.epoch || tip.ordinal < link.at.ordinal {
            return Ok(None);
        }
        while !link.at.reaches(tip) {
            let lag = tip.ordinal.saturating_sub(link.at.ordinal);
            self.parts.board.change(|status| status.lag_records = lag);
            let read = self.parts.from.read_after(link.at, Duration::ZERO).await?;
            if read.is_empty() && !weakened(ProtocolRule::RelayGap) {
                // A tip that reading cannot reach.
                self.hole = Some(link.at);
                return Ok(None);
            }
            if read.is_empty() {
                link.at = tip;
            } else if self.relay(link, &read).await?.is_none() {
                return Ok(None);
            }
            if self.settle_undurable(link).await?.is_none() {
                return Ok(None);
            }
        }
        self.look_for_others(link).await?;
        let claim = self.claim(link.at, false, base);
        let mut record = PurgeRecord::open(self.parts.clock.now());
        record.kind = PurgeKind::Hard;
        record.relayed = Some(Arc::new(Relayed {
            path: vec![link.at.epoch],
            claim: Some(claim),
        }));
        let Some(receipt) = self.append(&record, link.into).await? else {
            return Ok(None);
        };
        link.beat_at = asked + self.parts.beat;
        let level = link.at;
        self.appended(link, receipt, level);
        if link.undurable.is_none() {
            self.parts.board.level(asked);
        }
        Ok(Some(()))
    }

    /// Relays `read`. `None`: there is a hole in it, or it is of another log, or the far log is another one.
    async fn relay(
        &mut self,
        link: &mut RelayPlace,
        read: &[NumberedRecord],
    ) -> Result<Option<()>, Error> {
        self.parts.board.busy(true);
        let mut at = link.at;
        for NumberedRecord { position, .. } in read {
            let follows = position.epoch == at.epoch && position.ordinal == at.ordinal + 1;
            if !follows && !weakened(ProtocolRule::RelayGap) {
                self.hole = Some(link.at);
                return Ok(None);
            }
            at = *position;
        }
        let now = self.parts.clock.now();
        let epochs = (link.at.epoch, link.into);
        let mut load = self.debts.load(read, epochs, now);
        let Some(mut last) = load.records.pop() else {
            link.at = at;
            self.parts
                .board
                .change(|status| status.returned += load.returned);
            return Ok(Some(()));
        };
        self.add_claim(&mut last, at);
        let early = match weakened(ProtocolRule::RelayClaim) {
            // What must not be done: the claim before what it claims.
            true => Some(self.append(&last, link.into).await?),
            false => None,
        };
        let mut owed = Vec::new();
        for records in load.records.chunks(AT_ONCE) {
            let appends = records.iter().map(|record| self.append(record, link.into));
            let receipts: Option<Vec<Receipt>> = try_join_all(appends).await?.into_iter().collect();
            let Some(receipts) = receipts else {
                return Ok(None);
            };
            let positions = receipts.iter().map(|receipt| receipt.position);
            owed.extend(records.iter().cloned().zip(positions));
        }
        let appended = match early {
            Some(receipt) => receipt,
            None => self.append(&last, link.into).await?,
        };
        let Some(receipt) = appended else {
            return Ok(None);
        };
        owed.push((last, receipt.position));
        self.appended(link, receipt, at);
        self.parts.board.change(|status| {
            status.relayed += load.relayed;
            status.returned += load.returned;
            status.lag_records = status.lag_records.saturating_sub(read.len() as u64);
        });
        self.hand_over(owed);
        Ok(Some(()))
    }

    /// Has announced what `appended` owes; what does not fit, the far nodes announce later.
    fn hand_over(&self, appended: Vec<(PurgeRecord, Position)>) {
        let owes = |record: &PurgeRecord| {
            let told = record.updates.as_ref();
            told.is_some_and(|told| told.stage == AnnouncementStage::Owed)
        };
        for (record, position) in appended.into_iter().filter(|(record, _)| owes(record)) {
            let _ = self.owes.try_send(Owed { record, position });
        }
    }

    /// `receipt` is of a claim that all up to `to` is there.
    fn appended(&self, link: &mut RelayPlace, receipt: Receipt, to: Position) {
        match receipt.durable {
            true => {
                link.at = to;
                link.claimed = Some(receipt.position);
            }
            false => link.undurable = Some((receipt.position, to)),
        }
    }

    /// Waits until what was appended last is durable; it is not appended again (SAFETY 102). `None`: the far log is
    /// another one.
    async fn settle_undurable(&self, link: &mut RelayPlace) -> Result<Option<()>, Error> {
        let Some((position, to)) = link.undurable else {
            return Ok(Some(()));
        };
        let Some(receipt) = self.parts.to.log.confirm(position).await? else {
            return Ok(None);
        };
        if !receipt.durable {
            let message = "redis: no replica of the far region has the purges yet";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        link.undurable = None;
        self.appended(link, receipt, to);
        Ok(Some(()))
    }

    /// `None`: the far log is in another epoch. What stood there may be unknown to it.
    async fn append(&self, record: &PurgeRecord, into: Epoch) -> Result<Option<Receipt>, Error> {
        let log = &self.parts.to.log;
        let appended = match weakened(ProtocolRule::RelayEpoch) {
            true => log.append(record).await.map(Some),
            false => log.append_in(record, into).await,
        };
        let board = &self.parts.board;
        match &appended {
            Ok(Some(_)) => board.change(|status| status.appended += 1),
            Ok(None) => {}
            Err(_) => board.change(|status| status.repeated += 1),
        }
        appended
    }

    fn claim(&self, position: Position, joins: bool, base: Option<Position>) -> RelayClaim {
        RelayClaim {
            region: self.parts.region.clone(),
            position,
            joins,
            base,
        }
    }

    fn add_claim(&self, record: &mut PurgeRecord, position: Position) {
        let path = record.relayed.as_ref();
        let path = path.map(|relayed| relayed.path.clone());
        record.relayed = Some(Arc::new(Relayed {
            path: path.unwrap_or_default(),
            claim: Some(self.claim(position, false, None)),
        }));
    }

    /// Another log that is relayed into the same one under the same name hides from nodes that this one is cut off.
    async fn look_for_others(&self, link: &RelayPlace) -> Result<(), Error> {
        let Some(claimed) = link.claimed else {
            return Ok(());
        };
        let tail = self.parts.to.log.tail(LOOKED_AT).await?;
        let behind = tail.records.iter();
        let behind = behind.filter(|read| read.position.ordinal > claimed.ordinal);
        let region = &self.parts.region;
        let is_other =
            |claim: &&RelayClaim| claim.region == *region && claim.position.epoch != link.at.epoch;
        let mut claims = behind.filter_map(|read| read.record.relayed.as_ref()?.claim.as_ref());
        let other = claims.find(is_other).map(|claim| {
            let other = claim.position;
            format!("another purge log ({other}) is relayed to the same place as the region {region:?}: give each its own name (--region)")
        });
        if let Some(why) = &other {
            tracing::error!("{why}");
        }
        self.parts.board.conflicts(other);
        Ok(())
    }
}
