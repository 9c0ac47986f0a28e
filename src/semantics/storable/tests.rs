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
    let with_lifetime = Caution {
        lifetime: true,
        ..Caution::default()
    };
    for status in 200..600 {
        if matches!(status, 206 | 304) {
            continue;
        }
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
        // SAFETY 13: what a client provokes is not stored by a rule's lifetime.
        let provoked = [
            400, 406, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426, 428, 429, 431,
        ];
        let ruled = cautious(status, &[], &[], with_lifetime);
        assert_eq!(ruled.is_err(), provoked.contains(&status), "{status}");
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

#[test]
fn fields_forbid() {
    use NotStored::{Endless, Malformed, VaryAny};
    let rows: &[(&str, Lines<'_>, Result<(), NotStored>)] = &[
        ("vary", &[("vary", "accept")], Ok(())),
        ("vary any", &[("vary", "accept, *")], Err(VaryAny)),
        (
            "vary bad member",
            &[("vary", "accept encoding")],
            Err(VaryAny),
        ),
        (
            "event stream",
            &[("content-type", "text/event-stream")],
            Err(Endless),
        ),
        (
            "with charset",
            &[("content-type", "Text/Event-Stream ;charset=utf-8")],
            Err(Endless),
        ),
        (
            "pushed images",
            &[("content-type", "multipart/x-mixed-replace;boundary=x")],
            Err(Endless),
        ),
        (
            "other text",
            &[("content-type", "text/event-streams")],
            Ok(()),
        ),
        ("length", &[("content-length", "5")], Ok(())),
        (
            "length twice",
            &[("content-length", "5"), ("content-length", "5")],
            Ok(()),
        ),
        ("length listed twice", &[("content-length", "5, 5")], Ok(())),
        (
            "lengths differ",
            &[("content-length", "5"), ("content-length", "6")],
            Err(Malformed),
        ),
        (
            "listed lengths differ",
            &[("content-length", "5,6")],
            Err(Malformed),
        ),
        (
            "negative length",
            &[("content-length", "-5")],
            Err(Malformed),
        ),
        ("no number", &[("content-length", "5b")], Err(Malformed)),
        ("sign", &[("content-length", "+5")], Err(Malformed)),
        ("empty", &[("content-length", "")], Err(Malformed)),
        (
            "overflow",
            &[("content-length", "99999999999999999999")],
            Err(Malformed),
        ),
    ];
    for (name, lines, expected) in rows {
        let mut all = vec![FRESH];
        all.extend_from_slice(lines);
        assert_eq!(verdict(200, &[], &all), *expected, "{name}");
    }
}
