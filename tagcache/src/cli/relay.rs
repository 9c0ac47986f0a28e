//! `tagcache relay`.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::failure::{Failure, runtime, wants_colour};
use super::relay_listener::RelayListener;
use super::signals::Stop;
use tower_tagcache::{RedisTls, Relay, RelayBuilder};

#[derive(Debug, Args)]
#[command(after_help = "\
It keeps nothing: how far it has come stands in the purge log of the other region, so it may be stopped, killed and
started anywhere at any time. Where nobody knows what was missed (its first start, a purge log that was lost, or trimmed
before it was read) everything in the other region is purged. Run one for each direction.")]
pub(super) struct RelayArgs {
    /// The Redis of the region whose purges are taken over: redis://, rediss://, redis+sentinel:// …
    #[arg(
        long,
        value_name = "URL",
        env = "TAGCACHE_RELAY_FROM",
        hide_env_values = true
    )]
    from: String,
    /// The Redis of the region that they are taken to
    #[arg(
        long,
        value_name = "URL",
        env = "TAGCACHE_RELAY_TO",
        hide_env_values = true
    )]
    to: String,
    /// What the region of --from is called: nodes of the other one name it (`[redis.relay] from`)
    #[arg(long, value_name = "NAME", default_value = "main")]
    region: String,
    /// What all keys begin with there
    #[arg(long, value_name = "NAME", default_value = "tagcache")]
    from_namespace: String,
    /// And here
    #[arg(long, value_name = "NAME", default_value = "tagcache")]
    to_namespace: String,
    /// How often the other region hears from it: at most a quarter of `max_cut` there
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    beat: Duration,
    /// The longest settling time in use in the region of --from [default: the longest that it has seen]
    #[arg(long, value_name = "TIME", default_value = "0s", hide_default_value = true, value_parser = time)]
    settle: Duration,
    #[command(flatten)]
    tls: TlsArgs,
    /// Answers /healthz, /readyz and /metrics (Prometheus) there, such as 127.0.0.1:9180
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Not ready while the other region may lack what was purged longer ago than this
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    max_lag: Duration,
    /// Writes each line of the log as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct TlsArgs {
    /// The certificates that are believed of --from, where it begins with rediss:// (PEM) [default: the system's]
    #[arg(long, value_name = "FILE")]
    from_ca: Option<PathBuf>,
    /// The certificate that is shown to --from, and its key (PEM)
    #[arg(long, value_names = ["CERTIFICATE", "KEY"], num_args = 2)]
    from_certificate: Vec<PathBuf>,
    /// As --from-ca, of --to
    #[arg(long, value_name = "FILE")]
    to_ca: Option<PathBuf>,
    /// As --from-certificate, to --to
    #[arg(long, value_names = ["CERTIFICATE", "KEY"], num_args = 2)]
    to_certificate: Vec<PathBuf>,
}

fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

fn tls(ca: Option<&PathBuf>, certificate: &[PathBuf]) -> RedisTls {
    let mut tls = RedisTls::new();
    if let Some(ca) = ca {
        tls = tls.ca_file(ca);
    }
    if let [certificate, key] = certificate {
        tls = tls.client_certificate(certificate, key);
    }
    tls
}

impl RelayArgs {
    fn relay(&self) -> Result<Relay, Failure> {
        let from = tls(self.tls.from_ca.as_ref(), &self.tls.from_certificate);
        let to = tls(self.tls.to_ca.as_ref(), &self.tls.to_certificate);
        let relay = RelayBuilder::new(&self.region, &self.from, &self.to)
            .namespaces(&self.from_namespace, &self.to_namespace)
            .tls(from, to)
            .beat(self.beat)
            .settle(self.settle)
            .build();
        relay.map_err(|error| Failure::usage(error.to_string()))
    }
}

pub(super) fn run(args: &RelayArgs) -> Result<(), Failure> {
    start_log(args.json);
    let relay = args.relay()?;
    let runtime = runtime(&mut Builder::new_multi_thread())?;
    let relayed = runtime.block_on(relay_until_stopped(args, relay));
    // What still hangs is not worth waiting for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    relayed
}

async fn relay_until_stopped(args: &RelayArgs, relay: Relay) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::failed(format!("no signals: {error}"));
    let mut stop = Stop::new().map_err(failed)?;
    let end = CancellationToken::new();
    let _ends = end.clone().drop_guard();
    if let Some(address) = args.listen {
        let listener = RelayListener::bind(address, relay.watch(), args.max_lag).await?;
        tracing::info!(address = %listener.address(), "listening");
        tokio::spawn(listener.run(end.clone()));
    }
    tracing::info!(region = args.region, beat = %humantime::format_duration(args.beat), "relaying");
    let signalled = async {
        let signal = stop.wait().await;
        tracing::info!(signal, "finishing what is under way");
    };
    let watch = relay.watch();
    let relayed = relay.run(signalled).await;
    relayed.map_err(|error| Failure::usage(format!("{error:#}")))?;
    let status = watch();
    tracing::info!(
        relayed = status.relayed,
        appended = status.appended,
        "ended"
    );
    Ok(())
}

fn start_log(json: bool) {
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match json {
        true => lines.json().init(),
        false => lines
            .with_ansi(io::stderr().is_terminal() && wants_colour())
            .with_target(false)
            .init(),
    }
}
