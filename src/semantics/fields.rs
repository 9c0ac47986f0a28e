//! Which fields of a response are stored (RFC 9111 §3.1) or passed on at all (RFC 9110 §7.6.1).

use http::header::{
    CONNECTION, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE,
    TRANSFER_ENCODING, UPGRADE,
};

use super::cache_control::ResponseDirectives;
use super::syntax::members;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");

/// What to do with a response that sets a cookie (P5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum StoreSetCookie {
    /// Do not store the response.
    #[default]
    Refuse,
    /// Store it without the cookie.
    Strip,
    /// Store it with the cookie, as RFC 9111 has it.
    Keep,
}

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

/// Removes the fields of the connection (RFC 9110 §7.6.1), as before forwarding; order is kept.
#[cfg_attr(not(test), expect(dead_code, reason = "for the proxy"))]
pub(crate) fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let per_connection = PerConnection::of(headers);
    if headers.keys().any(|name| per_connection.has(name)) {
        *headers = filter(headers, |name| !per_connection.has(name));
    }
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
struct PerConnection {
    named: Vec<HeaderName>,
}

impl PerConnection {
    fn of(headers: &HeaderMap) -> Self {
        let named = members(headers, &CONNECTION);
        Self {
            // An option that is no field name (it cannot be one) names no field.
            named: named.flat_map(HeaderName::from_bytes).collect(),
        }
    }

    fn has(&self, name: &HeaderName) -> bool {
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
    use http::HeaderValue;

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
    fn dropping_hop_by_hop_leaves_the_rest_alone() {
        let mut fields = headers(&[
            ("a", "1"),
            ("connection", "b"),
            ("b", "2"),
            ("trailer", "x"),
            ("proxy-authenticate", "Basic"),
        ]);
        drop_hop_by_hop(&mut fields);
        let names: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["a", "trailer", "proxy-authenticate"]);
    }
}
