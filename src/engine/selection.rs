//! What of a stored response a request gets: all of it, parts of it, or word that the client has it.

use std::ops::{Range, RangeInclusive};

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};

use crate::clock::Timestamp;
use crate::entry::StoredResponse;
use crate::outcome::{Outcome, Served};
use crate::semantics::{self, Precondition, Selection};

/// What of a stored response a request gets.
#[derive(Debug)]
pub(crate) enum Chosen {
    NotModified,
    Of(Selection),
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
            Selection::Whole => stored.status,
            Selection::Part(range) => {
                semantics::part_fields(&mut headers, range, length);
                StatusCode::PARTIAL_CONTENT
            }
            Selection::Parts(_) => StatusCode::PARTIAL_CONTENT,
            Selection::Unsatisfiable => {
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

/// The outcome of a hit on `stored`.
pub(crate) fn hit_at(stored: &StoredResponse, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::new(Served::Hit);
    let remaining = stored.remaining_millis(now).div_euclid(1000);
    outcome.ttl = i64::try_from(remaining).ok();
    outcome
}
