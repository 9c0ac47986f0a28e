//! Cache directives addressed to one kind of cache (RFC 9213), of which the first in our order that
//! is there and valid stands in place of `Cache-Control` and `Expires`.
//!
//! `Surrogate-Control` (Edge Architecture Specification, 2001) has the same role and an older
//! syntax; it comes last.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::ResponseDirectives;
use crate::semantics::directive::DirectiveScope;
use crate::semantics::syntax::{delta_seconds, lines, split_members, trim_ows};

/// Addressed to this cache alone; not passed on.
pub(crate) const OWN_TARGET: HeaderName = HeaderName::from_static("tagcache-cache-control");
/// Addressed to every cache that stands before the origin for its owner (RFC 9213 §3.1); passed on.
const CDN_TARGET: HeaderName = HeaderName::from_static("cdn-cache-control");
/// Addressed to the surrogates of the origin; not passed on.
pub(crate) const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// As in `Cache-Control`, what is too large to be real is a very long time.
const MAX_DELTA: u64 = 1 << 31;

impl ResponseDirectives {
    /// The directives that count for this cache: of our targets, in order, the first that is valid,
    /// else `Cache-Control` (RFC 9213 §2.2).
    pub(crate) fn effective(headers: &HeaderMap) -> Self {
        let targets = [OWN_TARGET, CDN_TARGET];
        let targeted = targets.iter().find_map(|name| targeted(headers, name));
        let targeted = targeted.or_else(|| surrogate(headers));
        targeted.unwrap_or_else(|| Self::parse(headers))
    }
}

/// `None` if the field is missing, empty or no dictionary: it is then ignored (RFC 9213 §2.1).
fn targeted(headers: &HeaderMap, name: &HeaderName) -> Option<ResponseDirectives> {
    if !headers.contains_key(name) {
        return None;
    }
    let mut text = Vec::new();
    for line in lines(headers, name) {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(line);
    }
    let dictionary: Dictionary = Parser::new(&text).parse().ok()?;
    if dictionary.is_empty() {
        return None;
    }
    let mut found = ResponseDirectives {
        targeted: true,
        ..ResponseDirectives::default()
    };
    for (key, entry) in &dictionary {
        add(&mut found, key.as_str(), entry);
    }
    Some(found)
}

/// RFC 9213 §2.1: parameters are ignored. A value of another type than the directive has counts as
/// what forbids most, as in `Cache-Control`.
fn add(found: &mut ResponseDirectives, name: &str, entry: &ListEntry) {
    let item = match entry {
        ListEntry::Item(item) => Some(&item.bare_item),
        ListEntry::InnerList(_) => None,
    };
    let on = item.and_then(BareItem::as_boolean);
    let seconds = || {
        let given = item.and_then(BareItem::as_integer)?;
        u64::try_from(i64::from(given)).ok()
    };
    let seconds = || seconds().map(|given| Duration::from_secs(given.min(MAX_DELTA)));
    let whole = || match on {
        Some(false) => DirectiveScope::No,
        _ => DirectiveScope::Whole,
    };
    let forbids = on != Some(false);
    match name {
        "no-store" => found.no_store = forbids,
        "no-cache" => found.no_cache = whole(),
        "private" => found.private = whole(),
        "must-revalidate" => found.must_revalidate = forbids,
        "proxy-revalidate" => found.proxy_revalidate = forbids,
        "max-age" => found.max_age = Some(seconds().unwrap_or_default()),
        "s-maxage" => found.s_maxage = Some(seconds().unwrap_or_default()),
        "stale-while-revalidate" => found.stale_while_revalidate = seconds(),
        "stale-if-error" => found.stale_if_error = seconds(),
        "public" => found.public = on == Some(true),
        "must-understand" => found.must_understand = on == Some(true),
        "immutable" => found.immutable = on == Some(true),
        _ => {}
    }
}

/// `Surrogate-Control`, of which `no-store`, `no-store-remote` and `max-age` (with the time after it
/// for which stale is allowed) concern a cache. A directive targeted at a device is for us only if it
/// has our name. `None` if none of them is there.
fn surrogate(headers: &HeaderMap) -> Option<ResponseDirectives> {
    if !headers.contains_key(SURROGATE_CONTROL) {
        return None;
    }
    let mut found = ResponseDirectives {
        targeted: true,
        ..ResponseDirectives::default()
    };
    let mut any = false;
    for member in lines(headers, &SURROGATE_CONTROL).flat_map(split_members) {
        let mut parts = member.split(|byte| *byte == b';').map(trim_ows);
        let directive = parts.next().unwrap_or_default();
        let (mut target, mut ours) = (false, false);
        for part in parts {
            target = true;
            ours |= part.eq_ignore_ascii_case(b"tagcache");
        }
        if target && !ours {
            continue;
        }
        let max_age = directive
            .split_at_checked(8)
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"max-age="));
        if let Some((_, value)) = max_age {
            let mut times = value.split(|byte| *byte == b'+').map(delta_seconds);
            found.max_age = Some(times.next().flatten().unwrap_or_default());
            found.stale_while_revalidate = times.next().flatten();
            any = true;
        } else if directive.eq_ignore_ascii_case(b"no-store")
            || directive.eq_ignore_ascii_case(b"no-store-remote")
        {
            found.no_store = true;
            any = true;
        }
    }
    any.then_some(found)
}

#[cfg(test)]
mod tests;
