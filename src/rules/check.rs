//! A rule's settings, each checked and brought into the form that requests use.

use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue};

use super::after::{CACHE_AFTER, PARAMETER};
use super::automatic::{AutomaticFields, IGNORE_HEADER};
use super::cookies::Cookies;
use super::keying::Keying;
use super::options::{ClientFields, ClientPolicy, Profile, SetCookie, Ttl};
use super::pattern::Pattern;
use super::settings::{Defaults, RuleSettings};
use super::statuses::Lifetimes;
use super::tags::{TagRules, ValueSource};
use crate::amount::Period;
use crate::error::ConfigError;
use crate::place::Setting;
use crate::semantics::StoreSetCookie;
use crate::spelling::written;

/// Redis refuses longer values.
const MAX_BODY_LIMIT: usize = 512 * 1024 * 1024;
const MAX_NAME_BYTES: usize = 128;
/// The most of a lifetime that chance may take away, in percent.
const MAX_JITTER: u8 = 50;
const MAX_FACTOR: f64 = 100.0;

pub(super) fn check_name(name: &str) -> Result<(), ConfigError> {
    let problem = if name.is_empty() {
        "a rule needs a name"
    } else if name.len() > MAX_NAME_BYTES {
        "a name longer than 128 bytes"
    } else if name.chars().any(char::is_control) {
        "a name with a control character"
    } else if name.trim() != name {
        "a name with a space at one end"
    } else {
        return Ok(());
    };
    Err(ConfigError::new("name", problem, name))
}

/// A setting of a rule is called by its setter, of which the file has the plural.
const METHOD: Setting = Setting::key_of_section("methods").called("method");
const HEADER: Setting = Setting::key_of_section("headers").called("header");

pub(super) fn check_methods(methods: &[String]) -> Result<(), ConfigError> {
    for method in methods {
        let message = match method.as_str() {
            "GET" => continue,
            "HEAD" => {
                "a rule for `GET` answers `HEAD` too, and one for `HEAD` alone stores nothing"
            }
            // RFC 9110 §9.2.3: POST may be cached too, with explicit freshness and only to answer
            // a later GET or HEAD, which hardly any cache does.
            _ => "only responses to `GET` are cached, which answer `HEAD` too (RFC 9110 §9.2.3)",
        };
        return Err(ConfigError::new(METHOD, message, method));
    }
    Ok(())
}

pub(super) fn lifetimes(rule: &RuleSettings, ceiling: Duration) -> Result<Lifetimes, ConfigError> {
    let bound = |place: &'static str, time: Option<Duration>| match time {
        Some(time) if time > ceiling => Err(ConfigError::new(
            place,
            format!("longer than the lifetime ceiling of {}", written(ceiling)),
            written(time),
        )),
        _ => Ok(()),
    };
    let ttl = rule.ttl.map(Ttl::time);
    if ttl == Some(Duration::ZERO) {
        let message = "stores nothing (leave it out to let responses decide, or disable the rule)";
        return Err(ConfigError::new("ttl", message, "0s"));
    }
    bound("ttl", ttl)?;
    let named = rule.ttl_for.iter();
    let named: Vec<_> = named
        .map(|(statuses, ttl)| (*statuses, ttl.time()))
        .collect();
    for (_, ttl) in &named {
        bound("ttl_for", Some(*ttl))?;
    }
    bound(
        "stale_while_revalidate",
        rule.stale_while_revalidate.map(|Period(time)| time),
    )?;
    bound(
        "stale_if_error",
        rule.stale_if_error.map(|Period(time)| time),
    )?;
    Lifetimes::new(ttl, &named)
}

pub(super) fn body_limit(bytes: usize) -> Result<usize, ConfigError> {
    let problem = match bytes {
        0 => "stores nothing",
        bytes if bytes > MAX_BODY_LIMIT => "more than the 512 MiB that Redis stores under a key",
        _ => return Ok(bytes),
    };
    Err(ConfigError::new("body_limit", problem, bytes.to_string()))
}

pub(super) fn client(policy: &ClientPolicy) -> Result<ClientFields, ConfigError> {
    let value = match policy {
        ClientPolicy::Auto => return Ok(ClientFields::Auto),
        ClientPolicy::Pass => return Ok(ClientFields::Pass),
        ClientPolicy::Set(value) => value,
    };
    match HeaderValue::from_str(value) {
        Ok(field) if !value.trim().is_empty() => Ok(ClientFields::Set(field)),
        _ => Err(ConfigError::new("client", "no header value", value)),
    }
}

pub(super) fn tag_rules(
    rule: &RuleSettings,
    pattern: &Pattern,
    warn: &mut dyn FnMut(String),
) -> Result<TagRules, ConfigError> {
    let mut tags = TagRules::default();
    for (place, text) in rule.tags.iter().enumerate() {
        if rule.tags[..place].contains(text) {
            warn(format!("tag {text:?} is there twice"));
            continue;
        }
        tags.add(text, pattern.captures())?;
    }
    let header = |header: &super::options::TagHeader| {
        Ok((
            header_name(Setting::key_of_section("tag_headers"), &header.name)?,
            header.separator,
        ))
    };
    tags.headers = rule
        .tag_headers
        .iter()
        .map(header)
        .collect::<Result<_, _>>()?;
    Ok(tags)
}

pub(super) fn set_cookie(rule: &RuleSettings, profile: Profile) -> StoreSetCookie {
    match rule.set_cookie.or(SetCookie::by(profile)) {
        Some(SetCookie::Strip) => StoreSetCookie::Strip,
        Some(SetCookie::Refuse) => StoreSetCookie::Refuse,
        None => StoreSetCookie::Keep,
    }
}

pub(super) fn keying(
    rule: &RuleSettings,
    tags: &TagRules,
    profile: Profile,
) -> Result<Keying, ConfigError> {
    rule.query.check()?;
    let cookies = rule.cookies.clone();
    let cookies = cookies.unwrap_or_else(|| Cookies::by(profile));
    cookies.check()?;
    let mut headers = Vec::new();
    for name in &rule.headers {
        headers.push(keyed_header(HEADER, name)?);
    }
    // What names a tag selects the response: without it in the key, a request would be answered
    // with a response that carries the tags of another.
    for source in tags.sources() {
        match source {
            ValueSource::RequestHeader(name) => headers.push(keyed_header(
                Setting::key_of_section("tags").called("tag"),
                name.as_str(),
            )?),
            ValueSource::Query(name) => {
                let place = match rule.query.keys(name) {
                    false => "query",
                    true if rule.after_parameter && &**name == PARAMETER => "after_parameter",
                    true => continue,
                };
                let message =
                    "a tag reads this query parameter, which the rule leaves out of the key";
                return Err(ConfigError::new(place, message, &**name));
            }
            _ => {}
        }
    }
    headers.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    headers.dedup();
    let mut automatic = AutomaticFields::ALL;
    for name in &rule.ignore_headers {
        automatic = automatic.without(name)?;
        if headers
            .iter()
            .any(|keyed| name.eq_ignore_ascii_case(keyed.as_str()))
        {
            return Err(ConfigError::new(
                IGNORE_HEADER,
                "it is in the key as well",
                name,
            ));
        }
    }
    let mut keying = Keying {
        query: rule.query.clone(),
        forward: rule.forward,
        headers: headers.into(),
        automatic,
        cookies,
        authorization: rule.authorization,
        host: rule.host,
        takes_after: rule.after_parameter,
        fingerprint: [0; 8],
    };
    keying.fingerprint = keying.fingerprint(&format!("{}{profile:?}", rule.stored_as()));
    Ok(keying)
}

fn keyed_header(place: Setting, name: &str) -> Result<HeaderName, ConfigError> {
    let message = match header_name(place, name)? {
        AUTHORIZATION => "`Authorization` is set by `Rule::authorization`",
        COOKIE => "cookies are set by `Rule::cookies`",
        after if after == CACHE_AFTER => "`Cache-After` selects no response",
        name => return Ok(name),
    };
    Err(ConfigError::new(place, message, name))
}

fn header_name(place: Setting, name: &str) -> Result<HeaderName, ConfigError> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| ConfigError::new(place, "no header name", name))
}

/// Refuses what contradicts something else, or cannot be meant.
///
/// # Errors
/// A [`ConfigError`] with the input quoted.
pub(super) fn check_refill(rule: &RuleSettings, defaults: &Defaults) -> Result<(), ConfigError> {
    if rule.lifetime_jitter > MAX_JITTER {
        let message = format!("takes away more than {MAX_JITTER} % of a lifetime");
        let input = rule.lifetime_jitter.to_string();
        return Err(ConfigError::new("lifetime_jitter", message, input));
    }
    if let Some(factor) = rule.refresh_early
        && !(factor > 0.0 && factor <= MAX_FACTOR)
    {
        let message = format!("a factor above 0 is needed, and at most {MAX_FACTOR}");
        let input = factor.to_string();
        return Err(ConfigError::new("refresh_early", message, input));
    }
    if let Some(Period(budget)) = rule.fleet_coalesce {
        check_fleet(budget, defaults)?;
    }
    if rule.forward_limit == Some(0) {
        let message = "forwards nothing (disable the rule to forward without a cache)";
        return Err(ConfigError::new("forward_limit", message, "0"));
    }
    Ok(())
}

fn check_fleet(budget: Duration, defaults: &Defaults) -> Result<(), ConfigError> {
    let Defaults {
        claim, coalesce, ..
    } = *defaults;
    if claim.is_zero() {
        let message = "needs claims that hold for some time";
        return Err(ConfigError::new(
            "fleet_coalesce",
            message,
            "fleet claim 0s",
        ));
    }
    let message = if budget.is_zero() {
        "waits for no other node (leave it out for each to fetch by itself)".into()
    } else if budget > claim {
        format!("longer than the {} for which a claim holds", written(claim))
    } else if budget > coalesce / 2 {
        // Who waits for the one that waits must have time left for its fetch.
        format!(
            "longer than half of the {} that a request waits for others",
            written(coalesce)
        )
    } else {
        return Ok(());
    };
    let input = written(budget);
    Err(ConfigError::new("fleet_coalesce", message, input))
}
