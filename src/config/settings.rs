//! `[proxy]` as [`ProxySettings`].

use super::error::ConfigFileError;
use super::{
    Address, Bytes, HealthSection, LimitsSection, ListenChoice, Loaded, Period, ProtocolChoice,
    ProxySection, TimeoutsSection, UpstreamChoice, UpstreamHostChoice,
};
use crate::ConfigError;
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
