use super::*;
use crate::semantics::tests::headers;

type Lines<'a> = &'a [(&'a str, &'a str)];

/// The verdict on an answer to GET, with the default caution.
fn verdict(status: u16, request: Lines<'_>, response: Lines<'_>) -> Result<(), NotStored> {
    cautious(status, request, response, Caution::default())
}

fn cautious(
    status: u16,
    request: Lines<'_>,
    response: Lines<'_>,
    caution: Caution,
) -> Result<(), NotStored> {
    let (request, response) = (headers(request), headers(response));
    may_store(
        &Method::GET,
        &request,
        StatusCode::from_u16(status).unwrap(),
        &response,
        &ResponseDirectives::parse(&response),
        &RequestDirectives::parse(&request),
        caution,
    )
}

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const PUBLIC: (&str, &str) = ("cache-control", "public, max-age=60");

#[test]
fn safety_23_only_get_is_stored() {
    for method in [
        "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "M-SEARCH", "get",
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (response, none) = (headers(&[PUBLIC]), headers(&[]));
        let directives = ResponseDirectives::parse(&response);
        let wishes = RequestDirectives::default();
        let found = may_store(
            &method,
            &none,
            StatusCode::OK,
            &response,
            &directives,
            &wishes,
            Caution::default(),
        );
        assert_eq!(found, Err(NotStored::Method), "{method}");
    }
}

#[test]
fn safety_33_interim_partial_and_304_responses_are_never_stored() {
    let all = Caution {
        set_cookie: StoreSetCookie::Keep,
        authorization: true,
        lifetime: true,
    };
    let rows = [
        (100, NotStored::Status),
        (101, NotStored::Status),
        (102, NotStored::Status),
        (103, NotStored::Status),
        (199, NotStored::Status),
        (206, NotStored::Partial),
        (304, NotStored::NotModified),
    ];
    for (status, reason) in rows {
        for directives in ["public, max-age=60", "must-understand, max-age=60", ""] {
            let found = cautious(status, &[], &[("cache-control", directives)], all);
            assert_eq!(found, Err(reason), "{status} {directives}");
        }
    }
}

#[test]
fn a_status_needs_explicit_freshness_or_has_to_be_heuristically_cacheable() {
    for status in (200..600).filter(|status| !matches!(status, 206 | 304)) {
        let explicit: [Lines<'_>; 4] = [
            &[FRESH],
            &[("cache-control", "s-maxage=60")],
            &[("cache-control", "public")],
            &[("expires", "0")],
        ];
        for lines in explicit {
            assert_eq!(verdict(status, &[], lines), Ok(()), "{status} {lines:?}");
        }
        // RFC 9110 §15.1.
        let heuristic = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];
        let bare = verdict(status, &[], &[("cache-control", "no-cache")]);
        assert_eq!(bare.is_ok(), heuristic.contains(&status), "{status}");
    }
}

#[test]
fn an_operators_lifetime_stands_for_explicit_freshness() {
    let ruled = Caution {
        lifetime: true,
        ..Caution::default()
    };
    for status in (200..600).filter(|status| !matches!(status, 206 | 304)) {
        assert_eq!(cautious(status, &[], &[], ruled), Ok(()), "{status}");
        assert_eq!(cautious(status, &[], &[FRESH], ruled), Ok(()), "{status}");
    }
}

#[test]
fn answers_to_a_range_or_a_condition_are_not_stored() {
    let rows: &[(&str, u16, Lines<'_>, Result<(), NotStored>)] = &[
        (
            "416",
            416,
            &[("range", "bytes=9-")],
            Err(NotStored::Partial),
        ),
        (
            "412",
            412,
            &[("if-match", "\"a\"")],
            Err(NotStored::NotModified),
        ),
        (
            "412 by date",
            412,
            &[("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            Err(NotStored::NotModified),
        ),
        // The whole, though a part was asked for.
        ("200 to a range", 200, &[("range", "bytes=9-")], Ok(())),
        ("412 unasked", 412, &[], Ok(())),
    ];
    for (name, status, request, expected) in rows {
        assert_eq!(verdict(*status, request, &[FRESH]), *expected, "{name}");
    }
}

#[test]
fn directives_forbid() {
    use NotStored::{Malformed, NoStore, Private, Status};
    let rows: &[(&str, u16, &str, Result<(), NotStored>)] = &[
        ("no-store", 200, "no-store, max-age=60", Err(NoStore)),
        ("private", 200, "private, public, max-age=60", Err(Private)),
        (
            "qualified private",
            200,
            "private=\"x-a\", max-age=60",
            Ok(()),
        ),
        ("no-cache", 200, "no-cache", Ok(())),
        ("max-age=0", 200, "max-age=0", Ok(())),
        ("malformed lifetime", 200, "max-age=x", Ok(())),
        ("unreadable", 200, "max-age=60, x=\"", Err(Malformed)),
        ("semicolons", 200, "private; max-age=60", Err(Malformed)),
        // RFC 9111 §5.2.2.3.
        (
            "understood",
            200,
            "must-understand, no-store, max-age=60",
            Ok(()),
        ),
        (
            "not understood",
            299,
            "must-understand, no-store, max-age=60",
            Err(Status),
        ),
        (
            "not understood, no no-store",
            599,
            "must-understand, max-age=60",
            Err(Status),
        ),
        (
            "must-understand is no freshness",
            500,
            "must-understand",
            Err(Status),
        ),
        (
            "must-understand, private",
            200,
            "must-understand, no-store, private",
            Err(Private),
        ),
        ("unknown status", 599, "max-age=60", Ok(())),
    ];
    for (name, status, line, expected) in rows {
        let found = verdict(*status, &[], &[("cache-control", line)]);
        assert_eq!(found, *expected, "{name}");
    }
    let found = verdict(200, &[("cache-control", "no-store")], &[FRESH]);
    assert_eq!(found, Err(NotStored::RequestNoStore));
}

#[test]
fn safety_03_authorization_needs_permission() {
    let rows: &[(&str, &str, bool)] = &[
        ("nothing", "max-age=60", false),
        ("public", "public, max-age=60", true),
        ("must-revalidate", "must-revalidate, max-age=60", true),
        ("s-maxage", "s-maxage=60", true),
        ("s-maxage=0", "s-maxage=0", true),
        ("s-maxage malformed", "s-maxage=x", false),
        // RFC 9111 §3.5 does not name it.
        ("proxy-revalidate", "proxy-revalidate, max-age=60", false),
        ("no-cache", "no-cache", false),
        ("immutable", "immutable, max-age=60", false),
        ("public with an argument", "public=1, max-age=60", false),
    ];
    let request = [("authorization", "Bearer x")];
    for (name, line, allowed) in rows {
        let response = [("cache-control", *line)];
        let expected = allowed.then_some(()).ok_or(NotStored::Authorization);
        assert_eq!(verdict(200, &request, &response), expected, "{name}");
        assert_eq!(verdict(200, &[], &response), Ok(()), "{name}, unauthorized");
        let permitted = Caution {
            authorization: true,
            ..Caution::default()
        };
        let found = cautious(200, &request, &response, permitted);
        assert_eq!(found, Ok(()), "{name}, rule permits");
    }
}

#[test]
fn safety_01_set_cookie_is_refused_unless_permitted_or_withheld() {
    let cookie = ("set-cookie", "a=1");
    assert_eq!(
        verdict(200, &[], &[PUBLIC, cookie]),
        Err(NotStored::SetCookie)
    );
    // Upstream says itself that the rest may be shared.
    for line in [
        "max-age=60, private=\"Set-Cookie\"",
        "max-age=60, no-cache=set-cookie",
    ] {
        let found = verdict(200, &[], &[("cache-control", line), cookie]);
        assert_eq!(found, Ok(()), "{line}");
    }
    for set_cookie in [StoreSetCookie::Strip, StoreSetCookie::Keep] {
        let caution = Caution {
            set_cookie,
            ..Caution::default()
        };
        assert_eq!(cautious(200, &[], &[PUBLIC, cookie], caution), Ok(()));
    }
}

/// The verdict on a fresh 200 with one more field, given line by line.
fn with_field(name: &str, values: &[&str]) -> Result<(), NotStored> {
    let mut lines = vec![FRESH];
    lines.extend(values.iter().map(|value| (name, *value)));
    verdict(200, &[], &lines)
}

#[test]
fn safety_07_what_varies_by_more_than_fields_is_not_stored() {
    assert_eq!(with_field("vary", &["accept"]), Ok(()));
    for lines in [&["*"][..], &["accept, *"], &["accept", "*"], &["a b"]] {
        let found = with_field("vary", lines);
        assert_eq!(found, Err(NotStored::VaryAny), "{lines:?}");
    }
}

#[test]
fn safety_54_endless_bodies_are_not_stored() {
    let rows = [
        ("text/event-stream", true),
        ("Text/Event-Stream ;charset=utf-8", true),
        ("multipart/x-mixed-replace;boundary=x", true),
        ("text/event-streams", false),
        ("text/plain; x=text/event-stream", false),
    ];
    for (media_type, endless) in rows {
        let found = with_field("content-type", &[media_type]);
        assert_eq!(found == Err(NotStored::Endless), endless, "{media_type}");
    }
}

#[test]
fn a_length_that_is_no_number_or_two_is_malformed() {
    let rows: &[(&[&str], bool)] = &[
        (&["5"], true),
        (&["5", "5"], true),
        (&["5, 5"], true),
        (&["5", "6"], false),
        (&["5,6"], false),
        (&["-5"], false),
        (&["+5"], false),
        (&["5b"], false),
        (&["5 5"], false),
        (&[""], false),
        (&["5", ""], false),
        (&["99999999999999999999"], false),
    ];
    for (lines, good) in rows {
        let expected = good.then_some(()).ok_or(NotStored::Malformed);
        assert_eq!(with_field("content-length", lines), expected, "{lines:?}");
    }
    let length = |value| content_length(&headers(&[("content-length", value)]));
    assert_eq!(length("5, 5"), Ok(Some(5)));
    assert_eq!(content_length(&headers(&[])), Ok(None));
}
