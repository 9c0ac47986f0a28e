//! A miss: lead a flight, or follow one.

use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_service::Service;
use tracing::Instrument;

use crate::coalesce::{FlightHead, Join, Lead};
use crate::engine::answer::Client;
use crate::engine::fill::{Answer, Fill};
use crate::engine::follow::{Followed, Following};
use crate::engine::lookup::{Lookup, Usable};
use crate::engine::{CacheBody, Engine};
use crate::entry::StoredResponse;
use crate::error::BoxError;
use crate::outcome::{Detail, NotStored, Outcome, Storing};
use crate::rules::{CompiledRule, Planned};
use crate::semantics::{self, Precondition};

/// Flights that a request follows in vain before it forwards by itself: variants that name each other must
/// not keep it for ever.
const USELESS: u32 = 4;
/// Flights that may fail under a request. One more try together; if that fails too, all are told, so that
/// neither does a failing inner service get the calls of all, nor do they wait for one another's.
const FAILED: u32 = 2;

/// What a request waited for in vain.
#[derive(Debug, Default)]
struct InVain {
    useless: u32,
    failed: u32,
}

impl Engine {
    pub(super) async fn forward<S, A, B>(
        self: Arc<Self>,
        planned: Planned,
        mut lookup: Lookup,
        mut request: Request<A>,
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
        if request.method() == Method::HEAD {
            return self.forward_head(&planned, &lookup, request, inner).await;
        }
        if let Some((not_stored, detail)) = self.unshareable(&planned, &lookup, &request) {
            let mut outcome = lookup.why.outcome();
            outcome.detail = outcome.detail.or(detail);
            planned.reduce(&mut request);
            return self
                .pass_heeded(&planned, &lookup, outcome, not_stored, request, inner)
                .await;
        }
        let client = Client::of(&request);
        let mut join = self.join(&planned, &mut lookup, &client);
        let (mut following, mut in_vain) = (Following::default(), InVain::default());
        loop {
            match join {
                Join::Lead(lead) => {
                    return self
                        .lead((lead, following), planned, lookup, client, request, inner)
                        .await;
                }
                Join::Full => {
                    let outcome = lookup.why.outcome();
                    let busy = NotStored::Busy;
                    planned.reduce(&mut request);
                    return self
                        .pass_heeded(&planned, &lookup, outcome, busy, request, inner)
                        .await;
                }
                Join::Follow(flight) => following.add(flight),
            }
            let followed = self.follow(&mut following, &planned, &lookup, &client);
            let followed = match followed.await {
                Followed::Response(response) => return Ok(response),
                followed => followed,
            };
            join = match self.rejoin(&followed, &mut following, &mut lookup, &mut in_vain) {
                Some(join) => join,
                None => return Ok(self.all_failed(&planned.rule, &lookup)),
            };
        }
    }

    /// What a request does that has followed in vain: one of all those leads, and the others follow it.
    /// `None`: nothing more.
    fn rejoin<B>(
        &self,
        followed: &Followed<B>,
        following: &mut Following,
        lookup: &mut Lookup,
        in_vain: &mut InVain,
    ) -> Option<Join> {
        let apart = Some(Join::Lead(self.flights.alone()));
        match followed {
            Followed::Response(_) | Followed::Apart => apart,
            Followed::Late => Some(self.flights.replace(&lookup.key, following.last())),
            Followed::Over => Some(self.flights.replace(&lookup.key, &following.drop_last())),
            Followed::Failed(failed) => {
                in_vain.failed += 1;
                let again = in_vain.failed < FAILED;
                again.then(|| match following.goes_on() {
                    true => Join::Follow(following.drop_last()),
                    false => self.flights.replace(&lookup.key, failed),
                })
            }
            Followed::OtherVariant(ours) => {
                in_vain.useless += 1;
                if *ours == lookup.key || in_vain.useless >= USELESS {
                    return apart;
                }
                *following = Following::default();
                lookup.key = ours.clone();
                Some(self.flights.join(&lookup.key))
            }
        }
    }

    /// The flights that a request waited for failed, and so would its own.
    fn all_failed<B>(&self, rule: &CompiledRule, lookup: &Lookup) -> Response<CacheBody<B>> {
        let mut outcome = lookup.why.outcome();
        outcome.collapsed = true;
        outcome.detail = Some(Detail::CollapsedFailed);
        let (status, fields) = (StatusCode::BAD_GATEWAY, HeaderMap::new());
        self.finish(rule, status, fields, CacheBody::empty(), &outcome)
    }

    /// Joins a flight or leads one; one that nobody joins where its answer may not be for others.
    fn join(&self, planned: &Planned, lookup: &mut Lookup, client: &Client) -> Join {
        // What answers a range is for the one who asked for it.
        let ranged = client.headers.contains_key(http::header::RANGE);
        if ranged {
            lookup.why.detail = lookup.why.detail.or(Some(Detail::Range));
        }
        // `no-cache` asks for an answer given after the request.
        let alone = planned.has_authorization || planned.wishes.no_cache || ranged;
        let now = self.clock.monotonic();
        if alone || self.flights.is_uncacheable(&lookup.key, now) {
            Join::Lead(self.flights.alone())
        } else {
            self.flights.join(&lookup.key)
        }
    }

    /// Requests whose responses are neither shared nor stored, and why.
    fn unshareable<A>(
        &self,
        planned: &Planned,
        lookup: &Lookup,
        request: &Request<A>,
    ) -> Option<(NotStored, Option<Detail>)> {
        if planned.wishes.no_store {
            return Some((NotStored::RequestNoStore, None));
        }
        if lookup.view.is_none() {
            return Some((NotStored::NoStamp, None));
        }
        // A key that is not storable keeps the client's conditions: the inner service's 304 is worth
        // more than another try to store.
        let uncacheable = self
            .flights
            .is_uncacheable(&lookup.key, self.clock.monotonic());
        if uncacheable && semantics::has_conditions(request.headers()) {
            return Some((NotStored::NotModified, Some(Detail::Uncacheable)));
        }
        None
    }

    async fn lead<S, A, B>(
        self: Arc<Self>,
        (lead, mut following): (Lead, Following),
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
        let received = tokio::select! {
            biased;
            received = receive => received,
            // The fill goes on for those who joined it.
            response = self.overtaken(&mut following, &planned, &lookup, &client) => return Ok(response),
        };
        match received {
            Ok(answer) => self.respond_answer(&planned.rule, &lookup, &client, answer),
            Err(_) => unanswered(task).await,
        }
    }

    /// What the one whose request began a fill gets.
    fn respond_answer<B, E>(
        &self,
        rule: &CompiledRule,
        lookup: &Lookup,
        client: &Client,
        answer: Answer<B, E>,
    ) -> Result<Response<CacheBody<B>>, E> {
        let whole = |stored: &StoredResponse, outcome| {
            self.respond_whole(rule, &client.method, &client.headers, stored, outcome)
        };
        let mut outcome = lookup.why.outcome();
        Ok(match answer {
            Answer::Filling(head, parts, reader) => {
                outcome.storing = Some(head_storing(&head));
                let body = CacheBody::shared(reader.sized(head.size));
                self.respond_forwarded(rule, client, parts, body, outcome)
            }
            Answer::Freshened(stored, storing) => {
                outcome.forward_status = Some(StatusCode::NOT_MODIFIED);
                outcome.storing = Some(storing);
                whole(&stored, outcome)
            }
            Answer::Direct(response, not_stored) => {
                outcome.storing = Some(Storing::NotStored(not_stored));
                let (parts, body) = CacheBody::forward(response).into_parts();
                self.respond_forwarded(rule, client, parts, body, outcome)
            }
            Answer::Spared(stored, outcome) => whole(&stored, outcome),
            Answer::Fetched(stored) => {
                outcome.collapsed = true;
                whole(&stored, outcome)
            }
            Answer::Unusable => {
                let (status, fields) = (StatusCode::BAD_GATEWAY, HeaderMap::new());
                self.finish(rule, status, fields, CacheBody::empty(), &outcome)
            }
            Answer::Failed(error) => match self.stale_if_disconnected(rule, lookup) {
                Some((stored, outcome)) => whole(&stored, outcome),
                None => {
                    self.report(rule.name(), &outcome);
                    return Err(error);
                }
            },
        })
    }

    /// Passes on a response of the inner service, or one that is shared while it is on its way.
    pub(super) fn respond_forwarded<B>(
        &self,
        rule: &CompiledRule,
        client: &Client,
        mut parts: Parts,
        mut body: CacheBody<B>,
        mut outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        // The client's conditions were taken out of the request, so they are judged here.
        if self.client_has(client, parts.status, &parts.headers) {
            outcome.forward_status = Some(parts.status);
            parts.status = StatusCode::NOT_MODIFIED;
            parts.headers = semantics::not_modified_fields(&parts.headers);
            body = CacheBody::absent();
        }
        self.finish_parts(rule, parts, body, &outcome)
    }

    /// Whether the client's own conditions, which were not forwarded, are answered by a 304.
    fn client_has(&self, client: &Client, status: StatusCode, headers: &HeaderMap) -> bool {
        let now = self.clock.now();
        // A 206 would have been a 200 without `Range`, which comes after the conditions (RFC 9110 §13.2.2).
        let status = match status {
            StatusCode::PARTIAL_CONTENT => StatusCode::OK,
            status => status,
        };
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
        Err(_) => std::future::pending().await,
        Ok(()) => unreachable!("a fill answers while somebody waits for it"),
    }
}

impl Lookup {
    /// The stored response that may be the base of a conditional request or an answer to an error.
    pub(super) fn stale(&self) -> Option<&crate::engine::lookup::Stale> {
        match &self.usable {
            Usable::Stale(stale) => Some(stale),
            Usable::Fresh(_) | Usable::Cut(_) | Usable::Nothing => None,
        }
    }
}
