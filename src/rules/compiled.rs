//! [`CompiledRule`]: a rule that was checked, in the form that requests use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::automatic::Fields;
use super::cookies::Cookies;
use super::keying::Keying;
use super::options::{
    Authorization, ClientPolicy, Consistency, Overrides, Profile, SetCookie, Windows,
};
use super::pattern::Pattern;
use super::rule::Rule;
use super::statuses::Lifetimes;
use super::tags::{Source, Stage, TagRules};
use super::{Defaults, Planned};
use crate::error::{ConfigError, Warning};
use crate::outcome::NotStored;
use crate::semantics::{RequestDirectives, StoreSetCookie};
use crate::tag::TagSet;

/// Redis refuses longer values.
const MAX_BODY_LIMIT: usize = 512 * 1024 * 1024;
const MAX_NAME_BYTES: usize = 128;

/// How many rules this process has had.
static RULES: AtomicU64 = AtomicU64::new(0);

/// A rule that was checked.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    number: u64,
    /// What it was compiled from.
    written: Rule,
    name: Arc<str>,
    pub(super) enabled: bool,
    lifetimes: Lifetimes,
    overrides: Overrides,
    windows: Windows,
    pub(super) keying: Keying,
    pub(super) tags: TagRules,
    set_cookie: StoreSetCookie,
    client: Client,
    keep_tag_headers: bool,
    body_limit: usize,
    consistency: Consistency,
    request_directives: bool,
    profile: Profile,
}

/// [`ClientPolicy`], with its field checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Client {
    Auto,
    Pass,
    Set(HeaderValue),
}

impl CompiledRule {
    /// Checks `rule`, whose route is `pattern`. What works but looks wrong goes to `warnings`.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the rule and quotes the input.
    pub(super) fn new(
        rule: Rule,
        pattern: &Pattern,
        defaults: &Defaults,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ConfigError> {
        let place = format!("rule `{}`", rule.name);
        let warn = |message: String| Warning::new(place.as_str(), message);
        Self::checked(rule, pattern, defaults, &mut |message| {
            warnings.push(warn(message))
        })
        .map_err(|error| error.within(&place))
    }

    fn checked(
        rule: Rule,
        pattern: &Pattern,
        defaults: &Defaults,
        warn: &mut dyn FnMut(String),
    ) -> Result<Self, ConfigError> {
        check_name(&rule.name)?;
        check_methods(&rule.methods)?;
        let lifetimes = lifetimes(&rule, defaults.lifetime_ceiling)?;
        for code in lifetimes.risky() {
            warn(format!(
                "status {code} blames the one request; stored, one client's mistake answers all"
            ));
        }
        if let Some(character) = pattern.unsent() {
            warn(format!(
                "route {:?} has {character:?}, which clients send percent-encoded; paths are \
                 matched as they are sent",
                pattern.route()
            ));
        }
        let tags = tag_rules(&rule, pattern, warn)?;
        Ok(Self {
            number: RULES.fetch_add(1, Ordering::Relaxed),
            written: rule.clone(),
            name: rule.name.as_str().into(),
            enabled: rule.enabled,
            lifetimes,
            overrides: rule.overrides,
            windows: rule.windows,
            keying: keying(&rule, &tags, defaults.profile)?,
            tags,
            set_cookie: set_cookie(&rule, defaults.profile),
            client: client(&rule.client)?,
            keep_tag_headers: rule.keep_tag_headers,
            body_limit: body_limit(rule.body_limit.unwrap_or(defaults.body_limit))?,
            consistency: rule.consistency.unwrap_or(defaults.consistency),
            request_directives: rule.request_directives,
            profile: defaults.profile,
        })
    }

    /// Tells it from every other rule that this process ever had.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it says the same as `other`, of the same cache.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.written == other.written
    }

    /// Its name.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The rule's lifetime for `status`; `None` where the rule has no say, zero where it forbids to
    /// store.
    pub(crate) fn ttl(&self, status: StatusCode) -> Option<Duration> {
        self.lifetimes.of(status)
    }

    /// Whether a response with `status` may be stored at all, be it by a lifetime of its own
    /// (SAFETY 13).
    pub(crate) fn may_store(&self, status: StatusCode) -> bool {
        self.lifetimes.permit(status, self.profile)
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    /// What a request asks of the cache, as far as the rule hears it.
    pub(crate) fn wishes(&self, headers: &HeaderMap) -> RequestDirectives {
        if self.request_directives {
            RequestDirectives::parse(headers)
        } else {
            RequestDirectives::default()
        }
    }

    pub(crate) fn overrides(&self) -> Overrides {
        self.overrides
    }

    pub(crate) fn windows(&self) -> Windows {
        self.windows
    }

    pub(crate) fn authorization(&self) -> Authorization {
        self.keying.authorization
    }

    pub(crate) fn set_cookie(&self) -> StoreSetCookie {
        self.set_cookie
    }

    /// The largest body that is stored, in bytes.
    pub(crate) fn body_limit(&self) -> usize {
        self.body_limit
    }

    /// Whether hits are checked against the purge log each time.
    pub(crate) const fn consistency(&self) -> Consistency {
        self.consistency
    }

    /// The tag templates: what was written, and the family if it is the same for all their tags.
    pub(crate) fn tag_templates(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let templates = self.tags.templates();
        templates.map(|template| (template.text(), template.family()))
    }

    /// Whether tags come from the body, so that it must be complete before it is stored.
    pub(crate) fn has_body_tags(&self) -> bool {
        self.tags.has(Stage::Body)
    }

    /// Adds the tags that the response's fields give: templates, and the headers that list tags.
    ///
    /// # Errors
    /// Why the response is not stored.
    pub(crate) fn response_tags(
        &self,
        planned: &Planned,
        headers: &HeaderMap,
        tags: &mut TagSet,
    ) -> Result<(), NotStored> {
        self.tags.of_head(&planned.kept, headers, tags)
    }

    /// Adds the tags that the complete body of the response with `headers` gives.
    ///
    /// # Errors
    /// Why the response is not stored.
    pub(crate) fn body_tags(
        &self,
        planned: &Planned,
        headers: &HeaderMap,
        body: &[u8],
        tags: &mut TagSet,
    ) -> Result<(), NotStored> {
        self.tags.of_body(&planned.kept, headers, body, tags)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether a response with `headers` has tags by this rule.
    pub(super) fn tags_response(&self, headers: &HeaderMap) -> bool {
        self.tags.templates().next().is_some()
            || self.tag_headers().any(|name| headers.contains_key(name))
    }

    /// The response headers that list tags.
    pub(super) fn tag_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.tags.headers.iter().map(|(name, _)| name)
    }

    pub(super) fn keeps_tag_headers(&self) -> bool {
        self.keep_tag_headers
    }
}

fn check_name(name: &str) -> Result<(), ConfigError> {
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

fn check_methods(methods: &[String]) -> Result<(), ConfigError> {
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
        return Err(ConfigError::new("method", message, method));
    }
    Ok(())
}

fn lifetimes(rule: &Rule, ceiling: Duration) -> Result<Lifetimes, ConfigError> {
    let bound = |place: &str, time: Option<Duration>| match time {
        Some(time) if time > ceiling => Err(ConfigError::new(
            place,
            format!("longer than the lifetime ceiling of {ceiling:?}"),
            format!("{time:?}"),
        )),
        _ => Ok(()),
    };
    if rule.ttl == Some(Duration::ZERO) {
        let message = "stores nothing (leave it out to let responses decide, or disable the rule)";
        return Err(ConfigError::new("ttl", message, "0s"));
    }
    bound("ttl", rule.ttl)?;
    for (_, ttl) in &rule.ttl_for {
        bound("ttl_for", Some(*ttl))?;
    }
    bound(
        "stale_while_revalidate",
        rule.windows.stale_while_revalidate,
    )?;
    bound("stale_if_error", rule.windows.stale_if_error)?;
    Lifetimes::new(rule.ttl, &rule.ttl_for)
}

fn body_limit(bytes: usize) -> Result<usize, ConfigError> {
    let problem = match bytes {
        0 => "stores nothing",
        bytes if bytes > MAX_BODY_LIMIT => "more than the 512 MiB that Redis stores under a key",
        _ => return Ok(bytes),
    };
    Err(ConfigError::new("body_limit", problem, bytes.to_string()))
}

fn client(policy: &ClientPolicy) -> Result<Client, ConfigError> {
    let value = match policy {
        ClientPolicy::Auto => return Ok(Client::Auto),
        ClientPolicy::Pass => return Ok(Client::Pass),
        ClientPolicy::Set(value) => value,
    };
    match HeaderValue::from_str(value) {
        Ok(field) if !value.trim().is_empty() => Ok(Client::Set(field)),
        _ => Err(ConfigError::new("client", "no header value", value)),
    }
}

fn tag_rules(
    rule: &Rule,
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
        Ok((header_name("tag_headers", &header.name)?, header.separator))
    };
    tags.headers = rule
        .tag_headers
        .iter()
        .map(header)
        .collect::<Result<_, _>>()?;
    Ok(tags)
}

fn set_cookie(rule: &Rule, profile: Profile) -> StoreSetCookie {
    match (rule.set_cookie, profile) {
        (Some(SetCookie::Strip), _) => StoreSetCookie::Strip,
        (Some(SetCookie::Refuse), _) | (None, Profile::Careful) => StoreSetCookie::Refuse,
        (None, Profile::Rfc9111) => StoreSetCookie::Keep,
    }
}

fn keying(rule: &Rule, tags: &TagRules, profile: Profile) -> Result<Keying, ConfigError> {
    rule.query.check()?;
    let cookies = rule.cookies.clone().unwrap_or_else(|| match profile {
        Profile::Careful => Cookies::bypass(),
        Profile::Rfc9111 => Cookies::ignore_all(),
    });
    cookies.check()?;
    let mut headers = Vec::new();
    for name in &rule.headers {
        headers.push(keyed_header("header", name)?);
    }
    // What names a tag selects the response: without it in the key, a request would be answered
    // with a response that carries the tags of another.
    for source in tags.sources() {
        match source {
            Source::RequestHeader(name) => headers.push(keyed_header("tag", name.as_str())?),
            Source::Query(name) if !rule.query.keys(name) => {
                let message =
                    "a tag reads this query parameter, which the rule leaves out of the key";
                return Err(ConfigError::new("query", message, &**name));
            }
            _ => {}
        }
    }
    headers.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    headers.dedup();
    let mut automatic = Fields::ALL;
    for name in &rule.ignored_headers {
        automatic = automatic.without(name)?;
        if headers
            .iter()
            .any(|keyed| name.eq_ignore_ascii_case(keyed.as_str()))
        {
            return Err(ConfigError::new(
                "ignore_header",
                "it is in the key as well",
                name,
            ));
        }
    }
    let mut keying = Keying {
        query: rule.query.clone(),
        headers: headers.into(),
        automatic,
        cookies,
        authorization: rule.authorization,
        host: rule.host,
        fingerprint: [0; 8],
    };
    keying.fingerprint = keying.fingerprint(&format!("{}{profile:?}", rule.stored_as()));
    Ok(keying)
}

fn keyed_header(place: &str, name: &str) -> Result<HeaderName, ConfigError> {
    let message = match header_name(place, name)? {
        AUTHORIZATION => "`Authorization` is set by `Rule::authorization`",
        COOKIE => "cookies are set by `Rule::cookies`",
        name => return Ok(name),
    };
    Err(ConfigError::new(place, message, name))
}

fn header_name(place: &str, name: &str) -> Result<HeaderName, ConfigError> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| ConfigError::new(place, "no header name", name))
}
