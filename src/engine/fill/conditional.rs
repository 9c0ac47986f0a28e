//! Stale responses: served while a refresh runs behind, freshened by a 304, or served in place of an
//! error.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::ETAG;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::engine::fill::Fill;
use crate::engine::fill::judgement::{Answer, Judgement};
use crate::engine::lookup::fitness::subject;
use crate::engine::lookup::{Lookup, Stale, Wish, variant_key};
use crate::entry::{Freshness, StoredResponse};
use crate::outcome::{Detail, NotStored, Outcome, Served};
use crate::position::Stamp;
use crate::rules::{CompiledRule, Exchange, FillRequest, Profile};
use crate::semantics;
use crate::validity::Verdict;
use crate::weaken::{Rule, weakened};

/// How long past its lifetime a response is served under [`Profile::Rfc9111`] when the inner service
/// fails without an answer.
const STALE_IF_DISCONNECTED: Duration = Duration::from_secs(60 * 60);

impl Engine {
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

    /// The fields that ask the inner service whether the stored response is still good; none if it has
    /// to be asked unconditionally. Only a strong validator may freshen a soft-purged response
    /// (PROTOCOL 17 `[strong]`): `If-Modified-Since` of the same second would make the old one fresh
    /// again.
    pub(crate) fn conditions(&self, stale: &Stale) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let mut theirs = Cow::Borrowed(&stale.stored.headers);
        if semantics::has_own_tag(&theirs) {
            theirs.to_mut().remove(ETAG);
        }
        let received_at = stale.stored.received_at;
        let strong = semantics::is_strong_validator(&theirs, received_at);
        if stale.soft_purged && !strong && !weakened(Rule::Strong) {
            return None;
        }
        semantics::conditional_fields(&theirs, received_at)
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
        lookup: &Lookup,
    ) -> Option<(Arc<StoredResponse>, Outcome)> {
        let stale = lookup.stale()?;
        let window = window_if_disconnected(rule, &stale.stored.freshness);
        self.spare_within(stale, window)
    }

    pub(crate) fn spare_within(
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
        let mut outcome = self.hit(&stale.stored);
        outcome.served = Served::Stale;
        outcome.detail = Some(Detail::StaleIfError);
        Some((Arc::clone(&stale.stored), outcome))
    }
}

/// A call of the inner service whose response updates a stored one.
pub(crate) struct Update<'a> {
    pub(crate) wanted: &'a FillRequest,
    pub(crate) request: &'a HeaderMap,
    /// Taken before the call (PROTOCOL 17).
    pub(crate) stamp: Stamp,
    pub(crate) requested_at: Timestamp,
    pub(crate) received_at: Timestamp,
}

impl Engine {
    /// `old` with the fields of `response` (RFC 9111 §3.2), the new stamp, and the tags of both; and by
    /// which request fields it varies, or why it is not stored anew.
    pub(crate) fn updated(
        &self,
        old: &StoredResponse,
        response: &HeaderMap,
        update: &Update<'_>,
    ) -> (StoredResponse, Result<Vec<HeaderName>, NotStored>) {
        let (wanted, received_at) = (update.wanted, update.received_at);
        let mut stored = old.clone();
        let set_cookie = wanted.asked.rule.set_cookie;
        let mut headers = semantics::freshen(&old.headers, response, received_at, set_cookie);
        let exchange = Exchange {
            request: update.request,
            status: stored.status,
            headers: &headers,
            requested_at: update.requested_at,
            received_at,
            ceiling: self.limits.lifetime,
            chance: self.chance.next(),
        };
        let decided = self.decide(wanted, &exchange);
        if let Ok(storable) = &decided {
            stored.tags.union(&storable.tags);
            stored.freshness = storable.freshness;
            stored.freshness.eagerness = old.freshness.eagerness;
            stored.initial_age = storable.initial_age;
            stored.key = variant_key(&wanted.asked.key, &storable.vary, update.request);
            headers.clone_from(&storable.headers);
        }
        stored.headers = headers;
        stored.stamp = update.stamp;
        stored.received_at = received_at;
        (stored, decided.map(|storable| storable.vary))
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

impl Fill {
    /// Whether the forwarded request carried our conditions.
    pub(crate) fn asked_conditionally(&self) -> bool {
        self.stale
            .as_ref()
            .is_some_and(|stale| self.engine.conditions(stale).is_some())
    }

    /// The stale response, if the inner service answered with an error that it may stand in for.
    pub(crate) fn spared(&self, status: StatusCode) -> Option<(Arc<StoredResponse>, Outcome)> {
        let failed = matches!(status.as_u16(), 500 | 502 | 503 | 504);
        failed
            .then(|| self.engine.spare(self.stale.as_ref()?))
            .flatten()
    }

    /// The inner service says that the stored response is still good (RFC 9111 §4.3.4). The freshened
    /// one gets the stamp taken before the conditional request, and the tags of both (PROTOCOL 17).
    pub(super) async fn freshen<B, E>(&mut self, not_modified: &HeaderMap) -> Judgement<B, E> {
        let unusable = |reason| Judgement::Failed(reason, Some(Answer::Unusable));
        let (Some(stale), Some(stamp)) = (self.stale.clone(), self.stamp) else {
            return unusable("a 304 for a response that is not stored");
        };
        let received_at = self.engine.clock.now();
        if !semantics::identifies(not_modified, &stale.stored.headers, received_at) {
            // It updates nothing. Ours is forgotten, so that the next request fetches it whole.
            tracing::warn!(
                rule = &**self.wanted.asked.rule.name(),
                "a 304 names another response than was asked about"
            );
            self.engine.forget(&self.wanted, &stale).await;
            self.note_refreshed();
            return unusable("a 304 for another response");
        }
        let update = Update {
            wanted: &self.wanted,
            request: &self.wanted.headers,
            stamp,
            requested_at: self.requested_at,
            received_at,
        };
        let (mut stored, decided) = self.engine.updated(&stale.stored, not_modified, &update);
        self.note_eagerness(&mut stored);
        let vary = match decided {
            Ok(_) if self.settles(&stored) => Err(NotStored::Settling),
            decided => decided,
        };
        // What forbids to store it ends the stored one, before anybody hears of it.
        let ended = vary.as_ref().err().filter(|reason| reason.is_of_response());
        if let Some(reason) = ended {
            self.engine.forget(&self.wanted, &stale).await;
            self.note_refreshed();
            self.remember_uncacheable(*reason);
        }
        Judgement::Freshened(Arc::new(stored), vary)
    }
}
