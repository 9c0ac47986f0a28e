//! Request fields that are part of the key by themselves when present: those by which a response is
//! known to change although nothing (`Vary`) says so (SAFETY 11, 12).
//!
//! `X-Forwarded-For` and its kin are not among them: they differ for each client, and keyed would end
//! caching behind every proxy. A rule can leave a field out, or name more.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use smallvec::SmallVec;

use super::sieve::Sieve;
use crate::alias;
use crate::error::ConfigError;
use crate::key::{Component, KeyBuilder, secret};
use crate::place::Setting;
use crate::semantics;

/// The setting of a rule that leaves some of them out.
pub(super) const IGNORE_HEADER: Setting =
    Setting::key_of_section("ignore_headers").called("ignore_header");

/// The fields, sorted by name. A set of them is a bit mask of their places.
const FIELDS: [(&str, Kind); 82] = [
    ("api-key", Kind::Secret),
    ("cf-access-authenticated-user-email", Kind::Secret),
    ("cf-access-jwt-assertion", Kind::Secret),
    ("forwarded", Kind::Forwarded),
    ("front-end-https", Kind::Plain),
    ("hx-boosted", Kind::Plain),
    ("hx-history-restore-request", Kind::Plain),
    ("hx-request", Kind::Plain),
    ("hx-target", Kind::Plain),
    ("next-action", Kind::Plain),
    ("next-router-prefetch", Kind::Plain),
    ("next-router-segment-prefetch", Kind::Plain),
    ("next-router-state-tree", Kind::Plain),
    ("next-url", Kind::Plain),
    ("purpose", Kind::Plain),
    ("remote-user", Kind::Secret),
    ("rsc", Kind::Plain),
    ("sec-purpose", Kind::Plain),
    ("tailscale-user-login", Kind::Secret),
    ("turbo-frame", Kind::Plain),
    ("x-access-token", Kind::Secret),
    ("x-amzn-oidc-accesstoken", Kind::Secret),
    ("x-amzn-oidc-data", Kind::Secret),
    ("x-amzn-oidc-identity", Kind::Secret),
    ("x-api-key", Kind::Secret),
    ("x-auth-request-access-token", Kind::Secret),
    ("x-auth-request-email", Kind::Secret),
    ("x-auth-request-preferred-username", Kind::Secret),
    ("x-auth-request-user", Kind::Secret),
    ("x-auth-token", Kind::Secret),
    ("x-authentik-username", Kind::Secret),
    ("x-forwarded-access-token", Kind::Secret),
    ("x-forwarded-client-cert", Kind::Secret),
    ("x-forwarded-email", Kind::Secret),
    ("x-forwarded-host", Kind::Plain),
    ("x-forwarded-path", Kind::Plain),
    ("x-forwarded-port", Kind::Plain),
    ("x-forwarded-preferred-username", Kind::Secret),
    ("x-forwarded-prefix", Kind::Plain),
    ("x-forwarded-proto", Kind::Plain),
    ("x-forwarded-protocol", Kind::Plain),
    ("x-forwarded-scheme", Kind::Plain),
    ("x-forwarded-server", Kind::Plain),
    ("x-forwarded-ssl", Kind::Plain),
    ("x-forwarded-user", Kind::Secret),
    ("x-goog-authenticated-user-email", Kind::Secret),
    ("x-goog-authenticated-user-id", Kind::Secret),
    ("x-goog-iap-jwt-assertion", Kind::Secret),
    ("x-host", Kind::Plain),
    ("x-http-host-override", Kind::Plain),
    ("x-http-method", Kind::Method),
    ("x-http-method-override", Kind::Method),
    ("x-inertia", Kind::Plain),
    ("x-inertia-partial-component", Kind::Plain),
    ("x-inertia-partial-data", Kind::Plain),
    ("x-inertia-version", Kind::Plain),
    ("x-invoke-output", Kind::Plain),
    ("x-invoke-path", Kind::Plain),
    ("x-invoke-query", Kind::Plain),
    ("x-invoke-status", Kind::Plain),
    ("x-matched-path", Kind::Plain),
    ("x-method-override", Kind::Method),
    ("x-middleware-invoke", Kind::Plain),
    ("x-middleware-prefetch", Kind::Plain),
    ("x-middleware-rewrite", Kind::Plain),
    ("x-middleware-subrequest", Kind::Plain),
    ("x-ms-client-principal", Kind::Secret),
    ("x-ms-client-principal-id", Kind::Secret),
    ("x-ms-client-principal-name", Kind::Secret),
    ("x-nextjs-data", Kind::Plain),
    ("x-now-route-matches", Kind::Plain),
    ("x-original-host", Kind::Plain),
    ("x-original-url", Kind::Plain),
    ("x-pjax", Kind::Plain),
    ("x-pjax-container", Kind::Plain),
    ("x-pomerium-jwt-assertion", Kind::Secret),
    ("x-remote-user", Kind::Secret),
    ("x-requested-with", Kind::Plain),
    ("x-rewrite-url", Kind::Plain),
    ("x-scheme", Kind::Plain),
    ("x-url-scheme", Kind::Plain),
    ("x-webauth-user", Kind::Secret),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Its lines count as they are.
    Plain,
    /// It tells who asks: the key holds hashes of its lines.
    Secret,
    /// Of `Forwarded` (RFC 7239) only `host` and `proto` count.
    Forwarded,
    /// It names a method in place of the request's.
    Method,
}

/// A set of automatic fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AutomaticFields(u128);

impl AutomaticFields {
    pub(super) const ALL: Self = Self((1 << FIELDS.len()) - 1);

    /// The set without the field `name`.
    ///
    /// # Errors
    /// If it is none of them.
    pub(super) fn without(self, name: &str) -> Result<Self, ConfigError> {
        match place(name.to_ascii_lowercase().as_bytes()) {
            Some(place) => Ok(Self(self.0 & !(1 << place))),
            None => Err(ConfigError::new(
                IGNORE_HEADER,
                "a header that is not part of the key by itself",
                name,
            )),
        }
    }

    /// `sieve` with the names of all automatic fields.
    pub(super) const fn add_all(mut sieve: Sieve) -> Sieve {
        let mut place = 0;
        while place < FIELDS.len() {
            sieve = sieve.with(FIELDS[place].0);
            place += 1;
        }
        sieve
    }

    /// Removes those that the set is without, in every spelling.
    pub(super) fn remove_ignored(self, headers: &mut HeaderMap) {
        for (place, (name, _)) in FIELDS.iter().enumerate() {
            if !self.contains(place) {
                headers.remove(*name);
                alias::remove_others(headers, &[HeaderName::from_static(name)]);
            }
        }
    }

    fn contains(self, place: usize) -> bool {
        self.0 >> place & 1 == 1
    }
}

/// The automatic fields that a request has: place and line.
#[derive(Debug)]
pub(super) struct Present<'h> {
    fields: AutomaticFields,
    lines: SmallVec<[Line<'h>; 4]>,
}

/// A line of an automatic field.
#[derive(Debug, Clone, Copy)]
struct Line<'h> {
    place: usize,
    /// The name that it was sent under, if it is another spelling.
    odd: Option<&'h str>,
    value: &'h HeaderValue,
}

impl<'h> Present<'h> {
    /// None yet; only those of `fields` will count.
    pub(super) fn new(fields: AutomaticFields) -> Self {
        Self {
            fields,
            lines: SmallVec::new(),
        }
    }

    /// Adds a line of the field `name` (in lower case) if it is an automatic one, or may be taken for
    /// one (SAFETY 66).
    pub(super) fn note(&mut self, name: &'h str, value: &'h HeaderValue) {
        let (place, odd) = match place(name.as_bytes()) {
            Some(place) => (place, None),
            None if alias::is_odd(name) => match place(&alias::usual(name)) {
                Some(place) => (place, Some(name)),
                None => return,
            },
            None => return,
        };
        if self.fields.contains(place) {
            self.lines.push(Line { place, odd, value });
        }
    }

    /// Whether one of them puts another method in place of the request's. Such a request may change
    /// something, so that it must not be answered from a cache (SAFETY 23).
    pub(super) fn override_method(&self) -> bool {
        let methods = self
            .lines
            .iter()
            .filter(|line| FIELDS[line.place].1 == Kind::Method);
        methods
            .into_iter()
            .any(|line| !line.value.as_bytes().eq_ignore_ascii_case(b"get"))
    }

    /// Adds them to the key, in an order that is always the same.
    pub(super) fn write(&mut self, key: &mut KeyBuilder) {
        // Stable, so that the lines of one field keep their order.
        self.lines.sort_by_key(|line| line.place);
        for lines in self.lines.chunk_by(|one, other| one.place == other.place) {
            let (name, kind) = FIELDS[lines[0].place];
            if lines.iter().any(|line| line.odd.is_some()) {
                write_spellings(name, lines, key);
                continue;
            }
            key.component(Component::Header, name.as_bytes());
            match kind {
                Kind::Plain | Kind::Method => write_lines(lines, key),
                Kind::Forwarded => write_forwarded(lines, key),
                Kind::Secret => {
                    for line in lines {
                        key.component(Component::Line, &secret(line.value.as_bytes()));
                    }
                }
            }
        }
    }
}

/// Whether a field puts a method in place of the request's that may change something.
pub(crate) fn names_unsafe_method(headers: &HeaderMap) -> bool {
    let methods = FIELDS.iter().filter(|(_, kind)| *kind == Kind::Method);
    let mut lines = methods.flat_map(|(name, _)| {
        let others = alias::others(headers, name).map(|(_, line)| line);
        headers.get_all(*name).into_iter().chain(others)
    });
    lines.any(|line| {
        let named = line.as_bytes().trim_ascii().to_ascii_uppercase();
        // What is no method is not known to be safe.
        Method::from_bytes(&named).map_or(true, |method| semantics::is_unsafe(&method))
    })
}

/// The place of `name` among the fields.
fn place(name: &[u8]) -> Option<usize> {
    let place = FIELDS.binary_search_by_key(&name, |(name, _)| name.as_bytes());
    place.ok()
}

fn write_lines(lines: &[Line<'_>], key: &mut KeyBuilder) {
    for line in lines {
        key.component(Component::Line, line.value.as_bytes());
    }
}

/// Adds lines that came under several names, each with its own: a server may read all of them or one,
/// and which one may depend on their order.
fn write_spellings(name: &str, lines: &[Line<'_>], key: &mut KeyBuilder) {
    for line in lines {
        key.component(Component::Header, line.odd.unwrap_or(name).as_bytes());
        key.component(Component::Line, &secret(line.value.as_bytes()));
    }
}

/// Adds the `host` and `proto` parameters of each element, the elements kept apart, because readers
/// differ in which one they take. `for` and `by` differ for each client and do not count. A field
/// that cannot be read counts as it is.
fn write_forwarded(lines: &[Line<'_>], key: &mut KeyBuilder) {
    if !lines
        .iter()
        .all(|line| walk_forwarded(line.value.as_bytes(), |_| {}))
    {
        return write_lines(lines, key);
    }
    for line in lines {
        walk_forwarded(line.value.as_bytes(), |found| match found {
            Found::Element => key.component(Component::Absent, b""),
            Found::Parameter(text) => key.component(Component::Line, text),
        });
    }
}

enum Found<'a> {
    Element,
    /// `host=…` or `proto=…`, as it was written.
    Parameter(&'a [u8]),
}

/// Calls `found` for each element of a line and its parameters that count; `false` if the line is not
/// as RFC 7239 §4 has it.
fn walk_forwarded<'a>(line: &'a [u8], mut found: impl FnMut(Found<'a>)) -> bool {
    let mut rest = line.trim_ascii();
    found(Found::Element);
    loop {
        let Some(pair) = pair_length(rest) else {
            return false;
        };
        let (parameter, tail) = rest.split_at(pair);
        let counts = |name: &[u8]| {
            let head = parameter.get(..name.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(name))
        };
        if counts(b"host=") || counts(b"proto=") {
            found(Found::Parameter(parameter));
        }
        match tail.trim_ascii_start().split_first() {
            None => return true,
            Some((b',', tail)) => {
                found(Found::Element);
                rest = tail.trim_ascii_start();
            }
            Some((b';', tail)) => rest = tail.trim_ascii_start(),
            Some(_) => return false,
        }
    }
}

/// The length of `token=token` or `token="quoted"` at the beginning of `text`.
fn pair_length(text: &[u8]) -> Option<usize> {
    let token = |text: &[u8]| text.iter().take_while(|byte| is_value(**byte)).count();
    let name = token(text);
    let value = text.get(name..)?.strip_prefix(b"=")?;
    let length = match value.strip_prefix(b"\"") {
        // An escape in a quoted text is read as malformed, which only keeps more in the key.
        Some(quoted) => {
            let end = quoted
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\'))?;
            (quoted[end] == b'"').then_some(end + 2)?
        }
        None => token(value),
    };
    (name > 0 && length > 0).then_some(name + 1 + length)
}

/// Token characters, and those that senders leave unquoted in spite of RFC 7239 (`host=a:80`,
/// `for=[::1]`).
fn is_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:[]/".contains(&byte)
}

#[cfg(test)]
mod tests;
