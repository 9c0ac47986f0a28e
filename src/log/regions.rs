//! [`Regions`]: other regions that must be heard, so that this one serves nothing that was purged there long ago
//! (PROTOCOL 39f and 39g).
//!
//! A relay appends beats. Each says that up to some position all of the other log is in this one, that this position was that
//! log's end when the relay asked for it, and that it asked after an earlier record of its own was in this log. This node
//! knows when that earlier record was *not* there yet: a heartbeat that it sent before saw a tip in front of it. So the relay
//! asked later than that heartbeat was sent, by this node's own clock; no other clock takes part.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock::millis;
use crate::log::{NumberedRecord, RelayClaim, Trouble};
use crate::position::{Epoch, Position};
use crate::sync::{AtomicU64, Mutex};
use crate::weaken::{ProtocolRule, weakened};

/// Tips that are remembered, and how far apart at least: for more than three minutes, which is three times the slowest beat.
const MAX_TIPS: usize = 2_048;
const TIPS_APART: Duration = Duration::from_millis(100);

/// The regions that must be heard, and when each was.
#[derive(Debug)]
pub(crate) struct Regions {
    max_cut: Duration,
    /// Monotonic milliseconds until when all were heard lately enough; 0 as long as one never was.
    until: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    regions: Vec<Region>,
    /// Tips that heartbeats saw and when they were sent, of one epoch, ascending.
    tips: VecDeque<(Duration, Position)>,
    /// When the first was seen.
    since: Option<Duration>,
}

#[derive(Debug)]
struct Region {
    name: Box<str>,
    /// All that was purged there up to then is known here (monotonic).
    heard: Option<Duration>,
    /// The log that goes by this name.
    epoch: Option<Epoch>,
    /// Another log goes by this name as well: it counts as not heard until then.
    doubted_until: Option<Duration>,
}

impl Regions {
    /// Those with `names`, each to be heard at least every `max_cut`.
    pub(crate) fn new(names: impl IntoIterator<Item = Box<str>>, max_cut: Duration) -> Self {
        let regions = names.into_iter().map(|name| Region {
            name,
            heard: None,
            epoch: None,
            doubted_until: None,
        });
        Self {
            max_cut,
            until: AtomicU64::new(0),
            state: Mutex::new(State {
                regions: regions.collect(),
                tips: VecDeque::new(),
                since: None,
            }),
        }
    }

    /// Until when (monotonic) what is stored may be used, as far as other regions are concerned.
    pub(crate) fn until(&self) -> Duration {
        Duration::from_millis(self.until.load(Ordering::Acquire))
    }

    /// A heartbeat that was sent then saw `tip`.
    pub(super) fn saw_tip(&self, sent: Duration, tip: Position) {
        let mut state = self.state.lock();
        state.since.get_or_insert(sent);
        match state.tips.back() {
            Some((_, last)) if last.epoch != tip.epoch => state.tips.clear(),
            // An answer that was overtaken.
            Some((_, last)) if last.ordinal > tip.ordinal => return,
            Some((before, _)) if sent < *before + TIPS_APART => return,
            _ => {}
        }
        state.tips.push_back((sent, tip));
        if state.tips.len() > MAX_TIPS {
            state.tips.pop_front();
        }
    }

    /// `records` are applied here, at `now`.
    pub(super) fn applied<'r>(
        &self,
        records: impl Iterator<Item = &'r NumberedRecord>,
        now: Duration,
    ) {
        let claims = records.filter_map(|read| read.record.relayed.as_ref()?.claim.as_ref());
        for claim in claims {
            self.note(claim, now);
        }
    }

    fn note(&self, claim: &RelayClaim, now: Duration) {
        let mut state = self.state.lock();
        let State { regions, tips, .. } = &mut *state;
        let Some(region) = regions
            .iter_mut()
            .find(|region| region.name == claim.region)
        else {
            return;
        };
        let epoch = claim.position.epoch;
        let known = *region.epoch.get_or_insert(epoch);
        if known != epoch && claim.joins {
            region.epoch = Some(epoch);
        } else if known != epoch && !weakened(ProtocolRule::RelayName) {
            let newly = region.doubted_until.replace(now + self.max_cut).is_none();
            if newly {
                tracing::error!(
                    region = &*region.name,
                    "two purge logs are relayed here under one region's name: nothing is served from the cache until only one is"
                );
            }
            region.heard = None;
            self.until.store(0, Ordering::Release);
            return;
        }
        if region.doubted_until.is_some_and(|until| now < until) {
            return;
        }
        region.doubted_until = None;
        let asked_after = match claim.base {
            Some(_) if weakened(ProtocolRule::RelayBase) => Some(now),
            Some(base) => asked_after(tips, base),
            None => None,
        };
        let Some(asked_after) = asked_after else {
            return;
        };
        if region.heard.is_none_or(|heard| heard + self.max_cut <= now) {
            tracing::info!(
                region = &*region.name,
                "the relay from this region is heard"
            );
        }
        region.heard = region.heard.max(Some(asked_after));
        let heard = regions.iter().map(|region| region.heard);
        // None is less than any.
        if let Some(heard) = heard.min().flatten() {
            let until = millis(heard + self.max_cut);
            self.until.store(until, Ordering::Release);
        }
    }

    /// What is wrong at `now`.
    pub(super) fn troubles(&self, now: Duration) -> Vec<Trouble> {
        let state = self.state.lock();
        let silent = |region: &&Region| {
            let until = region.heard.map(|heard| heard + self.max_cut);
            until.is_none_or(|until| now >= until)
        };
        let trouble = |region: &Region| {
            let begun = region.heard.or(state.since).unwrap_or(now);
            let since = now.saturating_sub(begun);
            let name = &region.name;
            let what = "nothing is served from the cache";
            let message = match (region.doubted_until, region.heard) {
                (Some(until), _) if now < until => format!(
                    "two purge logs are relayed here as the region {name:?}, {what}: give each its own name (`tagcache relay --region`)"
                ),
                (_, None) => format!(
                    "no relay from the region {name:?} was heard yet, {what}: see whether `tagcache relay --region {name}` runs"
                ),
                (_, Some(_)) => format!(
                    "the region {name:?} was last heard {:.0} s ago, {what}: see whether `tagcache relay --region {name}` runs",
                    since.as_secs_f64()
                ),
            };
            Trouble {
                part: "regions",
                message,
                since,
            }
        };
        state.regions.iter().filter(silent).map(trouble).collect()
    }
}

/// When the last heartbeat was sent that saw the log end in front of `base`.
fn asked_after(tips: &VecDeque<(Duration, Position)>, base: Position) -> Option<Duration> {
    let before = tips.partition_point(|(_, tip)| tip.ordinal < base.ordinal);
    let (sent, tip) = tips.get(before.checked_sub(1)?)?;
    (tip.epoch == base.epoch).then_some(*sent)
}

#[cfg(test)]
mod tests;
