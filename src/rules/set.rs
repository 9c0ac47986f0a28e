//! [`RuleSet`]: all rules of a cache, and which of them takes a request.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri};
use tokio::time::Instant;

use super::compiled::CompiledRule;
use super::keying::KeyFields;
use super::pattern::{Captures, Conflict, Pattern, Routes};
use super::request::{Bypass, CacheRequest, FillRequest};
use super::rule::Rule;
use super::settings::{Defaults, UPSTREAM};
use super::tags::{Request, RequestValues};
use super::target::RequestTarget;
use crate::error::{ConfigError, Warning};
use crate::key::{CacheKey, KeyBuilder};
use crate::outcome::NotStored;
use crate::place::ConfigPlace;
use crate::tag::TagSet;

mod explain;
mod reach;

pub use self::explain::Explanation;
pub use self::reach::Reach;

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
            let rule = rule.settings;
            let name = rule.name.clone();
            let within = |error: ConfigError| error.within(ConfigPlace::rule(&*name));
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

    /// Takes those rules that `earlier` has too as they are there: what was made ready for
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
        rule.settings.enabled.then_some(Match { rule, captures })
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
    pub(crate) fn fill_request(
        &self,
        asked: CacheRequest,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> FillRequest {
        let (rule, target) = (&asked.rule, &asked.target);
        let matched_on = target.matched_on(uri);
        // A query that something in front has changed is in the key as it is.
        let folds = uri.query() == target.whole(uri).query();
        let uri = target.whole(uri);
        let (tags, kept) = self
            .find(&Method::GET, matched_on.path())
            // The rule was found by this path, so it is found again, unless it was replaced since.
            .filter(|matched| Arc::ptr_eq(matched.rule, rule))
            .map_or_else(
                || (Err(NotStored::RuleReplaced), RequestValues::default()),
                |matched| matched.tags(uri, headers),
            );
        let hears = rule.settings.no_vary_search;
        FillRequest {
            method: method.clone(),
            headers: headers.clone(),
            since: Instant::now(),
            path: uri.path().into(),
            scope: rule.keying.scope(uri, headers),
            search: hears.then(|| Box::new((uri.clone(), target.added(&asked.key)))),
            tags,
            folds,
            kept,
            asked,
        }
    }

    /// The rule that answers `GET`s of `path`, if one does: what a request with another method changes
    /// is looked for there.
    pub(crate) fn stored_under(&self, path: &str) -> Option<&Arc<CompiledRule>> {
        let (rule, _) = self.route(path)?;
        rule.settings.enabled.then_some(rule)
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
    let pattern = Pattern::parse(&rule.settings.route)?;
    CompiledRule::new(rule.settings, &pattern, defaults, &mut Vec::new()).map(Arc::new)
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

impl Match<'_> {
    /// The request for `uri` as it is looked up, with its key written to `key`.
    ///
    /// # Errors
    /// Why it bypasses the cache.
    pub(crate) fn request(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        key: &mut KeyBuilder,
    ) -> Result<CacheRequest, Bypass> {
        let mut seen = KeyFields::new(headers, &self.rule.keying);
        let rule = Arc::clone(self.rule);
        match rule.keying.key(uri, headers, &mut seen, key) {
            Ok(()) => Ok(CacheRequest {
                key: CacheKey::default(),
                has_authorization: rule.keying.leaves_authorization(&seen),
                asks_for_less: seen.asks_for_less,
                after: match seen.after {
                    true => rule.told(uri, headers),
                    false => None,
                },
                tells_position: false,
                elected: false,
                wishes: rule.heard(headers),
                target: RequestTarget::default(),
                rule,
            }),
            Err(why) => Err(Bypass { rule, why }),
        }
    }

    fn tags(&self, uri: &Uri, headers: &HeaderMap) -> (Result<TagSet, NotStored>, RequestValues) {
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
