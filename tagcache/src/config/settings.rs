//! `[proxy]` as [`ProxySettings`], and `[admin]` as [`AdminSettings`].

use tower_tagcache::config::{Address, ConfigFileError, Mode, Secret};
use tower_tagcache::{Cache, CacheBuilder, Companion, ConfigError};

use super::{
    AccessFormatChoice, AdminSection, HealthSection, LimitsSection, ListenChoice, Loaded,
    ProtocolChoice, ProxySection, TimeoutsSection, UpstreamChoice, UpstreamHostChoice,
};
use crate::admin::{AdminSettings, AdminToken, PublicPurge};
use crate::proxy::{
    AccessFormat, AccessLogSettings, HealthSettings, Listen, Network, Proxy, ProxyError,
    ProxyLimits, ProxySettings, Timeouts, UpstreamHost, UpstreamProtocol, UpstreamSettings,
};
use crate::setting::{admin, proxy};
use tower_tagcache::{ConfigPlace, Setting};

/// Lets each key that is there beat its default.
macro_rules! lay_over {
    ($section:expr => $settings:expr; $($key:ident),+) => {
        $(if let Some(value) = $section.$key.clone() {
            $settings.$key = value.into();
        })+
    };
}

/// All that a start makes of a configuration, short of opening a port.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assembled {
    /// The cache.
    pub cache: Cache,
    /// Its companion.
    pub companion: Companion,
    /// The proxy, where an upstream is named.
    pub proxy: Option<Proxy>,
    /// The admin listener, where there is one.
    pub admin: Option<AdminSettings>,
}

impl Loaded {
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
    ) -> Result<Assembled, ConfigFileError> {
        let settings = self.proxy_settings()?;
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
        let has_upstream = settings.is_some();
        // Without an upstream, which an argument may name later, all else of `[proxy]` is looked at as well.
        let settings = match settings {
            Some(settings) => settings,
            None => self.proxy_with(ProxySettings::new("http://upstream.invalid"))?,
        };
        let proxy = Proxy::new(settings, cache.clone()).map_err(|error| self.unusable(&error))?;
        Ok(Assembled {
            cache,
            companion,
            proxy: Some(proxy).filter(|_| has_upstream),
            admin,
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
    ///
    /// # Errors
    /// A trusted peer is no network.
    pub fn proxy_settings(&self) -> Result<Option<ProxySettings>, ConfigFileError> {
        let section = &self.tables.proxy;
        let Some(first) = section.upstreams.first() else {
            return Ok(None);
        };
        let mut settings = ProxySettings::new(first.settings().url);
        settings.upstreams = section
            .upstreams
            .iter()
            .map(UpstreamChoice::settings)
            .collect();
        self.proxy_with(settings).map(Some)
    }

    /// `settings` with all but the upstreams that `[proxy]` says.
    fn proxy_with(&self, mut settings: ProxySettings) -> Result<ProxySettings, ConfigFileError> {
        let section = &self.tables.proxy;
        if !section.listen.is_empty() {
            settings.listen = section.listen.iter().map(ListenChoice::settings).collect();
        }
        settings.underscores_in_headers = section.underscores_in_headers;
        settings.trusted_peers = self.networks(proxy("trusted_peers"), &section.trusted_peers)?;
        section.apply(&mut settings);
        Ok(settings)
    }

    /// What `[admin]` says; `None` without it. The token comes from `TAGCACHE_ADMIN_TOKEN`, the token file,
    /// or the file itself, in this order; `env` is as for [`load`](Self::load).
    ///
    /// # Errors
    /// The token cannot be used, its file not be read, or a network is none.
    pub fn admin_settings(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<AdminSettings>, ConfigFileError> {
        let Some(section) = &self.tables.admin else {
            return Ok(None);
        };
        let mut settings = AdminSettings::default();
        if let Some(Address(address)) = section.listen {
            settings.listen = address;
        }
        settings.token = self.token(section, env)?;
        settings.test_calls = matches!(self.file.config.mode(), Mode::Dev | Mode::Mock);
        if let Some(networks) = &section.public_purge {
            let networks = self.networks(admin("public_purge"), networks)?;
            settings.public_purge = Some(PublicPurge { networks });
        }
        lay_over!(section => settings; purge_from_loopback, public_test_calls, connections,
            body_bytes, timeout, connection_lifetime, ready_without_upstream);
        Ok(Some(settings))
    }

    fn token(
        &self,
        section: &AdminSection,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<AdminToken>, ConfigFileError> {
        let wrong = |key: Setting, why: String, input: &str| {
            self.file.refused(&ConfigError::new(key, why, input))
        };
        let of_env = env("TAGCACHE_ADMIN_TOKEN").filter(|token| !token.is_empty());
        let text = match (of_env, &section.token_file, &section.token) {
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

    /// The networks that the texts of `setting` name.
    fn networks(
        &self,
        setting: Setting,
        texts: &[String],
    ) -> Result<Vec<Network>, ConfigFileError> {
        let network = |text: &String| {
            let read: Result<Network, _> = text.parse();
            read.map_err(|_| {
                let message = "no network (such as 10.0.0.0/8, or one address)";
                self.file.refused(&ConfigError::new(setting, message, text))
            })
        };
        texts.iter().map(network).collect()
    }
}

impl ProxySection {
    fn apply(&self, to: &mut ProxySettings) {
        if let Some(host) = &self.host {
            to.host = match host {
                UpstreamHostChoice::Client => UpstreamHost::Client,
                UpstreamHostChoice::Upstream => UpstreamHost::Upstream,
                UpstreamHostChoice::Set(host) => UpstreamHost::Fixed(host.clone()),
            };
        }
        lay_over!(self => to; name);
        if let Some(codings) = &self.accept_encoding {
            to.accept_encoding.clone_from(codings);
        }
        to.access_log = self.access_log.as_ref().map(|section| {
            let mut log = AccessLogSettings::new(&section.path);
            if section.format == Some(AccessFormatChoice::Json) {
                log.format = AccessFormat::Json;
            }
            log.one_in = section.one_in.unwrap_or(1);
            log
        });
        self.limits.apply(&mut to.limits);
        self.timeouts.apply(&mut to.timeouts);
        self.health.apply(&mut to.health);
    }
}

impl LimitsSection {
    fn apply(&self, to: &mut ProxyLimits) {
        lay_over!(self => to; connections, head_bytes, head_fields, streams, upstream_requests,
            upstream_idle, attempts);
    }
}

impl TimeoutsSection {
    fn apply(&self, to: &mut Timeouts) {
        lay_over!(self => to; client_handshake, client_head, client_body, client_write, client_idle,
            connect, handshake, response_head, response_body, upstream_idle, tunnel_idle, drain);
    }
}

impl HealthSection {
    fn apply(&self, to: &mut HealthSettings) {
        if self.path.is_some() {
            to.path.clone_from(&self.path);
        }
        lay_over!(self => to; interval, failures, pause);
    }
}

impl ListenChoice {
    fn settings(&self) -> Listen {
        match self {
            Self::Plain(Address(address)) => Listen::new(*address),
            Self::Tls(tls) => Listen::new(tls.address.0).tls(&tls.certificates, &tls.key),
        }
    }
}

impl UpstreamChoice {
    fn settings(&self) -> UpstreamSettings {
        match self {
            Self::Url(url) => UpstreamSettings::new(url),
            Self::Full(section) => {
                let mut settings = UpstreamSettings::new(&section.url);
                settings.authorities.clone_from(&section.authorities);
                settings.protocol = match section.protocol {
                    None | Some(ProtocolChoice::Auto) => UpstreamProtocol::Auto,
                    Some(ProtocolChoice::Http1) => UpstreamProtocol::Http1,
                    Some(ProtocolChoice::Http2) => UpstreamProtocol::Http2,
                };
                settings
            }
        }
    }
}
