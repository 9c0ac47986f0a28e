//! The command line.

mod activity;
mod admin_call;
mod alerts;
mod analytics;
mod asking;
mod check;
mod completions;
mod doctor;
mod examined;
mod explain;
mod failure;
mod init;
mod listening;
mod overlay;
mod purge;
mod purge_admin;
mod purge_args;
mod relay;
mod relay_listener;
mod serve;
mod signals;
mod source;
mod table;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// An HTTP cache that purges by tag, as a reverse proxy.
///
/// In front of any service: `tagcache proxy --upstream http://127.0.0.1:9000`
#[derive(Debug, Parser)]
#[command(
    name = "tagcache",
    version,
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 pending (see `purge --help`).\n\
                  In the environment: RUST_LOG, NO_COLOR, and those that a configuration is laid over with\n\
                  (MODE, REDIS_CONNECTION_URI, CACHE_DEFAULT_TTL and others: see the documentation)."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the reverse proxy.
    Proxy(serve::ProxyArgs),
    /// Checks a configuration and says what deserves a second look.
    Check(check::CheckArgs),
    /// Examines Redis: which promises hold there, which do not, and what to change.
    Doctor(doctor::DoctorArgs),
    /// Tells what becomes of a request: which rule, key, tags and lifetime, and why not.
    Explain(explain::ExplainArgs),
    /// Purges stored responses, through Redis or through a running proxy.
    Purge(purge_args::PurgeArgs),
    /// Takes the purges of one region to another, each with a Redis of its own.
    Relay(relay::RelayArgs),
    /// Tells what happened, newest first: what streams announced, where that is kept.
    Activity(activity::ActivityArgs),
    /// Tells how much happened, by type, hour and subject.
    Analytics(analytics::AnalyticsArgs),
    /// Tells which alerts could not be delivered, and sends them again.
    Alerts(alerts::AlertsArgs),
    /// Writes a commented configuration to start from.
    Init(init::InitArgs),
    /// Prints the JSON Schema of the configuration, for editors.
    Schema,
    /// Prints the completions of a shell.
    Completions(completions::CompletionArgs),
}

/// Reads the arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Proxy(args) => serve::run(args),
        Command::Check(args) => check::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Purge(args) => purge::run(&args),
        Command::Relay(args) => relay::run(&args),
        Command::Activity(args) => activity::run(&args),
        Command::Analytics(args) => analytics::run(&args),
        Command::Alerts(args) => alerts::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Schema => failure::print(&format!("{:#}", crate::config::schema())),
        Command::Completions(args) => completions::run(&args, Cli::command()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}
