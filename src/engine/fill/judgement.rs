//! The verdict on what the inner service answered: whether it is stored, freshens what is stored, or gives way to
//! it.

use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderName, Response, StatusCode};
use http_body::Body;

use crate::coalesce::{FlightHead, FlightReader};
use crate::engine::fill::Fill;
use crate::engine::lookup::part::part_key;
use crate::engine::lookup::variant_key;
use crate::entry::{Ready, StoredResponse};
use crate::outcome::{NotStored, Outcome, Storing};
use crate::rules::{Exchange, Storable};
use crate::semantics::{self, Span};
use crate::weaken::{ProtocolRule, weakened};

/// What the one whose request began the fill gets.
pub(crate) enum Answer<B, E> {
    /// The response is not stored: the inner service's own.
    Direct(Response<B>, NotStored),
    /// It is being stored while it is read. With its head as the inner service sent it: what is
    /// stored and shared lacks some of it.
    Filling(Arc<FlightHead>, Parts, FlightReader),
    /// A 304 freshened the stored response; stored anew, unless there is a reason against it.
    Freshened(Arc<StoredResponse>, Storing),
    /// Another node has stored it meanwhile.
    Fetched(Arc<StoredResponse>),
    /// The inner service failed with a status that the stored response stands in for (RFC 5861 §4).
    Spared(Arc<StoredResponse>, Outcome),
    /// A 304 that does not speak of the response that it was asked about, so that there is nothing to
    /// answer with.
    Unusable,
    /// The inner service failed.
    Failed(E),
}

/// What comes of a fill.
pub(super) enum Judgement<B, E> {
    /// Nobody wants it any more.
    Abandoned,
    /// Nothing for those who wait, for that reason; and what the one gets who began it, if anything.
    Failed(&'static str, Option<Answer<B, E>>),
    /// Another node has stored it meanwhile.
    Fetched(Arc<StoredResponse>),
    /// The response is for the one who began it alone.
    Direct(Response<B>, NotStored),
    /// A 304 freshened the stored response; by which request fields it varies, or why it is not stored anew.
    Freshened(Arc<StoredResponse>, Result<Vec<HeaderName>, NotStored>),
    /// It is stored once its body is whole.
    Storable(Response<B>, Arc<FlightHead>),
}

impl Fill {
    /// Judges the response, and ends what it ends of what is stored, before anybody hears of it.
    pub(super) async fn judge<B, E>(&mut self, mut response: Response<B>) -> Judgement<B, E>
    where
        B: Body<Data = Bytes>,
    {
        if weakened(ProtocolRule::StampBefore) {
            self.stamp = self.engine.lookups.views.current().map(|view| view.stamp());
        }
        if response.status() == StatusCode::NOT_MODIFIED && self.asked_conditionally() {
            return self.freshen(response.headers()).await;
        }
        let mut status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            // Nobody asked for it (RFC 9110 §15.4.5): as if the inner service had failed.
            status = StatusCode::BAD_GATEWAY;
        }
        if let Some((stored, outcome)) = self.spared(status) {
            let answer = Answer::Spared(stored, outcome);
            return Judgement::Failed("the inner service answered with an error", Some(answer));
        }
        if response.status() == StatusCode::NOT_MODIFIED {
            return Judgement::Failed("a 304 that was not asked for", Some(Answer::Unusable));
        }
        semantics::settle_length(response.status(), response.headers_mut());
        let head = self.head(&response);
        let ended = self.ended(&response, head.as_ref().err().copied());
        self.end(ended).await;
        match head {
            Ok(head) => Judgement::Storable(response, head),
            Err(reason) => Judgement::Direct(response, reason),
        }
    }

    /// Asks the policy, and makes what will be stored, without its body.
    fn head<B: Body>(&self, response: &Response<B>) -> Result<Arc<FlightHead>, NotStored> {
        let received_at = self.engine.fills.clock.now();
        let part = self.part(response)?;
        let exchange = Exchange {
            request: &self.wanted.headers,
            // A part is stored where the whole would be (RFC 9111 §3.3).
            status: part.map_or(response.status(), |_| StatusCode::OK),
            headers: response.headers(),
            requested_at: self.requested_at,
            received_at,
            ceiling: self.engine.fills.limits.lifetime,
            chance: self.engine.fills.chance.next(),
        };
        let storable = self.engine.fills.decide(&self.wanted, &exchange)?;
        let size = response.body().size_hint();
        let limit = self.wanted.asked.rule.body_limit as u64;
        let declared = semantics::content_length(response.headers())?.unwrap_or(0);
        if size.lower().max(declared) > limit {
            return Err(NotStored::TooLarge);
        }
        let stamp = self.stamp.ok_or(NotStored::NoStamp)?;
        if !self.lead.reserve(size.lower().max(declared)) {
            self.engine.fills.flights.budget.note_unstored();
            return Err(NotStored::Busy);
        }
        let Storable {
            freshness,
            initial_age,
            headers,
            vary,
            tags,
            ..
        } = storable;
        let whole = variant_key(&self.wanted.asked.key, &vary, &self.wanted.headers);
        let stored = StoredResponse {
            stamp,
            key: part.map_or_else(|| whole.clone(), |_| part_key(&whole)),
            path: self.wanted.path.clone(),
            tags,
            received_at,
            initial_age,
            freshness,
            status: response.status(),
            headers,
            body: Bytes::new(),
            trailers: None,
            ready: Ready::default(),
        };
        Ok(Arc::new(FlightHead {
            not_stored: self.settles(&stored).then_some(NotStored::Settling),
            response: stored,
            vary,
            tags_final: !self.wanted.asked.rule.has_body_tags(),
            size,
        }))
    }

    /// What a 206 spans that answers the client's range; `None` for another status.
    fn part<B: Body>(&self, response: &Response<B>) -> Result<Option<Span>, NotStored> {
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(None);
        }
        let headers = response.headers();
        // Tags from a part of the body would not be all of them.
        let storable = self.partial && !self.wanted.asked.rule.has_body_tags();
        let span = Span::of(headers).filter(|_| storable);
        span.map(Some).ok_or(NotStored::Partial)
    }
}
