//! Stale responses: served while a refresh runs behind, freshened by a 304, or served in place of an
//! error.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::clock::Timestamp;
use crate::engine::fill::judgement::{Answer, Judgement};
use crate::engine::fill::{Fill, Fills};
use crate::engine::lookup::variant_key;
use crate::entry::StoredResponse;
use crate::outcome::{NotStored, Outcome};
use crate::position::Stamp;
use crate::rules::{Exchange, FillRequest};
use crate::semantics;

/// A call of the inner service whose response updates a stored one.
pub(crate) struct Freshening<'a> {
    pub(crate) wanted: &'a FillRequest,
    /// Taken before the call (PROTOCOL 17).
    pub(crate) stamp: Stamp,
    pub(crate) requested_at: Timestamp,
    pub(crate) received_at: Timestamp,
}

impl Fills {
    /// `old` with the fields of `response` (RFC 9111 §3.2), the new stamp, and the tags of both; and by
    /// which request fields it varies, or why it is not stored anew.
    pub(crate) fn updated(
        &self,
        old: &StoredResponse,
        response: &HeaderMap,
        update: &Freshening<'_>,
    ) -> (StoredResponse, Result<Vec<HeaderName>, NotStored>) {
        let (wanted, received_at) = (update.wanted, update.received_at);
        let mut stored = old.clone();
        let set_cookie = wanted.asked.rule.set_cookie;
        let mut headers = semantics::freshen(&old.headers, response, received_at, set_cookie);
        let exchange = Exchange {
            request: &wanted.headers,
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
            stored.key = variant_key(&wanted.asked.key, &storable.vary, &wanted.headers);
            headers.clone_from(&storable.headers);
        }
        stored.headers = headers;
        stored.stamp = update.stamp;
        stored.received_at = received_at;
        (stored, decided.map(|storable| storable.vary))
    }
}

impl Fill {
    /// Whether the forwarded request carried our conditions.
    pub(crate) fn asked_conditionally(&self) -> bool {
        self.stale
            .as_ref()
            .is_some_and(|stale| stale.conditions().is_some())
    }

    /// The stale response, if the inner service answered with an error that it may stand in for.
    pub(crate) fn spared(&self, status: StatusCode) -> Option<(Arc<StoredResponse>, Outcome)> {
        let failed = matches!(status.as_u16(), 500 | 502 | 503 | 504);
        failed
            .then(|| self.engine.lookups.spare(self.stale.as_ref()?))
            .flatten()
    }

    /// The inner service says that the stored response is still good (RFC 9111 §4.3.4). The freshened
    /// one gets the stamp taken before the conditional request, and the tags of both (PROTOCOL 17).
    pub(super) async fn freshen<B, E>(&mut self, not_modified: &HeaderMap) -> Judgement<B, E> {
        let unusable = |reason| Judgement::Failed(reason, Some(Answer::Unusable));
        let (Some(stale), Some(stamp)) = (self.stale.clone(), self.stamp) else {
            return unusable("a 304 for a response that is not stored");
        };
        let received_at = self.engine.fills.clock.now();
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
        let update = Freshening {
            wanted: &self.wanted,
            stamp,
            requested_at: self.requested_at,
            received_at,
        };
        let (mut stored, decided) = self
            .engine
            .fills
            .updated(&stale.stored, not_modified, &update);
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
