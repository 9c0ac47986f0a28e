//! [`Rule`]: what one line of the operator says. Checked and compiled when the cache is built.

use std::time::Duration;

use super::cookies::Cookies;
use super::options::{
    Authorization, ClientPolicy, Consistency, Forward, Host, SetCookie, TagHeader, Ttl,
};
use super::query::Query;
use super::settings::RuleSettings;
use super::statuses::Statuses;
use crate::amount::Period;

mod refill;

/// How the responses of one route are cached.
///
/// A rule takes `GET` and `HEAD` requests whose path matches its route, in axum's notation and with
/// axum's precedence: `/auctions/{address}`, `/files/{*rest}`, `{{` for a brace. The path is
/// matched as it was sent, neither decoded nor cleaned. A request takes the most specific of the
/// routes; one that none matches goes straight to the inner service.
///
/// ```
/// use std::time::Duration;
/// use tower_tagcache::{Query, Rule, Statuses};
///
/// let rule = Rule::new("price_history", "/auctions/{address}/price-history")
///     .ttl(Duration::from_secs(60))
///     .ttl_for(Statuses::code(404), Duration::from_secs(5))
///     .query(Query::allow(["hours"]))
///     .tag("history:{address:address}");
/// # drop(rule);
/// ```
///
/// Nothing here is checked before the cache is built; then every mistake is reported with the
/// rule's name and the input quoted.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub(super) settings: RuleSettings,
}

impl Rule {
    /// The rule `name` for `route`. The name is how purges, metrics and messages call it.
    pub fn new(name: impl Into<String>, route: impl Into<String>) -> Self {
        RuleSettings::new(name.into(), route.into()).into()
    }

    /// What it says.
    #[must_use]
    pub fn settings(&self) -> &RuleSettings {
        &self.settings
    }

    /// How long a response is fresh that does not say so itself, for the statuses that are
    /// cacheable without being named: 200, 203, 204, 300, 301 and 308.
    ///
    /// Default: none, so that only responses with a lifetime of their own are stored.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = Some(Ttl::Of(ttl));
        self
    }

    /// How long a response of a status, or of a class of them, is fresh; zero means never stored. A status beats
    /// its class.
    ///
    /// A class leaves out the statuses that blame the one request or client (400, 401, 403, 406, 413
    /// …): stored, such an answer would meet everybody. They, and server errors, are stored only if
    /// they are named here, whatever the inner service says. 206, 304, 412, 416, 428, 429, 431 and
    /// 511 are never stored.
    ///
    /// Default: none.
    #[must_use]
    pub fn ttl_for(mut self, statuses: impl Into<Statuses>, ttl: Duration) -> Self {
        self.settings.ttl_for.push((statuses.into(), Ttl::Of(ttl)));
        self
    }

    /// Lets the rule's TTL beat the `Cache-Control` and `Expires` of the inner service; `no-store`
    /// and `private` still forbid storing.
    ///
    /// Default: the response's own lifetime counts, and the rule's only where it has none.
    #[must_use]
    pub fn override_upstream(mut self) -> Self {
        self.settings.override_upstream = true;
        self
    }

    /// Stores responses in spite of `Cache-Control: no-store`.
    ///
    /// Default: they are not stored.
    #[must_use]
    pub fn ignore_no_store(mut self) -> Self {
        self.settings.ignore_no_store = true;
        self
    }

    /// Stores responses in spite of `Cache-Control: private`.
    ///
    /// Default: they are not stored.
    #[must_use]
    pub fn ignore_private(mut self) -> Self {
        self.settings.ignore_private = true;
        self
    }

    /// How long past its lifetime a response that does not say so itself may be served while it is
    /// refreshed behind (RFC 5861 §3). With [`override_upstream`](Self::override_upstream), also one
    /// that does.
    ///
    /// Default: what the response says.
    #[must_use]
    pub fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.settings.stale_while_revalidate = Some(Period(window));
        self
    }

    /// How long past its lifetime a response that does not say so itself may be served when the inner
    /// service fails (RFC 5861 §4). With [`override_upstream`](Self::override_upstream), also one that
    /// does.
    ///
    /// Default: what the response says.
    #[must_use]
    pub fn stale_if_error(mut self, window: Duration) -> Self {
        self.settings.stale_if_error = Some(Period(window));
        self
    }

    /// How the query is part of the key.
    ///
    /// Default: [`Query::all`], exactly as it was sent.
    #[must_use]
    pub fn query(mut self, query: Query) -> Self {
        self.settings.query = query;
        self
    }

    /// Makes a request header part of the key. May be called again for more.
    ///
    /// Default: none but those that are known to change responses without `Vary` (see
    /// [`ignore_header`](Self::ignore_header)).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.settings.headers.push(name.into());
        self
    }

    /// Leaves out of the key a request header that is in it by itself when present: the fields by
    /// which proxies pass on host, scheme, prefix, URL and identity, and by which front-end
    /// frameworks ask for a part of a page. Only where the inner service surely does not read it:
    /// otherwise anyone may store a response that others get.
    ///
    /// Default: all of them are part of the key.
    #[must_use]
    pub fn ignore_header(mut self, name: impl Into<String>) -> Self {
        self.settings.ignore_headers.push(name.into());
        self
    }

    /// Whether what the rule leaves out of the key reaches the inner service: a `utm_source` that is
    /// ignored, say. If it changes the response in spite of the rule, the one who asked first decides for
    /// all.
    ///
    /// The host is forwarded even where it is ignored, and so are fields that nobody names: they count
    /// where `Vary` names them.
    ///
    /// Default: [`Forward::Whole`], since statistics and logs of the inner service may want it.
    #[must_use]
    pub fn forward(mut self, forward: Forward) -> Self {
        self.settings.forward = forward;
        self
    }

    /// What is done with requests that have cookies.
    ///
    /// Default: [`Cookies::bypass`], so that a request with any cookie is not cached; under
    /// [`Profile::Rfc9111`](super::Profile::Rfc9111), [`Cookies::ignore_all`].
    #[must_use]
    pub fn cookies(mut self, cookies: Cookies) -> Self {
        self.settings.cookies = Some(cookies);
        self
    }

    /// What is done with responses that set a cookie.
    ///
    /// Default: [`SetCookie::Refuse`], they are not stored; under
    /// [`Profile::Rfc9111`](super::Profile::Rfc9111) they are, with the cookie.
    #[must_use]
    pub fn set_cookie(mut self, set_cookie: SetCookie) -> Self {
        self.settings.set_cookie = Some(set_cookie);
        self
    }

    /// What is done with requests that have `Authorization`.
    ///
    /// Default: [`Authorization::Upstream`], as RFC 9111 §3.5 permits.
    #[must_use]
    pub fn authorization(mut self, authorization: Authorization) -> Self {
        self.settings.authorization = authorization;
        self
    }

    /// Whether the host is part of the key.
    ///
    /// Default: [`Host::Key`].
    #[must_use]
    pub fn host(mut self, host: Host) -> Self {
        self.settings.host = host;
        self
    }

    /// A tag that each stored response carries: text with placeholders, `{source}` or
    /// `{source:normaliser}`. May be called again for more.
    ///
    /// | source | value |
    /// |---|---|
    /// | `{name}` | a capture of the route, percent-decoded |
    /// | `{query.name}` | a query parameter, decoded |
    /// | `{request.name}` | a request header, which becomes part of the key |
    /// | `{response.name}` | a response header |
    /// | `{/a/0/b}` | a JSON pointer (RFC 6901) into the body; `*` stands for each member |
    ///
    /// Several values give several tags. A response for which a value is missing is not stored,
    /// because it could not be purged. Normalisers: `auto` (the default: addresses to lower case),
    /// `address`, `int`, `lower`, `upper`.
    ///
    /// Default: none.
    #[must_use]
    pub fn tag(mut self, template: impl Into<String>) -> Self {
        self.settings.tags.push(template.into());
        self
    }

    /// Several [`tag`](Self::tag)s.
    ///
    /// Default: none.
    #[must_use]
    pub fn tags<T: Into<String>>(mut self, templates: impl IntoIterator<Item = T>) -> Self {
        self.settings
            .tags
            .extend(templates.into_iter().map(Into::into));
        self
    }

    /// The response headers that list further tags; not sent to clients.
    ///
    /// Default: `Surrogate-Key` (separated by spaces), `Cache-Tag` and `Edge-Cache-Tag` (by commas).
    #[must_use]
    pub fn tag_headers<T: Into<TagHeader>>(mut self, headers: impl IntoIterator<Item = T>) -> Self {
        self.settings.tag_headers = headers.into_iter().map(Into::into).collect();
        self
    }

    /// Sends the headers that list tags to clients, for an outer cache that reads them too.
    ///
    /// Default: they are removed.
    #[must_use]
    pub fn keep_tag_headers(mut self) -> Self {
        self.settings.keep_tag_headers = true;
        self
    }

    /// What browsers and outer CDNs are told.
    ///
    /// Default: [`ClientPolicy::Auto`], `no-cache` for a response with tags.
    #[must_use]
    pub fn client(mut self, client: ClientPolicy) -> Self {
        self.settings.client = client;
        self
    }

    /// The largest body that is stored, in bytes.
    ///
    /// Default: 2 MiB.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.settings.body_limit = Some(bytes.into());
        self
    }

    /// Checks each hit against the purge log, in a round trip: no response is served once its purge has
    /// returned. Requests that come while one is asked about share the next; where a copy of the response
    /// is in this process, nothing but the log is asked.
    ///
    /// Default: [`near`](Self::near), unless the cache is built with strict rules.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.settings.consistency = Some(Consistency::Strict);
        self
    }

    /// Answers from a copy in this process while it hears from the purge log: a purge takes about a
    /// round trip to arrive, and at most the lease while Redis cannot be reached. What is not at hand
    /// is looked up as by a strict rule.
    ///
    /// Default: this, unless the cache is built with strict rules.
    #[must_use]
    pub fn near(mut self) -> Self {
        self.settings.consistency = Some(Consistency::Near);
        self
    }

    /// Does what a request's `Cache-Control` asks of a cache (RFC 9111 §5.2.1): `no-cache`,
    /// `no-store`, `max-age`, `min-fresh`, `max-stale`, `only-if-cached`; and `Pragma: no-cache`
    /// where there is none. Any client can then make the inner service work.
    ///
    /// Default: they are not heard, which that section permits.
    #[must_use]
    pub fn honor_request_directives(mut self) -> Self {
        self.settings.honor_request_directives = true;
        self
    }

    /// Hears `No-Vary-Search` (draft-ietf-httpbis-no-vary-search): a response that says which
    /// differences of the query make none also answers URLs that differ in those alone. It is looked
    /// for after the exact URL, by what this process last saw under the path.
    ///
    /// Default: the field is passed on and not heard.
    #[must_use]
    pub fn no_vary_search(mut self) -> Self {
        self.settings.no_vary_search = true;
        self
    }

    /// Takes, in a proxy, also paths that the upstream may read as others: with dot segments, encoded separators,
    /// or parameters (`;`). Only for an upstream that reads a path as it was sent. Default: they are forwarded.
    #[must_use]
    pub fn encoded_paths(mut self) -> Self {
        self.settings.encoded_paths = true;
        self
    }

    /// Lets a client that was told of a change name its position in the query, `?after=12-3`, where it cannot
    /// send the field `Cache-After` (an `EventSource`, a link). The parameter `after` is then no part of the key, and
    /// the inner service does not see it.
    ///
    /// Default: only the field is heard, and `after` is a parameter like any other.
    #[must_use]
    pub fn after_parameter(mut self) -> Self {
        self.settings.after_parameter = true;
        self
    }

    /// Whether the rule caches. A rule that does not still takes its route, so that its requests
    /// reach the inner service even where a broader rule matches them too.
    ///
    /// Default: `true`.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.settings.enabled = enabled;
        self
    }

    /// The method that it is for. Only `GET` can be named, and stands for `HEAD` as well: no other
    /// method's responses are cached.
    ///
    /// Default: `GET`.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.settings.methods.push(method.into());
        self
    }
}

impl From<RuleSettings> for Rule {
    fn from(settings: RuleSettings) -> Self {
        Self { settings }
    }
}
