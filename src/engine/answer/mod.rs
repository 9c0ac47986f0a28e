//! From a stored or shared response to what this client gets: conditions, HEAD, ranges, `Age`,
//! `Cache-Status`, and what browsers and outer CDNs are told.

pub(super) mod body;
pub(super) mod ready;

pub use self::body::CacheBody;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode};

use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::engine::lookup::Lookup;
use crate::entry::StoredResponse;
use crate::outcome::{Detail, Outcome, Served, Storing};
use crate::rules::{CompiledRule, FillRequest, Sent, client_fields};
use crate::semantics::{self, Precondition, Selected};

impl Engine {
    pub(crate) fn respond_stored<A, B>(
        &self,
        rule: &CompiledRule,
        request: &Request<A>,
        stored: &Arc<StoredResponse>,
        outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        let headers = request.headers();
        self.respond_whole(rule, request.method(), headers, stored, outcome)
    }

    /// Answers a request that was about to be forwarded from a whole stored response.
    pub(crate) fn respond_filled<B>(
        &self,
        wanted: &FillRequest,
        stored: &StoredResponse,
        outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        let (rule, method, headers) = (&wanted.asked.rule, &wanted.method, &wanted.headers);
        self.respond_whole(rule, method, headers, stored, outcome)
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

    /// The same, where the time is known.
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
            Chosen::Of(Selected::Unsatisfiable) => CacheBody::empty(),
            Chosen::Of(Selected::Whole) => {
                CacheBody::stored(stored.body.clone(), stored.trailers.as_ref())
            }
            Chosen::Of(Selected::Part(range)) => {
                let span = span(range, stored.body.len());
                CacheBody::stored(stored.body.slice(span), None)
            }
            Chosen::Of(Selected::Parts(parts)) => {
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

    /// The same for a response of the inner service, whose version and extensions stay.
    pub(crate) fn finish_parts<B>(
        &self,
        rule: &CompiledRule,
        mut parts: http::response::Parts,
        body: CacheBody<B>,
        outcome: &Outcome,
    ) -> Response<CacheBody<B>> {
        let sent = match outcome.storing {
            Some(Storing::NotStored(_)) => Sent::NotStored,
            Some(Storing::Stored) | None => Sent::Stored,
        };
        client_fields(rule, sent, &mut parts.headers);
        semantics::append_cache_status(&mut parts.headers, outcome);
        self.report(rule.name(), outcome);
        Response::from_parts(parts, body)
    }
}

/// What of a stored response a request gets.
pub(crate) enum Chosen {
    NotModified,
    Of(Selected),
}

impl Chosen {
    /// What a request gets of `stored`, whose body has `length` bytes.
    pub(crate) fn of(
        method: &Method,
        request: &HeaderMap,
        stored: &StoredResponse,
        length: usize,
    ) -> Self {
        let (status, fields, received_at) = (stored.status, &stored.headers, stored.received_at);
        let conditions =
            semantics::evaluate_conditions(method, request, status, fields, received_at);
        if conditions == Precondition::NotModified {
            return Self::NotModified;
        }
        let length = length as u64;
        let select = semantics::select(method, request, status, fields, length, received_at);
        Self::Of(select)
    }

    /// Its status and fields, but for those of several parts.
    pub(crate) fn head(&self, stored: &StoredResponse, length: usize) -> (StatusCode, HeaderMap) {
        let selected = match self {
            Self::NotModified => {
                let fields = semantics::not_modified_fields(&stored.headers);
                return (StatusCode::NOT_MODIFIED, fields);
            }
            Self::Of(selected) => selected,
        };
        let (mut headers, length) = (stored.headers.clone(), length as u64);
        let status = match selected {
            Selected::Whole => stored.status,
            Selected::Part(range) => {
                semantics::part_fields(&mut headers, range, length);
                StatusCode::PARTIAL_CONTENT
            }
            Selected::Parts(_) => StatusCode::PARTIAL_CONTENT,
            Selected::Unsatisfiable => {
                semantics::unsatisfiable_fields(&mut headers, length);
                StatusCode::RANGE_NOT_SATISFIABLE
            }
        };
        (status, headers)
    }
}

/// Says in an answer to `HEAD` how long the body is that `GET` would get, as the server that sends that body
/// would (RFC 9110 §8.6).
pub(crate) fn declare_length(stored: &StoredResponse, length: usize, headers: &mut HeaderMap) {
    let is_sent = stored.status != StatusCode::NO_CONTENT && stored.trailers.is_none();
    if is_sent && !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING)
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
}

/// The bytes of `range` in a body of `length`.
pub(crate) fn span(range: &RangeInclusive<u64>, length: usize) -> Range<usize> {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(length);
    place(*range.start())..place(range.end().saturating_add(1))
}
