//! What the current view, what waits and what settles say together.

use std::time::Duration;

use super::{View, Views};
use crate::log::Regions;
use crate::log::health::Health;
use crate::outcome::Detail;
use crate::validity::{Subject, Verdict};
use crate::weaken::{ProtocolRule, weakened};

impl Views {
    /// How well this process knows the log, now.
    pub(crate) fn health(&self) -> Health {
        let view = self.current();
        let now = self.clock.monotonic();
        let until = view.as_ref().map(|view| view.lease_until());
        let heard = until.filter(|until| !until.is_zero());
        let silence = heard.map(|until| now.saturating_sub(until.saturating_sub(self.lease)));
        Health {
            position: view.as_ref().map(|view| view.position()),
            followed: view.is_some_and(|view| view.leased(now)),
            silence,
            waiting: self.pending.unappended(),
            fill_bytes: 0,
            fills_unstored: 0,
            troubles: Vec::new(),
            server: None,
        }
    }

    /// Judges a stored or in-flight response (PROTOCOL 5).
    pub(crate) fn judge(&self, view: &View, subject: Subject<'_>) -> Verdict {
        // In this order: a purge leaves the pending ones only after its marks are in the view.
        let pending = self.pending.judge(subject, view.epoch);
        // Before the marks are looked at, and compared with a clock that is read after them, as a lease is.
        let until = self.regions.as_ref().map(Regions::until);
        let verdict = match (view.judge(subject), pending) {
            (purged @ Verdict::Purged(_), _) | (_, purged @ Verdict::Purged(_)) => purged,
            (Verdict::Valid, pending) => pending,
            (soft, _) => soft,
        };
        match until {
            Some(until) if self.clock.monotonic() >= until => Verdict::Purged(Detail::RegionCut),
            _ => verdict,
        }
    }

    /// Whether a response whose generation began at `began` (monotonic) must not be stored, because
    /// one of its tags was settling then (PROTOCOL 32).
    pub(crate) fn settling(&self, began: Duration, subject: Subject<'_>) -> bool {
        !weakened(ProtocolRule::SettleStart) && self.settling.forbids(began, subject.tags)
    }

    /// Whether what was begun at `began` (monotonic) is only for those who came while one of its tags still settled
    /// (PROTOCOL 40).
    pub(crate) fn has_settled_since(&self, began: Duration, subject: Subject<'_>) -> bool {
        let now = self.clock.monotonic();
        !weakened(ProtocolRule::SettleJoin) && self.settling.has_ended(began, now, subject.tags)
    }
}
