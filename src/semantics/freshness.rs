//! Age, lifetime, and whether a stored response may answer without asking (RFC 9111 §4.2, §5.2.1).

use std::time::Duration;

use http::StatusCode;
use http::header::{AGE, DATE, EXPIRES, HeaderMap, LAST_MODIFIED};

use super::cache_control::{RequestDirectives, ResponseDirectives, pragma_no_cache};
use super::date;
use super::syntax::{delta_seconds, members};
use crate::clock::Timestamp;

/// RFC 9111 §4.2.2: "a typical setting of this fraction might be 10%"; the cap is ours, the lifetime
/// ceiling of P6.
const HEURISTIC_DIVISOR: u32 = 10;
const HEURISTIC_CAP: Duration = Duration::from_secs(24 * 3600);

/// How long a response says that it stays fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// By `s-maxage`, `max-age` or `Expires`, in this order (RFC 9111 §4.2.1).
    Explicit(Duration),
    /// Guessed from `Last-Modified` (RFC 9111 §4.2.2).
    Heuristic(Duration),
    /// It does not say, and there is nothing to guess from.
    None,
}

/// How a stored response may answer a request, as far as time and directives go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// As it is.
    Fresh,
    /// Though stale: the client's `max-stale` allows it and nothing forbids it.
    Stale,
    /// Only after validation, or not at all.
    Validate,
}

/// `corrected_initial_age` (RFC 9111 §4.2.3): how old the response was when it was received.
///
/// A missing or unreadable `Date` counts as the time of receipt (RFC 9110 §6.6.1); one in the future
/// gives no age at all.
pub(crate) fn corrected_initial_age(
    headers: &HeaderMap,
    requested_at: Timestamp,
    received_at: Timestamp,
) -> Duration {
    // `Date` has no fraction of a second: compared with one, each response would be born old.
    let whole_second = Timestamp::from_millis(received_at.as_millis() / 1000 * 1000);
    let apparent_age = whole_second.since(date_value(headers, received_at));
    let response_delay = received_at.since(requested_at);
    apparent_age.max(age_value(headers).saturating_add(response_delay))
}

/// `age_value`. RFC 9111 §5.1: of a list the first member counts, and what is no non-negative integer
/// (negative, a fraction, with parameters) is ignored.
fn age_value(headers: &HeaderMap) -> Duration {
    members(headers, &AGE)
        .next()
        .and_then(delta_seconds)
        .unwrap_or_default()
}

fn date_value(headers: &HeaderMap, received_at: Timestamp) -> Timestamp {
    date::field(headers, &DATE, received_at).unwrap_or(received_at)
}

/// The freshness lifetime for a shared cache (RFC 9111 §4.2.1, §4.2.2).
pub(crate) fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    directives: &ResponseDirectives,
    received_at: Timestamp,
) -> Lifetime {
    if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
        return Lifetime::Explicit(seconds);
    }
    if headers.contains_key(EXPIRES) && !directives.targeted {
        return Lifetime::Explicit(expires(headers, received_at));
    }
    if !may_guess(status, headers, directives) {
        return Lifetime::None;
    }
    let Some(modified) = date::field(headers, &LAST_MODIFIED, received_at) else {
        return Lifetime::None;
    };
    let unchanged = date_value(headers, received_at).since(modified);
    if unchanged.is_zero() {
        return Lifetime::None;
    }
    Lifetime::Heuristic((unchanged / HEURISTIC_DIVISOR).min(HEURISTIC_CAP))
}

/// `Expires` − `Date`. RFC 9111 §5.3: an invalid date, `0` above all, lies in the past; so does,
/// by §4.2.1, a repeated one.
fn expires(headers: &HeaderMap, received_at: Timestamp) -> Duration {
    date::field(headers, &EXPIRES, received_at).map_or(Duration::ZERO, |expires| {
        expires.since(date_value(headers, received_at))
    })
}

/// RFC 9111 §4.2.2: statuses that RFC 9110 §15.1 calls heuristically cacheable, or `public`. A
/// `Pragma: no-cache` in a response means nothing by specification, but nobody who sends it wants
/// his response's lifetime guessed.
fn may_guess(status: StatusCode, headers: &HeaderMap, directives: &ResponseDirectives) -> bool {
    (heuristically_cacheable(status) || directives.public) && !pragma_no_cache(headers)
}

/// RFC 9110 §15.1.
pub(super) const fn heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// RFC 9111 §4.2.4: in a shared cache these four forbid to serve stale, whatever a client's
/// `max-stale` (SAFETY 4) or RFC 5861 say. `s-maxage` does because it implies `proxy-revalidate`
/// (§5.2.2.10). A `no-cache` with field names does not: those fields are not stored.
pub(crate) fn stale_forbidden(directives: &ResponseDirectives) -> bool {
    directives.no_cache.is_whole()
        || directives.must_revalidate
        || directives.proxy_revalidate
        || directives.s_maxage.is_some()
}

/// What a stored response says about its own reuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Terms {
    pub(crate) lifetime: Duration,
    /// `no-cache`.
    pub(crate) always_validate: bool,
    /// See [`stale_forbidden`].
    pub(crate) stale_forbidden: bool,
    /// RFC 8246.
    pub(crate) immutable: bool,
}

/// Whether a stored response of this `age` may answer a client that asks for `request` (RFC 9111
/// §4, §5.2.1). Of a request whose wishes are not heard, pass the default.
pub(crate) fn reuse(request: &RequestDirectives, terms: &Terms, age: Duration) -> Reuse {
    if terms.always_validate || request.no_cache {
        return Reuse::Validate;
    }
    let left = terms.lifetime.checked_sub(age);
    let Some(left) = left.filter(|left| !left.is_zero()) else {
        return reuse_stale(request, terms, age);
    };
    // RFC 8246 §2: while an immutable response is fresh, a reload (`max-age=0`) is no reason to ask;
    // `no-cache` is, above.
    let too_old = !terms.immutable && request.max_age.is_some_and(|max| age > max);
    // RFC 9111 §5.2.1.3: fresh for at least so long.
    let too_late = request.min_fresh.is_some_and(|wanted| left < wanted);
    if too_old || too_late {
        Reuse::Validate
    } else {
        Reuse::Fresh
    }
}

fn reuse_stale(request: &RequestDirectives, terms: &Terms, age: Duration) -> Reuse {
    let over = age.saturating_sub(terms.lifetime);
    let wanted = request.max_stale.is_some_and(|max| over <= max)
        && request.min_fresh.unwrap_or_default().is_zero()
        && request.max_age.is_none_or(|max| age <= max);
    if wanted && !terms.stale_forbidden {
        Reuse::Stale
    } else {
        Reuse::Validate
    }
}

#[cfg(test)]
mod tests;
