//! From a stored or shared response to what this client gets: conditions, HEAD, ranges, `Age`,
//! `Cache-Status`, and what browsers and outer CDNs are told.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::engine::lookup::Lookup;
use crate::engine::{CacheBody, Engine};
use crate::entry::StoredResponse;
use crate::outcome::{Detail, Outcome, Served, Storing};
use crate::rules::{CompiledRule, Sent, client_fields};
use crate::semantics::{self, Precondition, Selected};

/// What of a request decides how it is answered, kept when the request itself is forwarded.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// When it began to wait for others.
    pub(crate) since: Instant,
}

impl Client {
    pub(crate) fn of<A>(request: &Request<A>) -> Self {
        Self {
            method: request.method().clone(),
            headers: request.headers().clone(),
            since: Instant::now(),
        }
    }
}

impl Engine {
    pub(super) fn respond_stored<A, B>(
        &self,
        rule: &CompiledRule,
        request: &Request<A>,
        stored: &Arc<StoredResponse>,
        outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        let headers = request.headers();
        self.respond_whole(rule, request.method(), headers, stored, outcome)
    }

    /// Answers from a whole stored response.
    pub(super) fn respond_whole<B>(
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
    pub(super) fn respond_at<B>(
        &self,
        rule: &CompiledRule,
        method: &Method,
        request: &HeaderMap,
        stored: &StoredResponse,
        outcome: Outcome,
        now: Timestamp,
    ) -> Response<CacheBody<B>> {
        let (mut status, fields, received_at) =
            (stored.status, &stored.headers, stored.received_at);
        let length = stored.body.len() as u64;
        let (mut headers, mut body);
        if semantics::evaluate_conditions(method, request, status, fields, received_at)
            == Precondition::NotModified
        {
            status = StatusCode::NOT_MODIFIED;
            headers = semantics::not_modified_fields(fields);
            body = CacheBody::empty();
        } else {
            headers = fields.clone();
            match semantics::select(method, request, status, fields, length, received_at) {
                Selected::Whole => {
                    body = CacheBody::stored(stored.body.clone(), stored.trailers.as_ref());
                }
                Selected::Part(range) => {
                    status = StatusCode::PARTIAL_CONTENT;
                    semantics::part_fields(&mut headers, &range, length);
                    body = CacheBody::stored(slice(stored, &range), None);
                }
                Selected::Parts(parts) => {
                    status = StatusCode::PARTIAL_CONTENT;
                    let boundary = format!("{:032x}", fastrand::u128(..));
                    let parts = semantics::multipart(&mut headers, &parts, &stored.body, &boundary);
                    body = CacheBody::stored(parts.into(), None);
                }
                Selected::Unsatisfiable => {
                    status = StatusCode::RANGE_NOT_SATISFIABLE;
                    semantics::unsatisfiable_fields(&mut headers, length);
                    body = CacheBody::empty();
                }
            }
        }
        if method == Method::HEAD {
            body = CacheBody::empty();
        }
        // A response made for this very request is as old as its own `Age` field says.
        if !matches!(outcome.served, Served::Forwarded(_)) || outcome.collapsed {
            semantics::set_age(&mut headers, stored.age(now));
        }
        self.finish(rule, status, headers, body, &outcome)
    }

    /// Nothing stored will do, and the client wants nothing else (RFC 9111 §5.2.1.7).
    pub(super) fn not_cached<B>(
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
    pub(super) fn finish<B>(
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
    pub(super) fn finish_parts<B>(
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

fn slice(stored: &StoredResponse, range: &std::ops::RangeInclusive<u64>) -> bytes::Bytes {
    let place = |at: u64| {
        usize::try_from(at)
            .unwrap_or(usize::MAX)
            .min(stored.body.len())
    };
    stored
        .body
        .slice(place(*range.start())..place(range.end().saturating_add(1)))
}
