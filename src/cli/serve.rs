//! `tagcache proxy`.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing_subscriber::EnvFilter;

use super::failure::wants_colour;
use super::signals::{Stop, hangups};
use super::{ConfigArgs, Failure};
use crate::config::{
    Address, Config, ListenChoice, Loaded, LogFormat, ProfileChoice, Reload, Secret, UpstreamChoice,
};
use crate::proxy::admin::{Admin, AdminHooks, AdminSettings, Telemetry};
use crate::proxy::{Bound, Proxy, ProxyError, ProxySettings};
use crate::{Cache, Companion};

/// For the companion to finish the events that it has in hand.
const COMPANION_ENDS: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(after_help = "\
Without a configuration it is an RFC 9111 shared cache in this process: responses are kept as their
Cache-Control says. SIGHUP reads the rules again, SIGTERM finishes what is under way and ends.")]
pub(super) struct ProxyArgs {
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
    #[command(flatten)]
    config: ConfigArgs,
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

impl ProxyArgs {
    /// Lays the arguments over the configuration.
    fn lay_over(self, loaded: &mut Loaded) {
        let config = &mut loaded.config;
        if !self.upstreams.is_empty() {
            config.proxy.upstreams = self
                .upstreams
                .into_iter()
                .map(UpstreamChoice::Url)
                .collect();
        }
        if !self.listen.is_empty() {
            config.proxy.listen = self.listen.into_iter().map(ListenChoice::Plain).collect();
        }
        if let Some(url) = self.redis {
            config.redis.url = Some(Secret(url));
        }
        match self.profile {
            Some(ProfileArg::Careful) => config.cache.profile = Some(ProfileChoice::Careful),
            Some(ProfileArg::Rfc9111) => config.cache.profile = Some(ProfileChoice::Rfc9111),
            None => {}
        }
        if config.has_implicit_rule() {
            config.cache.upstream_rule = Some(true);
        }
    }
}

pub(super) fn run(args: ProxyArgs) -> Result<(), Failure> {
    let read = args.config.load()?;
    start_log(&read)?;
    let mut loaded = read.clone();
    args.lay_over(&mut loaded);
    let Some(settings) = loaded.proxy_settings()? else {
        let message = "who is the upstream? Name it with --upstream http://127.0.0.1:9000, or in a \
                       configuration (`tagcache init` writes one)";
        return Err(Failure::usage(message));
    };
    let admin = loaded.admin_settings(&super::variable)?;
    let telemetry = Telemetry::new();
    let builder = loaded.config.cache_builder().observer(telemetry.clone());
    let (cache, companion) = loaded.build_with(builder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    let program = Program {
        reload: Reload::new(read, cache.clone(), super::variable),
        loaded,
        cache,
        companion,
        telemetry,
    };
    let served = runtime.block_on(program.serve(settings, admin));
    // What still hangs is not worth waiting for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

fn start_log(loaded: &Loaded) -> Result<(), Failure> {
    let log = &loaded.config.log;
    let level = log.level.as_deref().unwrap_or("info");
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Failure::usage(format!("log level {level:?}: {error}")))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match log.format {
        Some(LogFormat::Json) => lines.json().init(),
        _ => lines
            .with_ansi(io::stderr().is_terminal() && wants_colour())
            .with_target(false)
            .init(),
    }
    Ok(())
}

/// What runs beside the proxy.
struct Program {
    reload: Reload,
    loaded: Loaded,
    cache: Cache,
    companion: Companion,
    telemetry: Telemetry,
}

impl Program {
    async fn serve(
        self,
        settings: ProxySettings,
        admin: Option<AdminSettings>,
    ) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::failed(format!("no signals: {error}"));
        // Before anything listens, so that no signal is missed.
        let (mut stop, asked) = (Stop::new().map_err(failed)?, hangups().map_err(failed)?);
        let draining = Arc::new(AtomicBool::new(false));
        let proxy = Proxy::new(settings, self.cache.clone()).map_err(usage)?;
        let admin = admin.map(|admin| self.admin(admin, &proxy, &draining));
        let door = admin.as_ref().and_then(Admin::door);
        let bound = proxy.door(door).bind().await.map_err(not_bound)?;
        announce(&bound, &self.loaded);
        let (ending, ended) = watch::channel(());
        let until_ended = || {
            let mut ended = ended.clone();
            // An error means that the sender is gone: the end as well.
            async move { drop(ended.changed().await) }
        };
        if let Some(admin) = admin {
            let admin = admin.bind().await.map_err(not_bound)?;
            tracing::info!(address = %admin.local_address(), "admin listener");
            tokio::spawn(admin.run(until_ended()));
        }
        let companion = tokio::spawn(self.companion.run(until_ended()));
        tokio::spawn(self.reload.run(asked, until_ended()));
        let signalled = async {
            let signal = stop.wait().await;
            tracing::info!(signal, "finishing what is under way");
            draining.store(true, Ordering::Relaxed);
        };
        let drained = bound.run(signalled).await;
        drop(ending);
        let _ = timeout(COMPANION_ENDS, companion).await;
        tracing::info!(cut_off = drained.cut_off, "ended");
        Ok(())
    }

    fn admin(&self, settings: AdminSettings, proxy: &Proxy, draining: &Arc<AtomicBool>) -> Admin {
        let (config, rules) = (self.loaded.config.clone(), self.reload.rules_in_effect());
        let draining = Arc::clone(draining);
        let hooks = AdminHooks::new(self.telemetry.clone())
            .upstreams(proxy.upstreams())
            .unready(move || {
                let drains = draining.load(Ordering::Relaxed);
                drains.then(|| "the program ends".to_owned())
            })
            .config(move || {
                let rules = rules();
                let config = Config {
                    rules,
                    ..config.clone()
                };
                toml::to_string(&config).unwrap_or_else(|error| format!("# {error}"))
            });
        Admin::new(settings, self.cache.clone(), hooks)
    }
}

fn not_bound(error: ProxyError) -> Failure {
    Failure::failed(error.to_string())
}

fn usage(error: ProxyError) -> Failure {
    Failure::usage(error.to_string())
}

fn announce(bound: &Bound, loaded: &Loaded) {
    for address in bound.local_addresses() {
        tracing::info!(%address, "listening");
    }
    let rules = loaded.config.rules.len();
    match loaded.path() {
        Some(path) => tracing::info!(rules, "configuration {}", path.display()),
        None => tracing::info!("no configuration: responses are kept as they say themselves"),
    }
}
