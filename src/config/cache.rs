//! `[redis]` and `[cache]`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Period, Secret, Ttl};
use crate::{CacheBuilder, Consistency, Profile, RedisLogin, RedisTls};

/// The Redis server that holds responses, purge log and event streams. Without `url` (and without
/// its variables in the environment) all that is kept in this process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisSection {
    /// The server: `"redis://127.0.0.1:6379"`. In the environment: REDIS_CONNECTION_URI, with DEV_, PROD_ or
    /// MOCK_ in front by mode, or REDIS_HOST and REDIS_PORT.
    #[serde(default, skip_serializing)]
    pub url: Option<Secret>,
    /// As whom it is spoken to. Default: the user of the URL, or the default user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A file with the user's name, read again when it changes. It comes before `username`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_file: Option<PathBuf>,
    /// The password, if the URL has none. Better: `password_file`.
    #[serde(
        default,
        serialize_with = "crate::secret::masked",
        skip_serializing_if = "Option::is_none"
    )]
    pub password: Option<Secret>,
    /// A file with the password, read again when it changes: all connections then authenticate again. It comes before
    /// `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// As whom the Sentinels are spoken to, if the URL begins with "redis+sentinel://".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<RedisLogin>,
    /// How it is spoken to by TLS, if the URL begins with "rediss://".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RedisTls>,
    /// What all keys in Redis begin with. Default: "tagcache".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `true`: responses are stored compressed (zstd) where that saves at least a tenth. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<bool>,
    /// A cap on all connections of this process. Needed are four, two for each stream, and one where activity is kept. Default: none.
    /// In the environment: REDIS_MAX_CONNECTIONS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<usize>,
    /// How long a connection is used before another one takes its place: less than after what time the server, or what stands
    /// before it, cuts connections. At least "1s". Default: "11h".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connection_age: Option<Period>,
    /// How long making a connection may take. Default: "5s". In the environment: REDIS_TIMEOUT, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Period>,
    /// How long each step of a lookup may take before the request goes to the upstream. Default: "25ms".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_timeout: Option<Period>,
    /// How long storing a response may take; no request waits for it. Default: "100ms".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_timeout: Option<Period>,
    /// How long a purge waits to be acknowledged before it is pending. Default: "2s".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_timeout: Option<Period>,
    /// The consumer group that reads the streams. Default: the namespace. In the environment:
    /// STREAM_CONSUMER_GROUP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<String>,
    /// The regions whose purges a relay brings here, where they must be heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelaySection>,
    /// `false`: no stream is read. Default: true. In the environment: ENABLE_REDIS_STREAMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<bool>,
}

/// The regions whose purges a relay (`tagcache relay`) brings to this one, and must be heard: while one was not, nothing
/// is served from the cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelaySection {
    /// What they are called: `--region` of their relays.
    pub from: Vec<String>,
    /// How long one may be silent: at least four times its relay's `--beat`.
    pub max_cut: Period,
}

/// What holds for all rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheSection {
    /// What `ttl = "default"` means. Default: "30s". In the environment: CACHE_DEFAULT_TTL, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<Period>,
    /// What `ttl = "long"` means. Default: "5m". In the environment: CACHE_LONG_TTL, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_ttl: Option<Period>,
    /// What `ttl = "short"` means. Default: "10s". In the environment: CACHE_SHORT_TTL, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_ttl: Option<Period>,
    /// How careful the rules are that do not say themselves: "careful", or "rfc9111" for what the RFC permits
    /// and no more caution. Default: "careful".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// `true` adds the implicit rule `upstream` for what no other rule takes: the responses decide about
    /// their lifetime. Default: false; `tagcache proxy` has it where there are no rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_rule: Option<bool>,
    /// How a hit is checked where a rule does not say. Default: "near".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// For how long what was heard from Redis counts as still true. From "30ms" to "5s". Default: "1s".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Period>,
    /// How much the store in this process may hold. Default: "64 MiB".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_bytes: Option<Bytes>,
    /// How often a response must have been found in Redis or fetched before this process keeps a copy. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_after: Option<u32>,
    /// The longest lifetime of a stored response. Default: "24h".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_ceiling: Option<Period>,
    /// How much may be held of responses on their way into the cache, all together; what does not fit is passed
    /// on and not stored. At least "4 MiB". Default: "256 MiB".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_bytes: Option<Bytes>,
    /// How long a request waits for an identical one under way before one more is forwarded. Default: "30s".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coalesce_timeout: Option<Period>,
    /// After what time another node takes the place of one that fetches for the fleet and may have died, for
    /// rules with `fleet_coalesce`. Default: "30s".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_claim: Option<Period>,
}

impl CacheSection {
    /// What the three named lifetimes are.
    pub(super) fn ttl(&self, ttl: Ttl) -> Duration {
        let said = match ttl {
            Ttl::Default => self.default_ttl,
            Ttl::Long => self.long_ttl,
            Ttl::Short => self.short_ttl,
            Ttl::Of(_) => None,
        };
        said.map_or(ttl.time(), |Period(time)| time)
    }

    pub(super) fn apply(&self, mut to: CacheBuilder) -> CacheBuilder {
        if self.consistency == Some(Consistency::Strict) {
            to = to.strict();
        }
        if self.upstream_rule == Some(true) {
            to = to.upstream_rule();
        }
        to = said(to, self.profile, CacheBuilder::profile);
        to = said(to, self.lease, CacheBuilder::lease);
        to = said(to, self.store_bytes, CacheBuilder::store_bytes);
        to = said(to, self.fill_bytes, CacheBuilder::fill_bytes);
        to = said(to, self.near_after, CacheBuilder::near_after);
        to = said(to, self.fleet_claim, CacheBuilder::fleet_claim);
        to = said(to, self.lifetime_ceiling, CacheBuilder::lifetime_ceiling);
        said(to, self.coalesce_timeout, CacheBuilder::coalesce_timeout)
    }
}

impl RedisSection {
    /// As whom it is spoken to, where the URL does not say.
    fn login(&self) -> RedisLogin {
        let mut login = RedisLogin::new();
        if let Some(user) = &self.username {
            login = login.username(user);
        }
        if let Some(file) = &self.username_file {
            login = login.username_file(file);
        }
        if let Some(Secret(password)) = &self.password {
            login = login.password(password);
        }
        if let Some(file) = &self.password_file {
            login = login.password_file(file);
        }
        login
    }

    pub(super) fn apply(&self, mut to: CacheBuilder) -> CacheBuilder {
        if let Some(Secret(url)) = &self.url {
            to = to.redis(url);
        }
        to = to.redis_login(self.login());
        if let Some(sentinel) = &self.sentinel {
            to = to.sentinel_login(sentinel.clone());
        }
        if let Some(tls) = &self.tls {
            to = to.redis_tls(tls.clone());
        }
        if let Some(namespace) = &self.namespace {
            to = to.namespace(namespace);
        }
        if let Some(group) = &self.consumer_group {
            to = to.consumer_group(group);
        }
        if self.compress == Some(true) {
            to = to.compress_at_rest();
        }
        if let Some(RelaySection { from, max_cut }) = &self.relay {
            to = to.max_cut(from, max_cut.0);
        }
        to = said(to, self.max_connections, CacheBuilder::max_connections);
        let age = self.max_connection_age;
        to = said(to, age, CacheBuilder::max_connection_age);
        to = said(to, self.connect_timeout, CacheBuilder::connect_timeout);
        to = said(to, self.read_timeout, CacheBuilder::read_timeout);
        to = said(to, self.write_timeout, CacheBuilder::write_timeout);
        said(to, self.purge_timeout, CacheBuilder::purge_timeout)
    }
}

/// `to` with `value`, which `set` sets, if the file has it.
fn said<V: Into<T>, T>(
    to: CacheBuilder,
    value: Option<V>,
    set: impl FnOnce(CacheBuilder, T) -> CacheBuilder,
) -> CacheBuilder {
    match value {
        Some(value) => set(to, value.into()),
        None => to,
    }
}
