//! Stored responses that are stale: what they may still be used for.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::ETAG;
use http::{HeaderName, HeaderValue};

use crate::engine::lookup::Lookups;
use crate::engine::lookup::fitness::{Wish, subject};
use crate::engine::selection::hit_at;
use crate::entry::{Freshness, StoredResponse};
use crate::outcome::{Detail, Outcome, Served};
use crate::rules::{CompiledRule, Profile};
use crate::semantics;
use crate::validity::Verdict;
use crate::weaken::{ProtocolRule, weakened};

/// How long past its lifetime a response is served under [`Profile::Rfc9111`] when the inner service
/// fails without an answer.
const STALE_IF_DISCONNECTED: Duration = Duration::from_secs(60 * 60);

/// A stored response that may be used only as stale.
#[derive(Debug, Clone)]
pub(crate) struct Stale {
    pub(crate) stored: Arc<StoredResponse>,
    /// How long since it stopped being fresh.
    pub(crate) since: Duration,
    pub(crate) soft_purged: bool,
    pub(crate) wish: Wish,
}

impl Stale {
    /// RFC 5861 §3. A soft-purged response that is still fresh counts as stale since now.
    pub(crate) fn may_serve_while_revalidating(&self) -> bool {
        let freshness = &self.stored.freshness;
        !freshness.always_validate
            && self.wish != Wish::Validate
            && self.since < freshness.stale_while_revalidate
    }

    /// The fields that ask the inner service whether the stored response is still good; none if it has
    /// to be asked unconditionally. Only a strong validator may freshen a soft-purged response
    /// (PROTOCOL 17 `[strong]`): `If-Modified-Since` of the same second would make the old one fresh
    /// again.
    pub(crate) fn conditions(&self) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let mut theirs = Cow::Borrowed(&self.stored.headers);
        if semantics::has_own_tag(&theirs) {
            theirs.to_mut().remove(ETAG);
        }
        let received_at = self.stored.received_at;
        let strong = semantics::is_strong_validator(&theirs, received_at);
        if self.soft_purged && !strong && !weakened(ProtocolRule::Strong) {
            return None;
        }
        semantics::conditional_fields(&theirs, received_at)
    }
}

impl Lookups {
    /// `stale` as it may be used now: purges may have come since it was looked up.
    pub(crate) fn still_usable(&self, stale: &Stale) -> Option<Stale> {
        let view = self.views.current()?;
        let subject = subject(&stale.stored);
        let soft_purged = match self.views.judge(&view, subject) {
            Verdict::Valid => stale.soft_purged,
            Verdict::Soft(_) => true,
            Verdict::Purged(_) => return None,
        };
        Some(Stale {
            soft_purged,
            ..stale.clone()
        })
    }

    /// The stale response that may stand in for an error (RFC 5861 §4), and the outcome to report.
    pub(crate) fn spare(&self, stale: &Stale) -> Option<(Arc<StoredResponse>, Outcome)> {
        self.spare_within(stale, stale.stored.freshness.stale_if_error)
    }

    /// The stale response that may be served as the inner service did not answer at all: by RFC 9111
    /// §4.2.4 a cache that is disconnected may, where nothing forbids it.
    pub(crate) fn stale_if_disconnected(
        &self,
        rule: &CompiledRule,
        stale: Option<&Stale>,
    ) -> Option<(Arc<StoredResponse>, Outcome)> {
        let stale = stale?;
        let window = window_if_disconnected(rule, &stale.stored.freshness);
        self.spare_within(stale, window)
    }

    fn spare_within(
        &self,
        stale: &Stale,
        window: Duration,
    ) -> Option<(Arc<StoredResponse>, Outcome)> {
        // A purge may have come while the inner service was asked.
        self.still_usable(stale)?;
        let demanded = stale.stored.freshness.always_validate || stale.wish == Wish::Validate;
        if demanded || stale.since >= window {
            return None;
        }
        let mut outcome = hit_at(&stale.stored, self.clock.now());
        outcome.served = Served::Stale;
        outcome.detail = Some(Detail::StaleIfError);
        Some((Arc::clone(&stale.stored), outcome))
    }
}

/// How long past its lifetime a response may be served when the inner service fails without an
/// answer.
pub(crate) fn window_if_disconnected(rule: &CompiledRule, freshness: &Freshness) -> Duration {
    let forbidden = freshness.stale_forbidden || freshness.always_validate;
    let by_profile = match rule.profile {
        Profile::Rfc9111 if !forbidden => STALE_IF_DISCONNECTED,
        _ => Duration::ZERO,
    };
    freshness.stale_if_error.max(by_profile)
}
