//! Where a relay goes on, or begins (PROTOCOL 39a and 39b).

use std::sync::Arc;

use super::{Pump, RelayParts, RelayPlace};
use crate::error::{Error, ErrorKind};
use crate::log::{
    AnnouncementStage, NumberedRecord, PurgeRecord, RecordUpdates, RelayClaim, Relayed,
};
use crate::position::{Epoch, Position};
use crate::update::Update;
use crate::weaken::{ProtocolRule, weakened};

/// Records of the far log among which the last claim is looked for first, and then.
const TAILS: [usize; 2] = [4_096, 100_000];
/// Records of the followed log whose settling times are looked at.
const SETTLED_TAIL: usize = 10_000;

impl Pump {
    /// Goes on where the far log says that this relay was; or, where it does not say, purges everything there.
    pub(super) async fn begin(&mut self) -> Result<RelayPlace, Error> {
        let RelayParts {
            from, to, clock, ..
        } = &self.parts;
        // In this order: a claim is not ahead of a tip that is read later.
        let (mut last, mut into) = (None, None);
        for most in TAILS {
            let tail = to.log.tail(most).await?;
            last = last_claim(&tail.records, &self.parts.region);
            into = Some(tail.tip.position.epoch);
            if last.is_some() || tail.records.len() < most {
                break;
            }
        }
        let tail = from.tail(SETTLED_TAIL).await?;
        let tip = tail.tip.position;
        let settles = tail.records.iter().map(|read| read.record.settle);
        self.debts.forget();
        self.debts.note_settle(settles.max().unwrap_or_default());
        let into = into.unwrap_or(tip.epoch);
        if into == tip.epoch {
            let message =
                "both ends of the relay lead to one purge log: name two servers, or two namespaces";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let now = clock.monotonic();
        let link = |at, claimed| RelayPlace {
            at,
            into,
            claimed,
            undurable: None,
            beat_at: now,
        };
        if let Some((claim, claimed)) = last
            && tip.reaches(claim.position)
            // Another relay may be past it.
            && self.hole.is_none_or(|hole| !hole.reaches(claim.position))
        {
            tracing::info!(position = %claim.position, lag = tip.ordinal - claim.position.ordinal, "relaying goes on");
            return Ok(link(claim.position, Some(claimed)));
        }
        if weakened(ProtocolRule::RelayJoin) {
            return Ok(link(tip, None));
        }
        let joined = self.join(tip, into, link).await?;
        self.hole = None;
        Ok(joined)
    }

    /// Purges everything in the far region: nobody knows what was missed. From the `tip` on, which was read before, all is
    /// relayed.
    async fn join(
        &self,
        tip: Position,
        into: Epoch,
        link: impl Fn(Position, Option<Position>) -> RelayPlace,
    ) -> Result<RelayPlace, Error> {
        let mut record = PurgeRecord::everything(self.parts.clock.now());
        record.asks = true;
        if !weakened(ProtocolRule::RelayJoinSettle) {
            record.settle = self.debts.longest;
        }
        let resync = Update::resync("a region was not relayed from for a while").told_anew();
        record.updates = Some(Arc::new(RecordUpdates {
            stage: AnnouncementStage::Owed,
            updates: vec![Arc::new(resync)],
        }));
        record.relayed = Some(Arc::new(Relayed {
            path: vec![tip.epoch],
            claim: Some(self.claim(tip, true, None)),
        }));
        let Some(receipt) = self.append(&record, into).await? else {
            let message = "the far region's purge log became another one";
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        self.parts.board.change(|status| status.resets += 1);
        tracing::warn!(
            position = %tip,
            "where this relay was is not known, or was lost: everything in the far region is purged"
        );
        self.hand_over(vec![(record, receipt.position)]);
        let tip = match weakened(ProtocolRule::RelayJoinFirst) {
            // What must not be done: an end that was read afterwards.
            true => self.parts.from.tip().await?.position,
            false => tip,
        };
        let mut link = link(tip, None);
        self.appended(&mut link, receipt, tip);
        Ok(link)
    }
}

/// How far the last relay of `region` was, by what it wrote into `records`, and where it did. A claim of another log, or
/// of another life of that, counts only where its relay began anew.
fn last_claim(records: &[NumberedRecord], region: &str) -> Option<(RelayClaim, Position)> {
    let mut last: Option<(RelayClaim, Position)> = None;
    for read in records {
        let claim = read
            .record
            .relayed
            .as_ref()
            .and_then(|relayed| relayed.claim.as_ref());
        let Some(claim) = claim.filter(|claim| &*claim.region == region) else {
            continue;
        };
        // Two relays of one pair: what one has relayed is relayed.
        let counts = claim.joins
            || last
                .as_ref()
                .is_none_or(|(last, _)| claim.position.reaches(last.position));
        if counts {
            last = Some((claim.clone(), read.position));
        }
    }
    last
}
