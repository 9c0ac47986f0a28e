//! `tagcache proxy`.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::runtime::Builder;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::failure::{Failure, runtime, wants_colour};
use super::overlay::{Overlay, builder};
use super::signals::{Stop, hangups};
use super::source::{ConfigArgs, variable};
use crate::admin::{Admin, AdminHooks, AdminSettings, Telemetry};
use crate::config::{Configuration, LogFormat};
use crate::proxy::{BoundProxy, Proxy, ProxyError};
use crate::setting::LOG_LEVEL;
use tower_tagcache::config::{self, ConfigFileError, Reload};
use tower_tagcache::{Cache, Companion, ConfigError};

/// For the companion to finish the events that it has in hand.
const COMPANION_ENDS: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(after_help = "\
Without a configuration it is an RFC 9111 shared cache in this process: responses are kept as their
Cache-Control says. SIGHUP reads the rules again, SIGTERM finishes what is under way and ends.")]
pub(super) struct ProxyArgs {
    #[command(flatten)]
    overlay: Overlay,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: ProxyArgs) -> Result<(), Failure> {
    let read = args.config.load()?;
    let mut loaded = read.clone();
    args.overlay.lay_over(&mut loaded);
    start_log(&loaded)?;
    let telemetry = Telemetry::new();
    let builder = builder(&loaded).observer(telemetry.clone());
    let assembled = loaded.assemble(builder, &variable)?;
    let Some(proxy) = assembled.proxy else {
        let message = "who is the upstream? Name it with --upstream http://127.0.0.1:9000, or in a \
                       configuration (`tagcache init` writes one)";
        return Err(Failure::usage(message));
    };
    // As it is in effect: who may listen, and by which secrets.
    loaded.tables.live = loaded.live_settings(&variable)?;
    loaded.tables.feed = loaded.feed_settings(&variable)?;
    loaded.tables.push_service = loaded.push_service_settings(&variable)?;
    for warning in &assembled.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = runtime(&mut Builder::new_multi_thread())?;
    let cache = assembled.cache;
    let reload = Reload::new(read.file, cache.clone(), variable);
    let overlay = args.overlay;
    let implicit = loaded.file.config.has_implicit_rule();
    let program = Program {
        reload: reload.checked(move |read| check_again(read, &overlay, implicit)),
        loaded,
        cache,
        companion: assembled.companion,
        telemetry,
    };
    let served = runtime.block_on(program.serve(proxy, assembled.admin));
    // What still hangs is not worth waiting for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

/// What the next start would refuse of a file that has changed.
fn check_again(
    read: &config::Loaded,
    overlay: &Overlay,
    implicit: bool,
) -> Result<(), ConfigFileError> {
    let mut loaded = Configuration::of(read.clone(), &variable)?;
    overlay.lay_over(&mut loaded);
    log_filter(&loaded)?;
    drop(loaded.assemble(builder(&loaded), &variable)?);
    match (implicit, loaded.file.config.has_implicit_rule()) {
        (true, false) => tracing::warn!("after the next start {UNCACHED}"),
        (false, true) => {
            tracing::warn!(
                "after the next start what no rule takes is kept as its Cache-Control says"
            );
        }
        _ => {}
    }
    Ok(())
}

/// What is written to the log.
pub(super) fn log_filter(loaded: &Configuration) -> Result<EnvFilter, ConfigFileError> {
    let level = &*loaded.tables.log.level;
    let refused = |why: String| {
        loaded
            .file
            .refused(&ConfigError::new(LOG_LEVEL, why, level))
    };
    // A single word that is no level would be taken for the name of a module, and all else be silent.
    let word = !level.contains([',', '=', ':', '[', '_']);
    if word
        && level
            .parse::<tracing_subscriber::filter::LevelFilter>()
            .is_err()
    {
        let message = "none of error, warn, info, debug, trace and off, nor directives such as \
                       info,tower_tagcache=debug";
        return Err(refused(message.to_owned()));
    }
    EnvFilter::try_new(level).map_err(|error| refused(error.to_string()))
}

fn start_log(loaded: &Configuration) -> Result<(), Failure> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(log_filter(loaded)?)
        .with_writer(io::stderr);
    match loaded.tables.log.format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text => lines
            .with_ansi(io::stderr().is_terminal() && wants_colour())
            .with_target(false)
            .init(),
    }
    Ok(())
}

/// What runs beside the proxy.
struct Program {
    reload: Reload,
    loaded: Configuration,
    cache: Cache,
    companion: Companion,
    telemetry: Telemetry,
}

impl Program {
    async fn serve(self, proxy: Proxy, admin: Option<AdminSettings>) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::failed(format!("no signals: {error}"));
        // Before anything listens, so that no signal is missed.
        let (mut stop, asked) = (Stop::new().map_err(failed)?, hangups().map_err(failed)?);
        let draining = Arc::new(AtomicBool::new(false));
        let admin = admin.map(|admin| self.admin(admin, &proxy, &draining));
        let door = admin.as_ref().and_then(Admin::door);
        let bound = proxy.door(door).bind().await.map_err(not_bound)?;
        announce(&bound, &self.loaded);
        let end = CancellationToken::new();
        let ended = || end.clone().cancelled_owned();
        if let Some(admin) = admin {
            let admin = admin.bind().await.map_err(not_bound)?;
            tracing::info!(address = %admin.local_address(), "admin listener");
            tokio::spawn(admin.run(ended()));
        }
        let companion = tokio::spawn(self.companion.run(ended()));
        tokio::spawn(self.reload.run(asked, ended()));
        let signalled = async {
            let signal = stop.wait().await;
            tracing::info!(signal, "finishing what is under way");
            draining.store(true, Ordering::Relaxed);
        };
        let drained = bound.run(signalled).await;
        end.cancel();
        let _ = timeout(COMPANION_ENDS, companion).await;
        tracing::info!(cut_off = drained.cut_off, "ended");
        Ok(())
    }

    fn admin(&self, settings: AdminSettings, proxy: &Proxy, draining: &Arc<AtomicBool>) -> Admin {
        let (loaded, rules) = (self.loaded.clone(), self.reload.rules_in_effect());
        let draining = Arc::clone(draining);
        let hooks = AdminHooks::new(self.telemetry.clone())
            .upstreams(proxy.upstreams())
            .unready(move || {
                let drains = draining.load(Ordering::Relaxed);
                drains.then(|| "the program ends".to_owned())
            })
            .config(move || {
                let mut loaded = loaded.clone();
                loaded.file.config.rules = rules();
                loaded.effective_text()
            });
        Admin::new(settings, self.cache.clone(), hooks)
    }
}

fn not_bound(error: ProxyError) -> Failure {
    Failure::failed(error.to_string())
}

/// Said at start, as one rule changes what becomes of all other paths.
const UNCACHED: &str = "what no rule takes is forwarded and not cached; `upstream_rule = true` under [cache] keeps it \
                        as its Cache-Control says";

fn announce(bound: &BoundProxy, loaded: &Configuration) {
    for address in bound.local_addresses() {
        tracing::info!(%address, "listening");
    }
    let rules = loaded.file.config.rules.len();
    if let Some(path) = loaded.file.path() {
        tracing::info!(rules, "configuration {}", path.display());
    }
    match (loaded.file.config.has_implicit_rule(), rules) {
        (true, 0) => tracing::info!("no rules: all responses are kept as their Cache-Control says"),
        (true, _) => tracing::info!("what no rule takes is kept as its Cache-Control says"),
        (false, _) => tracing::info!("{UNCACHED}"),
    }
}
