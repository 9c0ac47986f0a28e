//! A miss that waits for what another's flight brings.

use std::sync::Arc;

use http::Response;
use tokio::time::{Instant, timeout_at};

use crate::coalesce::{Expected, Flight, FlightHead, Landing};
use crate::engine::CacheBody;
use crate::engine::Engine;
use crate::engine::fitness::subject;
use crate::engine::lookup::{Lookup, may_join, variant_key};
use crate::engine::respond::Client;
use crate::entry::StoredResponse;
use crate::key::CacheKey;
use crate::rules::Planned;
use crate::semantics::{self, Vary};
use crate::validity::Subject;

/// What following a flight came to.
pub(super) enum Followed<B> {
    Response(Response<CacheBody<B>>),
    /// It is not valid for this request: a purge came after it began.
    Purged,
    /// It is for another variant; ours has this key.
    OtherVariant(CacheKey),
    /// It died.
    Failed,
    /// It cannot be shared, or takes too long.
    Apart,
}

impl Engine {
    /// Waits, until `deadline` at the longest, for what `flight` brings.
    pub(super) async fn follow<B>(
        &self,
        flight: &Arc<Flight>,
        planned: &Planned,
        lookup: &Lookup,
        client: &Client,
        deadline: Instant,
    ) -> Followed<B> {
        // Not only when it has answered: until then nobody would wait for what can be used.
        if flight.expected().is_some_and(|flight| self.is_over(flight)) {
            return Followed::Purged;
        }
        let headed = |landing: &Landing| match landing {
            Landing::Flying => false,
            // Without its last tags it is not known whether a purge has named it (PROTOCOL 20).
            Landing::Headed(head) => head.tags_final,
            Landing::Landed(_) | Landing::Released | Landing::Failed => true,
        };
        let Ok(landing) = timeout_at(deadline, flight.wait_for(headed)).await else {
            return Followed::Apart;
        };
        match landing {
            Landing::Headed(head) => self.follow_filling(flight, &head, planned, lookup, client),
            Landing::Landed(stored) => self.follow_landed(&stored, planned, lookup, client),
            Landing::Released => Followed::Apart,
            Landing::Flying | Landing::Failed => self.follow_failed(planned, lookup, client),
        }
    }

    fn follow_filling<B>(
        &self,
        flight: &Arc<Flight>,
        head: &Arc<FlightHead>,
        planned: &Planned,
        lookup: &Lookup,
        client: &Client,
    ) -> Followed<B> {
        let ours = variant_key(&planned.key, &head.vary, &client.headers);
        if ours != head.response.key {
            self.variants.learn(&planned.key, &head.vary);
            return Followed::OtherVariant(ours);
        }
        if !self.shareable(&head.response) {
            return Followed::Apart;
        }
        if !self.valid_now(&head.response) {
            return Followed::Purged;
        }
        let Some(reader) = flight.reader() else {
            return Followed::Apart;
        };
        let mut outcome = lookup.why.outcome();
        outcome.collapsed = true;
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = head.response.status;
        parts.headers = head.response.headers.clone();
        semantics::set_age(&mut parts.headers, head.response.age(self.clock.now()));
        let body = CacheBody::shared(reader.sized(head.size));
        Followed::Response(self.respond_forwarded(&planned.rule, client, parts, body, outcome))
    }

    fn follow_landed<B>(
        &self,
        stored: &Arc<StoredResponse>,
        planned: &Planned,
        lookup: &Lookup,
        client: &Client,
    ) -> Followed<B> {
        if let Vary::Fields(fields) = Vary::parse(&stored.headers) {
            let ours = variant_key(&planned.key, &fields, &client.headers);
            if ours != stored.key {
                return Followed::OtherVariant(ours);
            }
        }
        if !self.shareable(stored) {
            return Followed::Apart;
        }
        if !self.valid_now(stored) {
            return Followed::Purged;
        }
        let mut outcome = lookup.why.outcome();
        outcome.collapsed = true;
        let response = self.respond_whole(
            &planned.rule,
            &client.method,
            &client.headers,
            stored,
            outcome,
        );
        Followed::Response(response)
    }

    fn follow_failed<B>(&self, planned: &Planned, lookup: &Lookup, client: &Client) -> Followed<B> {
        match self.stale_if_disconnected(&planned.rule, lookup) {
            Some((stored, outcome)) => Followed::Response(self.respond_whole(
                &planned.rule,
                &client.method,
                &client.headers,
                &stored,
                outcome,
            )),
            None => Followed::Failed,
        }
    }

    /// Whether requests that came while it was on its way may use it without asking.
    fn shareable(&self, stored: &StoredResponse) -> bool {
        let freshness = &stored.freshness;
        !freshness.always_validate
            && (stored.remaining_millis(self.clock.now()) > 0
                || !freshness.stale_while_revalidate.is_zero())
    }

    /// Whether a purge that this request knows of names a flight that has not answered yet.
    fn is_over(&self, flight: &Expected) -> bool {
        let subject = Subject {
            stamp: flight.stamp,
            tags: &flight.tags,
            path: &flight.path,
        };
        self.is_valid(subject).is_some_and(|valid| !valid)
    }

    /// PROTOCOL 20: valid in the current view, which is at or past the head that this request's lookup
    /// saw. Usable only as stale is not enough here.
    fn valid_now(&self, stored: &StoredResponse) -> bool {
        self.is_valid(subject(stored)).unwrap_or(false)
    }

    fn is_valid(&self, subject: Subject<'_>) -> Option<bool> {
        let view = self.views.current()?;
        Some(may_join(self.views.judge(&view, subject)))
    }
}
