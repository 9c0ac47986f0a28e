//! Rule and specification combined: is this response stored, for how long, under which tags?

use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::amount::Period;
use crate::clock::Timestamp;
use crate::entry::Freshness;
use crate::outcome::NotStored;
use crate::rules::{Authorization, CompiledRule, FillRequest};
use crate::semantics::{self, Caution, Lifetime, ResponseDirectives, Vary, allows_authorized};
use crate::tag::TagSet;

/// The most request fields that `Vary` may nominate.
const MAX_VARY: usize = 16;

/// One call of the inner service, as far as its head tells.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) request: &'a HeaderMap,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) requested_at: Timestamp,
    pub(crate) received_at: Timestamp,
    /// The longest freshness lifetime.
    pub(crate) ceiling: Duration,
    /// From 0 to 1: how much the lifetime is shortened of what the rule permits.
    pub(crate) chance: f64,
}

/// What is stored of a response, but for its body and the tags found there.
#[derive(Debug)]
pub(crate) struct Storable {
    pub(crate) freshness: Freshness,
    /// The lifetime is the rule's rather than the response's.
    pub(crate) by_rule: bool,
    pub(crate) initial_age: Duration,
    pub(crate) headers: HeaderMap,
    /// The fields that select among variants.
    pub(crate) vary: Vec<HeaderName>,
    pub(crate) tags: TagSet,
}

/// Decides about the response of `exchange`.
///
/// # Errors
/// Why it is not stored.
pub(crate) fn decide(filled: &FillRequest, exchange: &Exchange<'_>) -> Result<Storable, NotStored> {
    let rule = &*filled.asked.rule;
    let mut directives = ResponseDirectives::effective(exchange.headers);
    directives.no_store &= !rule.settings.ignore_no_store;
    if rule.settings.ignore_private {
        directives.private = semantics::DirectiveScope::No;
    }
    let caution = Caution {
        set_cookie: rule.set_cookie,
        authorization: shares_authorized(rule),
        lifetime: rule.ttl(exchange.status).is_some(),
    };
    let wishes = rule.wishes(exchange.request);
    semantics::may_store(
        &Method::GET,
        exchange.request,
        exchange.status,
        exchange.headers,
        &directives,
        &wishes,
        caution,
    )?;
    let vary = match Vary::parse(exchange.headers) {
        Vary::None => Vec::new(),
        Vary::Any => return Err(NotStored::VaryAny),
        Vary::Fields(fields) if fields.len() > MAX_VARY => return Err(NotStored::VaryLimit),
        Vary::Fields(fields) => fields,
    };
    let (mut freshness, by_rule) = freshness(rule, exchange, &directives)?;
    let initial_age = semantics::corrected_initial_age(
        exchange.headers,
        exchange.requested_at,
        exchange.received_at,
    );
    let left = freshness.lifetime.saturating_sub(initial_age);
    freshness.lifetime -= left - rule.settings.shortened(left, exchange.chance);
    let mut tags = filled.tags.clone()?;
    filled.response_tags(exchange.headers, &mut tags)?;
    Ok(Storable {
        freshness,
        by_rule,
        initial_age,
        headers: semantics::stored_fields(exchange.headers, &directives, rule.set_cookie),
        vary,
        tags,
    })
}

/// Whether the operator says that `Authorization` does not change what is answered, or has put it
/// into the key.
fn shares_authorized(rule: &CompiledRule) -> bool {
    rule.settings.authorization != Authorization::Upstream
}

/// Upstream's word if it gave one, else the rule's; the other way round where the rule overrides. And whether the
/// lifetime is the rule's.
fn freshness(
    rule: &CompiledRule,
    exchange: &Exchange<'_>,
    directives: &ResponseDirectives,
) -> Result<(Freshness, bool), NotStored> {
    let of_response = semantics::lifetime(
        exchange.status,
        exchange.headers,
        directives,
        exchange.received_at,
    );
    let ttl = rule.ttl(exchange.status);
    let has_ttl = rule.ttl(StatusCode::OK).is_some();
    let overridden = rule.settings.override_upstream && ttl.is_some();
    let (lifetime, by_rule) = match (of_response, ttl) {
        (_, Some(ttl)) if overridden => (ttl, true),
        // A status whose error must not outlive its cause is the rule's to name (SAFETY 13).
        (_, None) if !rule.may_store(exchange.status) => return Err(NotStored::RuleStatus),
        (Lifetime::Explicit(lifetime), _) => (lifetime, false),
        (_, Some(ttl)) => (ttl, true),
        (Lifetime::Heuristic(lifetime), None) if !has_ttl => (lifetime, false),
        (Lifetime::Heuristic(_) | Lifetime::None, None) if has_ttl => {
            return Err(NotStored::RuleStatus);
        }
        (_, None) => (Duration::ZERO, false),
    };
    let stale_forbidden = !overridden && semantics::stale_forbidden(directives);
    let window = |of_response: Option<Duration>, ours: Option<Period>| {
        let ours = ours.map(|Period(time)| time);
        let (first, second) = if overridden {
            (ours, of_response)
        } else {
            (of_response, ours)
        };
        let window = first.or(second).unwrap_or_default();
        if stale_forbidden {
            Duration::ZERO
        } else {
            window.min(exchange.ceiling)
        }
    };
    let freshness = Freshness {
        lifetime: lifetime.min(exchange.ceiling),
        stale_while_revalidate: window(
            directives.stale_while_revalidate,
            rule.settings.stale_while_revalidate,
        ),
        stale_if_error: window(directives.stale_if_error, rule.settings.stale_if_error),
        always_validate: !overridden && directives.no_cache.is_whole(),
        stale_forbidden,
        immutable: directives.immutable,
        authorized: shares_authorized(rule) || allows_authorized(directives),
        // Known only when the response is whole.
        eagerness: Duration::ZERO,
    };
    if !reusable(&freshness)
        && semantics::conditional_fields(exchange.headers, exchange.received_at).is_none()
    {
        let unknown = matches!(of_response, Lifetime::None | Lifetime::Heuristic(_));
        return Err(if unknown {
            NotStored::NoLifetime
        } else {
            NotStored::ZeroLifetime
        });
    }
    Ok((freshness, by_rule))
}

/// Whether it can answer without being validated first.
const fn reusable(freshness: &Freshness) -> bool {
    !freshness.lifetime.is_zero() && !freshness.always_validate
        || !freshness.stale_while_revalidate.is_zero()
        || !freshness.stale_if_error.is_zero()
}
