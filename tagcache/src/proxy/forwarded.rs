//! Who asked: `X-Forwarded-*` and `Forwarded` (RFC 7239), believed only where a trusted peer says so.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Version;
use http::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, VARY, VIA};
use http::uri::Scheme;
use hyper::upgrade::OnUpgrade;

use crate::proxy::drain::Stage;
use crate::proxy::fields::{has_token, is_claim};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Upstream may answer it with `Surrogate-Control`, which is heard (Edge Architecture Specification).
const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");
const CAPABILITY: HeaderValue = HeaderValue::from_static("tagcache=\"Surrogate/1.0\"");

/// The client's side of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    address: IpAddr,
    /// The address as `X-Forwarded-For` has it.
    line: HeaderValue,
    pub(super) trusted: bool,
    scheme: Scheme,
}

/// What the client's side knows of a request and the upstream side has to tell. It goes with the body,
/// which costs less than an extension.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) peer: Arc<Peer>,
    pub(super) scheme: Scheme,
    pub(super) version: Version,
    /// What the client asks to switch to.
    pub(super) upgrade: Option<Box<Upgrade>>,
}

/// An upgrade that a client asks for.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) protocol: HeaderValue,
    /// The client's connection, once it has been told.
    pub(super) client: OnUpgrade,
    pub(super) stage: Stage,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, trusted: bool, scheme: Scheme) -> Self {
        let address = address.ip().to_canonical();
        let line = HeaderValue::from_str(&address.to_string());
        Self {
            line: line.expect("an address has only visible characters"),
            address,
            trusted,
            scheme,
        }
    }

    /// The other end of the connection, which need not be who asks.
    pub(super) const fn address(&self) -> IpAddr {
        self.address
    }

    /// The scheme that the client used: with TLS ended in front of us, a trusted peer knows it.
    pub(super) fn scheme(&self, headers: &HeaderMap) -> Scheme {
        if !self.trusted {
            return self.scheme.clone();
        }
        let told = headers.get(X_FORWARDED_PROTO).map(HeaderValue::as_bytes);
        // A scheme has no letter case (RFC 3986 §3.1).
        match told.unwrap_or_default() {
            told if told.eq_ignore_ascii_case(b"https") => Scheme::HTTPS,
            told if told.eq_ignore_ascii_case(b"http") => Scheme::HTTP,
            _ => self.scheme.clone(),
        }
    }

    /// Takes out what only a trusted peer may say, and adds the peer itself.
    ///
    /// It is done before the cache, so that a response that names `X-Forwarded-For` in `Vary` is kept
    /// for this client only.
    pub(super) fn introduce(&self, headers: &mut HeaderMap, claims: bool) {
        if claims && !self.trusted {
            remove_claims(headers);
        }
        let line = if claims && headers.contains_key(X_FORWARDED_FOR) {
            joined(headers, &X_FORWARDED_FOR, self.line.as_bytes())
        } else {
            self.line.clone()
        };
        headers.insert(X_FORWARDED_FOR, line);
    }
}

fn remove_claims(headers: &mut HeaderMap) {
    let claims: Vec<_> = headers
        .keys()
        .filter(|name| is_claim(name))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
}

/// All lines of `name` as one, and `last`.
fn joined(headers: &HeaderMap, name: &HeaderName, last: &[u8]) -> HeaderValue {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let lines: Vec<_> = lines.chain([last]).collect();
    let joined = HeaderValue::from_bytes(&lines.join(&b", "[..]));
    joined.expect("what was joined are field values")
}

impl Inbound {
    /// Adds, on the way to upstream, what is the same for all who ask for this target.
    pub(super) fn tell(&self, headers: &mut HeaderMap, name: &str) {
        let host = headers.get(HOST).cloned();
        self.tell_forwarded(headers, host.as_ref());
        if let Some(host) = host {
            headers.entry(X_FORWARDED_HOST).or_insert(host);
        }
        let proto = HeaderValue::from_static(match self.scheme.as_str() {
            "https" => "https",
            _ => "http",
        });
        headers.entry(X_FORWARDED_PROTO).or_insert(proto);
        headers.append(SURROGATE_CAPABILITY, CAPABILITY);
        append_via(headers, self.version, name);
    }

    fn tell_forwarded(&self, headers: &mut HeaderMap, host: Option<&HeaderValue>) {
        let mut element = match self.peer.address {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        };
        // A host has neither quotes nor backslashes: it was read as an authority.
        if let Some(host) = host.and_then(|host| host.to_str().ok()) {
            let _ = write!(element, ";host=\"{host}\"");
        }
        let _ = write!(element, ";proto={}", self.scheme);
        let line = joined(headers, &FORWARDED, element.as_bytes());
        headers.insert(FORWARDED, line);
    }
}

/// Adds this proxy to `Via`, with the version that it received the message by (RFC 9110 §7.6.3).
pub(super) fn append_via(headers: &mut HeaderMap, version: Version, name: &str) {
    let version = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        _ => "1.1",
    };
    if let Ok(line) = HeaderValue::from_str(&format!("{version} {name}")) {
        headers.append(VIA, line);
    }
}

/// How often a request has been here.
pub(super) fn times_seen(headers: &HeaderMap, name: &str) -> usize {
    let lines = headers.get_all(VIA).iter();
    let members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let ours = |member: &&[u8]| {
        let mut words = member.trim_ascii().split(|byte| *byte == b' ');
        words.nth(1) == Some(name.as_bytes())
    };
    members.filter(ours).count()
}

/// `Vary` may name what is added behind the cache, and so is absent from the requests that the cache
/// compares. Each of these says no more than the fields that are put in its place here.
pub(super) fn widen_vary(headers: &mut HeaderMap) {
    let names = [
        (FORWARDED, "x-forwarded-for, host"),
        (X_FORWARDED_HOST, "host"),
    ];
    for (name, instead) in names {
        if has_token(headers, &VARY, name.as_str()) {
            headers.append(VARY, HeaderValue::from_static(instead));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(trusted: bool, fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let address = SocketAddr::from(([10, 0, 0, 1], 1));
        let peer = Peer::new(address, trusted, Scheme::HTTP);
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("x:1"));
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let scheme = peer.scheme(&headers);
        peer.introduce(&mut headers, true);
        let inbound = Inbound {
            peer: Arc::new(peer),
            scheme,
            version: Version::HTTP_11,
            upgrade: None,
        };
        inbound.tell(&mut headers, "edge");
        headers
    }

    const CLAIMS: [(&str, &str); 7] = [
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
        ("forwarded", "for=1.1.1.1"),
        ("via", "1.0 other"),
    ];

    #[test]
    fn what_a_stranger_claims_is_replaced() {
        let headers = told(false, &CLAIMS);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.1");
        assert_eq!(headers["x-forwarded-host"], "x:1");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert!(!headers.contains_key("x-forwarded-port"));
        assert_eq!(headers["forwarded"], "for=10.0.0.1;host=\"x:1\";proto=http");
        let via: Vec<_> = headers.get_all("via").iter().collect();
        assert_eq!(via, ["1.0 other", "1.1 edge"]);
        assert_eq!(
            headers["surrogate-capability"],
            "tagcache=\"Surrogate/1.0\""
        );
    }

    #[test]
    fn what_a_trusted_peer_says_is_kept() {
        let headers = told(true, &CLAIMS);
        assert_eq!(headers["x-forwarded-for"], "1.1.1.1, 2.2.2.2, 10.0.0.1");
        assert_eq!(headers["x-forwarded-host"], "evil");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-port"], "443");
        let forwarded = "for=1.1.1.1, for=10.0.0.1;host=\"x:1\";proto=https";
        assert_eq!(headers["forwarded"], forwarded);
    }

    #[test]
    fn a_request_that_has_been_here_is_recognised() {
        let mut headers = told(false, &[("via", "1.1 a, 1.0 edge"), ("via", "2.0 edge")]);
        assert_eq!(times_seen(&headers, "edge"), 3);
        headers.clear();
        assert_eq!(times_seen(&headers, "edge"), 0);
    }

    #[test]
    fn safety_9_a_vary_on_what_is_added_behind_the_cache_is_one_on_what_is_before_it() {
        let mut headers = HeaderMap::new();
        headers.insert(VARY, HeaderValue::from_static("accept, Forwarded"));
        widen_vary(&mut headers);
        assert!(has_token(&headers, &VARY, "x-forwarded-for"));
        assert!(has_token(&headers, &VARY, "host"));
        assert!(has_token(&headers, &VARY, "accept"));
    }
}
