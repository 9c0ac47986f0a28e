use super::*;
use crate::semantics::tests::{NOW, headers};

type Lines<'a> = &'a [(&'a str, &'a str)];

const OLD: &str = "Sun, 22 Nov 2026 22:00:00 GMT";
const LATER: &str = "Sun, 22 Nov 2026 23:00:00 GMT";

fn freshened(stored: Lines<'_>, not_modified: Lines<'_>) -> Vec<(String, String)> {
    let (stored, not_modified) = (headers(stored), headers(not_modified));
    let merged = freshen(&stored, &not_modified, NOW, StoreSetCookie::Refuse);
    let pairs = merged.iter().map(|(name, value)| {
        (
            name.to_string(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    pairs.collect()
}

fn check(rows: &[(&str, Lines<'_>, Lines<'_>, Lines<'_>)]) {
    for (name, stored, not_modified, expected) in rows {
        let merged = freshened(stored, not_modified);
        let merged: Vec<_> = merged
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(merged, *expected, "{name}");
    }
}

#[test]
fn safety_32_a_304_freshens_field_by_field() {
    let (a, b) = (("x-a", "1"), ("x-b", "1"));
    let (new, newer) = (("x-a", "2"), ("x-a", "3"));
    check(&[
        ("nothing new", &[a], &[], &[a]),
        ("replaced in its place", &[a, b], &[new], &[new, b]),
        ("added", &[a], &[("x-b", "2")], &[a, ("x-b", "2")]),
        ("fewer lines", &[a, new], &[newer], &[newer]),
        ("more lines", &[a, b], &[new, newer], &[new, newer, b]),
    ]);
    for name in ["content-type", "content-location", "expires", "etag"] {
        check(&[(name, &[(name, "1"), a], &[(name, "2")], &[(name, "2"), a])]);
    }
}

#[test]
fn safety_08_a_304_may_add_vary() {
    let (a, vary) = (("x-a", "1"), ("vary", "x"));
    check(&[("vary", &[a], &[vary], &[a, vary])]);
}

#[test]
fn the_date_and_age_of_the_old_message_end_with_it() {
    let (a, old, later) = (("x-a", "1"), ("date", OLD), ("date", LATER));
    let received = ("date", "Mon, 23 Nov 2026 00:00:00 GMT");
    check(&[
        ("date", &[old, a], &[later], &[later, a]),
        ("date missing", &[old, a], &[], &[received, a]),
        ("date missing in both", &[a], &[], &[a]),
        ("age", &[("age", "600"), a], &[], &[a]),
        (
            "new age",
            &[("age", "600"), a],
            &[("age", "5")],
            &[a, ("age", "5")],
        ),
    ]);
}

#[test]
fn safety_32_a_304_changes_nothing_that_belongs_to_the_bytes() {
    for name in [
        "content-length",
        "content-encoding",
        "content-range",
        "content-digest",
        "content-md5",
    ] {
        let stored = [(name, "1"), ("x-a", "1")];
        let merged = freshened(&stored, &[(name, "2")]);
        assert_eq!(
            merged[0],
            (name.to_owned(), "1".to_owned()),
            "{name} replaced"
        );
        let merged = freshened(&[("x-a", "1")], &[(name, "2")]);
        assert_eq!(merged.len(), 1, "{name} added");
    }
}

#[test]
fn safety_16_a_304_brings_in_nothing_that_is_not_stored() {
    let rows: &[(&str, Lines<'_>)] = &[
        (
            "connection",
            &[("connection", "x-a"), ("x-a", "2"), ("x-b", "1")],
        ),
        (
            "proxy-authenticate",
            &[("proxy-authenticate", "Basic"), ("x-b", "1")],
        ),
        ("set-cookie", &[("set-cookie", "a=1"), ("x-b", "1")]),
    ];
    for (name, not_modified) in rows {
        let merged = freshened(&[("x-a", "1")], not_modified);
        let values: Vec<_> = merged
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(values, [("x-a", "1"), ("x-b", "1")], "{name}");
    }
    // A directive of the 304 withholds what was stored before.
    let merged = freshened(&[("x-a", "1")], &[("cache-control", "private=\"x-a\"")]);
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].0, "cache-control");
}

#[test]
fn a_304_updates_only_the_response_that_it_names() {
    let (strong, weak, other) = (("etag", "\"a\""), ("etag", "W/\"a\""), ("etag", "\"b\""));
    let modified = |date| ("last-modified", date);
    let rows: &[(&str, Lines<'_>, Lines<'_>, bool)] = &[
        ("same strong tag", &[strong], &[strong], true),
        ("other tag", &[other], &[strong], false),
        ("strong for weak", &[strong], &[weak], false),
        ("weak for strong", &[weak], &[strong], true),
        ("same weak tag", &[weak], &[weak], true),
        ("tag for none", &[strong], &[modified(OLD)], false),
        ("unreadable tag", &[("etag", "a")], &[strong], false),
        (
            "tag decides over date",
            &[strong, modified(LATER)],
            &[strong, modified(OLD)],
            true,
        ),
        (
            "same date",
            &[modified(OLD)],
            &[strong, modified(OLD)],
            true,
        ),
        ("other date", &[modified(LATER)], &[modified(OLD)], false),
        ("date for none", &[modified(OLD)], &[strong], false),
        (
            "unreadable dates",
            &[modified("x")],
            &[modified("x")],
            false,
        ),
        ("no validator", &[], &[strong], true),
    ];
    for (name, not_modified, stored, expected) in rows {
        let found = identifies(&headers(not_modified), &headers(stored), NOW);
        assert_eq!(found, *expected, "{name}");
    }
}

#[test]
fn a_304_of_ours_carries_no_description_of_content() {
    let kept = [
        ("cache-control", "max-age=1"),
        ("content-location", "/a"),
        ("date", OLD),
        ("etag", "\"a\""),
        ("expires", OLD),
        ("vary", "accept"),
        ("access-control-allow-origin", "*"),
        ("link", "<a>"),
        ("link", "<b>"),
    ];
    let mut stored = headers(&kept);
    for name in [
        "content-type",
        "content-length",
        "content-encoding",
        "content-language",
        "last-modified",
        "trailer",
    ] {
        stored.insert(name, http::HeaderValue::from_static("x"));
    }
    assert_eq!(not_modified_fields(&stored), headers(&kept));
    let untagged = headers(&[("last-modified", OLD)]);
    assert_eq!(not_modified_fields(&untagged), untagged);
}
