//! The fill: one call of the inner service, from the stamp to the stored response.
//!
//! It runs in a task of its own and belongs to no client. The one whose request began it gets an
//! [`Answer`]; everybody reads the body from the flight.

pub(super) mod begun;
pub(super) mod clearance;
pub(super) mod early;
pub(super) mod kept;
pub(super) mod land;
pub(super) mod partial;
pub(super) mod pass_on;
pub(super) mod revalidate;
pub(super) mod supersede;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::ServiceExt;

use crate::clock::Timestamp;
use crate::coalesce::{Expected, FlightHead, FlightReader, Lead};
use crate::engine::fill::begun::Begun;
use crate::engine::fill::kept::{Kept, next_frame};
use crate::engine::fill::partial::part_key;
use crate::engine::lookup::{Lookup, Stale, variant_key};
use crate::engine::{Engine, Forwarded, InnerService};
use crate::entry::{Ready, StoredResponse};
use crate::error::BoxError;
use crate::key::CacheKey;
use crate::outcome::{NotStored, Outcome, Storing};
use crate::position::Stamp;
use crate::rules::{Exchange, FillRequest, Storable};
use crate::semantics::{self, Span, TrailerSieve};
use crate::weaken::{Rule, weakened};

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

/// Where the answer goes; `None` when nobody waits for it (a refresh behind a stale response).
pub(crate) type Recipient<B, E> = Option<oneshot::Sender<Answer<B, E>>>;

pub(crate) struct Fill {
    pub(crate) engine: Arc<Engine>,
    pub(crate) lead: Lead,
    pub(crate) wanted: Arc<FillRequest>,
    /// The key that the request was looked up by: the URI's, or that of its variant.
    pub(crate) key: CacheKey,
    /// Taken before the call (PROTOCOL 15).
    pub(crate) stamp: Option<Stamp>,
    /// Monotonic, for settling.
    pub(crate) began: Duration,
    pub(crate) requested_at: Timestamp,
    /// The stored response that a 304 freshens or an error falls back to. Never a purged one.
    pub(crate) stale: Option<Stale>,
    /// The client asked for one range: a 206 may be stored as a part.
    partial: bool,
    /// A flight that the request could have joined may have landed since it looked.
    pub(crate) overtaken: bool,
    /// How long it goes on when nobody waits for it or reads it; and since when that is so.
    pub(crate) patience: Duration,
    /// It ends before that where others want its place (SAFETY 72).
    pub(crate) yields: bool,
    unwanted_since: Option<Instant>,
}

impl Fill {
    pub(crate) fn new(
        engine: Arc<Engine>,
        lead: Lead,
        wanted: Arc<FillRequest>,
        lookup: &Lookup,
    ) -> Self {
        let fill = Self {
            stamp: lookup.stamp(),
            began: engine.clock.monotonic(),
            requested_at: engine.clock.now(),
            // After the stamp: a purge that it is past must be seen here (PROTOCOL 5, 17).
            stale: lookup.stale().and_then(|stale| engine.still_usable(stale)),
            key: lookup.key.clone(),
            overtaken: engine
                .flights
                .have_landed(&wanted.asked.key, lookup.landings),
            unwanted_since: None,
            yields: false,
            patience: engine.limits.fill,
            partial: semantics::asks_for_one_range(&wanted.headers),
            engine,
            lead,
            wanted,
        };
        if !fill.needs_clearance() {
            fill.expect();
        }
        fill
    }

    /// Says what the flight will bring, as it is about to begin.
    pub(crate) fn expect(&self) {
        if let (Some(stamp), Ok(tags)) = (self.stamp, &self.wanted.tags) {
            self.lead.expect(Expected {
                stamp,
                tags: tags.clone(),
                path: self.wanted.path.clone(),
            });
        }
    }

    pub(crate) async fn call<S, A>(
        mut self,
        mut request: Request<A>,
        inner: S,
        mut recipient: Recipient<S::ResBody, S::Error>,
    ) where
        S: InnerService<A>,
    {
        self.prepare(&mut request);
        self.lead.calls();
        let call = inner.oneshot(request);
        let Some(result) = self.unless_abandoned(call, &mut recipient).await else {
            return;
        };
        self.patience = self.engine.limits.fill;
        let mut response = match result {
            Ok(response) => response,
            Err(error) => {
                self.lead.fail("the inner service failed");
                return answer(&mut recipient, Answer::Failed(error));
            }
        };
        if weakened(Rule::StampBefore) {
            self.stamp = self.engine.views.current().map(|view| view.stamp());
        }
        if response.status() == StatusCode::NOT_MODIFIED && self.asked_conditionally() {
            return self.freshen(response, &mut recipient).await;
        }
        let mut status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            // Nobody asked for it (RFC 9110 §15.4.5): as if the inner service had failed.
            status = StatusCode::BAD_GATEWAY;
        }
        if let Some((stored, outcome)) = self.spared(status) {
            self.lead.fail("the inner service answered with an error");
            return answer(&mut recipient, Answer::Spared(stored, outcome));
        }
        if response.status() == StatusCode::NOT_MODIFIED {
            self.lead.fail("a 304 that was not asked for");
            return answer(&mut recipient, Answer::Unusable);
        }
        semantics::settle_length(response.status(), response.headers_mut());
        let head = self.head(&response);
        let ended = self.ended(&response, head.as_ref().err().copied());
        self.end(ended).await;
        match head {
            Ok(head) => self.stream(response, head, recipient).await,
            Err(reason) => {
                self.remember_uncacheable(reason);
                self.lead.release();
                answer(&mut recipient, Answer::Direct(response, reason));
            }
        }
    }

    /// The forwarded request asks for the whole response, unless a stored one can be freshened.
    fn prepare<A>(&self, request: &mut Request<A>) {
        request
            .extensions_mut()
            .insert::<Forwarded>(self.engine.mark());
        self.wanted.reduce(request);
        let headers = request.headers_mut();
        semantics::strip_conditions(headers);
        semantics::drop_own(|_| false, headers);
        let conditions = self
            .stale
            .as_ref()
            .and_then(|stale| self.engine.conditions(stale));
        for (name, value) in conditions.into_iter().flatten() {
            headers.insert(name, value);
        }
    }

    /// Runs `work`, but no longer than its patience after the last one who asked the response has gone; not at all if nobody else can come to want it.
    pub(crate) async fn unless_abandoned<T, B, E>(
        &mut self,
        work: impl Future<Output = T>,
        recipient: &mut Recipient<B, E>,
    ) -> Option<T> {
        let flight = self.lead.flight();
        let patience = match self.lead.is_alone() {
            true => Duration::ZERO,
            false => self.patience,
        };
        let (orphans, yields) = (&self.engine.flights.orphans, self.yields);
        let unwanted_since = &mut self.unwanted_since;
        let abandoned = async {
            loop {
                if let Some(recipient) = recipient {
                    recipient.closed().await;
                }
                if !flight.unwanted() {
                    *unwanted_since = None;
                }
                flight.until_unwanted().await;
                let since = *unwanted_since.get_or_insert_with(Instant::now);
                if !patience.is_zero() && yields {
                    let mut orphan = orphans.add();
                    let _ = timeout_at(since + patience, orphan.is_to_end()).await;
                } else if !patience.is_zero() {
                    sleep_until(since + patience).await;
                }
                if flight.unwanted() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = abandoned => None,
        }
    }

    /// Asks the policy, and makes what will be stored, without its body.
    fn head<B: Body>(&self, response: &Response<B>) -> Result<Arc<FlightHead>, NotStored> {
        let received_at = self.engine.clock.now();
        let part = self.part(response)?;
        let exchange = Exchange {
            request: &self.wanted.headers,
            // A part is stored where the whole would be (RFC 9111 §3.3).
            status: part.map_or(response.status(), |_| StatusCode::OK),
            headers: response.headers(),
            requested_at: self.requested_at,
            received_at,
            ceiling: self.engine.limits.lifetime,
            chance: self.engine.chance.next(),
        };
        let storable = self.engine.decide(&self.wanted, &exchange)?;
        let size = response.body().size_hint();
        let limit = self.wanted.asked.rule.body_limit() as u64;
        let declared = semantics::content_length(response.headers())?.unwrap_or(0);
        if size.lower().max(declared) > limit {
            return Err(NotStored::TooLarge);
        }
        let stamp = self.stamp.ok_or(NotStored::NoStamp)?;
        if !self.lead.reserve(size.lower().max(declared)) {
            self.engine.flights.budget.note_unstored();
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

    /// Reads the body into the flight, and stores it if it is whole.
    async fn stream<B, E>(
        mut self,
        response: Response<B>,
        mut head: Arc<FlightHead>,
        mut recipient: Recipient<B, E>,
    ) where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = response.into_parts();
        let rule = &self.wanted.asked.rule;
        let ours = rule.tag_headers().filter(|_| !rule.keeps_tag_headers());
        let sieve = TrailerSieve::of(&parts.headers, ours);
        let body = std::pin::pin!(body);
        let mut body = Begun::of(body).await;
        body.name(&mut head, &mut parts);
        // The reader is made before anything is read, so that it can only begin at the first byte.
        let reader = self.lead.flight().reader();
        if body.is_end_stream() {
            self.lead.has_no_body();
        }
        self.lead.head(Arc::clone(&head));
        if let (Some(reader), true) = (reader, recipient.is_some()) {
            let filling = Answer::Filling(Arc::clone(&head), parts, reader);
            answer(&mut recipient, filling);
        }
        let limit = self.wanted.asked.rule.body_limit() as u64;
        let mut body = Pin::new(&mut body);
        let mut kept = Kept::default();
        while !body.is_end_stream() {
            let frame = self
                .unless_abandoned(next_frame(body.as_mut()), &mut recipient)
                .await;
            match frame {
                None => return,
                Some(None) => break,
                Some(Some(Err(error))) => return self.lead.fail(&error),
                Some(Some(Ok(frame))) => {
                    if let Err(left) = kept.take(frame, limit, &self.lead, &sieve) {
                        drop(kept);
                        return self.pass_on(left, body, &sieve).await;
                    }
                }
            }
        }
        if let Err(reason) = kept.check(&head.response.headers, &head.size) {
            return self.lead.fail(reason);
        }
        self.admit(&head, kept).await;
    }

    /// Unless the reason is the moment or this one request: then it says nothing about the next.
    pub(crate) fn remember_uncacheable(&self, reason: NotStored) {
        if reason.is_of_response() {
            let now = self.engine.clock.monotonic();
            self.engine.flights.mark_uncacheable(&self.key, now);
        }
    }
}

pub(crate) fn answer<B, E>(recipient: &mut Recipient<B, E>, answer: Answer<B, E>) {
    if let Some(recipient) = recipient.take() {
        // The client may be gone; the fill goes on.
        let _ = recipient.send(answer);
    }
}
