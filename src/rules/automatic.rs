//! Request fields that are part of the key by themselves when present: those by which a response is
//! known to change although nothing (`Vary`) says so (SAFETY 11, 12).
//!
//! `X-Forwarded-For` and its kin are not among them: they differ for each client, and keyed would end
//! caching behind every proxy. A rule can leave a field out, or name more.

use http::HeaderMap;

use super::keying::{secret, write_field};
use crate::error::ConfigError;
use crate::key::{KeyBuilder, Part};

/// The fields, sorted by name. A set of them is a bit mask of their places.
const FIELDS: [(&str, Kind); 74] = [
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
    ("x-forwarded-access-token", Kind::Secret),
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
    ("x-nextjs-data", Kind::Plain),
    ("x-now-route-matches", Kind::Plain),
    ("x-original-host", Kind::Plain),
    ("x-original-url", Kind::Plain),
    ("x-pjax", Kind::Plain),
    ("x-pjax-container", Kind::Plain),
    ("x-remote-user", Kind::Secret),
    ("x-requested-with", Kind::Plain),
    ("x-rewrite-url", Kind::Plain),
    ("x-scheme", Kind::Plain),
    ("x-url-scheme", Kind::Plain),
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
pub(super) struct Fields(u128);

impl Fields {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ALL: Self = Self((1 << FIELDS.len()) - 1);

    /// The set without the field `name`.
    ///
    /// # Errors
    /// If it is none of them.
    pub(super) fn without(self, name: &str) -> Result<Self, ConfigError> {
        match place(&name.to_ascii_lowercase()) {
            Some(place) => Ok(Self(self.0 & !(1 << place))),
            None => Err(ConfigError::new(
                "ignore_header",
                "a header that is not part of the key by itself",
                name,
            )),
        }
    }

    /// Adds the field `name` (in lower case) if it is an automatic one.
    pub(super) fn note(&mut self, name: &str) {
        if let Some(place) = place(name) {
            self.0 |= 1 << place;
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn iter(self) -> impl Iterator<Item = (&'static str, Kind)> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let place = usize::try_from(bits.trailing_zeros()).ok()?;
            let field = FIELDS.get(place)?;
            bits &= bits - 1;
            Some(*field)
        })
    }

    /// Whether one of them puts another method in place of the request's. Such a request may change
    /// something, so that it must not be answered from a cache (SAFETY 23).
    pub(super) fn override_method(self, headers: &HeaderMap) -> bool {
        let methods = self.iter().filter(|(_, kind)| *kind == Kind::Method);
        let mut lines = methods.flat_map(|(name, _)| headers.get_all(name));
        lines.any(|line| !line.as_bytes().eq_ignore_ascii_case(b"get"))
    }

    /// Adds the fields of the set, which `headers` has, to the key.
    pub(super) fn write(self, headers: &HeaderMap, key: &mut KeyBuilder) {
        for (name, kind) in self.iter() {
            match kind {
                Kind::Plain | Kind::Method => write_field(name, headers, key),
                Kind::Secret => {
                    key.part(Part::Header, name.as_bytes());
                    for line in headers.get_all(name) {
                        key.part(Part::Line, &secret(line.as_bytes()));
                    }
                }
                Kind::Forwarded => write_forwarded(headers, key),
            }
        }
    }
}

/// The place of `name` among the fields. Every field of every request is looked for, so this compares
/// with the few of the same length and first letter alone, mostly none.
fn place(name: &str) -> Option<usize> {
    let letter = name.as_bytes().first()?.checked_sub(b'a')?;
    let mut similar = OF_LENGTH.get(name.len())? & OF_LETTER.get(usize::from(letter))?;
    while similar != 0 {
        let place = usize::try_from(similar.trailing_zeros()).ok()?;
        if FIELDS.get(place)?.0 == name {
            return Some(place);
        }
        similar &= similar - 1;
    }
    None
}

/// The fields of each length, as sets of places.
static OF_LENGTH: [u128; 40] = {
    let mut sets = [0; 40];
    let mut place = 0;
    while place < FIELDS.len() {
        sets[FIELDS[place].0.len()] |= 1 << place;
        place += 1;
    }
    sets
};

/// The fields with each first letter, as sets of places.
static OF_LETTER: [u128; 26] = {
    let mut sets = [0; 26];
    let mut place = 0;
    while place < FIELDS.len() {
        sets[(FIELDS[place].0.as_bytes()[0] - b'a') as usize] |= 1 << place;
        place += 1;
    }
    sets
};

/// Adds the `host` and `proto` parameters of each element, the elements kept apart, because readers
/// differ in which one they take. `for` and `by` differ for each client and do not count. A field
/// that cannot be read counts as it is.
fn write_forwarded(headers: &HeaderMap, key: &mut KeyBuilder) {
    let lines = || {
        headers
            .get_all("forwarded")
            .into_iter()
            .map(|line| line.as_bytes())
    };
    if !lines().all(|line| walk_forwarded(line, |_| {})) {
        return write_field("forwarded", headers, key);
    }
    key.part(Part::Header, b"forwarded");
    for line in lines() {
        walk_forwarded(line, |found| match found {
            Found::Element => key.part(Part::Absent, b""),
            Found::Parameter(text) => key.part(Part::Line, text),
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
mod tests {
    use super::*;
    use crate::key::CacheKey;
    use http::{HeaderName, HeaderValue};

    fn key(lines: &[(&'static str, &'static str)]) -> CacheKey {
        let mut headers = HeaderMap::new();
        let mut fields = Fields::NONE;
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
            fields.note(name);
        }
        let mut builder = KeyBuilder::new();
        fields.write(&headers, &mut builder);
        builder.finish()
    }

    #[test]
    fn fields_are_sorted_field_names_and_all_are_found() {
        assert!(FIELDS.is_sorted_by(|a, b| a.0 < b.0));
        let mut found = Fields::NONE;
        for (name, _) in FIELDS {
            assert!(
                HeaderName::from_lowercase(name.as_bytes()).is_ok(),
                "{name}"
            );
            found.note(name);
        }
        assert_eq!(found, Fields::ALL);
        assert_eq!(Fields::ALL.iter().count(), FIELDS.len());
    }

    #[test]
    fn safety_11_and_12_each_known_field_changes_the_key() {
        let none = key(&[]);
        for (name, _) in FIELDS {
            let one = key(&[(name, "1")]);
            assert_ne!(one, none, "{name}");
            if name != "forwarded" {
                assert_ne!(one, key(&[(name, "2")]), "{name}");
                assert_ne!(one, key(&[(name, "1"), (name, "2")]), "{name}");
            }
        }
        let client = [("x-forwarded-for", "1.2.3.4"), ("x-real-ip", "1.2.3.4")];
        assert_eq!(key(&client), none);
    }

    #[test]
    fn of_forwarded_only_host_and_proto_count() {
        let rows = [
            ("for=1.2.3.4", "for=5.6.7.8", true),
            ("for=1.2.3.4;host=a", "for=\"[::1]:80\";host=a", true),
            ("for=1;by=2;HOST=a", "HOST=a", true),
            ("host=a", "host=b", false),
            ("host=a;proto=http", "host=a;proto=https", false),
            ("host=\"a\"", "host=\"b\"", false),
            ("host=\"a,b;c\"", "host=\"a,b;d\"", false),
            // Which element counts is the reader's choice, so their borders stay.
            ("host=a;proto=x,proto=y", "host=a,proto=x;proto=y", false),
            ("host=a,for=1", "host=a", false),
            ("for=1, host=a", "host=a, for=1", false),
            // Malformed: all of it counts.
            ("for=1.2.3.4 host=a", "for=5.6.7.8 host=a", false),
            ("for=1;host", "for=2;host", false),
            ("for=\"1", "for=\"2", false),
            ("for=1;", "for=2;", false),
            ("", "for=", false),
        ];
        for (a, b, same) in rows {
            let equal = key(&[("forwarded", a)]) == key(&[("forwarded", b)]);
            assert_eq!(equal, same, "{a} and {b}");
        }
    }

    #[test]
    fn a_method_override_is_seen() {
        let overrides = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            let mut fields = Fields::NONE;
            fields.note(name);
            fields.override_method(&headers)
        };
        assert!(overrides("x-http-method-override", "DELETE"));
        assert!(overrides("x-http-method", "HEAD"));
        assert!(!overrides("x-method-override", "get"));
        assert!(!overrides("x-forwarded-host", "DELETE"));
    }

    #[test]
    fn only_an_automatic_field_can_be_left_out() -> Result<(), ConfigError> {
        let fields = Fields::ALL.without("X-Forwarded-Host")?;
        assert_eq!(fields.iter().count(), FIELDS.len() - 1);
        let error = Fields::ALL.without("accept").expect_err("not automatic");
        assert_eq!(error.input(), "accept");
        Ok(())
    }
}
