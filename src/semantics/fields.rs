//! Which fields of a response are stored (RFC 9111 §3.1) or passed on at all (RFC 9110 §7.6.1).

use http::StatusCode;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};

use super::cache_control::ResponseDirectives;
use super::storable::{StoreSetCookie, content_length};
use super::syntax::members;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");

/// The fields of a response that are stored: all, in order and byte for byte, but those of the
/// connection, those of a proxy's own authentication, and those that a qualified `private` or
/// `no-cache` withholds. `Set-Cookie` stays only where it is to be kept.
///
/// `Trailer` stays: it announces trailers, and they are stored too. (RFC 9110 §7.6.1 does not count
/// it among the fields of the connection.)
pub(crate) fn stored_fields(
    headers: &HeaderMap,
    directives: &ResponseDirectives,
    set_cookie: StoreSetCookie,
) -> HeaderMap {
    let per_connection = PerConnection::of(headers);
    let keep = |name: &HeaderName| {
        !per_connection.has(name)
            && !of_proxy(name)
            && !directives.withholds(name)
            && (name != SET_COOKIE || set_cookie == StoreSetCookie::Keep)
    };
    filter(headers, keep)
}

/// Writes the declared length as the number that it is, and not at all where there must be none (RFC 9110
/// §8.6): a 204 with a length would seem to have lost its body (SAFETY 86, 87).
pub(crate) fn settle_length(status: StatusCode, headers: &mut HeaderMap) {
    if status == StatusCode::NO_CONTENT || status.is_informational() {
        headers.remove(CONTENT_LENGTH);
    }
    let Ok(Some(length)) = content_length(headers) else {
        return;
    };
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let plain = |line: &HeaderValue| {
        let line = line.as_bytes();
        line == b"0"
            || matches!(line, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit))
    };
    if !lines.next().is_some_and(plain) || lines.next().is_some() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// The cookies of all lines in one, as whoever knows nothing of HTTP/2 expects them (RFC 9113 §8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let joined = lines.collect::<Vec<_>>().join(&b"; "[..]);
    let joined = HeaderValue::from_bytes(&joined).expect("what was joined are field values");
    headers.insert(COOKIE, joined);
}

/// A copy with the fields that `keep` accepts. Removing from a `HeaderMap` would reorder the rest.
pub(super) fn filter(headers: &HeaderMap, keep: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers.iter().filter(|(name, _)| keep(name)) {
        kept.append(name.clone(), value.clone());
    }
    kept
}

/// The fields that belong to one connection of one message.
#[derive(Debug)]
pub(crate) struct PerConnection {
    named: Vec<HeaderName>,
}

impl PerConnection {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let named = members(headers, &CONNECTION);
        Self {
            // An option that is no field name (it cannot be one) names no field.
            named: named.flat_map(HeaderName::from_bytes).collect(),
        }
    }

    /// If the message names some itself.
    pub(crate) fn named(headers: &HeaderMap) -> Option<Self> {
        let found = Self::of(headers);
        (!found.named.is_empty()).then_some(found)
    }

    pub(super) fn has(&self, name: &HeaderName) -> bool {
        [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE].contains(name)
            || [KEEP_ALIVE, PROXY_CONNECTION].contains(name)
            || self.named.contains(name)
    }
}

/// RFC 9111 §3.1: never stored, as they answer to one proxy.
fn of_proxy(name: &HeaderName) -> bool {
    [PROXY_AUTHENTICATE, PROXY_AUTHORIZATION].contains(name) || *name == PROXY_AUTHENTICATION_INFO
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::tests::headers;

    fn stored(fields: &[(&str, &str)], set_cookie: StoreSetCookie) -> Vec<String> {
        let headers = headers(fields);
        let directives = ResponseDirectives::parse(&headers);
        let stored = stored_fields(&headers, &directives, set_cookie);
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.as_bytes().escape_ascii())
        };
        stored.iter().map(line).collect()
    }

    #[test]
    fn safety_16_fields_of_the_connection_are_not_stored() {
        let rows: &[(&str, &[(&str, &str)])] = &[
            ("named", &[("connection", "x-secret"), ("x-secret", "1")]),
            ("case", &[("connection", "X-Secret"), ("x-secret", "1")]),
            (
                "list",
                &[
                    ("connection", "close, ,x-a ,x-b"),
                    ("x-a", "1"),
                    ("x-b", "1"),
                ],
            ),
            (
                "two lines",
                &[("connection", "close"), ("connection", "x-a"), ("x-a", "1")],
            ),
            (
                "a bad option beside",
                &[("connection", "x a, x-b"), ("x-b", "1")],
            ),
            (
                "every line",
                &[("connection", "x-a"), ("x-a", "1"), ("x-a", "2")],
            ),
            ("keep-alive", &[("keep-alive", "timeout=5")]),
            ("proxy-connection", &[("proxy-connection", "keep-alive")]),
            ("te", &[("te", "trailers")]),
            ("transfer-encoding", &[("transfer-encoding", "chunked")]),
            ("upgrade", &[("upgrade", "h2c")]),
            ("proxy-authenticate", &[("proxy-authenticate", "Basic")]),
            ("proxy-authorization", &[("proxy-authorization", "Basic x")]),
            (
                "proxy-authentication-info",
                &[("proxy-authentication-info", "x")],
            ),
        ];
        for (name, fields) in rows {
            let mut all = vec![("x-first", "1")];
            all.extend_from_slice(fields);
            all.push(("x-last", "2"));
            let stored = stored(&all, StoreSetCookie::Keep);
            assert_eq!(stored, ["x-first: 1", "x-last: 2"], "{name}");
        }
    }

    #[test]
    fn safety_28_lines_keep_their_number_their_order_and_their_bytes() {
        let mut fields = headers(&[
            ("link", "<a>; rel=next"),
            ("x-b", "1, 2"),
            ("connection", "x-gone"),
            ("x-gone", "0"),
            ("link", "<b>; rel=\"x,y\""),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2, c"),
        ]);
        let odd = HeaderValue::from_bytes(b"caf\xe9\t  \xff").unwrap();
        fields.append("x-odd", odd.clone());
        let kept = stored_fields(
            &fields,
            &ResponseDirectives::default(),
            StoreSetCookie::Keep,
        );
        let lines = |name: &str| -> Vec<_> { kept.get_all(name).iter().collect() };
        assert_eq!(lines("link"), ["<a>; rel=next", "<b>; rel=\"x,y\""]);
        assert_eq!(lines("set-cookie"), ["a=1", "b=2, c"]);
        assert_eq!(lines("x-b"), ["1, 2"]);
        assert_eq!(lines("x-odd"), [&odd]);
        let names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["link", "x-b", "set-cookie", "x-odd"]);
    }

    #[test]
    fn fields_that_qualified_directives_name_are_not_stored() {
        let rows: &[(&str, &str, &[&str])] = &[
            ("private", "private=\"x-a, x-c\"", &["x-b: 2"]),
            ("no-cache", "no-cache=\"X-B\"", &["x-a: 1", "x-c: 3"]),
            ("both", "private=x-a, no-cache=\"x-b\"", &["x-c: 3"]),
            ("bare", "no-cache", &["x-a: 1", "x-b: 2", "x-c: 3"]),
        ];
        for (name, directive, expected) in rows {
            let fields = [
                ("cache-control", *directive),
                ("x-a", "1"),
                ("x-b", "2"),
                ("x-c", "3"),
            ];
            let stored = stored(&fields, StoreSetCookie::Refuse);
            assert_eq!(stored[1..], **expected, "{name}");
        }
    }

    #[test]
    fn safety_01_set_cookie_stays_only_where_it_is_to_be_kept() {
        let fields = [("set-cookie", "a=1"), ("x-a", "1"), ("set-cookie", "b=2")];
        assert_eq!(stored(&fields, StoreSetCookie::Strip), ["x-a: 1"]);
        assert_eq!(stored(&fields, StoreSetCookie::Refuse), ["x-a: 1"]);
        assert_eq!(stored(&fields, StoreSetCookie::Keep).len(), 3);
    }

    #[test]
    fn safety_86_87_a_length_is_written_as_a_number_or_not_at_all() {
        let rows: &[(u16, &[&str], &[&str])] = &[
            (200, &["03"], &["3"]),
            (200, &["3, 3"], &["3"]),
            (200, &["3", "03"], &["3"]),
            (200, &["0"], &["0"]),
            (200, &["00"], &["0"]),
            (200, &["30"], &["30"]),
            // What cannot be read is not stored; it is not for here to mend it.
            (200, &["3", "4"], &["3", "4"]),
            (200, &["+3"], &["+3"]),
            (204, &["5"], &[]),
            (204, &["0"], &[]),
            (204, &["x"], &[]),
            (205, &["0"], &["0"]),
            (304, &["5"], &["5"]),
        ];
        for (status, sent, expected) in rows {
            let status = StatusCode::from_u16(*status).unwrap();
            let sent: Vec<_> = sent.iter().map(|line| ("content-length", *line)).collect();
            let mut fields = headers(&sent);
            settle_length(status, &mut fields);
            let left: Vec<_> = fields.get_all("content-length").iter().collect();
            assert_eq!(left, *expected, "{status} {sent:?}");
        }
    }
}
