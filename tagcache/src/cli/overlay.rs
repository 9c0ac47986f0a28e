//! Arguments that are laid over a configuration: those of the proxy, which `check` and `explain` take too.

use clap::{Args, ValueEnum};

use tower_tagcache::config::{Address, Secret};
use tower_tagcache::{CacheBuilder, Profile};

use crate::config::Configuration;
use crate::proxy::{Listen, UpstreamSettings};
use crate::setting::{LISTEN, UPSTREAMS};
use tower_tagcache::Setting;

#[derive(Debug, Clone, Args)]
pub(super) struct Overlay {
    /// Who answers what the cache does not; may be repeated
    #[arg(short, long = "upstream", value_name = "URL")]
    upstreams: Vec<String>,
    /// Where clients connect; may be repeated [default: 127.0.0.1:8080]
    #[arg(short, long, value_name = "ADDRESS", value_parser = address)]
    listen: Vec<Address>,
    /// The Redis server to share responses and purges with
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// How careful rules are that do not say themselves [default: careful]
    #[arg(long, value_enum)]
    profile: Option<ProfileArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProfileArg {
    /// More careful than the RFC about cookies and errors
    Careful,
    /// As RFC 9111 has it
    Rfc9111,
}

fn address(text: &str) -> Result<Address, String> {
    let read: Result<Address, String> = text.parse();
    read.map_err(|expected| format!("expected {expected}"))
}

impl Overlay {
    /// Whether anything is said by an argument.
    pub(super) const fn names_upstream(&self) -> bool {
        !self.upstreams.is_empty()
    }

    /// Lays the arguments over the configuration.
    pub(super) fn lay_over(&self, loaded: &mut Configuration) {
        let (config, proxy) = (&mut loaded.file.config, &mut loaded.tables.proxy);
        let mut made = Vec::new();
        if !self.upstreams.is_empty() {
            let upstreams = self.upstreams.iter().cloned();
            proxy.upstreams = upstreams.map(UpstreamSettings::new).collect();
            made.push(UPSTREAMS);
        }
        if !self.listen.is_empty() {
            let listen = self.listen.iter().copied();
            proxy.listen = listen
                .map(|Address(address)| Listen::new(address))
                .collect();
            made.push(LISTEN);
        }
        if let Some(url) = &self.redis {
            config.redis.url = Some(Secret(url.clone()));
            made.push(Setting::REDIS_URL);
        }
        match self.profile {
            Some(ProfileArg::Careful) => config.cache.profile = Some(Profile::Careful),
            Some(ProfileArg::Rfc9111) => config.cache.profile = Some(Profile::Rfc9111),
            None => {}
        }
        for place in made {
            loaded.file.made_elsewhere(place, "argument");
        }
    }
}

/// The cache as the proxy with this configuration has it.
pub(super) fn builder(loaded: &Configuration) -> CacheBuilder {
    let config = &loaded.file.config;
    let builder = config.cache_builder();
    match config.has_implicit_rule() {
        true => builder.upstream_rule(),
        false => builder,
    }
}
