//! [`CompiledRule`]: a rule that was checked, in the form that requests use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, Uri};

use super::after;
use super::check::{
    body_limit, check_methods, check_name, check_refill, client, keying, lifetimes, set_cookie,
    tag_rules,
};
use super::keying::Keying;
use super::options::{ClientFields, Consistency, Profile};
use super::pattern::Pattern;
use super::settings::{Defaults, RuleSettings, UPSTREAM};
use super::statuses::Lifetimes;
use super::tags::{Stage, TagRules};
use super::template::Shape;
use crate::error::{ConfigError, Warning};
use crate::key::CacheKey;
use crate::place::ConfigPlace;
use crate::position::Position;
use crate::semantics::{NoVarySearch, RequestDirectives, StoreSetCookie, invalidated_groups};
use crate::tag::Tag;

/// A request by whose query nothing is looked for: its URI, its fields, and what its layer adds to the key.
pub(crate) type Searched<'a> = (&'a Uri, &'a HeaderMap, &'a [u8]);

/// How many rules this process has had.
static RULES: AtomicU64 = AtomicU64::new(0);

/// A rule that was checked.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    number: u64,
    /// What it was compiled from.
    pub(crate) settings: RuleSettings,
    name: Arc<str>,
    pub(super) lifetimes: Lifetimes,
    pub(super) keying: Keying,
    pub(super) tags: TagRules,
    pub(crate) set_cookie: StoreSetCookie,
    pub(super) client: ClientFields,
    /// The largest body that is stored, in bytes.
    pub(crate) body_limit: usize,
    pub(crate) consistency: Consistency,
    /// Whether its captures take paths that the inner service may read as others.
    pub(crate) takes_odd_paths: bool,
    pub(crate) profile: Profile,
}

impl CompiledRule {
    /// Checks `rule`, whose route is `pattern`. What works but looks wrong goes to `warnings`.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the rule and quotes the input.
    pub(super) fn new(
        rule: RuleSettings,
        pattern: &Pattern,
        defaults: &Defaults,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ConfigError> {
        let place = ConfigPlace::rule(&*rule.name);
        let warn = |message: String| Warning::new(place.clone(), message);
        Self::checked(rule, pattern, defaults, &mut |message| {
            warnings.push(warn(message))
        })
        .map_err(|error| error.within(place.clone()))
    }

    fn checked(
        rule: RuleSettings,
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
        let named = rule.name != UPSTREAM;
        if rule.encoded_paths && named && !pattern.captures().is_empty() {
            warn("encoded_paths: an upstream that decodes or cleans paths lets anybody have a private page stored \
                  under this route".into());
        }
        let tags = tag_rules(&rule, pattern, warn)?;
        let compiled = Self {
            number: RULES.fetch_add(1, Ordering::Relaxed),
            name: rule.name.as_str().into(),
            lifetimes,
            keying: keying(&rule, &tags, defaults.profile)?,
            tags,
            set_cookie: set_cookie(&rule, defaults.profile),
            client: client(&rule.client)?,
            body_limit: body_limit(rule.body_limit.map_or(defaults.body_limit, usize::from))?,
            consistency: rule.consistency.unwrap_or(defaults.consistency),
            // Without a capture it takes one path alone, which the operator has written.
            takes_odd_paths: rule.encoded_paths || pattern.captures().is_empty(),
            profile: defaults.profile,
            settings: rule,
        };
        check_refill(&compiled.settings, defaults)?;
        Ok(compiled)
    }

    /// Tells it from every other rule that this process ever had.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it says the same as `other`, of the same cache.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.settings == other.settings
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

    /// The key of a request without its query, under which is remembered what responses say about it.
    pub(crate) fn search_base(&self, asked: Searched<'_>) -> Option<CacheKey> {
        let (uri, headers, added) = asked;
        self.keying.search_key(uri, headers, None, added)
    }

    /// The key under which a response that says `search` answers a request.
    pub(crate) fn search_key(
        &self,
        asked: Searched<'_>,
        search: &NoVarySearch,
    ) -> Option<CacheKey> {
        let (uri, headers, added) = asked;
        self.keying.search_key(uri, headers, Some(search), added)
    }

    /// The position of which a request says that its client was told, in a field or where it may (PROTOCOL 27).
    #[cold]
    pub(super) fn told(&self, uri: &Uri, headers: &HeaderMap) -> Option<Box<Position>> {
        let uri = self.keying.takes_after.then_some(uri);
        after::told(headers, uri).map(Box::new)
    }

    /// [`wishes`](Self::wishes), if there are any.
    #[inline]
    pub(super) fn heard(&self, headers: &HeaderMap) -> Option<Box<RequestDirectives>> {
        if !self.settings.honor_request_directives {
            return None;
        }
        let wishes = self.wishes(headers);
        (wishes != RequestDirectives::NONE).then(|| Box::new(wishes))
    }

    /// What a request asks of the cache, as far as the rule hears it.
    pub(crate) fn wishes(&self, headers: &HeaderMap) -> RequestDirectives {
        if self.settings.honor_request_directives {
            RequestDirectives::parse(headers)
        } else {
            RequestDirectives::NONE
        }
    }

    /// The tag templates: what was written, and the family if it is the same for all their tags.
    pub(crate) fn tag_templates(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let templates = self.tags.templates();
        templates.map(|template| (template.text(), template.family()))
    }

    /// The shapes of the tags that the templates give, each with the template as it was written.
    pub(crate) fn tag_shapes(&self) -> impl Iterator<Item = (&str, Shape)> {
        let templates = self.tags.templates();
        templates.map(|template| (template.text(), template.shape()))
    }

    /// Whether tags come from the body, so that it must be complete before it is stored.
    pub(crate) fn has_body_tags(&self) -> bool {
        self.tags.has(Stage::Body)
    }

    /// The tag of each cache group that the response to an unsafe request invalidates.
    pub(crate) fn invalidated_groups<'a>(
        &self,
        uri: &Uri,
        request: &HeaderMap,
        response: &'a HeaderMap,
    ) -> impl Iterator<Item = Tag> + 'a {
        let scope = self.keying.scope(uri, request);
        let groups = invalidated_groups(response).into_iter();
        groups.filter_map(move |group| group_tag(&scope, &group))
    }

    /// Whether a response with `headers` has tags by this rule.
    pub(super) fn tags_response(&self, headers: &HeaderMap) -> bool {
        self.tags.templates().next().is_some()
            || self.tag_headers().any(|name| headers.contains_key(name))
    }

    /// The response headers that list tags.
    pub(crate) fn tag_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.tags.headers.iter().map(|(name, _)| name)
    }
}

/// The tag `cache-group:{host}:{name}` of a cache group (RFC 9875), by which it can be purged by hand
/// too.
pub(super) fn group_tag(scope: &str, group: &str) -> Option<Tag> {
    Tag::new(&format!("cache-group:{scope}:{group}")).ok()
}
