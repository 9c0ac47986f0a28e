//! Fields that belong to one connection and go no further (RFC 9110 §7.6.1), in both directions.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use smallvec::SmallVec;

/// Stay even if `Connection` names them: a sender must not (RFC 9110 §7.6.1), and without them the
/// message would mean something else, or be kept where it may not be.
const NEVER: [&str; 14] = [
    "age",
    "cache-control",
    "cdn-cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "expires",
    "host",
    "pragma",
    "set-cookie",
    "trailer",
    "vary",
];

/// What of the removed fields the next connection may need to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Removed {
    /// The protocol that the sender asks for, or agrees to, after this message.
    pub(super) upgrade: Option<HeaderValue>,
    /// The sender accepts trailers (RFC 9110 §10.1.4).
    pub(super) trailers: bool,
}

/// Removes the fields of the connection from a message.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) -> Removed {
    let named = named_by_connection(headers);
    let always = headers.keys().filter(|name| is_hop_by_hop(name));
    let always: SmallVec<[HeaderName; 4]> = always.cloned().collect();
    let asked = named.contains(&UPGRADE).then(|| headers.get(UPGRADE));
    let removed = Removed {
        upgrade: asked.flatten().cloned(),
        trailers: always.contains(&TE) && has_token(headers, &TE, "trailers"),
    };
    for name in named.iter().chain(&always) {
        headers.remove(name);
    }
    removed
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

/// Whether the body is coded in a way that is undone here: one `chunked` and nothing else.
pub(super) fn understood(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Writes the length of a body as the parser understood it: `5, 5` or two lines are one 5 (RFC 9112
/// §6.3), and the next reader shall not have to decide anew (SAFETY 17).
pub(super) fn settle_length(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else { return };
    let plain = first.as_bytes().iter().all(u8::is_ascii_digit);
    if plain && lines.next().is_none() {
        return;
    }
    let first = first.as_bytes().split(|byte| *byte == b',').next();
    let first = first.and_then(|length| HeaderValue::from_bytes(length.trim_ascii()).ok());
    match first {
        Some(length) => headers.insert(CONTENT_LENGTH, length),
        None => headers.remove(CONTENT_LENGTH),
    };
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
        assert_eq!(remove_hop_by_hop(&mut headers), Removed::default());
        assert!(headers.is_empty());
    }

    #[test]
    fn connection_cannot_take_away_what_decides_about_caching() {
        let fields = [
            ("cache-control", "private"),
            ("vary", "cookie"),
            ("set-cookie", "a=b"),
        ];
        let mut headers = map(&fields);
        headers.insert(
            "connection",
            HeaderValue::from_static("cache-control, Vary, set-cookie"),
        );
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&fields));
    }

    #[test]
    fn safety_17_a_length_is_written_once() {
        for (lines, expected) in [
            (&["5"][..], Some("5")),
            (&["5, 5"], Some("5")),
            (&["5", "5"], Some("5")),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("content-length", HeaderValue::from_static(line));
            }
            settle_length(&mut headers);
            let found: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
            assert_eq!(found, Vec::from_iter(expected), "{lines:?}");
        }
    }
}
