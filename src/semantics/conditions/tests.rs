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

/// What conditions make of a stored 200 with both validators; nothing, for other methods and statuses.
fn check(rows: &[(&str, Lines<'_>, bool)]) {
    let stored: Lines<'_> = &[
        ("etag", "\"a\""),
        ("last-modified", MIDDLE),
        ("date", MIDNIGHT),
    ];
    for (name, request, expected) in rows {
        let found = |method, status| evaluate(method, status, request, stored);
        assert_eq!(found(&Method::GET, 200), *expected, "{name}");
        assert_eq!(found(&Method::HEAD, 200), *expected, "{name}, HEAD");
        assert!(!found(&Method::POST, 200), "{name}, POST");
        for status in [203, 204, 206, 301, 404, 500] {
            assert!(!found(&Method::GET, status), "{name}, {status}");
        }
    }
}

#[test]
fn a_client_that_names_the_tag_or_the_date_has_it() {
    let tag = |value| ("if-none-match", value);
    let since = |date| ("if-modified-since", date);
    check(&[
        ("none", &[], false),
        ("tag", &[tag("\"a\"")], true),
        ("weak tag", &[tag("W/\"a\"")], true),
        ("other tag", &[tag("\"b\"")], false),
        ("list", &[tag("\"b\", \"a\"")], true),
        ("any", &[tag("*")], true),
        ("malformed list", &[tag("\"a\", b")], false),
        ("equal date", &[since(MIDDLE)], true),
        ("later date", &[since(MIDNIGHT)], true),
        ("earlier date", &[since(OLD)], false),
        ("no date", &[since("x")], false),
        ("two dates", &[since(MIDDLE), since(MIDDLE)], false),
        ("asctime", &[since("Sun Nov 22 23:00:00 2026")], true),
    ]);
}

#[test]
fn conditions_have_the_precedence_of_rfc_9110_13_2_2() {
    let (tag, other) = (("if-none-match", "\"a\""), ("if-none-match", "\"b\""));
    let malformed = ("if-none-match", "a");
    let since = |date| ("if-modified-since", date);
    let unmodified = ("if-unmodified-since", OLD);
    check(&[
        ("tag over date, no", &[other, since(MIDNIGHT)], false),
        ("tag over date, yes", &[tag, since(OLD)], true),
        ("malformed tag", &[malformed, since(MIDNIGHT)], false),
        // RFC 9111 §4.3.2: not for a cache.
        ("if-match, false", &[("if-match", "\"b\"")], false),
        ("if-match, true", &[("if-match", "\"a\"")], false),
        ("if-match beside", &[("if-match", "\"b\""), tag], true),
        ("if-unmodified-since", &[unmodified], false),
        ("if-unmodified-since beside", &[unmodified, tag], true),
    ]);
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
    request.insert(IF_RANGE, HeaderValue::from_static("\"a\""));
    strip_conditions(&mut request);
    // `If-Range` is no condition on the answer, only on the range.
    let range = [
        ("range", "bytes=0-1"),
        ("accept", "a"),
        ("if-range", "\"a\""),
    ];
    assert_eq!(request, headers(&range));
    strip_range(&mut request);
    assert_eq!(request, headers(&[("accept", "a")]));
}
