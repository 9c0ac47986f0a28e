//! What a 304 does to a stored response, and what one of ours carries (RFC 9111 §3.2, §4.3.4; RFC
//! 9110 §15.4.5).

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE,
    ETAG, HeaderMap, HeaderName, LAST_MODIFIED, TRAILER,
};

use super::cache_control::ResponseDirectives;
use super::date;
use super::fields::{StoreSetCookie, filter, stored_fields};
use super::validator::ETag;
use crate::clock::Timestamp;

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
pub(super) const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Whether a 304 speaks of this stored response (RFC 9111 §4.3.4). If it does not, it updates
/// nothing, and the response has to be fetched whole.
///
/// A 304 without validators says no more than that our condition was false. It is taken as an
/// answer to the one stored response that we asked about, although the RFC would have it name its
/// validator: many origins leave it out.
pub(crate) fn identifies(not_modified: &HeaderMap, stored: &HeaderMap, now: Timestamp) -> bool {
    if not_modified.contains_key(ETAG) {
        // A strong tag names only a response with the same strong tag; a weak one, its equal.
        let (Some(new), Some(old)) = (ETag::of(not_modified), ETag::of(stored)) else {
            return false;
        };
        return new.strong_eq(&old) || !new.is_strong() && new.weak_eq(&old);
    }
    if not_modified.contains_key(LAST_MODIFIED) {
        let modified = |headers| date::field(headers, &LAST_MODIFIED, now);
        return modified(not_modified).is_some_and(|new| modified(stored) == Some(new));
    }
    true
}

/// The stored fields after a 304 that [`identifies`] them: each field of the 304 replaces the lines
/// of its name, in their place; new ones come last (RFC 9111 §3.2).
///
/// Left as stored are the fields that belong to the stored bytes rather than to the message:
/// `Content-Length`, `Content-Range` and `Content-Encoding` (named in §3.2), and the digests of
/// content, of which a 304 has none. `Content-Type` and all others are updated. What §3.1 keeps out
/// of a store stays out, by the directives of the 304 as by those of the result.
///
/// `Age` of the old message ends with it. A 304 without `Date` is dated `received_at` where the stored
/// response has one (RFC 9110 §6.6.1); otherwise it would never be fresh again.
pub(crate) fn freshen(
    stored: &HeaderMap,
    not_modified: &HeaderMap,
    received_at: Timestamp,
    set_cookie: StoreSetCookie,
) -> HeaderMap {
    let directives = ResponseDirectives::parse(not_modified);
    let mut update = stored_fields(not_modified, &directives, set_cookie);
    if !update.contains_key(DATE) && stored.contains_key(DATE) {
        update.extend(date::value(received_at).map(|date| (DATE, date)));
    }
    let updates = |name: &HeaderName| !belongs_to_the_bytes(name) && update.contains_key(name);
    let mut merged = HeaderMap::with_capacity(stored.keys_len() + update.keys_len());
    for name in stored.keys().filter(|name| **name != AGE) {
        let lines = if updates(name) { &update } else { stored };
        append_all(&mut merged, lines, name);
    }
    for name in update.keys().filter(|name| updates(name)) {
        if !merged.contains_key(name) {
            append_all(&mut merged, &update, name);
        }
    }
    let directives = ResponseDirectives::parse(&merged);
    stored_fields(&merged, &directives, set_cookie)
}

fn append_all(to: &mut HeaderMap, from: &HeaderMap, name: &HeaderName) {
    for value in from.get_all(name) {
        to.append(name.clone(), value.clone());
    }
}

fn belongs_to_the_bytes(name: &HeaderName) -> bool {
    [CONTENT_LENGTH, CONTENT_RANGE, CONTENT_ENCODING].contains(name)
        || [CONTENT_DIGEST, CONTENT_MD5].contains(name)
}

/// The fields that a 304 made from a stored response carries (RFC 9110 §15.4.5): all but those that
/// describe a representation which is not sent. `Last-Modified` goes where an `ETag` says it better.
pub(crate) fn not_modified_fields(stored: &HeaderMap) -> HeaderMap {
    let tagged = stored.contains_key(ETAG);
    filter(stored, |name| {
        !belongs_to_the_bytes(name)
            && ![CONTENT_TYPE, CONTENT_LANGUAGE, TRAILER].contains(name)
            && !(tagged && *name == LAST_MODIFIED)
    })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn safety_32_a_304_freshens_field_by_field() {
        let a = ("x-a", "1");
        let rows: &[(&str, Lines<'_>, Lines<'_>, Lines<'_>)] = &[
            ("nothing new", &[a], &[], &[a]),
            (
                "replaced",
                &[a, ("x-b", "1")],
                &[("x-a", "2")],
                &[("x-a", "2"), ("x-b", "1")],
            ),
            ("added", &[a], &[("x-b", "2")], &[a, ("x-b", "2")]),
            (
                "fewer lines",
                &[a, ("x-a", "2")],
                &[("x-a", "3")],
                &[("x-a", "3")],
            ),
            (
                "more lines",
                &[a, ("x-b", "1")],
                &[("x-a", "3"), ("x-a", "4")],
                &[("x-a", "3"), ("x-a", "4"), ("x-b", "1")],
            ),
            (
                "content-type",
                &[("content-type", "a/b")],
                &[("content-type", "a/c")],
                &[("content-type", "a/c")],
            ),
            (
                "content-location",
                &[("content-location", "/a")],
                &[("content-location", "/b")],
                &[("content-location", "/b")],
            ),
            (
                "expires",
                &[("expires", OLD)],
                &[("expires", LATER)],
                &[("expires", LATER)],
            ),
            ("vary added", &[a], &[("vary", "x")], &[a, ("vary", "x")]),
            (
                "date",
                &[("date", OLD)],
                &[("date", LATER)],
                &[("date", LATER)],
            ),
            (
                "date missing",
                &[("date", OLD)],
                &[],
                &[("date", "Mon, 23 Nov 2026 00:00:00 GMT")],
            ),
            ("date missing in both", &[a], &[], &[a]),
            ("old age ends", &[("age", "600"), a], &[], &[a]),
            (
                "new age",
                &[("age", "600"), a],
                &[("age", "5")],
                &[a, ("age", "5")],
            ),
        ];
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
}
