//! A miss: lead a flight, or follow one.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::coalesce::{FlightHead, Join, Lead};
use crate::engine::fill::{Answer, Fill};
use crate::engine::follow::{FollowEnd, Following};
use crate::engine::lookup::Lookup;
use crate::engine::{CacheBody, Engine, InnerService, ServiceResult};
use crate::entry::StoredResponse;
use crate::outcome::{Detail, NotStored, Storing};
use crate::rules::{CompiledRule, FillRequest};
use crate::semantics::{self};
use crate::sync::owned;

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
    pub(super) async fn forward<S, A>(
        self: Arc<Self>,
        wanted: FillRequest,
        mut lookup: Lookup,
        mut request: Request<A>,
        inner: S,
    ) -> ServiceResult<S, A>
    where
        S: InnerService<A>,
        A: Body + Send + 'static,
    {
        if request.method() == Method::HEAD {
            return self
                .forward_head_method(&wanted, &lookup, request, inner)
                .await;
        }
        if let Some((not_stored, detail)) = self.unshareable(&wanted, &lookup, &request) {
            let mut outcome = lookup.why.outcome();
            outcome.detail = outcome.detail.or(detail);
            wanted.reduce(&mut request);
            return self
                .pass_heeded(&wanted, &lookup, outcome, not_stored, request, inner)
                .await;
        }
        let wanted = Arc::new(wanted);
        let mut join = self.join(&wanted, &mut lookup);
        let (mut following, mut in_vain) = (Following::default(), InVain::default());
        loop {
            match join {
                Join::Lead(lead) => {
                    return self
                        .lead((lead, following), wanted, lookup, request, inner)
                        .await;
                }
                Join::Full => {
                    let outcome = lookup.why.outcome();
                    let busy = NotStored::Busy;
                    wanted.reduce(&mut request);
                    return self
                        .pass_heeded(&wanted, &lookup, outcome, busy, request, inner)
                        .await;
                }
                Join::Follow(flight) => following.add(flight),
            }
            let followed = self.follow(&mut following, &wanted, &lookup);
            let followed = match followed.await {
                FollowEnd::Response(response) => return Ok(response),
                followed => followed,
            };
            join = match self.rejoin(&followed, &mut following, &mut lookup, &mut in_vain) {
                Some(join) => join,
                None => return Ok(self.all_failed(&wanted.asked.rule, &lookup)),
            };
        }
    }

    /// What a request does that has followed in vain: one of all those leads, and the others follow it.
    /// `None`: nothing more.
    fn rejoin<B>(
        &self,
        followed: &FollowEnd<B>,
        following: &mut Following,
        lookup: &mut Lookup,
        in_vain: &mut InVain,
    ) -> Option<Join> {
        let apart = Some(Join::Lead(self.fills.flights.alone()));
        match followed {
            FollowEnd::Response(_) | FollowEnd::Apart => apart,
            FollowEnd::Late => Some(self.fills.flights.replace(&lookup.key, following.last())),
            FollowEnd::Over => Some(
                self.fills
                    .flights
                    .replace(&lookup.key, &following.drop_last()),
            ),
            FollowEnd::Failed(failed) => {
                in_vain.failed += 1;
                let again = in_vain.failed < FAILED;
                again.then(|| match following.goes_on() {
                    true => Join::Follow(following.drop_last()),
                    false => self.fills.flights.replace(&lookup.key, failed),
                })
            }
            FollowEnd::OtherVariant(ours) => {
                in_vain.useless += 1;
                if *ours == lookup.key || in_vain.useless >= USELESS {
                    return apart;
                }
                *following = Following::default();
                lookup.key = ours.clone();
                Some(self.fills.flights.join(&lookup.key))
            }
        }
    }

    /// The flights that a request waited for failed, and so would its own.
    fn all_failed<B>(&self, rule: &CompiledRule, lookup: &Lookup) -> Response<CacheBody<B>> {
        let mut outcome = lookup.why.outcome();
        outcome.collapsed = true;
        outcome.detail = Some(Detail::CollapsedFailed);
        let (status, fields) = (StatusCode::BAD_GATEWAY, HeaderMap::new());
        self.answers
            .finish(rule, status, fields, CacheBody::empty(), &outcome)
    }

    /// Joins a flight or leads one; one that nobody joins where its answer may not be for others.
    fn join(&self, wanted: &FillRequest, lookup: &mut Lookup) -> Join {
        // What answers a range is for the one who asked for it.
        let ranged = wanted.headers.contains_key(http::header::RANGE);
        if ranged {
            lookup.why.detail = lookup.why.detail.or(Some(Detail::Range));
        }
        // `no-cache` asks for an answer given after the request.
        let alone = wanted.asked.has_authorization || wanted.asked.wishes().no_cache || ranged;
        let now = self.fills.clock.monotonic();
        if alone || self.fills.flights.is_uncacheable(&lookup.key, now) {
            Join::Lead(self.fills.flights.alone())
        } else {
            self.fills.flights.join(&lookup.key)
        }
    }

    /// Requests whose responses are neither shared nor stored, and why.
    fn unshareable<A>(
        &self,
        wanted: &FillRequest,
        lookup: &Lookup,
        request: &Request<A>,
    ) -> Option<(NotStored, Option<Detail>)> {
        if wanted.asked.wishes().no_store {
            return Some((NotStored::RequestNoStore, None));
        }
        if lookup.view.is_none() {
            return Some((NotStored::NoStamp, None));
        }
        // A key that is not storable keeps the client's conditions: the inner service's 304 is worth
        // more than another try to store.
        let uncacheable = self
            .fills
            .flights
            .is_uncacheable(&lookup.key, self.fills.clock.monotonic());
        if uncacheable && semantics::has_conditions(request.headers()) {
            return Some((NotStored::NotModified, Some(Detail::Uncacheable)));
        }
        None
    }

    async fn lead<S, A>(
        self: Arc<Self>,
        (lead, mut following): (Lead, Following),
        wanted: Arc<FillRequest>,
        lookup: Lookup,
        request: Request<A>,
        inner: S,
    ) -> ServiceResult<S, A>
    where
        S: InnerService<A>,
        A: Body + Send + 'static,
    {
        let fill = Fill::new(Arc::clone(&self), lead, Arc::clone(&wanted), &lookup);
        let (answer, receive) = oneshot::channel();
        let task = tokio::spawn(owned(
            fill.run(request, inner, Some(answer)).in_current_span(),
        ));
        let received = tokio::select! {
            biased;
            received = receive => received,
            // The fill goes on for those who joined it.
            response = self.overtaken(&mut following, &wanted, &lookup) => return Ok(response),
        };
        match received {
            Ok(answer) => self.respond_answer(&wanted, &lookup, answer),
            Err(_) => unanswered(task).await,
        }
    }

    /// What the one whose request began a fill gets.
    fn respond_answer<B, E>(
        &self,
        wanted: &FillRequest,
        lookup: &Lookup,
        answer: Answer<B, E>,
    ) -> Result<Response<CacheBody<B>>, E> {
        let rule = &*wanted.asked.rule;
        let whole =
            |stored: &StoredResponse, outcome| self.answers.respond_filled(wanted, stored, outcome);
        let mut outcome = lookup.why.outcome();
        Ok(match answer {
            Answer::Filling(head, parts, reader) => {
                outcome.storing = Some(head_storing(&head));
                let body = CacheBody::shared(reader.sized(head.size));
                let stamp = Some(head.response.stamp);
                self.answers
                    .respond_forwarded(wanted, parts, body, outcome, stamp)
            }
            Answer::Freshened(stored, storing) => {
                outcome.forward_status = Some(StatusCode::NOT_MODIFIED);
                outcome.storing = Some(storing);
                whole(&stored, outcome)
            }
            Answer::Direct(response, not_stored) => {
                outcome.storing = Some(Storing::NotStored(not_stored));
                let (parts, body) = CacheBody::forward(response).into_parts();
                self.answers
                    .respond_forwarded(wanted, parts, body, outcome, lookup.stamp())
            }
            Answer::Spared(stored, outcome) => whole(&stored, outcome),
            Answer::Fetched(stored) => {
                outcome.collapsed = true;
                whole(&stored, outcome)
            }
            Answer::Unusable => {
                let (status, fields) = (StatusCode::BAD_GATEWAY, HeaderMap::new());
                self.answers
                    .finish(rule, status, fields, CacheBody::empty(), &outcome)
            }
            Answer::Failed(error) => match self.lookups.stale_if_disconnected(rule, lookup.stale())
            {
                Some((stored, outcome)) => whole(&stored, outcome),
                None => {
                    self.answers.report(rule.name(), &outcome);
                    return Err(error);
                }
            },
        })
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
