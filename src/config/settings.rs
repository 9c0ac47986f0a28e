//! `[proxy]` as [`ProxySettings`], and `[admin]` as [`AdminSettings`].

use super::error::ConfigFileError;
use super::{
    Address, AdminSection, Bytes, HealthSection, LimitsSection, ListenChoice, Loaded, Mode, Period,
    ProtocolChoice, ProxySection, Secret, TimeoutsSection, UpstreamChoice, UpstreamHostChoice,
};
use crate::ConfigError;
use crate::proxy::admin::{AdminSettings, AdminToken, PublicPurge};
use crate::proxy::{
    HealthSettings, Listen, Network, ProxyLimits, ProxySettings, Timeouts, UpstreamHost,
    UpstreamProtocol, UpstreamSettings,
};

/// Lets each key that is there beat its default.
macro_rules! lay_over {
    ($section:expr => $settings:expr; $($key:ident),+) => {
        $(if let Some(value) = $section.$key.clone() {
            $settings.$key = value.into();
        })+
    };
}

impl Loaded {
    /// What `[proxy]` says; `None` if it names no upstream.
    ///
    /// # Errors
    /// A trusted peer is no network.
    pub fn proxy_settings(&self) -> Result<Option<ProxySettings>, ConfigFileError> {
        let section = &self.config.proxy;
        let Some(first) = section.upstreams.first() else {
            return Ok(None);
        };
        let mut settings = ProxySettings::new(first.settings().url);
        settings.upstreams = section
            .upstreams
            .iter()
            .map(UpstreamChoice::settings)
            .collect();
        if !section.listen.is_empty() {
            settings.listen = section.listen.iter().map(ListenChoice::settings).collect();
        }
        settings.trusted_peers = self.networks("trusted_peers", &section.trusted_peers)?;
        section.apply(&mut settings);
        Ok(Some(settings))
    }

    /// What `[admin]` says; `None` without it. The token comes from `TAGCACHE_ADMIN_TOKEN`, the token file,
    /// or the file itself, in this order; `env` is as for [`Config::load`](super::Config::load).
    ///
    /// # Errors
    /// The token cannot be used, its file not be read, or a network is none.
    pub fn admin_settings(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<AdminSettings>, ConfigFileError> {
        let Some(section) = &self.config.admin else {
            return Ok(None);
        };
        let mut settings = AdminSettings::default();
        if let Some(Address(address)) = section.listen {
            settings.listen = address;
        }
        settings.token = self.token(section, env)?;
        settings.test_calls = matches!(self.config.mode(), Mode::Dev | Mode::Mock);
        if let Some(networks) = &section.public_purge {
            let networks = self.networks("public_purge", networks)?;
            settings.public_purge = Some(PublicPurge { networks });
        }
        lay_over!(section => settings; purge_from_loopback, public_test_calls, connections,
            body_bytes, timeout, connection_lifetime);
        Ok(Some(settings))
    }

    fn token(
        &self,
        section: &AdminSection,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<AdminToken>, ConfigFileError> {
        let wrong =
            |key, why: String, input: &str| self.refused(&ConfigError::new(key, why, input));
        let of_env = env("TAGCACHE_ADMIN_TOKEN").filter(|token| !token.is_empty());
        let text = match (of_env, &section.token_file, &section.token) {
            (Some(token), ..) => token,
            (None, Some(path), _) => std::fs::read_to_string(path).map_err(|error| {
                let shown = path.display().to_string();
                wrong("token_file", format!("cannot be read: {error}"), &shown)
            })?,
            (None, None, Some(Secret(token))) => token.clone(),
            (None, None, None) => return Ok(None),
        };
        let token = AdminToken::new(text.trim());
        token
            .map(Some)
            .map_err(|error| wrong("token", error.to_string(), "***"))
    }

    /// The networks that the texts at `place` name.
    pub(super) fn networks(
        &self,
        place: &str,
        texts: &[String],
    ) -> Result<Vec<Network>, ConfigFileError> {
        let network = |text: &String| {
            let read: Result<Network, _> = text.parse();
            read.map_err(|_| {
                let message = "no network (such as 10.0.0.0/8, or one address)";
                self.refused(&ConfigError::new(place, message, text))
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

impl From<Period> for std::time::Duration {
    fn from(Period(time): Period) -> Self {
        time
    }
}

impl From<Bytes> for usize {
    fn from(Bytes(bytes): Bytes) -> Self {
        Self::try_from(bytes).unwrap_or(Self::MAX)
    }
}
