use super::*;
use crate::semantics::tests::{NOW, headers};

type Lines<'a> = &'a [(&'a str, &'a str)];

/// A quarter of a second past [`NOW`], as clocks are.
const RECEIVED: Timestamp = Timestamp::from_millis(NOW.as_millis() + 250);
const DATE_NOW: &str = "Mon, 23 Nov 2026 00:00:00 GMT";
const HOUR_AGO: &str = "Sun, 22 Nov 2026 23:00:00 GMT";
const IN_AN_HOUR: &str = "Mon, 23 Nov 2026 01:00:00 GMT";
const HOUR: u64 = 3600;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn safety_29_age_is_never_less_than_what_anybody_says() {
    let rows: &[(&str, Lines<'_>, u64)] = &[
        ("nothing", &[], 0),
        ("date now", &[("date", DATE_NOW)], 0),
        ("date past", &[("date", HOUR_AGO)], HOUR),
        ("date future", &[("date", IN_AN_HOUR)], 0),
        (
            "date past, age more",
            &[("date", HOUR_AGO), ("age", "7200")],
            2 * HOUR,
        ),
        (
            "date past, age less",
            &[("date", HOUR_AGO), ("age", "7")],
            HOUR,
        ),
        ("date future, age", &[("date", IN_AN_HOUR), ("age", "7")], 7),
        // RFC 9110 §6.6.1: what is no date counts as the time of receipt.
        ("date zone", &[("date", "Sun, 22 Nov 2026 23:00:00 UTC")], 0),
        (
            "date repeated",
            &[("date", HOUR_AGO), ("date", DATE_NOW)],
            0,
        ),
        (
            "rfc850",
            &[("date", "Sunday, 22-Nov-26 23:00:00 GMT")],
            HOUR,
        ),
        ("asctime", &[("date", "Sun Nov 22 23:00:00 2026")], HOUR),
        ("age", &[("age", "60")], 60),
        ("age with spaces", &[("age", " 60 ")], 60),
        // RFC 9111 §5.1: the first member, or none.
        ("age list", &[("age", "60, 7200")], 60),
        ("age list, small first", &[("age", "0, 7200")], 0),
        ("age lines", &[("age", "60"), ("age", "0")], 60),
        ("age empty first", &[("age", ", 60")], 60),
        ("age negative", &[("age", "-60")], 0),
        ("age float", &[("age", "60.0")], 0),
        ("age word", &[("age", "abc")], 0),
        ("age suffix", &[("age", "60s")], 0),
        ("age parameter", &[("age", "60;x=1")], 0),
        ("age quoted", &[("age", "\"60\"")], 0),
        ("age invalid first", &[("age", "x, 60")], 0),
        // RFC 9111 §1.2.2.
        ("age huge", &[("age", "99999999999999999999999")], 1 << 31),
    ];
    for (name, lines, expected) in rows {
        let found = corrected_initial_age(&headers(lines), RECEIVED, RECEIVED);
        assert_eq!(found, secs(*expected), "{name}");
    }
}

#[test]
fn response_delay_adds_to_age_but_not_to_the_distance_from_date() {
    let asked = Timestamp::from_millis(NOW.as_millis() - 4000);
    let rows: &[(&str, Lines<'_>, Duration)] = &[
        ("no age", &[("date", DATE_NOW)], Duration::from_millis(4250)),
        ("age", &[("age", "60")], Duration::from_millis(64_250)),
        ("date past", &[("date", HOUR_AGO)], secs(HOUR)),
    ];
    for (name, lines, expected) in rows {
        let found = corrected_initial_age(&headers(lines), asked, RECEIVED);
        assert_eq!(found, *expected, "{name}");
    }
    // SAFETY 30: a clock that was set back in between.
    let later = Timestamp::from_millis(RECEIVED.as_millis() + 60_000);
    let found = corrected_initial_age(&headers(&[("age", "5")]), later, RECEIVED);
    assert_eq!(found, secs(5));
}

fn life(status: u16, lines: Lines<'_>) -> Lifetime {
    let headers = headers(lines);
    let directives = ResponseDirectives::parse(&headers);
    lifetime(
        StatusCode::from_u16(status).unwrap(),
        &headers,
        &directives,
        RECEIVED,
    )
}

/// 599: nothing is guessed for it.
fn check_explicit(name: &str, lines: Lines<'_>, seconds: u64) {
    assert_eq!(
        life(599, lines),
        Lifetime::Explicit(secs(seconds)),
        "{name}"
    );
}

#[test]
fn explicit_lifetime_is_s_maxage_then_max_age_then_expires() {
    let rows: &[(&str, &str, &str, u64)] = &[
        ("max-age", "max-age=60", HOUR_AGO, 60),
        ("max-age=0", "max-age=0", IN_AN_HOUR, 0),
        ("invalid max-age", "max-age=x", IN_AN_HOUR, 0),
        ("shorter s-maxage", "max-age=60, s-maxage=5", IN_AN_HOUR, 5),
        ("longer s-maxage", "s-maxage=60, max-age=5", HOUR_AGO, 60),
        ("invalid s-maxage", "max-age=60, s-maxage=x", IN_AN_HOUR, 0),
        ("neither", "public", IN_AN_HOUR, HOUR),
    ];
    for (name, directives, expires, seconds) in rows {
        let lines = [
            ("date", DATE_NOW),
            ("cache-control", *directives),
            ("expires", *expires),
        ];
        check_explicit(name, &lines, *seconds);
    }
}

#[test]
fn safety_29_expires_is_a_date_or_long_past() {
    let rows: &[(&str, &str, &str, u64)] = &[
        ("an hour", DATE_NOW, IN_AN_HOUR, HOUR),
        ("from an old date", HOUR_AGO, IN_AN_HOUR, 2 * HOUR),
        ("equal to date", DATE_NOW, DATE_NOW, 0),
        ("before date", DATE_NOW, HOUR_AGO, 0),
        ("date in the future", IN_AN_HOUR, DATE_NOW, 0),
        ("rfc850", DATE_NOW, "Monday, 23-Nov-26 01:00:00 GMT", HOUR),
        ("asctime", DATE_NOW, "Mon Nov 23 01:00:00 2026", HOUR),
        ("case", DATE_NOW, "mon, 23 nov 2026 01:00:00 gmt", HOUR),
        ("0", DATE_NOW, "0", 0),
        ("-1", DATE_NOW, "-1", 0),
        ("empty", DATE_NOW, "", 0),
        ("UTC", DATE_NOW, "Mon, 23 Nov 2026 01:00:00 UTC", 0),
        ("EST", DATE_NOW, "Mon, 23 Nov 2026 01:00:00 EST", 0),
        ("no zone", DATE_NOW, "Mon, 23 Nov 2026 01:00:00", 0),
    ];
    for (name, date, expires, seconds) in rows {
        check_explicit(name, &[("date", *date), ("expires", *expires)], *seconds);
    }
    let twice = [("expires", IN_AN_HOUR), ("expires", IN_AN_HOUR)];
    check_explicit("repeated", &twice, 0);
    // Without `Date`, from the time of receipt.
    let rest = Duration::from_millis(HOUR * 1000 - 250);
    assert_eq!(
        life(200, &[("expires", IN_AN_HOUR)]),
        Lifetime::Explicit(rest)
    );
}

#[test]
fn lifetime_is_guessed_for_the_statuses_of_rfc_9110_and_for_public() {
    let modified = [("date", DATE_NOW), ("last-modified", HOUR_AGO)];
    for status in 200..600 {
        let guessed = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501];
        let expected = if guessed.contains(&status) {
            Lifetime::Heuristic(secs(360))
        } else {
            Lifetime::None
        };
        assert_eq!(life(status, &modified), expected, "{status}");
    }
    let long_ago = "Sat, 01 Jan 2000 00:00:00 GMT";
    let rows: &[(&str, u16, Lines<'_>, Lifetime)] = &[
        (
            "public",
            599,
            &[("cache-control", "public")],
            Lifetime::Heuristic(secs(360)),
        ),
        ("pragma", 200, &[("pragma", "no-cache")], Lifetime::None),
    ];
    for (name, status, lines, expected) in rows {
        let mut all = modified.to_vec();
        all.extend_from_slice(lines);
        assert_eq!(life(*status, &all), *expected, "{name}");
    }
    let rows: &[(&str, Lines<'_>, Lifetime)] = &[
        (
            "cap",
            &[("last-modified", long_ago)],
            Lifetime::Heuristic(HEURISTIC_CAP),
        ),
        ("no last-modified", &[("etag", "\"a\"")], Lifetime::None),
        (
            "last-modified = date",
            &[("date", DATE_NOW), ("last-modified", DATE_NOW)],
            Lifetime::None,
        ),
        (
            "last-modified later",
            &[("date", DATE_NOW), ("last-modified", IN_AN_HOUR)],
            Lifetime::None,
        ),
        (
            "last-modified invalid",
            &[("last-modified", "yesterday")],
            Lifetime::None,
        ),
    ];
    for (name, lines, expected) in rows {
        assert_eq!(life(200, lines), *expected, "{name}");
    }
}

fn terms(directives: &ResponseDirectives, lifetime: Duration) -> Terms {
    Terms {
        lifetime,
        always_validate: directives.no_cache.is_whole(),
        stale_forbidden: stale_forbidden(directives),
        immutable: directives.immutable,
    }
}

fn reused(request: &str, response: &str, age: u64) -> Reuse {
    let request = RequestDirectives::parse(&headers(&[("cache-control", request)]));
    let response = ResponseDirectives::parse(&headers(&[("cache-control", response)]));
    reuse(&request, &terms(&response, secs(60)), secs(age))
}

#[test]
fn safety_04_max_stale_unlocks_nothing_that_a_directive_forbids() {
    let forbidding = [
        "no-cache",
        "must-revalidate",
        "proxy-revalidate",
        "s-maxage=60",
        "s-maxage=x",
    ];
    for directive in forbidding {
        let line = format!("max-age=60, stale-while-revalidate=60, {directive}");
        for wish in ["max-stale", "max-stale=1000", "max-stale, max-age=1000"] {
            assert_eq!(
                reused(wish, &line, 61),
                Reuse::Validate,
                "{directive}, {wish}"
            );
        }
        let parsed = ResponseDirectives::parse(&headers(&[("cache-control", line.as_str())]));
        assert!(stale_forbidden(&parsed), "{directive}");
    }
    for directive in [
        "max-age=60",
        "public",
        "immutable",
        "no-cache=\"x-a\"",
        "must-understand",
    ] {
        assert_eq!(
            reused("max-stale", directive, 61),
            Reuse::Stale,
            "{directive}"
        );
    }
}

#[test]
fn a_client_may_ask_for_more_freshness_or_less() {
    use Reuse::{Fresh, Stale, Validate};
    let rows: &[(&str, &str, &str, u64, Reuse)] = &[
        ("fresh", "", "", 59, Fresh),
        ("fresh means lifetime > age", "", "", 60, Validate),
        ("no-cache", "", "no-cache", 0, Validate),
        ("qualified no-cache", "", "no-cache=x", 0, Fresh),
        ("request no-cache", "no-cache", "", 0, Validate),
        ("max-age met", "max-age=30", "", 30, Fresh),
        ("max-age missed", "max-age=30", "", 31, Validate),
        ("max-age=0", "max-age=0", "", 1, Validate),
        (
            "max-age longer than the lifetime",
            "max-age=900",
            "",
            61,
            Validate,
        ),
        ("min-fresh met", "min-fresh=30", "", 30, Fresh),
        ("min-fresh missed", "min-fresh=30", "", 31, Validate),
        ("max-stale met", "max-stale=10", "", 70, Stale),
        ("max-stale missed", "max-stale=10", "", 71, Validate),
        ("max-stale, fresh", "max-stale=10", "", 5, Fresh),
        (
            "max-stale within max-age",
            "max-stale=10, max-age=65",
            "",
            66,
            Validate,
        ),
        (
            "max-stale and min-fresh",
            "max-stale=10, min-fresh=1",
            "",
            61,
            Validate,
        ),
        // RFC 8246 §2.
        ("immutable, reload", "max-age=0", "immutable", 30, Fresh),
        (
            "immutable, forced reload",
            "no-cache",
            "immutable",
            30,
            Validate,
        ),
        ("immutable, stale", "max-age=0", "immutable", 60, Validate),
    ];
    for (name, request, response, age, expected) in rows {
        assert_eq!(reused(request, response, *age), *expected, "{name}");
    }
}
