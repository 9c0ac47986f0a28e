//! Parts of a stored 200 (RFC 9110 §14, `If-Range` §13.1.5).
//!
//! One range of bytes is served; a list of ranges is answered with the whole, as §14.2 allows and
//! advises against lists that cost more than they save.

use std::ops::RangeInclusive;

use http::header::{
    ACCEPT_RANGES, AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue, IF_RANGE,
    LAST_MODIFIED, RANGE, TRAILER,
};
use http::{Method, StatusCode};

use super::date;
use super::syntax::{decimal, single};
use super::update::{CONTENT_DIGEST, CONTENT_MD5};
use super::validator::{ETag, strong_last_modified};
use crate::clock::Timestamp;

/// How much of a stored response answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selected {
    /// All of it, with its own status.
    Whole,
    /// These bytes, with 206 and [`part_fields`].
    Part(RangeInclusive<u64>),
    /// Nothing, with 416 and [`unsatisfiable_fields`].
    Unsatisfiable,
}

/// What a request's `Range` selects of a stored response of `length` bytes. Conditions but `If-Range`
/// come first (RFC 9110 §13.2.2): a 304 has no range.
pub(crate) fn select(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    length: u64,
    now: Timestamp,
) -> Selected {
    // RFC 9110 §14.2: ranges are defined for GET, and for what would be a 200.
    if method != Method::GET || status != StatusCode::OK {
        return Selected::Whole;
    }
    match single(request, &RANGE).and_then(ByteRange::parse) {
        Some(range) if if_range_holds(request, response, now) => range.of(length),
        _ => Selected::Whole,
    }
}

/// The one range of a `Range: bytes=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteRange {
    /// From here to there, or to the end.
    From(u64, Option<u64>),
    /// The last so many.
    Last(u64),
}

impl ByteRange {
    /// `None` for what RFC 9110 §14.2 lets a server ignore: other units, lists, what is malformed.
    fn parse(value: &[u8]) -> Option<Self> {
        let (unit, set) = value.split_first_chunk::<6>()?;
        unit.eq_ignore_ascii_case(b"bytes=").then_some(())?;
        let dash = set.iter().position(|byte| *byte == b'-')?;
        match (&set[..dash], &set[dash + 1..]) {
            (b"", last) => Some(Self::Last(decimal(last)?)),
            (first, b"") => Some(Self::From(decimal(first)?, None)),
            (first, last) => {
                let (first, last) = (decimal(first)?, decimal(last)?);
                // RFC 9110 §14.1.1: invalid, not unsatisfiable.
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// RFC 9110 §14.1.2.
    fn of(self, length: u64) -> Selected {
        let Some(end) = length.checked_sub(1) else {
            return match self {
                // "The entire representation", of which no `Content-Range` could speak.
                Self::Last(1..) => Selected::Whole,
                _ => Selected::Unsatisfiable,
            };
        };
        match self {
            Self::From(first, last) if first <= end => {
                Selected::Part(first..=last.map_or(end, |last| last.min(end)))
            }
            Self::Last(count @ 1..) => Selected::Part(length.saturating_sub(count)..=end),
            _ => Selected::Unsatisfiable,
        }
    }
}

/// RFC 9110 §13.1.5: a strong tag that is the response's, or a date that is its `Last-Modified` and
/// strong. Absent, it holds; repeated or unreadable, it does not.
fn if_range_holds(request: &HeaderMap, response: &HeaderMap, now: Timestamp) -> bool {
    if !request.contains_key(IF_RANGE) {
        return true;
    }
    let Some(value) = single(request, &IF_RANGE) else {
        return false;
    };
    if let Some(asked) = ETag::parse(value) {
        return ETag::of(response).is_some_and(|tag| tag.strong_eq(&asked));
    }
    let asked = date::parse(value, now);
    asked.is_some() && asked == strong_last_modified(response, now)
}

/// Makes the fields of a stored 200 those of a 206 with `range` of its `length` bytes. Its trailers
/// are not those of the part.
pub(crate) fn part_fields(headers: &mut HeaderMap, range: &RangeInclusive<u64>, length: u64) {
    let (first, last) = (*range.start(), *range.end());
    for name in [TRAILER, CONTENT_DIGEST, CONTENT_MD5] {
        headers.remove(name);
    }
    let content_range = HeaderValue::try_from(format!("bytes {first}-{last}/{length}"));
    headers.extend(content_range.ok().map(|value| (CONTENT_RANGE, value)));
    headers.insert(CONTENT_LENGTH, (last - first + 1).into());
}

/// Makes the fields of a stored 200 those of a 416: nothing that describes its content, and nothing
/// by which a cache farther out would keep the refusal in its place.
pub(crate) fn unsatisfiable_fields(headers: &mut HeaderMap, length: u64) {
    for name in [
        CONTENT_TYPE,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_LOCATION,
        CONTENT_DIGEST,
        CONTENT_MD5,
        ETAG,
        LAST_MODIFIED,
        EXPIRES,
        AGE,
        TRAILER,
    ] {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let content_range = HeaderValue::try_from(format!("bytes */{length}"));
    headers.extend(content_range.ok().map(|value| (CONTENT_RANGE, value)));
    headers.insert(CONTENT_LENGTH, 0_u64.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::tests::{NOW, headers};
    use Selected::{Unsatisfiable, Whole};

    type Lines<'a> = &'a [(&'a str, &'a str)];

    const STORED: Lines<'_> = &[
        ("etag", "\"a\""),
        ("last-modified", "Sun, 22 Nov 2026 23:00:00 GMT"),
        ("date", "Mon, 23 Nov 2026 00:00:00 GMT"),
    ];

    fn selected(request: Lines<'_>, stored: Lines<'_>, length: u64) -> Selected {
        let (request, stored) = (headers(request), headers(stored));
        select(&Method::GET, &request, StatusCode::OK, &stored, length, NOW)
    }

    #[test]
    fn safety_24_one_range_of_a_stored_200() {
        let part = |first, last| Selected::Part(first..=last);
        let rows: &[(&str, &str, u64, Selected)] = &[
            ("first byte", "bytes=0-0", 10, part(0, 0)),
            ("middle", "bytes=2-5", 10, part(2, 5)),
            ("open end", "bytes=7-", 10, part(7, 9)),
            ("all", "bytes=0-", 10, part(0, 9)),
            ("past the end", "bytes=7-99", 10, part(7, 9)),
            ("last byte", "bytes=9-9", 10, part(9, 9)),
            ("suffix", "bytes=-3", 10, part(7, 9)),
            ("longer suffix", "bytes=-99", 10, part(0, 9)),
            ("unit in capitals", "BYTES=0-1", 10, part(0, 1)),
            ("leading zeros", "bytes=002-005", 10, part(2, 5)),
            (
                "huge last",
                "bytes=2-99999999999999999999999",
                10,
                part(2, 9),
            ),
            (
                "huge suffix",
                "bytes=-99999999999999999999999",
                10,
                part(0, 9),
            ),
            ("from the end", "bytes=10-", 10, Unsatisfiable),
            ("beyond", "bytes=10-20", 10, Unsatisfiable),
            (
                "huge first",
                "bytes=99999999999999999999999-",
                10,
                Unsatisfiable,
            ),
            ("empty suffix", "bytes=-0", 10, Unsatisfiable),
            ("of nothing", "bytes=0-", 0, Unsatisfiable),
            ("no suffix of nothing", "bytes=-0", 0, Unsatisfiable),
            ("suffix of nothing", "bytes=-5", 0, Whole),
            ("no set", "bytes=", 10, Whole),
            ("only a dash", "bytes=-", 10, Whole),
            ("no dash", "bytes=5", 10, Whole),
            ("backwards", "bytes=5-2", 10, Whole),
            ("two dashes", "bytes=1-2-3", 10, Whole),
            ("signs", "bytes=+1-2", 10, Whole),
            ("inner space", "bytes=1 - 2", 10, Whole),
            ("space after =", "bytes= 1-2", 10, Whole),
            ("space before =", "bytes =1-2", 10, Whole),
            ("letters", "bytes=a-b", 10, Whole),
            ("hex", "bytes=0x1-2", 10, Whole),
            ("other unit", "items=0-1", 10, Whole),
            ("no unit", "0-1", 10, Whole),
            ("empty", "", 10, Whole),
            // RFC 9110 §14.2: lists may be ignored.
            ("list", "bytes=0-1,4-5", 10, Whole),
            ("list with empty members", "bytes=0-1,", 10, Whole),
        ];
        for (name, range, length, expected) in rows {
            let found = selected(&[("range", range)], STORED, *length);
            assert_eq!(found, *expected, "{name}");
        }
        assert_eq!(selected(&[], STORED, 10), Whole);
        let twice = [("range", "bytes=0-1"), ("range", "bytes=2-3")];
        assert_eq!(selected(&twice, STORED, 10), Whole);
    }

    #[test]
    fn safety_24_only_a_get_of_a_200_has_ranges() {
        let request = headers(&[("range", "bytes=0-1")]);
        let stored = headers(STORED);
        let found = |method, status| {
            let status = StatusCode::from_u16(status).unwrap();
            select(&method, &request, status, &stored, 10, NOW)
        };
        assert_eq!(found(Method::GET, 200), Selected::Part(0..=1));
        assert_eq!(found(Method::HEAD, 200), Whole);
        assert_eq!(found(Method::POST, 200), Whole);
        for status in [203, 204, 301, 404, 500] {
            assert_eq!(found(Method::GET, status), Whole, "{status}");
        }
    }

    #[test]
    fn safety_24_if_range_needs_a_strong_validator_that_matches() {
        let stored_date = "Sun, 22 Nov 2026 23:00:00 GMT";
        let weak = [("etag", "W/\"a\"")];
        let same_second = [("last-modified", stored_date), ("date", stored_date)];
        let rows: &[(&str, &[&str], Lines<'_>, bool)] = &[
            ("tag", &["\"a\""], STORED, true),
            ("other tag", &["\"b\""], STORED, false),
            ("weak asked", &["W/\"a\""], STORED, false),
            ("weak stored", &["\"a\""], &weak, false),
            ("both weak", &["W/\"a\""], &weak, false),
            ("no tag stored", &["\"a\""], &[], false),
            ("list", &["\"a\", \"b\""], STORED, false),
            ("any", &["*"], STORED, false),
            ("repeated", &["\"a\"", "\"a\""], STORED, false),
            ("date", &[stored_date], STORED, true),
            (
                "same date, other format",
                &["Sun Nov 22 23:00:00 2026"],
                STORED,
                true,
            ),
            (
                "later date",
                &["Mon, 23 Nov 2026 00:00:00 GMT"],
                STORED,
                false,
            ),
            ("weak date", &[stored_date], &same_second, false),
            ("no date stored", &[stored_date], &[], false),
            ("garbage", &["a"], STORED, false),
            ("empty", &[""], STORED, false),
        ];
        for (name, if_range, stored, holds) in rows {
            let mut request = vec![("range", "bytes=0-1")];
            request.extend(if_range.iter().map(|value| ("if-range", *value)));
            let expected = if *holds { Selected::Part(0..=1) } else { Whole };
            assert_eq!(selected(&request, stored, 10), expected, "{name}");
        }
        // Where it does not hold, not even an unsatisfiable range is refused.
        let request = [("range", "bytes=99-"), ("if-range", "\"b\"")];
        assert_eq!(selected(&request, STORED, 10), Whole);
    }

    #[test]
    fn a_part_says_which_and_a_refusal_says_of_how_much() {
        let stored = [
            ("content-type", "a/b"),
            ("content-length", "10"),
            ("content-digest", "x"),
            ("etag", "\"a\""),
            ("cache-control", "max-age=60"),
            ("vary", "accept"),
        ];
        let mut part = headers(&stored);
        part_fields(&mut part, &(2..=5), 10);
        let expected = [
            ("content-type", "a/b"),
            ("content-length", "4"),
            ("content-range", "bytes 2-5/10"),
            ("etag", "\"a\""),
            ("cache-control", "max-age=60"),
            ("vary", "accept"),
        ];
        assert_eq!(part, headers(&expected));

        let mut refusal = headers(&stored);
        unsatisfiable_fields(&mut refusal, 10);
        let expected = [
            ("vary", "accept"),
            ("accept-ranges", "bytes"),
            ("cache-control", "no-store"),
            ("content-length", "0"),
            ("content-range", "bytes */10"),
        ];
        assert_eq!(refusal, headers(&expected));
    }
}
