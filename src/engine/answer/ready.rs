//! The short way: a fresh response from a store that need not be waited for. No future, nothing kept
//! of the request.

use http::{HeaderMap, Method, Request, Response};

use crate::clock::Timestamp;
use crate::engine::CacheBody;
use crate::engine::answer::{Answers, at_position, declare_length};
use crate::engine::selection::hit_at;
use crate::entry::StoredResponse;
use crate::outcome::Outcome;
use crate::rules::{CacheRequest, CompiledRule, Sharing, client_fields};
use crate::semantics;

impl Answers {
    /// Answers from a fresh response.
    pub(crate) fn respond_hit<A, B>(
        &self,
        asked: &CacheRequest,
        request: &Request<A>,
        stored: &StoredResponse,
        now: Timestamp,
    ) -> Response<CacheBody<B>> {
        let (rule, method, headers) = (&asked.rule, request.method(), request.headers());
        let outcome = hit_at(stored, now);
        if asked.tells_position {
            return self.respond_told(asked, request, stored, outcome);
        }
        let ready = (!asked.asks_for_less).then(|| ready(rule, stored));
        match ready.flatten() {
            Some(fields) => self.respond_ready(rule, method, fields, stored, &outcome, now),
            None => self.respond_at(rule, method, headers, stored, outcome, now),
        }
    }

    #[cold]
    fn respond_told<A, B>(
        &self,
        asked: &CacheRequest,
        request: &Request<A>,
        stored: &StoredResponse,
        outcome: Outcome,
    ) -> Response<CacheBody<B>> {
        let (method, headers) = (request.method(), request.headers());
        let response = self.respond_whole(&asked.rule, method, headers, stored, outcome);
        at_position(asked, Some(stored.stamp), response)
    }

    /// What [`respond_at`](Self::respond_at) answers where nothing is asked but the whole, from fields
    /// in which only the age and what this cache did are left to fill in.
    fn respond_ready<B>(
        &self,
        rule: &CompiledRule,
        method: &Method,
        fields: &HeaderMap,
        stored: &StoredResponse,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Response<CacheBody<B>> {
        let mut headers = fields.clone();
        semantics::fill_in(&mut headers, stored.age(now), outcome);
        let mut response = Response::new(if method == Method::HEAD {
            declare_length(stored, stored.body.len(), &mut headers);
            CacheBody::absent()
        } else {
            CacheBody::stored(stored.body.clone(), stored.trailers.as_ref())
        });
        *response.status_mut() = stored.status;
        *response.headers_mut() = headers;
        self.report(rule.name(), outcome);
        response
    }

    /// The outcome of a hit on `stored`.
    pub(crate) fn hit(&self, stored: &StoredResponse) -> Outcome {
        hit_at(stored, self.clock.now())
    }
}

/// The fields of `stored` as `rule` has them sent, with places for age and `Cache-Status`. None where
/// other caches stand in the latter: there is no place for ours, which comes last.
fn ready<'s>(rule: &CompiledRule, stored: &'s StoredResponse) -> Option<&'s HeaderMap> {
    stored.ready.fields(rule.number(), || {
        let mut fields = stored.headers.clone();
        client_fields(rule, Sharing::Stored, &mut fields);
        // A copy has no room to spare, which a map that was filled has, and this one stays.
        let placed = semantics::with_places(&fields)?;
        Some(placed.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::Cache;
    use crate::clock::{Clock, ManualClock};
    use crate::entry::{Freshness, Ready};
    use crate::key::CacheKey;
    use crate::position::{Position, Stamp};
    use crate::rules::{ClientPolicy, Rule};
    use crate::tag::TagSet;
    use bytes::Bytes;
    use http::header::HeaderName;
    use http::{HeaderValue, StatusCode};
    use http_body_util::Full;
    use std::time::Duration;

    fn stored(fields: &[(&'static str, &'static str)], received_at: Timestamp) -> StoredResponse {
        let lines = fields.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let mut headers = HeaderMap::new();
        headers.extend(lines);
        StoredResponse {
            stamp: Stamp::at(Position::new(1, 1)),
            key: CacheKey::from_bytes(Bytes::new()),
            path: "/".into(),
            tags: TagSet::implicit("r", "/"),
            received_at,
            initial_age: Duration::from_secs(3),
            freshness: Freshness {
                lifetime: Duration::from_secs(300),
                ..Freshness::default()
            },
            status: StatusCode::NON_AUTHORITATIVE_INFORMATION,
            headers,
            body: Bytes::from_static(b"body"),
            trailers: None,
            ready: Ready::default(),
        }
    }

    const RESPONSES: [&[(&str, &str)]; 6] = [
        &[],
        &[("x-b", "1"), ("x-a", "2"), ("x-b", "3"), ("age", "2")],
        &[("cache-control", "max-age=9"), ("expires", "0"), ("x", "1")],
        &[("surrogate-key", "a b"), ("x", "1"), ("etag", "\"1\"")],
        &[("cache-control", "private, no-transform"), ("pragma", "x")],
        &[("surrogate-control", "max-age=9"), ("set-cookie", "a=b")],
    ];

    #[test]
    fn ready_fields_are_those_made_for_each_response() {
        let set = ClientPolicy::Set("max-age=5".into());
        let policies = [ClientPolicy::Auto, ClientPolicy::Pass, set];
        for (fields, policy) in RESPONSES
            .iter()
            .flat_map(|fields| policies.iter().map(move |policy| (fields, policy)))
        {
            let rule = Rule::new("r", "/").client(policy.clone());
            for rule in [rule.clone(), rule.clone().tag("x"), rule.keep_tag_headers()] {
                let clock = ManualClock::default();
                let stored = stored(fields, clock.now());
                let built = Cache::builder().rule(rule).clock(clock.clone()).build();
                let (cache, _companion) = built.expect("a good rule");
                let engine = cache.engine();
                let rules = engine.rules.load();
                let rule = rules.iter().next().expect("one rule");
                for seconds in [0, 7, 200] {
                    clock.advance(Duration::from_secs(seconds));
                    let (now, outcome) = (clock.now(), engine.answers.hit(&stored));
                    let ready = ready(rule, &stored).expect("no other cache");
                    let (get, none) = (&Method::GET, HeaderMap::new());
                    let one: Response<CacheBody<Full<Bytes>>> = engine
                        .answers
                        .respond_ready(rule, get, ready, &stored, &outcome, now);
                    let other: Response<CacheBody<Full<Bytes>>> = engine
                        .answers
                        .respond_at(rule, get, &none, &stored, outcome, now);
                    assert_eq!(one.status(), other.status());
                    assert_eq!(lines(&one), lines(&other), "{fields:?} {policy:?}");
                }
            }
        }
    }

    /// The fields by name; those of one name in their order.
    fn lines<B>(response: &Response<B>) -> Vec<(&HeaderName, &HeaderValue)> {
        let mut lines: Vec<_> = response.headers().iter().collect();
        lines.sort_by_key(|(name, _)| name.as_str());
        lines
    }

    #[test]
    fn fields_are_ready_for_one_rule_only_and_not_behind_another_cache() {
        let rules = [Rule::new("a", "/a"), Rule::new("b", "/b")];
        let built = rules
            .into_iter()
            .fold(Cache::builder(), |b, rule| b.rule(rule));
        let (cache, _companion) = built.build().expect("good rules");
        let rules = cache.engine().rules.load();
        let rules: Vec<_> = rules.iter().collect();
        let response = stored(&[], Timestamp::default());
        assert!(ready(rules[0], &response).is_some());
        assert!(ready(rules[1], &response).is_none());
        assert!(ready(rules[0], &response).is_some());
        assert!(ready(rules[1], &response.clone()).is_some());
        let behind = stored(&[("cache-status", "outer; hit")], Timestamp::default());
        assert!(ready(rules[0], &behind).is_none());
    }
}
