//! Conditional requests: a client's to this cache, and this cache's to the inner service (RFC 9110
//! §13, RFC 9111 §4.3).

use http::header::{
    DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{Method, StatusCode};

use super::date;
use super::validator::{ETag, list_matches};
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

/// The conditions that ask upstream whether `stored` is still current (RFC 9111 §4.3.1): its tag if
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
/// §13.1.1, §13.1.4), and a 412 is no answer for others. A `Range` under `If-Range` goes with it:
/// alone it would ask for a part of whatever is there.
pub(crate) fn strip_conditions(request: &mut HeaderMap) {
    if request.remove(IF_RANGE).is_some() {
        request.remove(RANGE);
    }
    for name in [
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_MATCH,
        IF_UNMODIFIED_SINCE,
    ] {
        request.remove(name);
    }
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
mod tests {
    use super::*;
    use crate::semantics::tests::{NOW, headers};

    type Lines<'a> = &'a [(&'a str, &'a str)];

    const OLD: &str = "Sun, 22 Nov 2026 22:00:00 GMT";
    const MIDDLE: &str = "Sun, 22 Nov 2026 23:00:00 GMT";
    const MIDNIGHT: &str = "Mon, 23 Nov 2026 00:00:00 GMT";

    fn evaluate(method: &Method, status: u16, request: Lines<'_>, response: Lines<'_>) -> bool {
        let status = StatusCode::from_u16(status).unwrap();
        let (request, response) = (headers(request), headers(response));
        evaluate_conditions(method, &request, status, &response, NOW) == Precondition::NotModified
    }

    #[test]
    fn conditions_of_a_client_have_the_precedence_of_rfc_9110_13_2_2() {
        let (tag, other) = (("if-none-match", "\"a\""), ("if-none-match", "\"b\""));
        let since = |date| ("if-modified-since", date);
        let rows: &[(&str, Lines<'_>, bool)] = &[
            ("none", &[], false),
            ("tag", &[tag], true),
            ("weak tag", &[("if-none-match", "W/\"a\"")], true),
            ("other tag", &[other], false),
            ("list", &[("if-none-match", "\"b\", \"a\"")], true),
            ("any", &[("if-none-match", "*")], true),
            ("malformed list", &[("if-none-match", "\"a\", b")], false),
            ("equal date", &[since(MIDDLE)], true),
            ("later date", &[since(MIDNIGHT)], true),
            ("earlier date", &[since(OLD)], false),
            ("no date", &[since("x")], false),
            ("two dates", &[since(MIDDLE), since(MIDDLE)], false),
            (
                "rfc850 date",
                &[since("Sunday, 22-Nov-26 23:00:00 GMT")],
                true,
            ),
            ("tag over date, no", &[other, since(MIDNIGHT)], false),
            ("tag over date, yes", &[tag, since(OLD)], true),
            (
                "malformed tag over date",
                &[("if-none-match", "a"), since(MIDNIGHT)],
                false,
            ),
            // RFC 9111 §4.3.2: not for a cache.
            ("if-match, false", &[("if-match", "\"b\"")], false),
            ("if-match, true", &[("if-match", "\"a\"")], false),
            ("if-match beside", &[("if-match", "\"b\""), tag], true),
            (
                "if-unmodified-since",
                &[("if-unmodified-since", OLD), tag],
                true,
            ),
        ];
        let stored = [
            ("etag", "\"a\""),
            ("last-modified", MIDDLE),
            ("date", MIDNIGHT),
        ];
        for (name, request, expected) in rows {
            assert_eq!(
                evaluate(&Method::GET, 200, request, &stored),
                *expected,
                "{name}"
            );
            assert_eq!(
                evaluate(&Method::HEAD, 200, request, &stored),
                *expected,
                "{name}"
            );
            assert!(
                !evaluate(&Method::POST, 200, request, &stored),
                "{name}, POST"
            );
            for status in [203, 204, 206, 301, 404, 500] {
                assert!(
                    !evaluate(&Method::GET, status, request, &stored),
                    "{name}, {status}"
                );
            }
        }
    }

    #[test]
    fn without_last_modified_the_date_counts_and_without_date_the_receipt() {
        let rows: &[(&str, &str, Lines<'_>, bool)] = &[
            ("date, equal", MIDDLE, &[("date", MIDDLE)], true),
            ("date, earlier", OLD, &[("date", MIDDLE)], false),
            ("receipt, equal", MIDNIGHT, &[], true),
            ("receipt, earlier", MIDDLE, &[], false),
            (
                "unreadable",
                MIDNIGHT,
                &[("last-modified", "x"), ("date", OLD)],
                false,
            ),
            (
                "a tag without match",
                MIDNIGHT,
                &[("etag", "\"a\""), ("date", OLD)],
                true,
            ),
        ];
        for (name, since, response, expected) in rows {
            let request = [("if-modified-since", *since)];
            assert_eq!(
                evaluate(&Method::GET, 200, &request, response),
                *expected,
                "{name}"
            );
        }
        assert!(!evaluate(
            &Method::GET,
            200,
            &[("if-none-match", "\"a\"")],
            &[]
        ));
    }

    #[test]
    fn upstream_is_asked_with_every_validator_that_is_one() {
        let (inm, ims) = ("if-none-match", "if-modified-since");
        let rows: &[(&str, Lines<'_>, Lines<'_>)] = &[
            ("tag", &[("etag", "\"a\"")], &[(inm, "\"a\"")]),
            ("weak tag", &[("etag", "W/\"a\"")], &[(inm, "W/\"a\"")]),
            ("date", &[("last-modified", OLD)], &[(ims, OLD)]),
            (
                "both",
                &[("last-modified", OLD), ("etag", "\"a\"")],
                &[(inm, "\"a\""), (ims, OLD)],
            ),
            (
                "bad tag",
                &[("etag", "a"), ("last-modified", OLD)],
                &[(ims, OLD)],
            ),
            (
                "bad date",
                &[("etag", "\"a\""), ("last-modified", "x")],
                &[(inm, "\"a\"")],
            ),
        ];
        for (name, stored, expected) in rows {
            let fields = conditional_fields(&headers(stored), NOW).unwrap();
            let fields = fields
                .iter()
                .map(|(n, v)| (n.as_str(), v.to_str().unwrap()));
            assert_eq!(fields.collect::<Vec<_>>(), *expected, "{name}");
        }
        for stored in [&[][..], &[("etag", "a")], &[("date", OLD)]] {
            assert_eq!(
                conditional_fields(&headers(stored), NOW),
                None,
                "{stored:?}"
            );
        }
    }

    #[test]
    fn safety_19_stripped_requests_carry_no_condition() {
        let mut request = headers(&[
            ("if-none-match", "\"a\""),
            ("if-none-match", "\"b\""),
            ("if-modified-since", OLD),
            ("if-match", "\"a\""),
            ("if-unmodified-since", OLD),
            ("range", "bytes=0-1"),
            ("accept", "a"),
        ]);
        let mut with_if_range = request.clone();
        with_if_range.insert(IF_RANGE, HeaderValue::from_static("\"a\""));
        strip_conditions(&mut request);
        assert_eq!(request, headers(&[("range", "bytes=0-1"), ("accept", "a")]));
        strip_conditions(&mut with_if_range);
        assert_eq!(with_if_range, headers(&[("accept", "a")]));
    }
}
