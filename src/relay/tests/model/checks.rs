//! What no history may do.

use super::{BEAT, MAX_CUT, Purge, Shape, World, name};
use crate::log::Log;
use crate::relay::tests::region::{Region, Stored};

impl World {
    pub(super) fn check(&mut self) -> Result<(), String> {
        let now = self.now();
        for (number, region) in self.regions.iter().enumerate() {
            for stored in region.stored.iter().filter(|stored| region.hits(stored)) {
                if let Some(purge) = self
                    .purges
                    .iter()
                    .find(|purge| self.covered(number, purge) && outdates(purge, stored))
                {
                    return Err(format!(
                        "r{number} serves {stored:?} after a claim past {purge:?}"
                    ));
                }
                let late = |purge: &&Purge| {
                    purge.region == 0 && purge.at + MAX_CUT < now && outdates(purge, stored)
                };
                if self.shape == Shape::Watched
                    && number == 1
                    && let Some(purge) = self.purges.iter().find(late)
                {
                    return Err(format!(
                        "r1 serves {stored:?} at {now:?}, too long after {purge:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether the node of `region` has applied a claim that covers `purge`: of its epoch and not before it, or of a later one.
    fn covered(&self, region: usize, purge: &Purge) -> bool {
        let of = name(purge.region);
        let position = purge.position;
        let mut claims = self.regions[region].claimed.iter();
        claims.any(|(name, claim)| {
            *name == of && (claim.reaches(position) || claim.epoch.get() > position.epoch.get())
        })
    }

    /// Nothing goes wrong any more: all relays relay all, nodes read all, and no record goes round for ever.
    pub(super) fn settle_down(&mut self) -> Result<(), String> {
        self.told("nothing goes wrong any more".to_owned());
        for region in 0..self.regions.len() {
            self.heal(region);
        }
        for relay in &self.relays {
            *relay.near.cut.lock() = false;
            *relay.far.cut.lock() = false;
        }
        let mut sizes = Vec::new();
        for _ in 0..12 {
            self.advance(BEAT);
            for _ in 0..60 {
                for relay in &mut self.relays {
                    relay.poll();
                }
            }
            sizes.push(self.purging_records());
        }
        if sizes[6] != sizes[11] {
            return Err(format!("records go round and round: {sizes:?}"));
        }
        for region in &mut self.regions {
            region.beat();
            region.beat();
            region.read();
            region.read();
        }
        for (number, region) in self.regions.iter().enumerate() {
            for stored in region.stored.iter().filter(|stored| region.hits(stored)) {
                let relayed = |purge: &&Purge| {
                    (self.shape != Shape::Watched || number >= purge.region)
                        && outdates(purge, stored)
                };
                if let Some(purge) = self.purges.iter().find(relayed) {
                    return Err(format!(
                        "r{number} serves {stored:?} in the end, after {purge:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn purging_records(&self) -> usize {
        let purging = |region: &Region| {
            let all = futures_util::FutureExt::now_or_never(region.log().tip());
            let tip = all.expect("it does not wait").expect("it is here").position;
            let tail = futures_util::FutureExt::now_or_never(region.log().tail(1_000_000));
            let tail = tail.expect("it does not wait").expect("it is here");
            let beats = tail
                .records
                .iter()
                .filter(|read| read.record.targets.is_empty())
                .count();
            usize::try_from(tip.ordinal).expect("few") + 1 - beats
        };
        self.regions.iter().map(purging).sum()
    }
}

fn outdates(purge: &Purge, stored: &Stored) -> bool {
    purge.key == stored.key && stored.version < purge.version
}
