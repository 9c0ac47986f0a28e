//! [`Explanation`]: what the rules make of a request, without a request being made.

use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode};

use super::compiled::CompiledRule;
use super::options::Consistency;
use super::tags::{Request, Stage};
use super::{Match, Plan, RuleSet};
use crate::outcome::{Detail, ForwardReason, NotStored};

/// What the rules make of a request. Nothing is asked of a store, a log or the inner service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Explanation {
    /// The rule whose route the request takes.
    pub rule: Option<String>,
    /// That rule's route.
    pub route: Option<String>,
    /// Why the request is not looked up, if it is not.
    pub why_not: Option<String>,
    /// The parts of its key, each with what it is.
    pub key: Vec<(&'static str, String)>,
    /// The name of the key in a store.
    pub digest: Option<String>,
    /// The tags that the request gives to a response.
    pub tags: Vec<String>,
    /// The templates that wait for the response, as they were written.
    pub later_tags: Vec<String>,
    /// Why a response would not be stored, if the request alone says so.
    pub not_stored: Option<NotStored>,
    /// The template that the request does not fill, if that is why.
    pub unfilled: Option<String>,
    /// The rule's lifetime for a response with status 200.
    pub ttl: Option<Duration>,
    /// Whether that beats what the response says.
    pub overrides: bool,
    /// How long it may be served stale while it is refreshed, if the rule says so.
    pub stale_while_revalidate: Option<Duration>,
    /// How long it may be served stale when the inner service fails, if the rule says so.
    pub stale_if_error: Option<Duration>,
    /// The largest body that is stored, in bytes.
    pub body_limit: Option<usize>,
    /// Whether each hit is checked against the purge log.
    pub strict: bool,
}

impl Explanation {
    /// One that says only why there is nothing to say.
    fn because(why: impl Into<String>) -> Self {
        Self {
            why_not: Some(why.into()),
            ..Self::default()
        }
    }

    fn of(rule: &CompiledRule) -> Self {
        let windows = rule.windows();
        Self {
            rule: Some(rule.name().to_string()),
            route: Some(rule.route().to_owned()),
            ttl: rule.ttl(StatusCode::OK),
            overrides: rule.overrides().upstream,
            stale_while_revalidate: windows.stale_while_revalidate,
            stale_if_error: windows.stale_if_error,
            body_limit: Some(rule.body_limit()),
            strict: rule.consistency() == Consistency::Strict,
            ..Self::default()
        }
    }
}

impl RuleSet {
    /// What becomes of `request`, and why.
    pub(crate) fn explain(&self, request: &Parts) -> Explanation {
        if request.method != Method::GET && request.method != Method::HEAD {
            let method = &request.method;
            return Explanation::because(format!("only GET and HEAD are cached, not {method}"));
        }
        let Some((rule, captures)) = self.route(request.uri.path()) else {
            return Explanation::because("no rule's route matches this path");
        };
        let mut explained = Explanation::of(rule);
        if !rule.enabled {
            explained.why_not = Some("the rule is switched off".to_owned());
            return explained;
        }
        let matched = Match { rule, captures };
        let mut key = crate::key::KeyBuilder::new();
        match matched.plan(&request.uri, &request.headers, &mut key) {
            Plan::Bypass(_, reason, detail) => explained.why_not = Some(bypass(reason, detail)),
            Plan::Lookup(_) => {
                let key = key.finish();
                explained.key = key.describe();
                explained.digest = Some(key.digest().to_string());
            }
        }
        matched.explain_tags(request, &mut explained);
        explained
    }
}

impl Match<'_> {
    fn explain_tags(&self, request: &Parts, explained: &mut Explanation) {
        let source = Request {
            uri: &request.uri,
            headers: &request.headers,
            captures: &self.captures,
        };
        let tags = &self.rule.tags;
        match tags.named_by(&source) {
            Ok(named) => explained.tags = named,
            Err((why, template)) => {
                explained.not_stored = Some(why);
                explained.unfilled = Some(template);
            }
        }
        explained.later_tags = tags.after(Stage::Request).map(str::to_owned).collect();
    }
}

fn bypass(reason: ForwardReason, detail: Detail) -> String {
    let what = match detail {
        Detail::Cookie => "it has a cookie that the rule neither ignores nor keys",
        Detail::Upgrade => "it asks for another protocol",
        Detail::KeyLimit => "its key would be too long",
        Detail::MethodOverride => "a field changes its method",
        _ => "the rule lets it pass",
    };
    format!("{what} ({}; {})", reason.as_str(), detail.as_str())
}
