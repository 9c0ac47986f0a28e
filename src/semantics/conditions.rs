//! Conditional requests: a client's to this cache, and this cache's to the inner service (RFC 9110
//! §13, RFC 9111 §4.3).

use http::header::{
    DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{Method, StatusCode};

use super::date;
use super::validator::{ETag, list_matches};
use crate::alias;
use crate::clock::Timestamp;

/// What the client's own conditions make of a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Answer as without conditions.
    Proceed,
    /// The client has it: answer 304.
    NotModified,
}

/// Evaluates the conditions of a request that a stored response could answer (RFC 9110 §13.2.2).
///
/// A cache evaluates `If-None-Match`, else `If-Modified-Since`. `If-Match` and `If-Unmodified-Since`
/// "are not applicable to a cache" (RFC 9111 §4.3.2; RFC 9110 §13.1.1, §13.1.4), hence there is no
/// 412. `If-Range` belongs to [`select`](super::select). Only a stored 200 is turned into a 304,
/// which means "it would have been 200" (RFC 9110 §15.4.5; RFC 9111 §4.3.2).
pub(crate) fn evaluate_conditions(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    received_at: Timestamp,
) -> Precondition {
    let evaluated = (method == Method::GET || method == Method::HEAD) && status == StatusCode::OK;
    let client_has_it = if !evaluated {
        false
    } else if request.contains_key(IF_NONE_MATCH) {
        list_matches(request, &IF_NONE_MATCH, ETag::of(response))
    } else {
        unmodified_since(request, response, received_at)
    };
    if client_has_it {
        Precondition::NotModified
    } else {
        Precondition::Proceed
    }
}

/// `If-Modified-Since` is false (RFC 9110 §13.1.3); what is no date, or two, is ignored.
fn unmodified_since(request: &HeaderMap, response: &HeaderMap, received_at: Timestamp) -> bool {
    let Some(since) = date::field(request, &IF_MODIFIED_SINCE, received_at) else {
        return false;
    };
    let modified = if response.contains_key(LAST_MODIFIED) {
        date::field(response, &LAST_MODIFIED, received_at)
    } else {
        // RFC 9111 §4.3.2: without `Last-Modified`, `Date`, else the time of receipt.
        Some(date::field(response, &DATE, received_at).unwrap_or(received_at))
    };
    modified.is_some_and(|modified| modified <= since)
}

/// The conditions that ask the inner service whether `stored` is still current (RFC 9111 §4.3.1): its tag if
/// it has one, and its modification date, for origins that know only that. `None` without either.
pub(crate) fn conditional_fields(
    stored: &HeaderMap,
    now: Timestamp,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let tag = ETag::of(stored).and_then(|_| stored.get(ETAG));
    let modified = date::field(stored, &LAST_MODIFIED, now).and_then(|_| stored.get(LAST_MODIFIED));
    let fields = [(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, modified)];
    let fields = fields.into_iter();
    let fields: Vec<_> = fields
        .filter_map(|(name, value)| Some((name, value?.clone())))
        .collect();
    (!fields.is_empty()).then_some(fields)
}

/// Removes a client's conditions from a request whose answer is to be stored or shared: an answer to
/// them would be one client's (SAFETY 19). They are evaluated against what comes back.
///
/// `If-Match` and `If-Unmodified-Since` go as well: an intermediary may ignore them (RFC 9110
/// §13.1.1, §13.1.4), and a 412 is no answer for others. `Range` stays, and `If-Range`, which decides only
/// whether it counts; but not what the inner service may take for one of them: its 304 would seem to be an
/// answer to our own condition (SAFETY 66).
pub(crate) fn strip_conditions(request: &mut HeaderMap) {
    if alias::remove_others(request, &[IF_RANGE]) {
        request.remove(RANGE);
    }
    let conditions = [
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_MATCH,
        IF_UNMODIFIED_SINCE,
    ];
    alias::remove_others(request, &conditions);
    if !request.contains_key(RANGE) {
        request.remove(IF_RANGE);
    }
    for name in conditions {
        request.remove(name);
    }
}

/// Removes what asks for a part.
pub(crate) fn strip_range(request: &mut HeaderMap) {
    request.remove(IF_RANGE);
    request.remove(RANGE);
}

/// Whether a client asks under a condition.
pub(crate) fn has_conditions(request: &HeaderMap) -> bool {
    let conditions = [
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_MATCH,
        IF_UNMODIFIED_SINCE,
    ];
    conditions.iter().any(|name| request.contains_key(name))
}

#[cfg(test)]
mod tests;
