//! From what was read to all that a start makes of it.

use tower_tagcache::config::{ConfigFileError, Mode, Secret};
use tower_tagcache::feed::ActivityService;
use tower_tagcache::live::LiveService;
use tower_tagcache::outgoing::push::PushService;
use tower_tagcache::{Cache, CacheBuilder, Companion, ConfigError, ConfigPlace, Setting, Warning};

use super::Configuration;
use crate::admin::{AdminSettings, AdminToken};
use crate::proxy::{Proxy, ProxyError, ProxySettings, UpstreamSettings};
use crate::setting::admin;

/// All that a start makes of a configuration, short of opening a port.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assembly {
    /// The cache.
    pub cache: Cache,
    /// Its companion.
    pub companion: Companion,
    /// The proxy, where an upstream is named.
    pub proxy: Option<Proxy>,
    /// The admin listener, where there is one.
    pub admin: Option<AdminSettings>,
    /// Live updates, where there are any; the proxy has them too.
    pub live: Option<LiveService>,
    /// What happened, over HTTP, where that is answered; the proxy has it too.
    pub feed: Option<ActivityService>,
    /// Where browsers subscribe, if they can; the proxy has it too.
    pub push: Option<PushService>,
    /// What of `[live]`, `[feed]` and `[push_service]` deserves a second look.
    pub warnings: Vec<Warning>,
}

impl Configuration {
    /// Builds everything with `builder`, made by
    /// [`Config::cache_builder`](tower_tagcache::config::Config::cache_builder) and
    /// extended, and connects to nothing. What a start refuses is refused here: `tagcache proxy`, `check`,
    /// `explain` and the reading of a file that has changed are this one function. `env` is as for
    /// [`load`](Self::load).
    ///
    /// # Errors
    /// The first setting that cannot be used, with its line.
    pub fn assemble(
        &self,
        builder: CacheBuilder,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Assembly, ConfigFileError> {
        let settings = self.proxy_settings();
        let admin = self.admin_settings(env)?;
        if let Some(admin) = &admin {
            admin
                .check(settings.as_ref())
                .map_err(|error| self.unusable(&error))?;
        }
        if let Some(settings) = &settings {
            settings
                .check_circle()
                .map_err(|error| self.unusable(&error))?;
            self.check_streams()?;
        }
        let (cache, companion) = self.file.build_with(builder)?;
        let (live, listened) = self.live_service(&cache, env)?.unzip();
        let (feed, read) = self.feed_service(&cache, env)?.unzip();
        let (push, subscribed) = self.push_service(&cache, env)?.unzip();
        let warnings = [listened, read, subscribed].into_iter().flatten().flatten();
        let has_upstream = settings.is_some();
        // Without an upstream, which an argument may name later, all else of `[proxy]` is looked at as well.
        let settings = match settings {
            Some(settings) => settings,
            None => {
                let mut settings = self.tables.proxy.clone();
                settings.upstreams = vec![UpstreamSettings::new("http://upstream.invalid")];
                settings
            }
        };
        let proxy = Proxy::new(settings, cache.clone()).map_err(|error| self.unusable(&error))?;
        let proxy = proxy
            .live(live.clone())
            .feed(feed.clone())
            .push(push.clone());
        Ok(Assembly {
            cache,
            companion,
            proxy: Some(proxy).filter(|_| has_upstream),
            admin,
            live,
            feed,
            push,
            warnings: warnings.collect(),
        })
    }

    /// A proxy that reads no event keeps what events should have purged: it does not start, unless it is told
    /// that this is meant.
    fn check_streams(&self) -> Result<(), ConfigFileError> {
        let config = &self.file.config;
        let meant = config.mode() == Mode::Mock || config.redis.streams == Some(false);
        let unheard = config.streams.first();
        match unheard.filter(|_| config.redis.url.is_none() && !meant) {
            None => Ok(()),
            Some(stream) => {
                let message = "no Redis is named that it could be read from, so that no event would ever purge: \
                               set `url` under [redis] or REDIS_CONNECTION_URI, or say `streams = false` \
                               under [redis]";
                let place = ConfigPlace::stream(&*stream.name);
                Err(self
                    .file
                    .refused(&ConfigError::new(place, message, stream.name.as_str())))
            }
        }
    }

    fn unusable(&self, error: &ProxyError) -> ConfigFileError {
        let (setting, input) = error.setting().unwrap_or((Setting::of("", "proxy"), ""));
        self.file
            .refused(&ConfigError::new(setting, error.message(), input))
    }

    /// What `[proxy]` says; `None` if it names no upstream.
    #[must_use]
    pub fn proxy_settings(&self) -> Option<ProxySettings> {
        let settings = &self.tables.proxy;
        (!settings.upstreams.is_empty()).then(|| settings.clone())
    }

    /// What `[admin]` says; `None` without it. The token comes from `TAGCACHE_ADMIN_TOKEN`, the token file,
    /// or the file itself, in this order; `env` is as for [`load`](Self::load).
    ///
    /// # Errors
    /// The token cannot be used, or its file not be read.
    pub fn admin_settings(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<AdminSettings>, ConfigFileError> {
        let Some(mut settings) = self.tables.admin.clone() else {
            return Ok(None);
        };
        settings.token = self.token(&settings, env)?;
        settings.test_calls = matches!(self.file.config.mode(), Mode::Dev | Mode::Mock);
        Ok(Some(settings))
    }

    fn token(
        &self,
        section: &AdminSettings,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<AdminToken>, ConfigFileError> {
        let wrong = |key: Setting, why: String, input: &str| {
            self.file.refused(&ConfigError::new(key, why, input))
        };
        let of_env = env("TAGCACHE_ADMIN_TOKEN").filter(|token| !token.is_empty());
        let text = match (of_env, &section.token_file, &section.token_text) {
            (Some(token), ..) => token,
            (None, Some(path), _) => std::fs::read_to_string(path).map_err(|error| {
                let shown = path.display().to_string();
                wrong(
                    admin("token_file"),
                    format!("cannot be read: {error}"),
                    &shown,
                )
            })?,
            (None, None, Some(Secret(token))) => token.clone(),
            (None, None, None) => return Ok(None),
        };
        let token = AdminToken::new(text.trim());
        token
            .map(Some)
            .map_err(|error| wrong(admin("token"), error.to_string(), "***"))
    }
}
