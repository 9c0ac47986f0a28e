//! Trailers pass the same sieve as fields (RFC 9110 §6.5.1, SAFETY 70): what frames or routes a message,
//! says who asks, decides about caching or belongs to one connection is not heard after the body.

use http::header::{HeaderMap, HeaderName};

use super::cache_control::ResponseDirectives;
use super::fields::PerConnection;

/// Which trailers of one response may be kept and passed on.
#[derive(Debug)]
pub(crate) struct TrailerSieve {
    per_connection: PerConnection,
    directives: ResponseDirectives,
    ours: Vec<HeaderName>,
}

impl TrailerSieve {
    /// For a response with these fields, of which those named `ours` are for this cache.
    pub(crate) fn of<'a>(head: &HeaderMap, ours: impl Iterator<Item = &'a HeaderName>) -> Self {
        Self {
            per_connection: PerConnection::of(head),
            directives: ResponseDirectives::effective(head),
            ours: ours.cloned().collect(),
        }
    }

    /// What is left of `trailers`, in order; `None` if nothing is.
    pub(crate) fn pass(&self, trailers: HeaderMap) -> Option<HeaderMap> {
        sift(trailers, |name| {
            !self.per_connection.has(name)
                && !self.directives.withholds(name)
                && !self.ours.contains(name)
        })
    }
}

/// The trailers that a response which is passed on as it is may have, where `connection` are the fields
/// that its head names as those of the connection; `None` if there are none.
pub(crate) fn trailer_fields(
    trailers: HeaderMap,
    connection: Option<&PerConnection>,
) -> Option<HeaderMap> {
    sift(trailers, |name| {
        connection.is_none_or(|connection| !connection.has(name))
    })
}

fn sift(trailers: HeaderMap, also: impl Fn(&HeaderName) -> bool) -> Option<HeaderMap> {
    let keep = |name: &HeaderName| may_trail(name) && also(name);
    let kept = match trailers.keys().all(keep) {
        true => trailers,
        false => super::fields::filter(&trailers, keep),
    };
    (!kept.is_empty()).then_some(kept)
}

/// Whether a field may stand among trailers, by name: nothing that frames, routes or authorises a message, or decides
/// about caching (RFC 9110 §6.5.1). The cache passes and keeps no others.
#[must_use]
pub fn may_trail(name: &HeaderName) -> bool {
    let name = name.as_str();
    match name {
        // Digests of the content are made for it (RFC 9530).
        "content-digest" | "content-md5" => true,
        _ => !(frames_or_routes(name) || asks(name) || controls(name)),
    }
}

/// Framing, the connection, what the content is, and where the message goes.
fn frames_or_routes(name: &str) -> bool {
    let named = matches!(
        name,
        "connection"
            | "forwarded"
            | "host"
            | "keep-alive"
            | "max-forwards"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "via"
            | "x-host"
            | "x-http-host-override"
            | "x-original-host"
            | "x-original-url"
            | "x-real-ip"
            | "x-rewrite-url"
    );
    named || name.starts_with("content-") || name.starts_with("x-forwarded-")
}

/// What is asked for, on which condition, by whom, and state.
fn asks(name: &str) -> bool {
    matches!(
        name,
        "api-key"
            | "authorization"
            | "cookie"
            | "cookie2"
            | "expect"
            | "if-match"
            | "if-modified-since"
            | "if-none-match"
            | "if-range"
            | "if-unmodified-since"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "range"
            | "remote-user"
            | "set-cookie"
            | "set-cookie2"
            | "www-authenticate"
            | "x-access-token"
            | "x-api-key"
            | "x-auth-token"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-remote-user"
    )
}

/// Data that controls caches or clients.
fn controls(name: &str) -> bool {
    let named = matches!(
        name,
        "age"
            | "alt-svc"
            | "cache-control"
            | "cache-group-invalidation"
            | "cache-groups"
            | "cache-status"
            | "cache-tag"
            | "clear-site-data"
            | "date"
            | "edge-cache-tag"
            | "expires"
            | "location"
            | "no-vary-search"
            | "pragma"
            | "refresh"
            | "retry-after"
            | "strict-transport-security"
            | "surrogate-capability"
            | "surrogate-control"
            | "surrogate-key"
            | "vary"
            | "warning"
            | "xkey"
    );
    named || name.ends_with("-cache-control")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::tests::headers;

    #[test]
    fn safety_70_only_what_may_trail_is_left() {
        let head = headers(&[
            ("connection", "x-hop"),
            ("cache-control", "max-age=60, private=\"x-mine\""),
        ]);
        let ours = [HeaderName::from_static("surrogate-key")];
        let sieve = TrailerSieve::of(&head, ours.iter());
        for name in [
            "set-cookie",
            "connection",
            "transfer-encoding",
            "content-length",
            "content-type",
            "host",
            "authorization",
            "cache-control",
            "cdn-cache-control",
            "vary",
            "age",
            "date",
            "x-forwarded-for",
            "x-http-method-override",
            "x-original-url",
            "x-api-key",
            "cache-status",
            "cache-tag",
            "clear-site-data",
            "x-hop",
            "x-mine",
            "surrogate-key",
        ] {
            let left = sieve.pass(headers(&[(name, "1"), ("x-sum", "2")]));
            assert_eq!(left, Some(headers(&[("x-sum", "2")])), "{name}");
            assert_eq!(sieve.pass(headers(&[(name, "1")])), None, "{name}");
        }
        for name in [
            "etag",
            "content-digest",
            "grpc-status",
            "server-timing",
            "x-sum",
        ] {
            let trailers = headers(&[(name, "1"), (name, "2")]);
            assert_eq!(sieve.pass(trailers.clone()), Some(trailers), "{name}");
        }
    }
}
