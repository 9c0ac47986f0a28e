//! What the operator says: rules, compiled once and asked for each request.
//!
//! [`RuleSet::find`] answers whether a rule takes a request at all, without allocating when none
//! does. [`Match::plan`] then says under which key the request is looked up, or why it bypasses the
//! cache; [`RuleSet::plan`], if it has to be forwarded, which tags it gives. What a rule says about a
//! response is asked of its [`CompiledRule`].
//!
//! The path is never decoded or cleaned: the route is matched, and the key made, on the bytes that
//! the inner service's router matches too (SAFETY 14, 15).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use self::pattern::{Captures, Conflict, Pattern, Routes};
use self::tags::{Kept, Request};
use crate::error::{ConfigError, Warning};
use crate::key::{CacheKey, KeyBuilder};
use crate::outcome::{Detail, ForwardReason, NotStored};
use crate::semantics::RequestDirectives;
use crate::tag::TagSet;

mod automatic;
mod check;
mod client;
mod compiled;
mod cookies;
mod explain;
mod forward;
mod keying;
mod names;
mod odd;
mod options;
mod pattern;
mod place;
mod policy;
mod query;
mod reach;
mod refill;
mod rule;
mod sieve;
mod statuses;
mod tags;
pub(crate) mod template;

pub(crate) use self::automatic::names_unsafe_method;
pub(crate) use self::client::{Sent, client_fields};
pub(crate) use self::compiled::CompiledRule;
pub use self::cookies::Cookies;
pub use self::explain::Explanation;
pub use self::forward::Forward;
pub(crate) use self::odd::{has_parameter, is_odd};
pub(crate) use self::options::Consistency;
pub use self::options::{Authorization, ClientPolicy, Host, Profile, SetCookie, TagHeader};
pub(crate) use self::place::Place;
pub(crate) use self::policy::{Exchange, Storable, decide};
pub use self::query::Query;
pub use self::reach::Reach;
pub use self::rule::Rule;
pub use self::statuses::Statuses;

/// What rules do not say themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// No lifetime or window of a rule is longer.
    pub(crate) lifetime_ceiling: Duration,
    pub(crate) body_limit: usize,
    /// How long a claim in the fleet holds.
    pub(crate) claim: Duration,
    /// How long a request waits for others.
    pub(crate) coalesce: Duration,
    pub(crate) consistency: Consistency,
    pub(crate) profile: Profile,
    /// The implicit rule [`UPSTREAM`] takes what no other rule takes.
    pub(crate) upstream: bool,
}

/// The name of the implicit rule.
const UPSTREAM: &str = "upstream";

impl Default for Defaults {
    fn default() -> Self {
        Self {
            lifetime_ceiling: Duration::from_secs(24 * 60 * 60),
            body_limit: 2 * 1024 * 1024,
            claim: Duration::from_secs(30),
            coalesce: Duration::from_secs(30),
            consistency: Consistency::Near,
            profile: Profile::Careful,
            upstream: false,
        }
    }
}

/// All rules of a cache.
#[derive(Debug, Default)]
pub(crate) struct RuleSet {
    routes: Routes,
    /// In the order of their numbers; the implicit one last.
    rules: Box<[Arc<CompiledRule>]>,
    /// The implicit rule, for requests that no route matches.
    fallback: Option<Arc<CompiledRule>>,
}

impl RuleSet {
    /// Checks and compiles `rules`. The order does not matter: the most specific route wins.
    ///
    /// # Errors
    /// The first rule that cannot be used, by name and with the input quoted.
    pub(crate) fn compile(
        rules: Vec<Rule>,
        defaults: &Defaults,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut warnings = Vec::new();
        let mut routes = Routes::default();
        let mut patterns = Vec::new();
        let mut compiled: Vec<Arc<CompiledRule>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (place, rule) in rules.into_iter().enumerate() {
            let name = rule.name.clone();
            let within = |error: ConfigError| error.within(format!("rule `{name}`"));
            if let Some(first) = places.insert(name.clone(), place) {
                let message = format!("rules {} and {} have the same name", first + 1, place + 1);
                return Err(ConfigError::new("rules", message, name));
            }
            let pattern = Pattern::parse(&rule.route).map_err(within)?;
            let number = u32::try_from(place).expect("fewer than 2^32 rules fit in memory");
            if let Err(conflict) = routes.insert(&pattern, number, &patterns) {
                return Err(within(conflict_error(conflict, &pattern, &compiled)));
            }
            let rule = CompiledRule::new(rule, &pattern, defaults, &mut warnings)?;
            patterns.push(pattern);
            compiled.push(Arc::new(rule));
        }
        let fallback = if defaults.upstream {
            let rule = upstream(defaults, &places)?;
            compiled.push(Arc::clone(&rule));
            Some(rule)
        } else {
            None
        };
        let set = Self {
            routes,
            rules: compiled.into(),
            fallback,
        };
        Ok((set, warnings))
    }

    /// The same rules, with those that `earlier` has too as they are there: what was made ready for
    /// them stays so, and requests under way do not notice.
    pub(crate) fn keeping(mut self, earlier: &Self) -> Self {
        for rule in &mut self.rules {
            if let Some(same) = earlier.rules.iter().find(|earlier| earlier.is(rule)) {
                *rule = Arc::clone(same);
            }
        }
        // It stands last among them too.
        self.fallback = self.fallback.and_then(|_| self.rules.last().cloned());
        self
    }

    /// The rule for a request, if one takes it. Only `GET` and `HEAD` ever match: to all other methods
    /// the cache is not there.
    pub(crate) fn find<'a>(&'a self, method: &Method, path: &'a str) -> Option<Match<'a>> {
        if !(method == Method::GET || method == Method::HEAD) {
            return None;
        }
        let (rule, captures) = self.route(path)?;
        rule.enabled.then_some(Match { rule, captures })
    }

    fn route<'r, 'p>(&'r self, path: &'p str) -> Option<(&'r Arc<CompiledRule>, Captures<'r, 'p>)> {
        match self.routes.find(path) {
            Some((number, captures)) => {
                let rule = self.rules.get(usize::try_from(number).ok()?)?;
                Some((rule, captures))
            }
            None => Some((self.fallback.as_ref()?, Captures::default())),
        }
    }

    /// What a request that was not answered from the cache says about the response to store: its tags,
    /// which a hit has no use for.
    pub(crate) fn plan(&self, wanted: Wanted, uri: &Uri, headers: &HeaderMap) -> Planned {
        let Wanted {
            rule,
            key,
            has_authorization,
            asks_for_less: _,
            elected: _,
            wishes,
            place,
        } = wanted;
        let matched_on = place.matched_on(uri);
        // A query that something in front has changed is in the key as it is.
        let folds = uri.query() == place.whole(uri).query();
        let uri = place.whole(uri);
        let scope = rule.keying.scope(uri, headers);
        let hears = rule.no_vary_search();
        let search = hears.then(|| Box::new((uri.clone(), headers.clone(), place.added(&key))));
        let (tags, kept) = self
            .find(&Method::GET, matched_on.path())
            // The rule was found by this path, so it is found again, unless it was replaced since.
            .filter(|matched| Arc::ptr_eq(matched.rule, &rule))
            .map_or_else(
                || (Err(NotStored::RuleReplaced), Kept::default()),
                |matched| matched.tags(uri, headers),
            );
        Planned {
            rule,
            key,
            has_authorization,
            wishes,
            path: uri.path().into(),
            scope,
            search,
            tags,
            folds,
            kept,
        }
    }

    /// The rule that answers `GET`s of `path`, if one does: what a request with another method changes
    /// is looked for there.
    pub(crate) fn stored_under(&self, path: &str) -> Option<&Arc<CompiledRule>> {
        let (rule, _) = self.route(path)?;
        rule.enabled.then_some(rule)
    }

    /// The rules, in the order in which they were given, and the implicit one.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<CompiledRule>> {
        self.rules.iter()
    }
}

/// The implicit rule: the response decides about its lifetime, and the client is heard.
fn upstream(
    defaults: &Defaults,
    places: &HashMap<String, usize>,
) -> Result<Arc<CompiledRule>, ConfigError> {
    if places.contains_key(UPSTREAM) {
        let message = "the name of the implicit rule for what no other rule takes";
        return Err(ConfigError::new("rules", message, UPSTREAM));
    }
    let rule = Rule::new(UPSTREAM, "/{*path}")
        .honor_request_directives()
        // It gives no lifetime: each response says for itself whether it is for all.
        .encoded_paths();
    let pattern = Pattern::parse(&rule.route)?;
    CompiledRule::new(rule, &pattern, defaults, &mut Vec::new()).map(Arc::new)
}

fn conflict_error(
    conflict: Conflict,
    pattern: &Pattern,
    earlier: &[Arc<CompiledRule>],
) -> ConfigError {
    let message = match conflict {
        Conflict::Refused(why) => why,
        Conflict::With(other) => match other.and_then(|place| earlier.get(place)) {
            Some(other) => format!("rule `{}` has taken this route", other.name()),
            None => "other rules have taken this route".into(),
        },
    };
    ConfigError::new("route", message, pattern.route())
}

/// A request's rule, and what its captures took of the path.
#[derive(Debug)]
pub(crate) struct Match<'a> {
    rule: &'a Arc<CompiledRule>,
    captures: Captures<'a, 'a>,
}

/// What is done with a request that a rule takes.
#[derive(Debug)]
pub(crate) enum Plan {
    /// It goes to the inner service as if there were no cache.
    Bypass(Arc<CompiledRule>, ForwardReason, Detail),
    Lookup(Asked),
}

/// A request that is looked up, whose key stands elsewhere as long as a hit may be at hand.
pub(crate) type Asked = Wanted<()>;

/// A request that is looked up.
#[derive(Debug)]
pub(crate) struct Wanted<K = CacheKey> {
    pub(crate) rule: Arc<CompiledRule>,
    pub(crate) key: K,
    /// The request has `Authorization`, and the rule leaves it to the response who may be answered.
    pub(crate) has_authorization: bool,
    /// The request may be answered by less than the whole response: a 304, or a part.
    pub(crate) asks_for_less: bool,
    /// A copy at hand was a hit, and chose this request to refresh it.
    pub(crate) elected: bool,
    /// What the request asks of the cache, if the rule hears it.
    pub(crate) wishes: RequestDirectives,
    /// Where the layer stands that the request came to.
    pub(crate) place: Place,
}

impl Asked {
    /// The same with its key.
    pub(crate) fn with_key(self, key: CacheKey) -> Wanted {
        Wanted {
            rule: self.rule,
            key,
            has_authorization: self.has_authorization,
            asks_for_less: self.asks_for_less,
            elected: self.elected,
            wishes: self.wishes,
            place: self.place,
        }
    }
}

impl Wanted {
    /// What is looked up once more for a request that is about to be forwarded.
    pub(crate) fn again(planned: &Planned) -> Self {
        Self {
            rule: Arc::clone(&planned.rule),
            key: planned.key.clone(),
            has_authorization: planned.has_authorization,
            asks_for_less: false,
            elected: false,
            wishes: planned.wishes,
            place: Place::default(),
        }
    }
}

/// A request whose response may be stored.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) rule: Arc<CompiledRule>,
    pub(crate) key: CacheKey,
    /// See [`Wanted::has_authorization`].
    pub(crate) has_authorization: bool,
    /// See [`Wanted::wishes`].
    pub(crate) wishes: RequestDirectives,
    /// The path as it was sent, for glob purges.
    pub(crate) path: Box<str>,
    /// Whose cache groups the response's are: see `group_tag`.
    pub(crate) scope: Box<str>,
    /// The implicit tags and those that the request gives, or why the response is not stored.
    pub(crate) tags: Result<TagSet, NotStored>,
    /// The request, where the response may say that its query matters less than it seems.
    pub(crate) search: Option<Box<(Uri, HeaderMap, Bytes)>>,
    /// Whether the request's query is the one that the key was made of.
    folds: bool,
    /// What the templates that wait for the response read from the request.
    kept: Kept,
}

impl Match<'_> {
    /// What is done with the request for `uri`. Its key is written to `key`.
    pub(crate) fn plan(&self, uri: &Uri, headers: &HeaderMap, key: &mut KeyBuilder) -> Plan {
        match self.rule.keying.key(uri, headers, key) {
            Ok(keyed) => Plan::Lookup(Wanted {
                rule: Arc::clone(self.rule),
                key: (),
                has_authorization: keyed.has_authorization,
                asks_for_less: keyed.asks_for_less,
                elected: false,
                wishes: self.rule.wishes(headers),
                place: Place::default(),
            }),
            Err((reason, detail)) => Plan::Bypass(Arc::clone(self.rule), reason, detail),
        }
    }

    fn tags(&self, uri: &Uri, headers: &HeaderMap) -> (Result<TagSet, NotStored>, Kept) {
        let rule = self.rule;
        let request = Request {
            uri,
            headers,
            captures: &self.captures,
        };
        let mut tags = TagSet::implicit(rule.name(), uri.path());
        let filled = rule.tags.of_request(&request, &mut tags);
        (filled.map(|()| tags), rule.tags.keep(&request))
    }
}

#[cfg(test)]
mod tests;
