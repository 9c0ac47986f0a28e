use super::*;
use crate::outcome::{Detail, ForwardReason, NotStored};
use http::StatusCode;

fn line(outcome: &Outcome) -> String {
    let mut headers = HeaderMap::new();
    append(&mut headers, outcome);
    headers[CACHE_STATUS].to_str().unwrap().to_owned()
}

fn hit(ttl: impl Into<Option<i64>>) -> Outcome {
    Outcome {
        ttl: ttl.into(),
        ..Outcome::new(Served::Hit)
    }
}

fn forwarded(reason: ForwardReason) -> Outcome {
    Outcome::new(Served::Forwarded(reason))
}

#[test]
fn hits_are_spelled_as_rfc_9211_has_it() {
    let not_stored = Some(Storing::NotStored(NotStored::NoStore));
    let rows: &[(&str, Outcome)] = &[
        ("tagcache; hit", hit(None)),
        ("tagcache; hit; ttl=100", hit(100)),
        ("tagcache; hit; ttl=-3", hit(-3)),
        (
            "tagcache; hit; ttl=-5; detail=stale-while-revalidate",
            Outcome {
                served: Served::Stale,
                detail: Some(Detail::StaleWhileRevalidate),
                ..hit(-5)
            },
        ),
        // Nothing that speaks of a forward stands beside `hit`.
        (
            "tagcache; hit",
            Outcome {
                collapsed: true,
                storing: Some(Storing::Stored),
                forward_status: Some(StatusCode::BAD_GATEWAY),
                ..hit(None)
            },
        ),
        (
            "tagcache; hit; detail=stale-if-error",
            Outcome {
                storing: not_stored,
                detail: Some(Detail::StaleIfError),
                ..Outcome::new(Served::Stale)
            },
        ),
        ("tagcache; hit; ttl=999999999999999", hit(i64::MAX)),
        ("tagcache; hit; ttl=-999999999999999", hit(i64::MIN)),
    ];
    for (expected, outcome) in rows {
        assert_eq!(line(outcome), *expected);
    }
}

#[test]
fn forwards_are_spelled_as_rfc_9211_has_it() {
    let not_stored = Some(Storing::NotStored(NotStored::NoStore));
    let rows: &[(&str, Outcome)] = &[
        ("tagcache; fwd=uri-miss", forwarded(ForwardReason::UriMiss)),
        (
            "tagcache; fwd=stale; fwd-status=304; ttl=60; stored; collapsed; detail=soft-purged",
            Outcome {
                storing: Some(Storing::Stored),
                collapsed: true,
                ttl: Some(60),
                forward_status: Some(StatusCode::NOT_MODIFIED),
                detail: Some(Detail::SoftPurged),
                ..forwarded(ForwardReason::Stale)
            },
        ),
        (
            "tagcache; fwd=stale; detail=purged",
            Outcome {
                detail: Some(Detail::Purged),
                ..forwarded(ForwardReason::Stale)
            },
        ),
        (
            "tagcache; fwd=miss; detail=no-store",
            Outcome {
                storing: not_stored,
                ..forwarded(ForwardReason::Miss)
            },
        ),
        // One detail: the reason for not storing.
        (
            "tagcache; fwd=miss; detail=no-store",
            Outcome {
                storing: not_stored,
                detail: Some(Detail::StoreTimeout),
                ..forwarded(ForwardReason::Miss)
            },
        ),
        // Unless it was never for the cache: then the reason for that.
        (
            "tagcache; fwd=bypass; detail=body",
            Outcome {
                storing: Some(Storing::NotStored(NotStored::Unkeyed)),
                detail: Some(Detail::Body),
                ..forwarded(ForwardReason::Bypass)
            },
        ),
    ];
    for (expected, outcome) in rows {
        assert_eq!(line(outcome), *expected);
    }
}

#[test]
fn prepared_lines_are_those_that_would_be_written() {
    for ttl in -1..=3_601 {
        assert_eq!(line(&hit(ttl)), format!("tagcache; hit; ttl={ttl}"));
        assert_eq!(preformatted(&hit(ttl)).is_some(), (0..3_600).contains(&ttl));
    }
    for seconds in [0, 9, 10, 100, 3_599, 3_600, 1 << 31, u64::MAX] {
        let value = age_value(Duration::from_secs(seconds));
        assert_eq!(value, seconds.min(1 << 31).to_string());
    }
}

#[test]
fn places_are_filled_in_wherever_they_are() {
    let mut fields = HeaderMap::new();
    for (name, value) in [("x-a", "1"), ("age", "7"), ("x-b", "2"), ("x-a", "3")] {
        fields.append(name, HeaderValue::from_static(value));
    }
    let mut placed = with_places(&fields).unwrap();
    let mut elsewhere = fields.clone();
    for fields in [&mut placed, &mut elsewhere] {
        fill_in(fields, Duration::from_secs(12), &hit(48));
        assert_eq!(fields["age"], "12");
        assert_eq!(fields[CACHE_STATUS], "tagcache; hit; ttl=48");
        assert_eq!(fields.len(), 5);
        let of_a: Vec<_> = fields.get_all("x-a").iter().collect();
        assert_eq!(of_a, ["1", "3"]);
    }
    fields.append(CACHE_STATUS, HeaderValue::from_static("Origin; hit"));
    assert!(
        with_places(&fields).is_none(),
        "no place for the last member"
    );
}

#[test]
fn the_longest_line_has_room() {
    let longest = Outcome {
        storing: Some(Storing::Stored),
        collapsed: true,
        ttl: Some(i64::MIN),
        forward_status: Some(StatusCode::OK),
        detail: Some(Detail::StaleWhileRevalidate),
        ..forwarded(ForwardReason::VaryMiss)
    };
    assert!(line(&longest).len() < 160);
}

#[test]
fn our_member_comes_last_and_on_its_own_line() {
    let mut headers = HeaderMap::new();
    headers.append(
        CACHE_STATUS,
        HeaderValue::from_static("Origin; hit, CDN; fwd=miss"),
    );
    append(&mut headers, &hit(5));
    let lines: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
    assert_eq!(
        lines,
        ["Origin; hit, CDN; fwd=miss", "tagcache; hit; ttl=5"]
    );
}

#[test]
fn safety_29_age_replaces_what_was_received() {
    let rows: &[(Duration, &str)] = &[
        (Duration::ZERO, "0"),
        (Duration::from_millis(9_999), "9"),
        (Duration::from_secs(10), "10"),
        (Duration::from_secs(99), "99"),
        (Duration::from_secs(100), "100"),
        (Duration::MAX, "2147483648"),
    ];
    for (age, expected) in rows {
        let mut headers = HeaderMap::new();
        headers.append(AGE, HeaderValue::from_static("7"));
        headers.append(AGE, HeaderValue::from_static("8"));
        set_age(&mut headers, *age);
        let lines: Vec<_> = headers.get_all(AGE).iter().collect();
        assert_eq!(lines, [expected]);
    }
}

/// SAFETY 95: that nothing was known of the purge log has a cause, and that is said.
#[test]
fn safety_95_what_is_not_stored_without_a_stamp_says_why_there_is_none() {
    for (detail, said) in [
        (Some(Detail::BreakerOpen), "breaker-open"),
        (Some(Detail::StoreTimeout), "store-timeout"),
        (Some(Detail::NoLease), "no-lease"),
        (None, "no-stamp"),
    ] {
        let mut outcome = forwarded(ForwardReason::Miss);
        outcome.storing = Some(Storing::NotStored(NotStored::NoStamp));
        outcome.detail = detail;
        assert_eq!(line(&outcome), format!("tagcache; fwd=miss; detail={said}"));
    }
}
