//! `[[rules]]`: the file's form of a [`Rule`].

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choices::{
    AuthorizationChoice, ClientChoice, ConsistencyChoice, CookieChoice, ForwardChoice, HostChoice,
    QueryChoice, SetCookieChoice, TagHeaderChoice,
};
use super::scalar::{Bytes, Period, Status, Ttl};
use crate::Rule;

/// A rule: how the responses of one route are cached. See `Rule` for what each key
/// means in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSection {
    /// The name by which purges, metrics and messages call it.
    pub name: String,
    /// The route, in axum's notation: `/auctions/{address}`, `/files/{*rest}`. The most specific one wins.
    pub route: String,
    /// `false` switches the rule off: its requests then reach the upstream. Default: true.
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub enabled: bool,
    /// Only `["GET"]`, which is the default and stands for HEAD too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// How long a response is fresh that does not say so itself. Default: such a response is not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// The same by status or class: `{ 404 = "5s", 5xx = "1s" }`. Zero: never stored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ttl_for: BTreeMap<Status, Ttl>,
    /// `true`: the rule's lifetime beats the upstream's Cache-Control and Expires. Default: false.
    #[serde(default, rename = "override", skip_serializing_if = "is_off")]
    pub override_upstream: bool,
    /// Stores in spite of `Cache-Control: no-store`. Default: false.
    #[serde(default, skip_serializing_if = "is_off")]
    pub ignore_no_store: bool,
    /// Stores in spite of `Cache-Control: private`. Default: false.
    #[serde(default, skip_serializing_if = "is_off")]
    pub ignore_private: bool,
    /// How long a stale response is served while it is refreshed (RFC 5861). Default: what the response says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_while_revalidate: Option<Period>,
    /// How long a stale response is served when the upstream fails (RFC 5861). Default: what the response says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_if_error: Option<Period>,
    /// By how many percent of what is left of it, at the most, chance shortens a lifetime. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_jitter: Option<u8>,
    /// Fetches a popular response again shortly before its end, behind a hit; more than 1 is earlier. Default: not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_early: Option<f64>,
    /// One node fetches for all that share the Redis; how long the others wait for it. Default: each for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_coalesce: Option<Period>,
    /// How many fills from the upstream may be under way at a time. Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_limit: Option<usize>,
    /// How the query is part of the key. Default: "all", as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryChoice>,
    /// What of a request reaches the upstream: "whole", or "keyed", without what the rule leaves out of the
    /// key (query parameters, cookies, `ignore_headers`). Default: "whole".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<ForwardChoice>,
    /// Request headers that are part of the key. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Request headers left out of the key that are in it by themselves, such as `x-forwarded-host`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_headers: Vec<String>,
    /// What is done with requests that have cookies. Default: "bypass", they are not cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies: Option<CookieChoice>,
    /// What is done with requests that have Authorization. Default: "upstream", as RFC 9111 §3.5 permits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<AuthorizationChoice>,
    /// Whether the host is part of the key. Default: "key".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostChoice>,
    /// What is done with responses that set a cookie. Default: "refuse", they are not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_cookie: Option<SetCookieChoice>,
    /// What each stored response is tagged with: `"auction:{address:address}"`, `"user:{/user/id}"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The response headers that list further tags. Default: Surrogate-Key, Cache-Tag, Edge-Cache-Tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_headers: Option<Vec<TagHeaderChoice>>,
    /// Sends those headers to clients too. Default: false.
    #[serde(default, skip_serializing_if = "is_off")]
    pub keep_tag_headers: bool,
    /// What browsers and outer CDNs are told. Default: "auto", `no-cache` for a response with tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientChoice>,
    /// The largest body that is stored. Default: "2 MiB".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_limit: Option<Bytes>,
    /// `true`: does what a request's Cache-Control asks of a cache (RFC 9111 §5.2.1). Default: false.
    #[serde(default, skip_serializing_if = "is_off")]
    pub honor_request_directives: bool,
    /// `true`: a response that says by No-Vary-Search which query parameters do not matter answers URLs
    /// that differ in those alone. Default: false.
    #[serde(default, skip_serializing_if = "is_off")]
    pub no_vary_search: bool,
    /// `true`: in the proxy, captures also take paths with dot segments, encoded separators or parameters, which
    /// an upstream may read as other paths. Default: false, they are forwarded and not stored.
    #[serde(default, skip_serializing_if = "is_off")]
    pub encoded_paths: bool,
    /// "strict" checks each hit against the purge log; "near" trusts this process within the lease. Default: as `[cache]` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<ConsistencyChoice>,
}

const fn on() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_on(switch: &bool) -> bool {
    *switch
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_off(switch: &bool) -> bool {
    !*switch
}

impl RuleSection {
    /// The rule; `ttl` says what the three named lifetimes are.
    pub(super) fn rule(&self, ttl: impl Fn(Ttl) -> Duration) -> Rule {
        let mut rule = Rule::new(&self.name, &self.route)
            .enabled(self.enabled)
            .tags(&self.tags);
        rule = self.methods.iter().fold(rule, Rule::method);
        rule = self.headers.iter().fold(rule, Rule::header);
        rule = self.ignore_headers.iter().fold(rule, Rule::ignore_header);
        if let Some(time) = self.ttl {
            rule = rule.ttl(ttl(time));
        }
        for (status, time) in &self.ttl_for {
            rule = rule.ttl_for(status.statuses(), ttl(*time));
        }
        self.refill(self.choices(self.switches(rule)))
    }

    fn refill(&self, mut rule: Rule) -> Rule {
        if let Some(percent) = self.lifetime_jitter {
            rule = rule.lifetime_jitter(percent);
        }
        if let Some(factor) = self.refresh_early {
            rule = rule.refresh_early(factor);
        }
        if let Some(Period(budget)) = self.fleet_coalesce {
            rule = rule.fleet_coalesce(budget);
        }
        match self.forward_limit {
            Some(forwards) => rule.forward_limit(forwards),
            None => rule,
        }
    }

    fn switches(&self, mut rule: Rule) -> Rule {
        if self.override_upstream {
            rule = rule.override_upstream();
        }
        if self.ignore_no_store {
            rule = rule.ignore_no_store();
        }
        if self.ignore_private {
            rule = rule.ignore_private();
        }
        if self.keep_tag_headers {
            rule = rule.keep_tag_headers();
        }
        if self.honor_request_directives {
            rule = rule.honor_request_directives();
        }
        if self.no_vary_search {
            rule = rule.no_vary_search();
        }
        if self.encoded_paths {
            rule = rule.encoded_paths();
        }
        match self.consistency {
            Some(ConsistencyChoice::Near) => rule.near(),
            Some(ConsistencyChoice::Strict) => rule.strict(),
            None => rule,
        }
    }

    fn choices(&self, mut rule: Rule) -> Rule {
        if let Some(Period(window)) = self.stale_while_revalidate {
            rule = rule.stale_while_revalidate(window);
        }
        if let Some(Period(window)) = self.stale_if_error {
            rule = rule.stale_if_error(window);
        }
        if let Some(query) = &self.query {
            rule = rule.query(query.query());
        }
        if let Some(forward) = self.forward {
            rule = rule.forward(forward.into());
        }
        if let Some(cookies) = &self.cookies {
            rule = rule.cookies(cookies.cookies());
        }
        if let Some(authorization) = self.authorization {
            rule = rule.authorization(authorization.into());
        }
        if let Some(host) = self.host {
            rule = rule.host(host.into());
        }
        if let Some(set_cookie) = self.set_cookie {
            rule = rule.set_cookie(set_cookie.into());
        }
        if let Some(headers) = &self.tag_headers {
            rule = rule.tag_headers(headers.iter().map(TagHeaderChoice::tag_header));
        }
        if let Some(client) = &self.client {
            rule = rule.client(client.policy());
        }
        if let Some(Bytes(limit)) = self.body_limit {
            rule = rule.body_limit(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        rule
    }
}
