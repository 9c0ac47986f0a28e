//! [`Explanation`]: what the rules make of a request, without a request being made.

use std::time::Duration;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, IF_MODIFIED_SINCE, IF_NONE_MATCH, PRAGMA, RANGE,
    TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, response};

use super::{Match, RuleSet};
use crate::amount::Period;
use crate::clock::Timestamp;
use crate::outcome::{Detail, ForwardReason, NotStored, Why};
use crate::rules::compiled::CompiledRule;
use crate::rules::options::Consistency;
use crate::rules::policy::{Exchange, decide};
use crate::rules::request::{CacheRequest, FillRequest};
use crate::rules::tags::{Request, Stage};
use crate::semantics::RequestDirectives;

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
    /// The rule's lifetime for a response with status 200; none where it is not stored.
    pub ttl: Option<Duration>,
    /// Those for other statuses and classes, as the rule names them. Zero: not stored.
    pub ttl_for: Vec<(String, Duration)>,
    /// The request has `Authorization`: a response is stored only if it says `public`, `must-revalidate` or
    /// `s-maxage` (RFC 9111 §3.5).
    pub needs_permission: bool,
    /// What else of the request counts, a sentence each.
    pub notes: Vec<String>,
    /// What becomes of the response that was handed in: how long it is fresh, or why it is not stored.
    pub response: Option<Result<Duration, NotStored>>,
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
    #[must_use]
    pub fn because(why: impl Into<String>) -> Self {
        Self {
            why_not: Some(why.into()),
            ..Self::default()
        }
    }

    fn of(rule: &CompiledRule) -> Self {
        let settings = &rule.settings;
        Self {
            rule: Some(rule.name().to_string()),
            route: Some(settings.route.clone()),
            ttl: rule.ttl(StatusCode::OK),
            ttl_for: rule
                .lifetimes
                .by_name()
                .map(|(statuses, ttl)| (statuses.to_string(), ttl))
                .collect(),
            overrides: settings.override_upstream,
            stale_while_revalidate: settings.stale_while_revalidate.map(|Period(time)| time),
            stale_if_error: settings.stale_if_error.map(|Period(time)| time),
            body_limit: Some(rule.body_limit),
            strict: rule.consistency == Consistency::Strict,
            ..Self::default()
        }
    }
}

impl RuleSet {
    /// What becomes of `request`, and why; and of `response` to it, by the very function that decides when one
    /// comes.
    pub(crate) fn explain(
        &self,
        request: &Parts,
        response: Option<&response::Parts>,
        ceiling: Duration,
        now: Timestamp,
    ) -> Explanation {
        if request.method != Method::GET && request.method != Method::HEAD {
            let method = &request.method;
            let mut told = format!("only GET and HEAD are cached, not {method}");
            if !request.method.is_safe() {
                told += "; once it is answered without an error, what is stored under its URL is purged (RFC 9111 §4.4)";
            }
            return Explanation::because(told);
        }
        let Some((rule, captures)) = self.route(request.uri.path()) else {
            return Explanation::because("no rule's route matches this path (no-rule)");
        };
        let mut explained = Explanation::of(rule);
        if !rule.settings.enabled {
            explained.why_not = Some("the rule is switched off (no-rule)".to_owned());
            return explained;
        }
        let matched = Match { rule, captures };
        if has_body(&request.headers) {
            explained.why_not = Some(bypass(Why::new(ForwardReason::Bypass, Detail::Body)));
            return explained;
        }
        let mut key = crate::key::KeyBuilder::new();
        let mut asked = match matched.request(&request.uri, &request.headers, &mut key) {
            Ok(asked) => asked,
            Err(refused) => {
                explained.why_not = Some(bypass(refused.why));
                return explained;
            }
        };
        let key = key.finish();
        explained.key = key.describe();
        explained.digest = Some(key.digest().to_string());
        matched.explain_tags(request, &mut explained);
        explained.notes = notes(request, &asked);
        asked.key = key;
        let filled = self.fill_request(asked, &request.method, &request.uri, &request.headers);
        let verdict =
            |response: &response::Parts| verdict(&filled, &request.headers, response, ceiling, now);
        explained.response = response.map(verdict);
        // What is not stored though the response permits everything is not stored for the request's sake.
        match verdict(&sample("public, max-age=60")) {
            Err(why) => {
                explained.not_stored = Some(why);
                (explained.ttl, explained.ttl_for) = (None, Vec::new());
            }
            Ok(_) => {
                let without = verdict(&sample("max-age=60"));
                explained.needs_permission = without == Err(NotStored::Authorization);
            }
        }
        explained
    }
}

/// How long the response is fresh, or why it is not stored.
fn verdict(
    filled: &FillRequest,
    request: &HeaderMap,
    response: &response::Parts,
    ceiling: Duration,
    now: Timestamp,
) -> Result<Duration, NotStored> {
    let exchange = Exchange {
        request,
        status: response.status,
        headers: &response.headers,
        requested_at: now,
        received_at: now,
        ceiling,
        chance: 0.0,
    };
    let stored = decide(filled, &exchange)?;
    Ok(stored.freshness.lifetime.saturating_sub(stored.initial_age))
}

/// A response with status 200 that says nothing but `Cache-Control`.
fn sample(cache_control: &'static str) -> response::Parts {
    let mut sample = Response::new(());
    let value = HeaderValue::from_static(cache_control);
    sample.headers_mut().insert(CACHE_CONTROL, value);
    sample.into_parts().0
}

/// Whether a request with these fields has content (RFC 9112 §6.3).
fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.is_some_and(|length| !length.as_bytes().iter().all(|byte| *byte == b'0'));
    length || headers.contains_key(TRANSFER_ENCODING)
}

fn notes(request: &Parts, asked: &CacheRequest) -> Vec<String> {
    let (wishes, told) = (asked.wishes(), asked.after.is_some());
    let headers = &request.headers;
    let has = |name: HeaderName| headers.contains_key(name);
    let asks = has(CACHE_CONTROL) || has(PRAGMA);
    let mut notes = Vec::new();
    let mut note = |holds: bool, text: &str| notes.extend(holds.then(|| text.to_owned()));
    note(
        request.method == Method::HEAD,
        "a HEAD is answered from the stored GET; its own response is not stored",
    );
    note(
        has(RANGE),
        "its Range is answered from what is stored; a 206 of the upstream is kept as a part",
    );
    note(
        has(IF_NONE_MATCH) || has(IF_MODIFIED_SINCE),
        "its condition is answered from what is stored; a 304 of the upstream to it is not stored",
    );
    let heard = *wishes != RequestDirectives::NONE;
    note(
        asks && !heard,
        "the rule does not hear its Cache-Control or Pragma (`honor_request_directives`)",
    );
    note(
        wishes.no_cache || wishes.max_age == Some(Duration::ZERO),
        "it asks for a fetch: what is stored is validated with the upstream first (RFC 9111 §5.2.1.4)",
    );
    note(
        told,
        "it names a position (`Cache-After`): nothing that is older than that purge answers it, nor anything stale",
    );
    note(
        wishes.only_if_cached,
        "it asks for a stored response or none: nothing is forwarded, and 504 answers where nothing is stored",
    );
    notes
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

fn bypass(Why { reason, detail }: Why) -> String {
    let what = match detail {
        Some(Detail::Cookie) => "it has a cookie that the rule neither ignores nor keys",
        Some(Detail::Upgrade) => "it asks for another protocol",
        Some(Detail::KeyLimit) => "its key would be too long",
        Some(Detail::MethodOverride) => "a field changes its method",
        Some(Detail::Body) => "it has a body, which is in no key",
        Some(Detail::Authorization) => "it has credentials",
        _ => "the rule lets it pass",
    };
    format!(
        "{what} ({}; {})",
        reason.as_str(),
        detail.map_or("", Detail::as_str)
    )
}
