//! The few rules of grammar that several fields share (RFC 9110 §5.6).

use std::time::Duration;

use http::header::{HeaderMap, HeaderName};

/// What a number of seconds too large to hold counts as (RFC 9111 §1.2.2).
const MAX_DELTA: u64 = 1 << 31;

pub(super) const fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_ows(*first) {
            break;
        }
        bytes = rest;
    }
    trim_ows_end(bytes)
}

pub(super) fn trim_ows_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes {
        if !is_ows(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// `token` (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    let tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(tchar)
}

/// `delta-seconds` (RFC 9111 §1.2.2): digits and nothing else, at most 2³¹.
pub(super) fn delta_seconds(bytes: &[u8]) -> Option<Duration> {
    decimal(bytes).map(|seconds| Duration::from_secs(seconds.min(MAX_DELTA)))
}

/// `1*DIGIT`, saturating: RFC 9110 §14.1.1 warns of numbers that overflow.
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

/// The lines of a field as bytes, in order.
pub(super) fn lines<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().map(|value| value.as_bytes())
}

/// The value of a field that may stand once; `None` if it is missing or repeated.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = lines(headers, name);
    let value = lines.next()?;
    lines.next().is_none().then(|| trim_ows(value))
}

/// The members of a list of tokens, over all lines of the field. Empty ones are left out (RFC 9110
/// §5.6.1.2). Not for lists whose members may hold a quoted-string: see [`quoted_members`].
pub(super) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    lines(headers, name).flat_map(split_members)
}

pub(super) fn split_members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',')
        .map(trim_ows)
        .filter(|member| !member.is_empty())
}

/// The members of one line, where a comma inside a quoted-string does not separate. An unclosed
/// quote runs to the end of the line; the reader of the member has to notice.
pub(super) fn quoted_members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quotes = Quotes::default();
    line.split(move |byte| quotes.outside(*byte) && *byte == b',')
        .map(trim_ows)
        .filter(|member| !member.is_empty())
}

/// Follows quoted-strings (RFC 9110 §5.6.4) byte by byte.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    inside: bool,
    escaped: bool,
}

impl Quotes {
    /// Takes the next byte; true if it stands outside of quoted-strings (the quotes themselves do not).
    pub(super) const fn outside(&mut self, byte: u8) -> bool {
        if !self.inside {
            self.inside = byte == b'"';
            return !self.inside;
        }
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.inside = false;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delta_seconds_is_digits_only_and_saturates() {
        let rows: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("0060", Some(60)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483649", Some(2_147_483_648)),
            ("99999999999999999999999999", Some(2_147_483_648)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1e3", None),
            ("60s", None),
            ("'60'", None),
        ];
        for (text, seconds) in rows {
            let found = delta_seconds(text.as_bytes());
            assert_eq!(found, seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn a_comma_in_a_quoted_string_does_not_separate() {
        let split = |line: &'static str| quoted_members(line.as_bytes()).collect::<Vec<_>>();
        assert_eq!(split(r#"a="1,2" , ,b"#), [&br#"a="1,2""#[..], &b"b"[..]]);
        assert_eq!(split(r#"a="\",",b"#), [&br#"a="\",""#[..], &b"b"[..]]);
        assert_eq!(split(r#"a="1,b"#), [&br#"a="1,b"#[..]]);
    }
}
