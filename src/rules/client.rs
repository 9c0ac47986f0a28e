//! Rule and RFC together.

use http::HeaderMap;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, EXPIRES, PRAGMA, SET_COOKIE};

use super::compiled::CompiledRule;
use super::options::ClientFields;
use crate::semantics::{OWN_TARGET, SURROGATE_CONTROL};

/// Whether a response that is sent to a client is one that the cache shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// It comes from the store, or is being stored.
    Stored,
    /// It is for the one client that asked.
    NotStored,
}

/// Prepares `headers` for the client: what browsers and outer CDNs are told (see [`ClientPolicy`]),
/// and without the fields that were for us. Tag headers must still be there: a response that lists
/// tags is one with tags.
///
/// [`ClientPolicy`]: super::ClientPolicy
pub(crate) fn client_fields(rule: &CompiledRule, sent: Sharing, headers: &mut HeaderMap) {
    match &rule.client {
        ClientFields::Set(value) if sent == Sharing::Stored && may_replace(rule, headers) => {
            replace(headers, value.clone());
        }
        ClientFields::Auto if rule.tags_response(headers) => require_validation(headers),
        ClientFields::Auto | ClientFields::Pass | ClientFields::Set(_) => {}
    }
    if !rule.settings.keep_tag_headers {
        for name in rule.tag_headers() {
            headers.remove(name);
        }
    }
    // Addressed to us (RFC 9213 §2.2; Edge Architecture Specification).
    headers.remove(OWN_TARGET);
    headers.remove(SURROGATE_CONTROL);
}

/// A wider permission than the inner service gave, for a response that is one client's, would be a
/// leak in somebody else's cache.
fn may_replace(rule: &CompiledRule, headers: &HeaderMap) -> bool {
    let (settings, named) = (&rule.settings, NamedDirectives::in_cache_control(headers));
    (settings.ignore_no_store || !named.no_store)
        && (settings.ignore_private || !named.private)
        && !headers.contains_key(SET_COOKIE)
}

/// Lets a copy be kept but not be reused without asking, and permits nothing that was forbidden.
fn require_validation(headers: &mut HeaderMap) {
    let named = NamedDirectives::in_cache_control(headers);
    if named.no_store {
        return;
    }
    let value = match (named.private, named.no_transform) {
        (false, false) => "no-cache",
        (true, false) => "private, no-cache",
        (false, true) => "no-cache, no-transform",
        (true, true) => "private, no-cache, no-transform",
    };
    replace(headers, HeaderValue::from_static(value));
}

fn replace(headers: &mut HeaderMap, value: HeaderValue) {
    headers.insert(CACHE_CONTROL, value);
    headers.remove(EXPIRES);
    headers.remove(PRAGMA);
}

/// The directives that `Cache-Control` may have. Read widely: a name in a quoted text counts too.
#[derive(Default)]
struct NamedDirectives {
    no_store: bool,
    private: bool,
    no_transform: bool,
}

impl NamedDirectives {
    fn in_cache_control(headers: &HeaderMap) -> Self {
        let mut named = Self::default();
        for line in headers.get_all(CACHE_CONTROL) {
            let words = line
                .as_bytes()
                .split(|byte| matches!(byte, b',' | b'"' | b'=' | b' ' | b'\t'));
            for word in words {
                match word.len() {
                    7 => named.private |= word.eq_ignore_ascii_case(b"private"),
                    8 => named.no_store |= word.eq_ignore_ascii_case(b"no-store"),
                    12 => named.no_transform |= word.eq_ignore_ascii_case(b"no-transform"),
                    _ => {}
                }
            }
        }
        named
    }
}

#[cfg(test)]
mod tests;
