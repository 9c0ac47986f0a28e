//! Fields that belong to one connection and go no further (RFC 9110 §7.6.1), in both directions.

use std::collections::HashSet;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use smallvec::SmallVec;

/// Stay even if `Connection` names them: a sender must not (RFC 9110 §7.6.1), and without them the
/// message would mean something else, or be kept where it may not be.
const NEVER: [&str; 22] = [
    "age",
    "cache-control",
    "cache-groups",
    "cache-tag",
    "cdn-cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "edge-cache-tag",
    "etag",
    "expires",
    "host",
    "last-modified",
    "pragma",
    "set-cookie",
    "surrogate-control",
    "surrogate-key",
    "trailer",
    "vary",
    "xkey",
];

/// What of the removed fields the next connection may need to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Removal {
    /// The protocol that the sender asks for, or agrees to, after this message.
    pub(super) upgrade: Option<HeaderValue>,
    /// The sender accepts trailers (RFC 9110 §10.1.4).
    pub(super) trailers: bool,
    /// What `Connection` names.
    pub(super) named: Vec<HeaderName>,
}

/// Removes the fields of the connection from a message.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) -> Removal {
    let named = named_by_connection(headers);
    let always = headers.keys().filter(|name| is_hop_by_hop(name));
    let always: SmallVec<[HeaderName; 4]> = always.cloned().collect();
    let asked = named.contains(&UPGRADE).then(|| headers.get(UPGRADE));
    let upgrade = asked.flatten().cloned();
    let trailers = always.contains(&TE) && has_token(headers, &TE, "trailers");
    let spelled = match named.is_empty() {
        true => SmallVec::new(),
        false => spelled(headers, &named),
    };
    for name in named.iter().chain(&always).chain(&spelled) {
        headers.remove(name);
    }
    Removal {
        upgrade,
        trailers,
        named,
    }
}

/// What is named, in whatever spelling a server behind may read. A head may name thousands, and have a
/// hundred odd names beside: each is looked at once.
fn spelled(headers: &HeaderMap, named: &[HeaderName]) -> SmallVec<[HeaderName; 4]> {
    let odd = headers.keys().filter(|name| is_odd(name));
    let odd: SmallVec<[&HeaderName; 4]> = odd.collect();
    if odd.is_empty() {
        return SmallVec::new();
    }
    let spell = |name: &HeaderName| usual(name).unwrap_or_else(|| name.clone());
    let named: HashSet<HeaderName> = named.iter().map(spell).collect();
    let spelled = odd.into_iter().filter(|name| named.contains(&spell(name)));
    spelled.cloned().collect()
}

/// Whether a field is always of one connection, named by `Connection` or not. `Proxy-*` speaks to a
/// proxy that the client chose, which this one is not.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(CONNECTION).iter();
    let tokens = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    // What nearly all say, and which goes anyway.
    let tokens = tokens.filter(|token| !token.eq_ignore_ascii_case(b"keep-alive"));
    let names = tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok());
    names
        .filter(|name| !NEVER.contains(&name.as_str()))
        .collect()
}

/// Whether the list in the field `name` has `token`, whatever follows a `;`.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter();
    let mut members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    members.any(|member| {
        let end = member.iter().position(|byte| *byte == b';');
        let member = &member[..end.unwrap_or(member.len())];
        member.trim_ascii().eq_ignore_ascii_case(token.as_bytes())
    })
}

/// Whether a field says who asked, or for what: an upstream might believe any of them.
pub(super) fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip")
}

/// Whether the body is coded in a way that is undone here: one `chunked` and nothing else.
pub(super) fn understood(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// `Content-Length` cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadLength;

/// Writes the length of a body as the number that it is: `5, 5`, two lines, or `05` are one 5 (RFC 9112
/// §6.3), and the next reader shall not have to decide anew (SAFETY 17, 86).
///
/// # Errors
/// If it is not one number.
pub(super) fn settle_length(headers: &mut HeaderMap) -> Result<(), BadLength> {
    let lines = headers.get_all(CONTENT_LENGTH).iter();
    let mut members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let Some(first) = members.next() else {
        return Ok(());
    };
    let length = number(first).ok_or(BadLength)?;
    let (mut more, mut same) = (false, true);
    for member in members {
        (more, same) = (true, same && number(member) == Some(length));
    }
    if !same {
        return Err(BadLength);
    }
    let plain = first == b"0"
        || first
            .first()
            .is_some_and(|digit| matches!(digit, b'1'..=b'9'));
    if more || !plain {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(())
}

/// Digits and nothing else but white space around them.
fn number(member: &[u8]) -> Option<u64> {
    let digits = member.trim_ascii();
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    digits.parse().ok()
}

/// Whether a server behind may take the field `name` for another one: CGI, WSGI, Rack and PHP have `_`
/// for what is neither letter nor digit, `-` included (SAFETY 66).
pub(super) fn is_odd(name: &HeaderName) -> bool {
    // Without an early end, so that it is done many bytes at a time.
    let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || byte == b'-');
    name.as_str()
        .bytes()
        .fold(false, |found, byte| found | odd(byte))
}

/// Removes the fields with odd names; `keep` keeps those that no server behind can take for a field of
/// the connection, of the message's length or of who asked.
pub(super) fn remove_odd(headers: &mut HeaderMap, keep: bool) {
    let gone = |name: &&HeaderName| {
        is_odd(name) && !(keep && usual(name).is_some_and(|name| may_be_odd(&name)))
    };
    let gone: SmallVec<[HeaderName; 4]> = headers.keys().filter(gone).cloned().collect();
    for name in &gone {
        headers.remove(name);
    }
}

/// The usual name that an odd one may be taken for.
pub(crate) fn usual(name: &HeaderName) -> Option<HeaderName> {
    let bytes = name.as_str().bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => byte,
        _ => b'-',
    });
    HeaderName::from_bytes(&bytes.collect::<Vec<_>>()).ok()
}

fn may_be_odd(usual: &HeaderName) -> bool {
    !is_hop_by_hop(usual) && !is_claim(usual) && !NEVER.contains(&usual.as_str())
}

/// The cookies of all lines in one: HTTP/2 may send each on its own, and what reads HTTP/1.1 need not
/// look at more than one line (RFC 9113 §8.2.3, RFC 6265 §5.4).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let joined = lines.collect::<Vec<_>>().join(&b"; "[..]);
    let joined = HeaderValue::from_bytes(&joined).expect("what was joined are field values");
    headers.insert(COOKIE, joined);
}

/// Whether a value begins or ends with white space: in HTTP/2 it is malformed (RFC 9113 §8.2.1), in
/// HTTP/1.1 it would be none of the value (RFC 9112 §5), so that two readers would differ.
pub(super) fn has_outer_space(headers: &HeaderMap) -> bool {
    let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let outer = |value: &[u8]| space(value.first()) || space(value.last());
    headers.values().any(|value| outer(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn safety_16_fields_of_the_connection_go_no_further() {
        let mut headers = map(&[
            ("connection", "close, X-Secret"),
            ("connection", "x-other,, ,Upgrade"),
            ("x-secret", "1"),
            ("x-secret", "2"),
            ("x-other", "1"),
            ("x-kept", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("proxy-authorization", "Basic eA=="),
            ("transfer-encoding", "chunked"),
            ("te", "gzip, Trailers;q=0.5"),
            ("upgrade", "websocket"),
        ]);
        let removed = remove_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("x-kept", "1")]));
        assert!(removed.trailers);
        assert_eq!(removed.upgrade.unwrap(), "websocket");
    }

    #[test]
    fn an_upgrade_that_connection_does_not_name_is_none() {
        let mut headers = map(&[("upgrade", "websocket"), ("connection", "keep-alive")]);
        assert_eq!(remove_hop_by_hop(&mut headers), Removal::default());
        assert!(headers.is_empty());
    }

    #[test]
    fn connection_cannot_take_away_what_decides_about_caching() {
        let fields = [
            ("cache-control", "private"),
            ("vary", "cookie"),
            ("set-cookie", "a=b"),
            ("surrogate-key", "a"),
            ("surrogate-control", "max-age=9"),
            ("etag", "\"a\""),
        ];
        let mut headers = map(&fields);
        let named = "cache-control, Vary, set-cookie, Surrogate-Key, surrogate-control, ETag";
        headers.insert("connection", HeaderValue::from_static(named));
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&fields));
    }

    #[test]
    fn safety_17_86_a_length_is_written_once_and_as_a_number() {
        for (lines, expected) in [
            (&["5"][..], Some("5")),
            (&["5, 5"], Some("5")),
            (&["5", "5"], Some("5")),
            (&["05"], Some("5")),
            (&["000"], Some("0")),
            (&["0"], Some("0")),
            (&["05, 5"], Some("5")),
            (&["005", "5"], Some("5")),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("content-length", HeaderValue::from_static(line));
            }
            assert_eq!(settle_length(&mut headers), Ok(()), "{lines:?}");
            let found: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
            assert_eq!(found, Vec::from_iter(expected), "{lines:?}");
        }
        for lines in [
            &["+5"][..],
            &["-5"],
            &["5, 6"],
            &["5", "6"],
            &["5,"],
            &[""],
            &["0x5"],
            &["5 5"],
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("content-length", HeaderValue::from_static(line));
            }
            assert_eq!(settle_length(&mut headers), Err(BadLength), "{lines:?}");
        }
    }

    #[test]
    fn safety_66_what_a_server_may_take_for_another_field_is_removed_or_harmless() {
        let sent = || {
            map(&[
                ("x-user", "1"),
                ("x_user", "2"),
                ("x.user", "3"),
                ("transfer_encoding", "chunked"),
                ("content_length", "5"),
                ("proxy_authorization", "x"),
                ("x_forwarded-for", "1.1.1.1"),
                ("x_real_ip", "1.1.1.1"),
            ])
        };
        let mut headers = sent();
        remove_odd(&mut headers, false);
        assert_eq!(headers, map(&[("x-user", "1")]));
        let mut headers = sent();
        remove_odd(&mut headers, true);
        let kept = [("x-user", "1"), ("x_user", "2"), ("x.user", "3")];
        assert_eq!(headers, map(&kept));
        headers.insert("connection", HeaderValue::from_static("X-User"));
        remove_hop_by_hop(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn safety_69_cookies_are_one_line() {
        for (lines, expected) in [
            (&[("cookie", "a=1")][..], "a=1"),
            (
                &[("cookie", "a=1"), ("cookie", "b=2; c=3")],
                "a=1; b=2; c=3",
            ),
        ] {
            let mut headers = map(lines);
            join_cookies(&mut headers);
            assert_eq!(headers, map(&[("cookie", expected)]));
        }
    }
}
