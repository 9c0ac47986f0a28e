//! Parts of a stored 200 (RFC 9110 §14, `If-Range` §13.1.5).
//!
//! Lists of ranges are served as `multipart/byteranges`, unless they overlap or are many: §14.2 warns
//! of lists that cost more than they save, and lets them be answered with the whole.

use std::ops::RangeInclusive;

use http::header::{
    ACCEPT_RANGES, AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue, IF_RANGE,
    LAST_MODIFIED, RANGE, TRAILER,
};
use http::{Method, StatusCode};
use smallvec::SmallVec;

use super::conditions::has_conditions;
use super::date;
use super::syntax::{decimal, is_ows, single, split_members};
use super::update::{CONTENT_DIGEST, CONTENT_MD5};
use super::validator::{ETag, strong_last_modified};
use crate::clock::Timestamp;

/// How much of a stored response answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of it, with its own status.
    Whole,
    /// These bytes, with 206 and [`part_fields`].
    Part(RangeInclusive<u64>),
    /// These parts, none of which overlaps another, with 206 and [`multipart`].
    Parts(Vec<RangeInclusive<u64>>),
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
) -> Selection {
    // RFC 9110 §14.2: ranges are defined for GET, and for what would be a 200.
    if method != Method::GET || status != StatusCode::OK {
        return Selection::Whole;
    }
    match single(request, &RANGE).and_then(parse) {
        Some(ranges) if if_range_holds(request, response, now) => of_list(&ranges, length),
        _ => Selection::Whole,
    }
}

/// The most parts that one response is made of.
const MAX_PARTS: usize = 16;

/// The ranges of a `Range: bytes=…`; `None` for what RFC 9110 §14.2 lets a server ignore: other
/// units, too many, anything malformed.
fn parse(value: &[u8]) -> Option<SmallVec<[ByteRange; 1]>> {
    let (unit, set) = value.split_first_chunk::<6>()?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(())?;
    // No space before the first range (RFC 9110 §14.1.1); around commas there may be.
    set.first().filter(|byte| !is_ows(**byte))?;
    let mut ranges = SmallVec::new();
    for member in split_members(set) {
        if ranges.len() == MAX_PARTS {
            return None;
        }
        ranges.push(ByteRange::parse(member)?);
    }
    (!ranges.is_empty()).then_some(ranges)
}

/// RFC 9110 §14.1.2: what cannot be satisfied is left out of a list, unless that leaves nothing.
fn of_list(ranges: &[ByteRange], length: u64) -> Selection {
    if let [range] = ranges {
        return range.of(length);
    }
    let mut parts: Vec<RangeInclusive<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match range.of(length) {
            Selection::Part(part) => {
                if parts.iter().any(|other| overlap(other, &part)) {
                    return Selection::Whole;
                }
                parts.push(part);
            }
            Selection::Unsatisfiable => {}
            whole => return whole,
        }
    }
    match (parts.pop(), parts.is_empty()) {
        (None, _) => Selection::Unsatisfiable,
        (Some(only), true) => Selection::Part(only),
        (Some(last), false) => {
            parts.push(last);
            Selection::Parts(parts)
        }
    }
}

fn overlap(a: &RangeInclusive<u64>, b: &RangeInclusive<u64>) -> bool {
    a.start() <= b.end() && b.start() <= a.end()
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
    fn parse(set: &[u8]) -> Option<Self> {
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
    fn of(self, length: u64) -> Selection {
        let Some(end) = length.checked_sub(1) else {
            return match self {
                // "The entire representation", of which no `Content-Range` could speak.
                Self::Last(1..) => Selection::Whole,
                _ => Selection::Unsatisfiable,
            };
        };
        match self {
            Self::From(first, last) if first <= end => {
                Selection::Part(first..=last.map_or(end, |last| last.min(end)))
            }
            Self::Last(count @ 1..) => Selection::Part(length.saturating_sub(count)..=end),
            _ => Selection::Unsatisfiable,
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

/// Which bytes of the whole a 206 has, by its `Content-Range` (RFC 9110 §14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The length of the whole.
    pub(crate) total: u64,
}

impl Span {
    /// `None` where the field is missing, malformed, of another unit, or leaves the length open.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = single(headers, &CONTENT_RANGE)?;
        let (unit, rest) = value.split_first_chunk::<6>()?;
        unit.eq_ignore_ascii_case(b"bytes ").then_some(())?;
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        let (range, total) = (&rest[..slash], decimal(&rest[slash + 1..])?);
        let dash = range.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (decimal(&range[..dash])?, decimal(&range[dash + 1..])?);
        (first <= last && last < total).then_some(Self { first, last, total })
    }

    pub(crate) const fn length(&self) -> u64 {
        self.last - self.first + 1
    }

    pub(crate) const fn is_whole(&self) -> bool {
        self.length() == self.total
    }

    /// What is covered by this and `other` together, if that leaves no gap and they speak of the same
    /// whole.
    pub(crate) fn union(&self, other: &Self) -> Option<Self> {
        let touch = self.first <= other.last.saturating_add(1)
            && other.first <= self.last.saturating_add(1);
        (touch && self.total == other.total).then(|| Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            total: self.total,
        })
    }
}

/// Whether a `GET` with these fields asks for one range of bytes: what brings a part, and what a stored part
/// could answer.
pub(crate) fn asks_for_one_range(request: &HeaderMap) -> bool {
    let ranges = single(request, &RANGE).and_then(parse);
    ranges.is_some_and(|ranges| ranges.len() == 1)
}

/// The bytes of the whole that such a request asks for, if a stored part with the fields `part`, which spans
/// `span`, has them.
pub(crate) fn select_of_part(
    request: &HeaderMap,
    part: &HeaderMap,
    span: &Span,
    now: Timestamp,
) -> Option<RangeInclusive<u64>> {
    // What other conditions ask is for the whole.
    if has_conditions(request) || !if_range_holds(request, part, now) {
        return None;
    }
    let ranges = parse(single(request, &RANGE)?)?;
    match ranges.first()?.of(span.total) {
        Selection::Part(range) if *range.start() >= span.first && *range.end() <= span.last => {
            Some(range)
        }
        _ => None,
    }
}

/// Makes the fields of a stored 200 those of a 206 with `range` of its `length` bytes. Its trailers
/// are not those of the part.
pub(crate) fn part_fields(headers: &mut HeaderMap, range: &RangeInclusive<u64>, length: u64) {
    let (first, last) = (*range.start(), *range.end());
    for name in [TRAILER, CONTENT_DIGEST, CONTENT_MD5] {
        headers.remove(name);
    }
    let content_range = HeaderValue::try_from(format!("bytes {first}-{last}/{length}"));
    if let Ok(content_range) = content_range {
        headers.insert(CONTENT_RANGE, content_range);
    }
    headers.insert(CONTENT_LENGTH, (last - first + 1).into());
}

/// Makes the fields of a stored 200 those of a 206 with several parts of `body`, and returns its body
/// (RFC 9110 §15.3.7.2). `boundary` must not occur in `body`.
pub(crate) fn multipart(
    headers: &mut HeaderMap,
    parts: &[RangeInclusive<u64>],
    body: &[u8],
    boundary: &str,
) -> Vec<u8> {
    let content_type = headers.get(CONTENT_TYPE).cloned();
    let mut whole = Vec::new();
    for part in parts {
        let (first, last) = (*part.start(), *part.end());
        whole.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        if let Some(content_type) = &content_type {
            whole.extend_from_slice(b"Content-Type: ");
            whole.extend_from_slice(content_type.as_bytes());
            whole.extend_from_slice(b"\r\n");
        }
        let range = format!("Content-Range: bytes {first}-{last}/{}\r\n\r\n", body.len());
        whole.extend_from_slice(range.as_bytes());
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(body.len());
        whole.extend_from_slice(&body[place(first)..place(last.saturating_add(1))]);
    }
    whole.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    for name in [TRAILER, CONTENT_DIGEST, CONTENT_MD5] {
        headers.remove(name);
    }
    let content_type = format!("multipart/byteranges; boundary={boundary}");
    if let Ok(content_type) = HeaderValue::try_from(content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(CONTENT_LENGTH, whole.len().into());
    whole
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
    if let Ok(content_range) = HeaderValue::try_from(format!("bytes */{length}")) {
        headers.insert(CONTENT_RANGE, content_range);
    }
    headers.insert(CONTENT_LENGTH, 0_u64.into());
}

#[cfg(test)]
mod tests;
