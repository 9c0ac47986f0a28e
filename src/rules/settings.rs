//! [`RuleSettings`]: what a rule says, field by field. [`Rule`](super::Rule)'s setters set them, a configuration file
//! has them under these names, and a compiled rule reads them.

use std::time::Duration;

use super::cookies::Cookies;
use super::options::{
    Authorization, ClientPolicy, Consistency, Forward, Host, Profile, SetCookie, TagHeader, Ttl,
};
use super::query::Query;
use super::statuses::Statuses;
use crate::amount::{Bytes, Period};
use crate::defaults;

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
pub(super) const UPSTREAM: &str = "upstream";

impl Default for Defaults {
    fn default() -> Self {
        Self {
            lifetime_ceiling: defaults::LIFETIME_CEILING,
            body_limit: defaults::BODY_LIMIT,
            claim: defaults::FLEET_CLAIM,
            coalesce: defaults::COALESCE_TIMEOUT,
            consistency: Consistency::default(),
            profile: Profile::default(),
            upstream: false,
        }
    }
}

/// A rule: how the responses of one route are cached. See `Rule` for what each key
/// means in full.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct RuleSettings {
    /// The name by which purges, metrics and messages call it.
    pub name: String,
    /// The route, in axum's notation: `/auctions/{address}`, `/files/{*rest}`. The most specific one wins.
    pub route: String,
    /// `false` switches the rule off: its requests then reach the upstream. Default: true.
    #[cfg_attr(feature = "config", serde(default = "on"))]
    pub enabled: bool,
    /// Only `["GET"]`, which is the default and stands for HEAD too.
    #[cfg_attr(feature = "config", serde(default))]
    pub methods: Vec<String>,
    /// How long a response is fresh that does not say so itself. Default: such a response is not stored.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub ttl: Option<Ttl>,
    /// The lifetime by status or class: `{ 404 = "5s", 5xx = "1s" }`. Zero: never stored.
    #[cfg_attr(
        feature = "config",
        serde(
            default,
            with = "super::written::by_status",
            skip_serializing_if = "Vec::is_empty"
        ),
        schemars(with = "std::collections::BTreeMap<Statuses, Ttl>")
    )]
    pub ttl_for: Vec<(Statuses, Ttl)>,
    /// `true`: the rule's lifetime beats the upstream's Cache-Control and Expires. Default: false.
    #[cfg_attr(feature = "config", serde(default, rename = "override"))]
    pub override_upstream: bool,
    /// Stores in spite of `Cache-Control: no-store`. Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    pub ignore_no_store: bool,
    /// Stores in spite of `Cache-Control: private`. Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    pub ignore_private: bool,
    /// How long a stale response is served while it is refreshed (RFC 5861). Default: what the response says.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub stale_while_revalidate: Option<Period>,
    /// How long a stale response is served when the upstream fails (RFC 5861). Default: what the response says.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub stale_if_error: Option<Period>,
    /// By how many percent of what is left of it, at the most, chance shortens a lifetime. Default: 0.
    #[cfg_attr(feature = "config", serde(default))]
    pub lifetime_jitter: u8,
    /// Fetches a popular response again shortly before its end, behind a hit; more than 1 is earlier. Default: not.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub refresh_early: Option<f64>,
    /// One node fetches for all that share the Redis; how long the others wait for it. Default: each for itself.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub fleet_coalesce: Option<Period>,
    /// How many fills from the upstream may be under way at a time. Default: any number.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub forward_limit: Option<usize>,
    /// How the query is part of the key. Default: "all", as sent.
    #[cfg_attr(feature = "config", serde(default))]
    pub query: Query,
    /// What of a request reaches the upstream: "whole", or "keyed", without what the rule leaves out of the
    /// key (query parameters, cookies, `ignore_headers`). Default: "whole".
    #[cfg_attr(feature = "config", serde(default))]
    pub forward: Forward,
    /// Request headers that are part of the key. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub headers: Vec<String>,
    /// Request headers left out of the key that are in it by themselves, such as `x-forwarded-host`.
    #[cfg_attr(feature = "config", serde(default))]
    pub ignore_headers: Vec<String>,
    /// What is done with requests that have cookies. Default: "bypass", they are not cached.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub cookies: Option<Cookies>,
    /// What is done with requests that have Authorization. Default: "upstream", as RFC 9111 §3.5 permits.
    #[cfg_attr(feature = "config", serde(default))]
    pub authorization: Authorization,
    /// Whether the host is part of the key. Default: "key".
    #[cfg_attr(feature = "config", serde(default))]
    pub host: Host,
    /// What is done with responses that set a cookie. Default: "refuse", they are not stored.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub set_cookie: Option<SetCookie>,
    /// What each stored response is tagged with: `"auction:{address:address}"`, `"user:{/user/id}"`.
    #[cfg_attr(feature = "config", serde(default))]
    pub tags: Vec<String>,
    /// The response headers that list further tags. Default: Surrogate-Key, Cache-Tag, Edge-Cache-Tag.
    #[cfg_attr(feature = "config", serde(default = "TagHeader::known"))]
    pub tag_headers: Vec<TagHeader>,
    /// Sends those headers to clients too. Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    pub keep_tag_headers: bool,
    /// What browsers and outer CDNs are told. Default: "auto", `no-cache` for a response with tags.
    #[cfg_attr(feature = "config", serde(default))]
    pub client: ClientPolicy,
    /// The largest body that is stored. Default: "2 MiB".
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub body_limit: Option<Bytes>,
    /// `true`: does what a request's Cache-Control asks of a cache (RFC 9111 §5.2.1). Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    pub honor_request_directives: bool,
    /// `true`: a response that says by No-Vary-Search which query parameters do not matter answers URLs
    /// that differ in those alone. Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    pub no_vary_search: bool,
    /// `true`: in the proxy, captures also take paths with dot segments, encoded separators or parameters, which
    /// an upstream may read as other paths. Default: false, they are forwarded and not stored.
    #[cfg_attr(feature = "config", serde(default))]
    pub encoded_paths: bool,
    /// `true`: a client that was told of a change may name its position as `?after=` too, not only in the field
    /// `Cache-After`. The parameter is then no part of the key, and the upstream does not see it. Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    pub after_parameter: bool,
    /// "strict" checks each hit against the purge log; "near" trusts this process within the lease. Default: as `[cache]` says.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub consistency: Option<Consistency>,
}

#[cfg(feature = "config")]
const fn on() -> bool {
    true
}

impl RuleSettings {
    /// What a rule says that says nothing but these.
    pub(super) fn new(name: String, route: String) -> Self {
        Self {
            name,
            route,
            enabled: true,
            methods: Vec::new(),
            ttl: None,
            ttl_for: Vec::new(),
            override_upstream: false,
            ignore_no_store: false,
            ignore_private: false,
            stale_while_revalidate: None,
            stale_if_error: None,
            lifetime_jitter: 0,
            refresh_early: None,
            fleet_coalesce: None,
            forward_limit: None,
            query: Query::default(),
            forward: Forward::default(),
            headers: Vec::new(),
            ignore_headers: Vec::new(),
            cookies: None,
            authorization: Authorization::default(),
            host: Host::default(),
            set_cookie: None,
            tags: Vec::new(),
            tag_headers: TagHeader::known(),
            keep_tag_headers: false,
            client: ClientPolicy::default(),
            body_limit: None,
            honor_request_directives: false,
            no_vary_search: false,
            encoded_paths: false,
            after_parameter: false,
            consistency: None,
        }
    }

    /// With the lifetimes that `[cache]` names as times, as `time` has them.
    #[cfg(feature = "config")]
    pub(crate) fn with_lifetimes(&self, time: impl Fn(Ttl) -> Duration) -> Self {
        let mut settings = self.clone();
        for ttl in settings
            .ttl
            .iter_mut()
            .chain(settings.ttl_for.iter_mut().map(|(_, ttl)| ttl))
        {
            *ttl = Ttl::Of(time(*ttl));
        }
        settings
    }

    /// Says what holds where it does not say: what all rules share, or what the profile decides.
    #[cfg(feature = "config")]
    pub(crate) fn fill(&mut self, consistency: Consistency, profile: Profile) {
        self.consistency.get_or_insert(consistency);
        self.body_limit
            .get_or_insert(Bytes(defaults::BODY_LIMIT as u64));
        self.cookies.get_or_insert_with(|| Cookies::by(profile));
        self.set_cookie = self.set_cookie.or(SetCookie::by(profile));
    }

    /// `left` of a lifetime, shortened as `chance` (from 0 to 1) has it.
    pub(super) fn shortened(&self, left: Duration, chance: f64) -> Duration {
        left.mul_f64(1.0 - f64::from(self.lifetime_jitter) / 100.0 * chance)
            .min(left)
    }

    /// What else than the key decides what is stored, and how a purge finds it. A response that was
    /// stored when the rule had another tag, or permitted what it now forbids, must answer nobody.
    pub(super) fn stored_as(&self) -> String {
        let Self {
            name,
            route,
            tags,
            tag_headers,
            set_cookie,
            ignore_no_store,
            ignore_private,
            ..
        } = self;
        format!(
            "{name:?}{route:?}{tags:?}{tag_headers:?}{ignore_no_store}{ignore_private}{set_cookie:?}"
        )
    }
}
