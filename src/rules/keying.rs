//! Request and rule to [`CacheKey`]: everything that can change the response, or the request
//! bypasses the cache (P5).

use http::header::{AUTHORIZATION, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use smallvec::SmallVec;

use super::after;
use super::automatic::{AutomaticFields, Present};
use super::cookies::Cookies;
use super::options::{Authorization, Forward, Host};
use super::query::Query;
use super::sieve::Sieve;
use crate::alias;
use crate::key::{CacheKey, Component, KeyBuilder, secret};
use crate::outcome::{Detail, ForwardReason, Why};
use crate::semantics::NoVarySearch;

mod reduce;

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// What of a request is the key, by one rule.
#[derive(Debug)]
pub(super) struct Keying {
    pub(super) query: Query,
    pub(super) forward: Forward,
    /// Sorted, without repeats.
    pub(super) headers: Box<[HeaderName]>,
    pub(super) automatic: AutomaticFields,
    pub(super) cookies: Cookies,
    pub(super) authorization: Authorization,
    pub(super) host: Host,
    /// The query may name a position ([`after`]).
    pub(super) takes_after: bool,
    /// See [`Keying::fingerprint`].
    pub(super) fingerprint: [u8; 8],
}

/// The fields that any key looks at, beside those that its rule names.
static LOOKED_AT: Sieve = AutomaticFields::add_all(Sieve::empty())
    .with("host")
    .with("cache-after")
    .with("authorization")
    .with("cookie")
    .with("upgrade")
    .with("range")
    .with("if-none-match")
    .with("if-modified-since");

/// What one pass over the request's fields finds.
pub(super) struct KeyFields<'h> {
    automatic: Present<'h>,
    host: Option<&'h HeaderValue>,
    /// `Host` is there more than once.
    hosts: bool,
    authorization: bool,
    cookie: bool,
    upgrade: bool,
    /// It may name a position ([`after`]).
    pub(super) after: bool,
    /// It may be answered by less than the whole response: a 304, or a part.
    pub(super) asks_for_less: bool,
}

impl Keying {
    /// A number for everything that the operator says about the key, and for `more`. It is part of each
    /// key: after a change of the rule, what nodes of the old configuration stored (without a
    /// parameter, say, that now counts) answers nobody on nodes of the new one.
    pub(super) fn fingerprint(&self, more: &str) -> [u8; 8] {
        let Self {
            query,
            forward,
            headers,
            automatic,
            cookies,
            authorization,
            host,
            // What is stored without it was forwarded without it.
            takes_after: _,
            fingerprint: _,
        } = self;
        let text = format!(
            "{query:?}{forward:?}{headers:?}{automatic:?}{cookies:?}{authorization:?}{host:?}{more}"
        );
        let mut short = [0; 8];
        short.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
        short
    }

    /// Writes the key of a `GET` or `HEAD` request to `key`, or says why it bypasses the cache. What `seen`
    /// says was found in `headers`.
    // Each hit calls it: what was seen stays in registers.
    #[inline]
    pub(super) fn key(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        seen: &mut KeyFields<'_>,
        key: &mut KeyBuilder,
    ) -> Result<(), Why> {
        // Before all others: such a request may change something, whatever else it is.
        if seen.automatic.override_method() {
            return Err(Why::new(ForwardReason::Method, Detail::MethodOverride));
        }
        if seen.upgrade {
            return Err(Why::new(ForwardReason::Bypass, Detail::Upgrade));
        }
        if seen.cookie && !self.cookies.admit(headers) {
            return Err(Why::new(ForwardReason::Bypass, Detail::Cookie));
        }
        key.component(Component::Rule, &self.fingerprint);
        // HEAD is answered from a stored GET.
        key.component(Component::Method, b"GET");
        self.write_target(uri, headers, seen, key);
        self.write_fields(headers, seen, key);
        seen.automatic.write(key);
        if key.as_bytes().len() > MAX_KEY_BYTES {
            return Err(Why::new(ForwardReason::Bypass, Detail::KeyLimit));
        }
        Ok(())
    }

    /// Whether the request has `Authorization`, and the rule leaves it to the response who may be answered.
    pub(super) fn leaves_authorization(&self, seen: &KeyFields<'_>) -> bool {
        seen.authorization && self.authorization == Authorization::Upstream
    }

    /// Scheme, host, path and query. The path as it was sent: the route was matched on the same
    /// bytes (SAFETY 15).
    fn write_target(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        seen: &KeyFields<'_>,
        key: &mut KeyBuilder,
    ) {
        if let Some(scheme) = uri.scheme_str() {
            key.component(Component::Scheme, scheme.as_bytes());
        }
        if self.host == Host::Key {
            write_host(uri.authority(), headers, seen, key);
        }
        key.component(Component::Path, uri.path().as_bytes());
        match self.takes_after {
            true => self.write_without_after(uri, key),
            false => self.query.write(uri.query(), key),
        }
    }

    #[cold]
    fn write_without_after(&self, uri: &Uri, key: &mut KeyBuilder) {
        let query = uri.query().and_then(after::without);
        self.query.write(query.as_deref(), key);
    }

    /// The fields that the rule names: headers, cookies, and `Authorization`.
    fn write_fields(&self, headers: &HeaderMap, seen: &KeyFields<'_>, key: &mut KeyBuilder) {
        for name in &self.headers {
            write_named(name, headers, key);
        }
        if seen.cookie {
            self.cookies.write(headers, key);
        }
        if seen.authorization && self.authorization == Authorization::Key {
            key.component(Component::Header, AUTHORIZATION.as_str().as_bytes());
            for line in headers.get_all(AUTHORIZATION) {
                key.component(Component::Line, &secret(line.as_bytes()));
            }
        }
    }
}

impl Keying {
    /// The key of a request with its query as `search` normalises it; without `search`, with none. The
    /// parts that its layer adds are `added`.
    pub(super) fn search_key(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        search: Option<&NoVarySearch>,
        added: &[u8],
    ) -> Option<CacheKey> {
        let mut parts = uri.clone().into_parts();
        let query = search.map(|search| search.normalise(uri.query().unwrap_or_default()));
        let target = match &query {
            Some(query) => format!("{}?{query}", uri.path()),
            None => uri.path().to_owned(),
        };
        parts.path_and_query = Some(target.parse().ok()?);
        let uri = Uri::from_parts(parts).ok()?;
        let mut key = KeyBuilder::new();
        let mut seen = KeyFields::new(headers, self);
        self.key(&uri, headers, &mut seen, &mut key).ok()?;
        key.encoded(added);
        key.component(Component::NoVarySearch, format!("{search:?}").as_bytes());
        Some(key.finish())
    }

    /// The origin that a request goes to, as far as the key tells origins apart: its host. Cache groups
    /// are an origin's own (RFC 9875 §2).
    pub(super) fn scope(&self, uri: &Uri, headers: &HeaderMap) -> Box<str> {
        if self.host == Host::Ignore {
            return "".into();
        }
        let field = || headers.get(HOST).map(HeaderValue::as_bytes);
        let authority = uri
            .authority()
            .map(|authority| authority.as_str().as_bytes());
        let host = authority.or_else(field).unwrap_or_default();
        String::from_utf8_lossy(&normal_host(host, uri.scheme())).into()
    }
}

impl<'h> KeyFields<'h> {
    #[inline]
    pub(super) fn new(headers: &'h HeaderMap, keying: &Keying) -> Self {
        let mut seen = Self {
            automatic: Present::new(keying.automatic),
            host: None,
            hosts: false,
            authorization: false,
            cookie: false,
            upgrade: false,
            after: keying.takes_after,
            asks_for_less: false,
        };
        for (name, line) in headers {
            if !LOOKED_AT.passes(name.as_str().as_bytes()) {
                continue;
            }
            // Each of these names is in the sieve.
            match name.as_str() {
                "host" => seen.hosts = seen.host.replace(line).is_some(),
                "authorization" => seen.authorization = true,
                "cookie" => seen.cookie = true,
                "upgrade" => seen.upgrade = true,
                "cache-after" => seen.after = true,
                "range" | "if-none-match" | "if-modified-since" => seen.asks_for_less = true,
                name => seen.automatic.note(name, line),
            }
        }
        seen
    }
}

/// Adds the field `name` if it is there, and what may be taken for it (SAFETY 66): each line with its
/// name and in its place, since a server may read all of them or one.
fn write_named(name: &HeaderName, headers: &HeaderMap, key: &mut KeyBuilder) {
    if alias::others(headers, name.as_str()).next().is_none() {
        if headers.contains_key(name) {
            write_field(name.as_str(), headers, key);
        }
        return;
    }
    for (found, line) in headers {
        if found == name || alias::spells(found.as_str(), name.as_str()) {
            key.component(Component::Header, found.as_str().as_bytes());
            key.component(Component::Line, line.as_bytes());
        }
    }
}

/// Adds the field `name` with all its lines.
pub(super) fn write_field(name: &str, headers: &HeaderMap, key: &mut KeyBuilder) {
    key.component(Component::Header, name.as_bytes());
    for line in headers.get_all(name) {
        key.component(Component::Line, line.as_bytes());
    }
}

/// Adds the host, as it was sent: that of the URI if it has one, else that of `Host`. Where both are
/// there and differ, or `Host` is there twice, the inner service may read the other, so all of them
/// count (SAFETY 9). Letter case and a port that says nothing are not folded, since the inner service
/// sees them (SAFETY 67); the proxy takes them out of the request.
fn write_host(
    authority: Option<&Authority>,
    headers: &HeaderMap,
    seen: &KeyFields<'_>,
    key: &mut KeyBuilder,
) {
    let of_uri = authority.map(|authority| authority.as_str().as_bytes());
    let of_field = seen.host.map(HeaderValue::as_bytes);
    let differ = of_uri.is_some_and(|one| of_field.is_some_and(|other| one != other));
    if let Some(host) = of_uri.or(of_field) {
        key.component(Component::Host, host);
    }
    if differ || seen.hosts {
        write_field(HOST.as_str(), headers, key);
    }
}

/// In lower case and without the scheme's own port. With user information, which has case, the text
/// stays as it is.
fn normal_host(host: &[u8], scheme: Option<&Scheme>) -> SmallVec<[u8; 64]> {
    let mut host = SmallVec::from_slice(without_port(host, scheme));
    if !host.contains(&b'@') {
        host.make_ascii_lowercase();
    }
    host
}

/// Without the scheme's own port. Where the scheme is not known, neither is its port.
fn without_port<'h>(host: &'h [u8], scheme: Option<&Scheme>) -> &'h [u8] {
    let port: &[u8] = match scheme.map(Scheme::as_str) {
        Some("http") => b":80",
        Some("https") => b":443",
        _ => return host,
    };
    match host.strip_suffix(port) {
        Some(bare) if !host.contains(&b'@') => bare,
        _ => host,
    }
}

#[cfg(test)]
mod tests;
