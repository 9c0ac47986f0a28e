//! Validators: entity-tags and modification dates (RFC 9110 §8.8).

use std::time::Duration;

use http::header::{DATE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED};

use super::date;
use super::syntax::{lines, single, trim_ows};
use crate::clock::Timestamp;

/// How far `Date` has to be from `Last-Modified` for the latter to be strong.
///
/// RFC 9110 §8.8.2.2 asks for a second *and* for reason to believe in one clock, or for "enough
/// difference … to make clock synchronization issues unlikely". A cache knows nothing of the
/// origin's clocks, and where `Last-Modified` is taken from a database or from a block's timestamp
/// there are two. So the difference has to do it: a minute, as RFC 7232 had it. Too long costs a
/// whole response where a 304 might have done; too short freshens what was purged (PROTOCOL 17).
const CLOCKS_AGREE_WITHIN: Duration = Duration::from_secs(60);

/// An entity-tag (RFC 9110 §8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ETag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> ETag<'a> {
    /// The tag of a response that has exactly one.
    pub(crate) fn of(headers: &'a HeaderMap) -> Option<Self> {
        Self::parse(single(headers, &ETAG)?)
    }

    /// Reads strictly: quotes are required, `W/` has that case.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::take(value)?;
        rest.is_empty().then_some(tag)
    }

    /// The tag that `value` begins with, and the rest.
    fn take(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match value.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let text = quoted.strip_prefix(b"\"")?;
        // A backslash is an ordinary character here, unlike in a quoted-string.
        let is_etagc = |byte: u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff);
        let end = text.iter().position(|byte| !is_etagc(*byte))?;
        let (opaque, rest) = text.split_at(end);
        let rest = rest.strip_prefix(b"\"")?;
        Some((Self { weak, opaque }, rest))
    }

    pub(crate) const fn is_strong(&self) -> bool {
        !self.weak
    }

    /// RFC 9110 §8.8.3.2: both strong and the same.
    pub(crate) fn strong_eq(&self, other: &ETag<'_>) -> bool {
        self.is_strong() && other.is_strong() && self.opaque == other.opaque
    }

    /// RFC 9110 §8.8.3.2: the same but for weakness.
    pub(crate) fn weak_eq(&self, other: &ETag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// Whether the list of entity-tags in the field `name` is `*` or has `current` among its members, by
/// weak comparison (RFC 9110 §13.1.2). A list that is malformed anywhere matches nothing.
pub(super) fn list_matches(
    headers: &HeaderMap,
    name: &HeaderName,
    current: Option<ETag<'_>>,
) -> bool {
    if single(headers, name) == Some(b"*") {
        return true;
    }
    let mut matched = false;
    for line in lines(headers, name) {
        let Some(found) = line_matches(line, current) else {
            return false;
        };
        matched |= found;
    }
    matched
}

fn line_matches(line: &[u8], current: Option<ETag<'_>>) -> Option<bool> {
    let mut matched = false;
    let mut rest = trim_ows(line);
    while !rest.is_empty() {
        // RFC 9110 §5.6.1.2: empty members are read over.
        if let [b',', tail @ ..] = rest {
            rest = trim_ows(tail);
            continue;
        }
        let (tag, tail) = ETag::take(rest)?;
        matched |= current.is_some_and(|current| current.weak_eq(&tag));
        rest = trim_ows(tail);
        if !matches!(rest, [] | [b',', ..]) {
            return None;
        }
    }
    Some(matched)
}

/// A 304 to our condition proves that the response is the current one, byte for byte: its tag is
/// strong, or, without a tag, its `Last-Modified` can be deduced to be (RFC 9110 §8.8.2.2). Only such
/// a response is freshened after a soft purge (PROTOCOL 17).
///
/// Beside a weak tag a strong date does not help: who is asked by both looks at the tag alone
/// (§13.2.2), and compares it weakly (§13.1.2).
pub(crate) fn is_strong_validator(headers: &HeaderMap, now: Timestamp) -> bool {
    ETag::of(headers).map_or_else(
        || strong_last_modified(headers, now).is_some(),
        |tag| tag.is_strong(),
    )
}

/// Both have the same strong entity-tag: they are of one representation (RFC 9111 §3.4).
pub(crate) fn same_strong_tag(one: &HeaderMap, other: &HeaderMap) -> bool {
    let tags = ETag::of(one).zip(ETag::of(other));
    tags.is_some_and(|(one, other)| one.strong_eq(&other))
}

/// `Last-Modified`, if it is strong.
pub(super) fn strong_last_modified(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let modified = date::field(headers, &LAST_MODIFIED, now)?;
    let sent = date::field(headers, &DATE, now)?;
    (sent.since(modified) >= CLOCKS_AGREE_WITHIN).then_some(modified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::tests::{NOW, headers};
    use http::header::IF_NONE_MATCH;

    #[test]
    fn entity_tags_are_read_strictly() {
        let rows: &[(&str, Option<(bool, &str)>)] = &[
            ("\"a\"", Some((false, "a"))),
            ("W/\"a\"", Some((true, "a"))),
            ("\"\"", Some((false, ""))),
            (r#""a\""#, Some((false, r"a\"))),
            ("\"a,b\"", Some((false, "a,b"))),
            ("\"é\"", Some((false, "é"))),
            ("a", None),
            ("", None),
            ("\"", None),
            ("\"a", None),
            ("a\"", None),
            ("w/\"a\"", None),
            ("W\"a\"", None),
            ("W/a", None),
            ("W/ \"a\"", None),
            ("'a'", None),
            ("\"a b\"", None),
            ("\"a\"b", None),
            ("\"a\", \"b\"", None),
        ];
        for (text, expected) in rows {
            let found = ETag::parse(text.as_bytes());
            let expected = expected.map(|(weak, opaque)| ETag {
                weak,
                opaque: opaque.as_bytes(),
            });
            assert_eq!(found, expected, "{text}");
        }
        let twice = headers(&[("etag", "\"a\""), ("etag", "\"a\"")]);
        assert_eq!(ETag::of(&twice), None);
    }

    #[test]
    fn comparison_is_that_of_rfc_9110_8_8_3_2() {
        let rows = [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
            ("\"1\"", "\"2\"", false, false),
        ];
        for (one, other, strong, weak) in rows {
            let tag = |text: &'static str| ETag::parse(text.as_bytes()).unwrap();
            assert_eq!(tag(one).strong_eq(&tag(other)), strong, "{one} {other}");
            assert_eq!(tag(other).strong_eq(&tag(one)), strong, "{other} {one}");
            assert_eq!(tag(one).weak_eq(&tag(other)), weak, "{one} {other}");
        }
    }

    #[test]
    fn a_list_matches_as_a_whole_or_not_at_all() {
        let rows: &[(&[&str], bool)] = &[
            (&["\"x\""], true),
            (&["W/\"x\""], true),
            (&["\"a\", \"x\""], true),
            (&["\"x\",\"a\""], true),
            (&["\"a\"", "\"x\""], true),
            (&[", ,\"x\" ,"], true),
            (&["*"], true),
            (&["\"X\""], false),
            (&["\"a,x\""], false),
            (&["x"], false),
            (&[""], false),
            (&["\"x\" \"a\""], false),
            (&["\"x\", a"], false),
            (&["a, \"x\""], false),
            (&["\"x\"", "a"], false),
            (&["*, \"x\""], false),
            (&["*", "*"], false),
        ];
        for (lines, expected) in rows {
            let fields: Vec<_> = lines.iter().map(|line| ("if-none-match", *line)).collect();
            let current = ETag::parse(b"\"x\"");
            let found = list_matches(&headers(&fields), &IF_NONE_MATCH, current);
            assert_eq!(found, *expected, "{lines:?}");
        }
    }

    #[test]
    fn last_modified_is_strong_only_well_before_date() {
        const MODIFIED: &str = "Sun, 22 Nov 2026 23:00:00 GMT";
        let strong = |lines: &[(&str, &str)]| is_strong_validator(&headers(lines), NOW);
        let dated = |date| strong(&[("last-modified", MODIFIED), ("date", date)]);
        assert!(dated("Sun, 22 Nov 2026 23:01:00 GMT"));
        assert!(!dated("Sun, 22 Nov 2026 23:00:59 GMT"));
        assert!(!dated(MODIFIED));
        assert!(!dated("Sun, 22 Nov 2026 22:00:00 GMT"));
        assert!(!strong(&[("last-modified", MODIFIED)]));
        assert!(strong(&[("etag", "\"a\"")]));
        assert!(!strong(&[("etag", "W/\"a\"")]));
        let date = ("date", "Mon, 23 Nov 2026 00:00:00 GMT");
        let modified = ("last-modified", MODIFIED);
        assert!(strong(&[modified, date]));
        assert!(!strong(&[("etag", "W/\"a\""), modified, date]));
        // Not sent, hence not looked at.
        assert!(strong(&[("etag", "a"), modified, date]));
        assert!(!strong(&[("etag", "a")]));
        assert!(!strong(&[]));
    }
}
