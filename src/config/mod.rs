//! Rules, streams and settings from one TOML file and the environment.
//!
//! ```no_run
//! # async fn example() -> Result<(), tower_tagcache::BoxError> {
//! let (cache, companion) = tower_tagcache::Cache::from_config("tagcache.toml")?;
//! tokio::spawn(companion.run(std::future::pending()));
//! # let _ = cache;
//! # Ok(()) }
//! ```
//!
//! ```toml
//! mode = "dev"                       # dev | prod | mock; MODE in the environment wins
//!
//! [redis]
//! url = "redis://127.0.0.1:6379"
//!
//! [[rules]]
//! name  = "auction_details"
//! route = "/auctions/{address}"
//! ttl   = "10s"                      # or "short" | "default" | "long"
//! tags  = ["auction:{address:address}"]
//! ```
//!
//! `[[streams]]` says which events purge, and what people are told of them; `[activity]` keeps what they are told, and
//! `[[alerts]]` says what of it raises alerts. These are posted to `[[webhooks]]` and pushed to browsers as `[push]` says (with the
//! feature `push`), to where `[outgoing]` lets requests go.
//!
//! An unknown key, a value of the wrong type and a setting that the cache refuses are errors that
//! quote the line. `tagcache schema` prints a JSON Schema of the file, for editors. The tables `[proxy]`, `[live]`,
//! `[feed]`, `[push_service]`, `[admin]` and `[log]` are those of the program `tagcache`, which may share the file: they pass unread.
//!
//! # The environment
//!
//! A variable beats the file; an empty one counts as not set.
//!
//! | variable | key |
//! |---|---|
//! | `MODE` | `mode`: `dev`, `prod` (the default) or `mock` |
//! | `REDIS_CONNECTION_URI` | `redis.url`. With `DEV_`, `PROD_` or `MOCK_` in front it counts in that mode only, and first |
//! | `REDIS_HOST`, `REDIS_PORT` | the same, where there is no URI; `localhost` and 6379 if only the other is set |
//! | `REDIS_MAX_CONNECTIONS` | `redis.max_connections` |
//! | `REDIS_TIMEOUT` | `redis.connect_timeout`, in seconds |
//! | `CACHE_DEFAULT_TTL`, `CACHE_LONG_TTL`, `CACHE_SHORT_TTL` | `cache.default_ttl` …, in seconds |
//! | `ENABLE_REDIS_STREAMS` | `redis.streams`: `true` or `false` |
//! | `STREAM_CONSUMER_GROUP` | `redis.consumer_group` |
//! | `TAGCACHE_PUSH_KEY` | `push.key`, where there is `[push]`; also before `push.key_file` |
//!
//! In mode `mock` there is no Redis unless `MOCK_REDIS_CONNECTION_URI` names one: the cache is in
//! this process, and events are handed in by [`Cache::events`](crate::Cache::events).

mod advice;
mod announced;
mod cache;
mod effective;
mod environment;
mod error;
mod locate;
mod push;
mod receivers;
mod reload;

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::cache::{CacheSection, RedisSection, RelaySection};
pub use self::error::ConfigFileError;
use self::locate::SourceTree;
pub use self::push::PushTable;
pub use self::reload::{Reload, Reloaded};
use crate::outgoing::{OutgoingSettings, WebhookSettings};
pub use crate::written::{Address, Written, read};
use crate::{
    ActivitySettings, AlertRule, Cache, CacheBuilder, Companion, Rule, RuleSettings, Setting,
    Stream, StreamSettings, Warning,
};
pub use crate::{Bytes, Period, Secret, Ttl};

/// The file: what is cached, and where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where this runs. Default: "prod". In the environment: MODE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The Redis server.
    #[serde(default)]
    pub redis: RedisSection,
    /// What holds for all rules.
    #[serde(default)]
    pub cache: CacheSection,
    /// What is cached, a route each.
    #[serde(default)]
    pub rules: Vec<RuleSettings>,
    /// The events that purge.
    #[serde(default)]
    pub streams: Vec<StreamSettings>,
    /// The feed of activity, and counters of it, made of what streams announce. Default: nothing is kept, unless there are
    /// alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<ActivitySettings>,
    /// Which of what streams announce raises alerts, and who is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertRule>,
    /// Where alerts are posted to that name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookSettings>,
    /// Where webhooks and pushes may go, and how long they may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<OutgoingSettings>,
    /// Web Push to browsers, of alerts that push. Default: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushTable>,
    /// The reverse proxy `tagcache proxy`.
    #[serde(default, skip_serializing)]
    #[schemars(with = "serde_json::Value")]
    proxy: Unread,
    /// Live updates, as server-sent events and by WebSocket.
    #[serde(default, skip_serializing)]
    #[schemars(with = "serde_json::Value")]
    live: Unread,
    /// What happened, over HTTP.
    #[serde(default, skip_serializing)]
    #[schemars(with = "serde_json::Value")]
    feed: Unread,
    /// Where browsers subscribe to pushes.
    #[serde(default, skip_serializing)]
    #[schemars(with = "serde_json::Value")]
    push_service: Unread,
    /// The admin listener of `tagcache proxy`.
    #[serde(default, skip_serializing)]
    #[schemars(with = "serde_json::Value")]
    admin: Unread,
    /// What the program writes about itself.
    #[serde(default, skip_serializing)]
    #[schemars(with = "serde_json::Value")]
    log: Unread,
}

/// A table of the program `tagcache`, which [reads it itself](Loaded::tables). It is known by name, so that a
/// misspelt table is a mistake, and kept, so that it is noticed when it changes.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
struct Unread(Option<toml::Value>);

impl fmt::Debug for Unread {
    /// It may have secrets in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "…" } else { "-" })
    }
}

/// Where a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// On a developer's machine.
    Dev,
    /// In production.
    #[default]
    Prod,
    /// In tests, without Redis.
    Mock,
}

/// A configuration together with the text that it was read from, to which its errors point.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What was read, with the environment laid over it.
    pub config: Config,
    /// The file, if there is one.
    path: Option<PathBuf>,
    text: String,
    /// Settings that were made elsewhere, and where.
    elsewhere: Vec<(Setting, &'static str)>,
}

impl Config {
    /// Reads the file at `path`, or none, and lays the environment over it. `env` gives a variable's
    /// value; the program hands in `|name| std::env::var(name).ok()`.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, has an unknown key or a value of the wrong type; or a
    /// variable has such a value.
    pub fn load(
        path: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, ConfigFileError> {
        let text = match path {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| ConfigFileError::unreadable(path, &error))?,
            None => String::new(),
        };
        Self::read(path, text, env)
    }

    /// Reads a file whose text is at hand; `path` is for messages.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub fn read(
        path: Option<&Path>,
        text: String,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, ConfigFileError> {
        let mut config: Self =
            toml::from_str(&text).map_err(|error| ConfigFileError::unread(path, &text, &error))?;
        let url = config.redis.url.clone();
        environment::lay_over(&mut config, env)?;
        let elsewhere = push::lay_over(&mut config, &environment::Variables(env));
        let path = path.map(Path::to_owned);
        let mut loaded = Loaded {
            config,
            path,
            text,
            elsewhere: elsewhere.into_iter().collect(),
        };
        if loaded.config.redis.url != url {
            loaded.made_elsewhere(Setting::REDIS_URL, "environment");
        }
        Ok(loaded)
    }

    /// Whether the proxy caches what no rule takes: if the file says so, or has no rules and does not say.
    #[must_use]
    pub fn has_implicit_rule(&self) -> bool {
        self.cache.upstream_rule.unwrap_or(self.rules.is_empty())
    }

    /// The mode, after the environment.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode.unwrap_or_default()
    }

    /// The rules, those that are switched off included.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        let rule = |rule: &RuleSettings| rule.with_lifetimes(|ttl| self.cache.ttl(ttl)).into();
        self.rules.iter().map(rule).collect()
    }

    /// A builder with everything that the file says about the cache. An observer or a clock may be
    /// added.
    pub fn cache_builder(&self) -> CacheBuilder {
        let builder = self.redis.apply(self.cache.apply(Cache::builder()));
        let builder = self.rules().into_iter().fold(builder, CacheBuilder::rule);
        let streams = self
            .streams
            .iter()
            .filter(|_| self.redis.streams != Some(false));
        let builder = streams
            .cloned()
            .map(Stream::from)
            .fold(builder, CacheBuilder::stream);
        let activity = self.activity.iter().cloned();
        let builder = activity.fold(builder, CacheBuilder::activity);
        let alerts = self.alerts.iter().cloned();
        let builder = alerts.fold(builder, CacheBuilder::alert);
        receivers::apply(self, builder)
    }
}

impl Loaded {
    /// Other tables of the same file, as `T` has them: those that it has no field for are passed over. For the
    /// program, whose tables the library lets pass unread.
    ///
    /// # Errors
    /// An unknown key, or a value of the wrong type, with its line.
    pub fn tables<T: DeserializeOwned>(&self) -> Result<T, ConfigFileError> {
        toml::from_str(&self.text)
            .map_err(|error| ConfigFileError::unread(self.path(), &self.text, &error))
    }

    /// Builds the cache.
    ///
    /// # Errors
    /// A setting that the cache refuses, with its line.
    pub fn build(&self) -> Result<(Cache, Companion), ConfigFileError> {
        self.build_with(self.config.cache_builder())
    }

    /// Builds the cache with `builder`, made by [`Config::cache_builder`] and extended.
    ///
    /// # Errors
    /// A setting that the cache refuses, with its line.
    pub fn build_with(&self, builder: CacheBuilder) -> Result<(Cache, Companion), ConfigFileError> {
        builder.build().map_err(|error| self.refused(&error))
    }

    /// `error`, of a cache that was built from this configuration, with the line to blame.
    #[must_use]
    pub fn refused(&self, error: &crate::ConfigError) -> ConfigFileError {
        let mut elsewhere = self.elsewhere.iter();
        let setting = error.place().setting();
        if let Some((_, origin)) = elsewhere.find(|(made, _)| Some(*made) == setting) {
            return ConfigFileError::refused_elsewhere(origin, error);
        }
        let located = SourceTree::new(&self.text).and_then(|located| located.blame(error));
        ConfigFileError::refused(self.path.as_deref(), &self.text, located, error)
    }

    /// Says that `setting` was changed after the file was read, in `origin`, so that no line of the file is blamed
    /// for it.
    pub fn made_elsewhere(&mut self, setting: Setting, origin: &'static str) {
        self.elsewhere.push((setting, origin));
    }

    /// The line that `warning` is about, counted from 1.
    #[must_use]
    pub fn line_of(&self, warning: &Warning) -> Option<usize> {
        let span = SourceTree::new(&self.text)?.place_of(warning.place())?;
        Some(error::position(&self.text, span.start).0)
    }

    /// The file, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

/// The JSON Schema of the file (draft 2020-12), for editors. Of the program's tables it has the names alone.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
