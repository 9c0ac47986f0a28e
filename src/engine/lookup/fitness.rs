//! What a stored response may be used for: judged by the purges known, its clock, and what the request
//! asks of a cache.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::lookup::{Lookups, may_join};
use crate::entry::StoredResponse;
use crate::log::View;
use crate::outcome::{Detail, ForwardReason, Why};
use crate::rules::CacheRequest;
use crate::semantics::{self, Reuse, Terms};
use crate::validity::{Subject, Verdict};
use crate::weaken::{ProtocolRule, weakened};

/// How far ahead another node's clock may be before its responses count as unusable (SAFETY 30).
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// What a stored response may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitness {
    Fresh,
    /// Only as stale. `since` is as in [`Stale`](crate::engine::lookup::Stale).
    Stale {
        since: Duration,
        soft_purged: bool,
        wish: Wish,
    },
    Purged(Detail),
    /// The request has `Authorization`, and nothing permits to answer it with this (RFC 9111 §3.5).
    Unauthorized,
    /// Nobody knows whether it is as new as the request must have it (PROTOCOL 27).
    Unproven,
    /// Its clock is too far ahead of ours.
    OfTheFuture,
}

/// What the client's own directives make of a stored response that is not simply fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// They say nothing about it.
    Silent,
    /// Fresh or not, it is to be validated.
    Validate,
    /// It will do, stale as it is (`max-stale`).
    Accept,
}

impl Fitness {
    /// Why the request is forwarded because of it.
    pub(crate) const fn objection(self) -> Option<Why> {
        let (reason, detail) = match self {
            Self::Fresh | Self::OfTheFuture => return None,
            Self::Stale {
                soft_purged: true, ..
            } => (ForwardReason::Stale, Some(Detail::SoftPurged)),
            Self::Stale {
                wish: Wish::Validate,
                ..
            } => (ForwardReason::Request, None),
            Self::Stale { .. } => (ForwardReason::Stale, None),
            Self::Purged(detail) => (ForwardReason::Stale, Some(detail)),
            Self::Unproven => (ForwardReason::Request, Some(Detail::UnknownPosition)),
            Self::Unauthorized => (ForwardReason::Bypass, Some(Detail::Authorization)),
        };
        Some(Why { reason, detail })
    }
}

impl Lookups {
    /// What a stored response under a key of this request may be used for.
    pub(crate) fn fitness(
        &self,
        asked: &CacheRequest,
        view: &View,
        stored: &StoredResponse,
        now: Timestamp,
    ) -> Fitness {
        if stored.received_at > now.plus(CLOCK_SKEW) {
            return Fitness::OfTheFuture;
        }
        if asked.has_authorization && !stored.freshness.authorized {
            return Fitness::Unauthorized;
        }
        if asked.after.is_some()
            && let Some(unfit) = self.unfit_for_told(asked, view, stored)
        {
            return unfit;
        }
        let soft_purged = match self.views.judge(view, subject(stored)) {
            Verdict::Valid => false,
            Verdict::Soft(_) => true,
            Verdict::Purged(detail) => return Fitness::Purged(detail),
        };
        let remaining = stored.remaining_millis(now);
        let fresh = remaining > 0 && !soft_purged && !stored.freshness.always_validate;
        let wish = match semantics::reuse(asked.wishes(), &terms(stored), stored.age(now)) {
            Reuse::Fresh if fresh => return Fitness::Fresh,
            Reuse::Validate if fresh || asked.wishes().no_cache => Wish::Validate,
            Reuse::Stale if !soft_purged => Wish::Accept,
            _ => Wish::Silent,
        };
        let since = u64::try_from(-remaining).unwrap_or(0);
        Fitness::Stale {
            since: Duration::from_millis(since),
            soft_purged,
            wish,
        }
    }

    /// Why `stored` does not answer a request that names a position, if it does not: apart, as hardly any request does.
    #[cold]
    fn unfit_for_told(
        &self,
        asked: &CacheRequest,
        view: &View,
        stored: &StoredResponse,
    ) -> Option<Fitness> {
        if !self.knows(view, asked) {
            return Some(Fitness::Unproven);
        }
        let verdict = self.views.judge(view, subject(stored));
        // PROTOCOL 27 [soft_pos]: who was told to ask again gets no stale response.
        let softened = matches!(verdict, Verdict::Soft(_)) && !weakened(ProtocolRule::SoftPos);
        softened.then_some(Fitness::Purged(Detail::SoftPurged))
    }

    /// Whether the hit on `stored` is chosen to refresh it. A copy in this process has one chosen, so
    /// that a refresh that fails is not tried again before its end.
    #[inline]
    pub(crate) fn elects(&self, stored: &StoredResponse, now: Timestamp) -> bool {
        stored.is_nearly_over(now) && self.is_drawn(stored, now) && stored.ready.elect()
    }

    fn is_drawn(&self, stored: &StoredResponse, now: Timestamp) -> bool {
        let left = stored.remaining_millis(now) as f64;
        let eagerness = stored.freshness.eagerness.as_secs_f64() * 1000.0;
        -eagerness * self.chance.next().ln() >= left
    }

    /// PROTOCOL 20: valid in the current view, which is at or past the tip that this request's lookup
    /// saw. Usable only as stale is not enough here.
    pub(crate) fn valid_now(&self, stored: &StoredResponse) -> bool {
        self.is_valid(subject(stored)).unwrap_or(false)
    }

    pub(crate) fn is_valid(&self, subject: Subject<'_>) -> Option<bool> {
        let view = self.views.current()?;
        Some(may_join(self.views.judge(&view, subject)))
    }
}

/// What `stored` says about its own reuse.
const fn terms(stored: &StoredResponse) -> Terms {
    let freshness = &stored.freshness;
    Terms {
        lifetime: freshness.lifetime,
        always_validate: freshness.always_validate,
        stale_forbidden: freshness.stale_forbidden,
        immutable: freshness.immutable,
    }
}

/// What decides about `stored`.
pub(crate) fn subject(stored: &StoredResponse) -> Subject<'_> {
    Subject {
        stamp: stored.stamp,
        tags: &stored.tags,
        path: &stored.path,
    }
}
