//! From a stored or shared response to what this client gets: conditions, HEAD, ranges, `Age`,
//! `Cache-Status`, and what browsers and outer CDNs are told.

pub(super) mod body;
pub(super) mod ready;

use std::sync::Arc;
use std::time::Duration;

use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};

pub use self::body::CacheBody;
use crate::clock::{Clock, Timestamp};
use crate::engine::lookup::{Lookup, OpenBody, Stale, StoredPart};
use crate::engine::selection::{Chosen, declare_length, hit_at, span};
use crate::entry::StoredResponse;
use crate::observe::{Notice, SharedObserver};
use crate::outcome::{Detail, Outcome, Served, Storing};
use crate::position::Stamp;
use crate::rules::{CacheRequest, CompiledRule, FillRequest, Sharing, client_fields};
use crate::semantics::{self, Precondition, Selection};

/// What makes the responses that clients get, and reports each.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: SharedObserver,
}

impl Answers {
    /// Answers a request that was about to be forwarded from a whole stored response.
    pub(crate) fn respond_filled<B>(
        &self,
        wanted: &FillRequest,
        stored: &StoredResponse,
        outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        let (rule, method, headers) = (&wanted.asked.rule, &wanted.method, &wanted.headers);
        let response = self.respond_whole(rule, method, headers, stored, outcome);
        at_position(&wanted.asked, Some(stored.stamp), response)
    }

    /// Answers from a whole stored response.
    pub(crate) fn respond_whole<B>(
        &self,
        rule: &CompiledRule,
        method: &Method,
        request: &HeaderMap,
        stored: &StoredResponse,
        outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        self.respond_at(rule, method, request, stored, outcome, self.clock.now())
    }

    /// Answers with the whole or what the request wants of it, as of `now`.
    pub(crate) fn respond_at<B>(
        &self,
        rule: &CompiledRule,
        method: &Method,
        request: &HeaderMap,
        stored: &StoredResponse,
        outcome: Outcome,
        now: Timestamp,
    ) -> Response<CacheBody<B>> {
        let chosen = Chosen::of(method, request, stored, stored.body.len());
        let (status, mut headers) = chosen.head(stored, stored.body.len());
        let body = match &chosen {
            Chosen::NotModified => CacheBody::absent(),
            _ if method == Method::HEAD => {
                declare_length(stored, stored.body.len(), &mut headers);
                CacheBody::absent()
            }
            Chosen::Of(Selection::Unsatisfiable) => CacheBody::empty(),
            Chosen::Of(Selection::Whole) => {
                CacheBody::stored(stored.body.clone(), stored.trailers.as_ref())
            }
            Chosen::Of(Selection::Part(range)) => {
                let span = span(range, stored.body.len());
                CacheBody::stored(stored.body.slice(span), None)
            }
            Chosen::Of(Selection::Parts(parts)) => {
                let boundary = format!("{:032x}", fastrand::u128(..));
                let parts = semantics::multipart(&mut headers, parts, &stored.body, &boundary);
                CacheBody::stored(parts.into(), None)
            }
        };
        self.respond_with(rule, (status, headers), stored.age(now), body, outcome)
    }

    /// Answers with what was chosen of a stored response of that age.
    pub(crate) fn respond_with<B>(
        &self,
        rule: &CompiledRule,
        (status, mut headers): (StatusCode, HeaderMap),
        age: Duration,
        body: CacheBody<B>,
        outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        // A response made for this very request is as old as its own `Age` field says.
        if !matches!(outcome.served, Served::Forwarded(_)) || outcome.collapsed {
            semantics::set_age(&mut headers, age);
        }
        self.finish(rule, status, headers, body, &outcome)
    }

    /// Nothing stored will do, and the client wants nothing else (RFC 9111 §5.2.1.7).
    pub(crate) fn not_cached<B>(
        &self,
        rule: &CompiledRule,
        lookup: &Lookup,
    ) -> Response<CacheBody<B>> {
        let mut outcome = lookup.why.outcome();
        outcome.detail = Some(Detail::OnlyIfCached);
        let (status, fields) = (StatusCode::GATEWAY_TIMEOUT, HeaderMap::new());
        self.finish(rule, status, fields, CacheBody::empty(), &outcome)
    }

    /// The last steps of every answer that a rule is responsible for.
    pub(crate) fn finish<B>(
        &self,
        rule: &CompiledRule,
        status: StatusCode,
        headers: HeaderMap,
        body: CacheBody<B>,
        outcome: &Outcome,
    ) -> Response<CacheBody<B>> {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = status;
        parts.headers = headers;
        self.finish_parts(rule, parts, body, outcome)
    }

    /// Completes a response of the inner service, whose version and extensions stay.
    pub(crate) fn finish_parts<B>(
        &self,
        rule: &CompiledRule,
        mut parts: Parts,
        body: CacheBody<B>,
        outcome: &Outcome,
    ) -> Response<CacheBody<B>> {
        let sharing = match outcome.storing {
            Some(Storing::NotStored(_)) => Sharing::NotStored,
            Some(Storing::Stored) | None => Sharing::Stored,
        };
        client_fields(rule, sharing, &mut parts.headers);
        semantics::append_cache_status(&mut parts.headers, outcome);
        self.report(rule.name(), outcome);
        Response::from_parts(parts, body)
    }

    /// Passes on a response of the inner service, or one that is shared while it is on its way.
    pub(crate) fn respond_forwarded<B>(
        &self,
        wanted: &FillRequest,
        mut parts: Parts,
        mut body: CacheBody<B>,
        mut outcome: Outcome,
        stamp: Option<Stamp>,
    ) -> Response<CacheBody<B>> {
        // The client's conditions were taken out of the request, so they are judged here.
        if client_has(wanted, self.clock.now(), parts.status, &parts.headers) {
            outcome.forward_status = Some(parts.status);
            parts.status = StatusCode::NOT_MODIFIED;
            parts.headers = semantics::not_modified_fields(&parts.headers);
            body = CacheBody::absent();
        }
        let response = self.finish_parts(&wanted.asked.rule, parts, body, &outcome);
        at_position(&wanted.asked, stamp, response)
    }

    /// Answers from a stored part.
    pub(crate) fn respond_part<B>(
        &self,
        rule: &CompiledRule,
        part: &StoredPart,
    ) -> Response<CacheBody<B>> {
        let stored = &part.stored;
        let mut fields = stored.headers.clone();
        semantics::part_fields(&mut fields, &part.range, part.total);
        semantics::set_age(&mut fields, stored.age(self.clock.now()));
        let body = CacheBody::stored(stored.body.slice(part.bytes.clone()), None);
        let outcome = self.hit(stored);
        self.finish(rule, StatusCode::PARTIAL_CONTENT, fields, body, &outcome)
    }

    /// Answers from a response whose body is read while it is sent.
    pub(crate) fn respond_opened<B>(
        &self,
        rule: &CompiledRule,
        method: &Method,
        opened: OpenBody,
    ) -> Response<CacheBody<B>> {
        let (head, length, chosen) = (opened.cut.head(), opened.cut.length(), &opened.chosen);
        let body = match opened.reader {
            Some(reader) => CacheBody::chunks(reader),
            None if matches!(chosen, Chosen::Of(Selection::Unsatisfiable)) => CacheBody::empty(),
            None => CacheBody::absent(),
        };
        let (mut fields, age) = (chosen.head(head, length), head.age(opened.at));
        if method == Method::HEAD && !matches!(chosen, Chosen::NotModified) {
            declare_length(head, length, &mut fields.1);
        }
        self.respond_with(rule, fields, age, body, hit_at(head, opened.at))
    }

    /// Answers from a stale response.
    pub(crate) fn respond_stale<A, B>(
        &self,
        asked: &CacheRequest,
        request: &Request<A>,
        stale: &Stale,
        detail: Detail,
    ) -> Response<CacheBody<B>> {
        let mut outcome = self.hit(&stale.stored);
        outcome.served = Served::Stale;
        outcome.detail = Some(detail);
        let (rule, method, headers) = (&asked.rule, request.method(), request.headers());
        let stored = &stale.stored;
        let response = self.respond_whole(rule, method, headers, stored, outcome);
        at_position(asked, Some(stored.stamp), response)
    }

    /// Each request that a rule matched ends here, exactly once.
    pub(crate) fn report(&self, rule: &str, outcome: &Outcome) {
        self.observer.notify(&Notice::Request { rule, outcome });
    }
}

/// `response`, to a request that may have to be told that `stamp` was known before it was generated.
pub(super) fn at_position<B>(
    asked: &CacheRequest,
    stamp: Option<Stamp>,
    mut response: Response<B>,
) -> Response<B> {
    if asked.tells_position
        && let Some(stamp) = stamp
    {
        semantics::name_position(response.headers_mut(), stamp.position());
    }
    response
}

/// Whether the client's own conditions, which were not forwarded, are answered by a 304.
fn client_has(
    wanted: &FillRequest,
    now: Timestamp,
    status: StatusCode,
    headers: &HeaderMap,
) -> bool {
    // A 206 would have been a 200 without `Range`, which comes after the conditions (RFC 9110 §13.2.2).
    let status = match status {
        StatusCode::PARTIAL_CONTENT => StatusCode::OK,
        status => status,
    };
    semantics::evaluate_conditions(&wanted.method, &wanted.headers, status, headers, now)
        == Precondition::NotModified
}
