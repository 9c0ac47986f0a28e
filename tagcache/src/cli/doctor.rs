//! `tagcache doctor`.

use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;

use super::examined::print_report;
use super::failure::{Failure, print, runtime};
use super::overlay::builder;
use super::source::ConfigArgs;
use crate::config::Configuration;
use tower_tagcache::Setting;
use tower_tagcache::config::Secret;
use tower_tagcache::doctor::{Report, Severity};

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is written to the server. With a configuration, its namespace, streams, activity and TLS files count.\n\
                  Exit status: 0 nothing is wrong, 1 something should be changed, 2 a server cannot be used, or wrong usage."
)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A server to examine; may be repeated [default: that of the configuration]
    #[arg(long, value_name = "URL")]
    redis: Vec<String>,
    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let mut loaded = args.config.load()?;
    let mut doctors = Vec::new();
    if args.redis.is_empty() {
        if loaded.file.config.redis.url.is_none() {
            let message = "no Redis is configured: responses are kept in this process; name a server with --redis URL";
            return Err(Failure::usage(message));
        }
        doctors.push(doctor(&loaded)?);
    }
    for url in &args.redis {
        loaded.file.config.redis.url = Some(Secret(url.clone()));
        loaded.file.made_elsewhere(Setting::REDIS_URL, "argument");
        doctors.push(doctor(&loaded)?);
    }
    let runtime = runtime(&mut Builder::new_current_thread())?;
    let reports: Vec<Report> = runtime.block_on(async {
        let mut reports = Vec::new();
        for doctor in &doctors {
            reports.push(doctor.examine().await);
        }
        reports
    });
    if args.json {
        print(&format!("{:#}", json!({ "servers": reports })))?;
    } else {
        reports.iter().try_for_each(print_report)?;
    }
    let worst = reports.iter().map(|report| report.verdict).max();
    match worst.unwrap_or(Severity::Ok) {
        Severity::Ok | Severity::Note => Ok(()),
        Severity::Warning => Err(Failure::failed("")),
        Severity::Problem => Err(Failure::usage("")),
    }
}

/// Who examines the server of this configuration.
fn doctor(loaded: &Configuration) -> Result<tower_tagcache::doctor::Doctor, Failure> {
    let doctor = builder(loaded).doctor();
    doctor.map_err(|error| loaded.file.refused(&error).into())
}

/// What the server of this configuration lets the cache keep.
///
/// # Errors
/// No server is configured, or a setting is wrong.
pub(super) fn examine(loaded: &Configuration) -> Result<Report, Failure> {
    let runtime = runtime(&mut Builder::new_current_thread())?;
    Ok(runtime.block_on(doctor(loaded)?.examine()))
}
