//! A miss: lead a flight or follow one.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower_service::Service;
use tracing::Instrument;

use crate::coalesce::{Flight, FlightHead, FlightReader, Flights, Join, Landing, Lead};
use crate::engine::fill::{Answer, Fill};
use crate::engine::lookup::{Lookup, Usable, may_join, subject, variant_key};
use crate::engine::respond::Client;
use crate::engine::{CacheBody, Engine};
use crate::entry::StoredResponse;
use crate::error::BoxError;
use crate::key::CacheKey;
use crate::outcome::{Detail, ForwardReason, NotStored, Outcome, Served, Storing};
use crate::rules::Planned;
use crate::semantics::{self, Precondition, Vary};

/// What following a flight came to.
enum Followed<B> {
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
    pub(super) async fn forward<S, A, B>(
        self: Arc<Self>,
        planned: Planned,
        lookup: Lookup,
        request: Request<A>,
        inner: S,
    ) -> Result<Response<CacheBody<B>>, S::Error>
    where
        S: Service<Request<A>, Response = Response<B>> + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        A: Body + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if let Some((not_stored, detail)) = self.unshareable(&planned, &lookup, &request) {
            let mut outcome = lookup.why.outcome();
            outcome.detail = outcome.detail.or(detail);
            return self
                .pass(&planned.rule, outcome, not_stored, request, inner)
                .await;
        }
        let client = Client::of(&request);
        let mut key = lookup.key.clone();
        let alone =
            planned.has_authorization || self.flights.is_uncacheable(&key, self.clock.monotonic());
        let mut join = if alone {
            Join::Lead(Flights::alone())
        } else {
            self.flights.join(&key)
        };
        let mut failures = 0;
        loop {
            let flight = match join {
                Join::Lead(lead) => {
                    return self
                        .lead(lead, planned, lookup, client, request, inner)
                        .await;
                }
                Join::Full => {
                    let outcome = lookup.why.outcome();
                    return self
                        .pass(&planned.rule, outcome, NotStored::Busy, request, inner)
                        .await;
                }
                Join::Follow(flight) => flight,
            };
            join = match self.follow(&flight, &planned, &lookup, &client).await {
                Followed::Response(response) => return Ok(response),
                Followed::Purged => self.flights.replace(&key, &flight),
                Followed::OtherVariant(ours) => {
                    let again = ours == key;
                    key = ours;
                    if again {
                        Join::Lead(Flights::alone())
                    } else {
                        self.flights.join(&key)
                    }
                }
                // One more try together; if that fails too, each for itself, so that a failing
                // inner service does not answer its clients one after the other.
                Followed::Failed if failures == 0 => {
                    failures += 1;
                    self.flights.replace(&key, &flight)
                }
                Followed::Failed | Followed::Apart => Join::Lead(Flights::alone()),
            };
        }
    }

    /// Requests whose responses are neither shared nor stored, and why.
    fn unshareable<A>(
        &self,
        planned: &Planned,
        lookup: &Lookup,
        request: &Request<A>,
    ) -> Option<(NotStored, Option<Detail>)> {
        if request.method() == Method::HEAD {
            return Some((NotStored::Method, None));
        }
        if request.headers().contains_key(http::header::RANGE) {
            return Some((NotStored::Partial, Some(Detail::Range)));
        }
        if lookup.view.is_none() {
            return Some((NotStored::NoStamp, None));
        }
        // A key that is not storable keeps the client's conditions: the inner service's 304 is worth
        // more than another try to store.
        let uncacheable = self
            .flights
            .is_uncacheable(&planned.key, self.clock.monotonic());
        if uncacheable && semantics::has_conditions(request.headers()) {
            return Some((NotStored::NotModified, Some(Detail::Uncacheable)));
        }
        None
    }

    async fn follow<B>(
        &self,
        flight: &Arc<Flight>,
        planned: &Planned,
        lookup: &Lookup,
        client: &Client,
    ) -> Followed<B> {
        let headed = |landing: &Landing| match landing {
            Landing::Flying => false,
            // Without its last tags it is not known whether a purge has named it (PROTOCOL 20).
            Landing::Headed(head) => head.tags_final,
            Landing::Landed(_) | Landing::Released | Landing::Failed => true,
        };
        let Ok(landing) = timeout(self.limits.follow, flight.wait_for(headed)).await else {
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
        Followed::Response(self.respond_filling(planned, client, head, reader, outcome))
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
        match self.stale_if_error(lookup) {
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

    /// PROTOCOL 20: valid in the current view, which is at or past the head that this request's lookup
    /// saw. Usable only as stale is not enough here.
    fn valid_now(&self, stored: &StoredResponse) -> bool {
        self.views
            .current()
            .is_some_and(|view| may_join(self.views.judge(&view, subject(stored))))
    }

    async fn lead<S, A, B>(
        self: Arc<Self>,
        lead: Lead,
        planned: Planned,
        lookup: Lookup,
        client: Client,
        request: Request<A>,
        inner: S,
    ) -> Result<Response<CacheBody<B>>, S::Error>
    where
        S: Service<Request<A>, Response = Response<B>> + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        A: Body + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let planned = Arc::new(planned);
        let fill = Fill::new(
            Arc::clone(&self),
            lead,
            Arc::clone(&planned),
            &lookup,
            client.clone(),
        );
        let (answer, receive) = oneshot::channel();
        let task = tokio::spawn(fill.run(request, inner, Some(answer)).in_current_span());
        let mut outcome = lookup.why.outcome();
        match receive.await {
            Ok(Answer::Filling(head, reader)) => {
                outcome.storing = Some(head_storing(&head));
                Ok(self.respond_filling(&planned, &client, &head, reader, outcome))
            }
            Ok(Answer::Freshened(stored, storing)) => {
                outcome.forward_status = Some(StatusCode::NOT_MODIFIED);
                outcome.storing = Some(storing);
                Ok(self.respond_whole(
                    &planned.rule,
                    &client.method,
                    &client.headers,
                    &stored,
                    outcome,
                ))
            }
            Ok(Answer::Direct(response, not_stored)) => {
                outcome.storing = Some(Storing::NotStored(not_stored));
                Ok(self.respond_direct(&planned.rule, &client, response, outcome))
            }
            Ok(Answer::Spared(stored, outcome)) => Ok(self.respond_whole(
                &planned.rule,
                &client.method,
                &client.headers,
                &stored,
                outcome,
            )),
            Ok(Answer::Unusable) => {
                let fields = HeaderMap::new();
                Ok(self.finish(
                    &planned.rule,
                    StatusCode::BAD_GATEWAY,
                    fields,
                    CacheBody::empty(),
                    &outcome,
                ))
            }
            Ok(Answer::Failed(error)) => match self.stale_if_error(&lookup) {
                Some((stored, outcome)) => Ok(self.respond_whole(
                    &planned.rule,
                    &client.method,
                    &client.headers,
                    &stored,
                    outcome,
                )),
                None => {
                    self.report(planned.rule.name(), &outcome);
                    Err(error)
                }
            },
            Err(_) => unanswered(task).await,
        }
    }

    /// Answers from a response whose body is still on its way.
    fn respond_filling<B>(
        &self,
        planned: &Planned,
        client: &Client,
        head: &FlightHead,
        reader: FlightReader,
        mut outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        let stored = &head.response;
        // Only the one who asked gets what is not shared, such as `Set-Cookie` (SAFETY 2).
        let mut headers = if outcome.collapsed {
            stored.headers.clone()
        } else {
            head.received.clone()
        };
        let mut status = stored.status;
        let mut body = CacheBody::shared(reader.sized(head.size.clone()));
        if outcome.collapsed {
            semantics::set_age(&mut headers, stored.age(self.clock.now()));
        }
        if self.client_has(client, status, &headers) {
            status = StatusCode::NOT_MODIFIED;
            headers = semantics::not_modified_fields(&headers);
            body = CacheBody::empty();
            outcome.forward_status = Some(stored.status);
        }
        self.finish(&planned.rule, status, headers, body, &outcome)
    }

    /// Passes on a response that is not stored. Its body is the inner service's own.
    fn respond_direct<B>(
        &self,
        rule: &crate::rules::CompiledRule,
        client: &Client,
        response: Response<B>,
        mut outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        let (mut parts, body) = response.into_parts();
        let mut body = CacheBody::forwarded(body);
        // The client's conditions were taken out of the request, so they are judged here.
        if self.client_has(client, parts.status, &parts.headers) {
            outcome.forward_status = Some(parts.status);
            parts.status = StatusCode::NOT_MODIFIED;
            parts.headers = semantics::not_modified_fields(&parts.headers);
            body = CacheBody::empty();
        }
        self.finish_parts(rule, parts, body, &outcome)
    }
}

impl Engine {
    /// Whether the client's own conditions, which were not forwarded, are answered by a 304.
    fn client_has(&self, client: &Client, status: StatusCode, headers: &HeaderMap) -> bool {
        let now = self.clock.now();
        semantics::evaluate_conditions(&client.method, &client.headers, status, headers, now)
            == Precondition::NotModified
    }
}

const fn head_storing(head: &FlightHead) -> Storing {
    match head.not_stored {
        Some(reason) => Storing::NotStored(reason),
        None => Storing::Stored,
    }
}

/// The fill ended without an answer: the inner service panicked, and so does this request, as it would
/// have without a cache. (A task that was cancelled means that the runtime is shutting down.)
async fn unanswered<T>(task: JoinHandle<()>) -> T {
    match task.await {
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        _ => std::future::pending().await,
    }
}

/// The reason and detail of an outcome for a request that was served without the cache.
pub(super) const fn bypassed(detail: Detail) -> Outcome {
    let mut outcome = Outcome::new(Served::Forwarded(ForwardReason::Bypass));
    outcome.detail = Some(detail);
    outcome
}

impl Lookup {
    /// The stored response that may be the base of a conditional request or an answer to an error.
    pub(super) fn stale(&self) -> Option<&crate::engine::lookup::Stale> {
        match &self.usable {
            Usable::Stale(stale) => Some(stale),
            Usable::Fresh(_) | Usable::Nothing => None,
        }
    }
}
