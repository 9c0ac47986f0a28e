//! `tagcache check`.

use std::io::{self, IsTerminal};

use clap::Args;
use serde_json::{Value, json};

use super::doctor::examine;
use super::failure::{Failure, colours, print};
use super::listening::{feed_json, feed_text, live_json, live_text, push_json, push_text};
use super::overlay::{Overlay, builder};
use super::serve::log_filter;
use super::source::{ConfigArgs, variable};
use crate::config::Configuration;
use tower_tagcache::config::ConfigFileError;
use tower_tagcache::doctor::{DoctorFinding, Report, Severity};
use tower_tagcache::feed::ActivityServiceSettings;
use tower_tagcache::live::LiveSettings;
use tower_tagcache::outgoing::push::PushServiceSettings;
use tower_tagcache::{AlertExplanation, Warning};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    overlay: Overlay,
    #[command(flatten)]
    config: ConfigArgs,
    /// Connects to Redis as well, and says what `tagcache doctor` finds there; nothing is written
    #[arg(long)]
    connect: bool,
    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let path = args.config.path();
    if path.is_none() && !args.overlay.names_upstream() {
        let message = "there is no tagcache.toml here; name a file with --config, or make one with \
                       `tagcache init`";
        return Err(Failure::usage(message));
    }
    let checked = Configuration::load(path, &variable).and_then(|mut loaded| {
        args.overlay.lay_over(&mut loaded);
        let (warnings, alerts) = look_at(&loaded)?;
        Ok(Checked {
            live: loaded.live_settings(&variable)?,
            feed: loaded.feed_settings(&variable)?,
            push: loaded.push_service_settings(&variable)?,
            loaded,
            warnings,
            alerts,
        })
    });
    let asked = checked.as_ref().ok().filter(|_| args.connect);
    let asked = asked.map(|checked| examine(&checked.loaded)).transpose()?;
    if args.json {
        let mut told = as_json(&checked);
        if let Some(report) = &asked {
            told["redis"] = json!(report);
        }
        print(&format!("{told:#}"))?;
        return match checked {
            Err(_) => Err(Failure::usage("")),
            Ok(_) if asked.is_some_and(|report| !report.is_usable()) => Err(Failure::failed("")),
            Ok(_) => Ok(()),
        };
    }
    let checked = checked?;
    let Checked {
        loaded, warnings, ..
    } = &checked;
    let (on, off) = colours(io::stdout().is_terminal(), "33;1");
    for warning in warnings {
        let line = loaded
            .file
            .line_of(warning)
            .map_or(String::new(), |line| format!(":{line}"));
        let file = path.map_or_else(String::new, |path| format!("{}{line}: ", path.display()));
        print(&format!("{on}warning:{off} {file}{warning}"))?;
    }
    tell_services(&checked)?;
    tell_kept(loaded, &checked.alerts)?;
    print(&summary(loaded, warnings.len()))?;
    asked.map_or(Ok(()), |report| tell_report(&report, &on, off))
}

/// What is answered where clients connect, and for whom.
fn tell_services(checked: &Checked) -> Result<(), Failure> {
    let told = [
        checked.live.as_ref().map(live_text),
        checked.feed.as_ref().map(feed_text),
        checked.push.as_ref().map(push_text),
    ];
    told.into_iter().flatten().try_for_each(|told| print(&told))
}

/// Each webhook with the origin of its URL, the rest of which may be a secret.
fn webhooks(loaded: &Configuration) -> impl Iterator<Item = (&str, String)> {
    let webhooks = loaded.file.config.webhooks.iter();
    webhooks.map(|webhook| {
        let url: Option<http::Uri> = webhook.url.0.parse().ok();
        let origin = url.and_then(|url| {
            let host = url.authority()?.as_str();
            Some(format!("{}://{host}", url.scheme_str()?))
        });
        (
            webhook.name.as_str(),
            origin.unwrap_or_else(|| "***".to_owned()),
        )
    })
}

/// What is kept of activity, what raises alerts, and where these are posted to.
fn tell_kept(loaded: &Configuration, alerts: &[AlertExplanation]) -> Result<(), Failure> {
    if let Some(activity) = loaded.file.config.effective().activity {
        print(&format!("activity: {activity}"))?;
    }
    let mut alerts = alerts.iter();
    alerts.try_for_each(|alert| print(&format!("alert {alert}")))?;
    let mut webhooks = webhooks(loaded);
    webhooks.try_for_each(|(name, origin)| print(&format!("webhook {name}: alerts go to {origin}")))
}

/// A configuration that can be used.
struct Checked {
    loaded: Configuration,
    warnings: Vec<Warning>,
    live: Option<LiveSettings>,
    feed: Option<ActivityServiceSettings>,
    push: Option<PushServiceSettings>,
    alerts: Vec<AlertExplanation>,
}

/// What the server lets the cache keep, a line each; what keeps the cache from using it is the error.
fn tell_report(report: &Report, on: &str, off: &str) -> Result<(), Failure> {
    for found in &report.findings {
        let DoctorFinding {
            area,
            message,
            remedy,
            ..
        } = found;
        let remedy = remedy
            .as_ref()
            .map_or_else(String::new, |remedy| format!(" ({remedy})"));
        match found.severity {
            Severity::Ok => print(&format!("redis: {area}: {message}"))?,
            Severity::Note => print(&format!("redis: {area}: {message}{remedy}"))?,
            Severity::Warning => print(&format!(
                "{on}warning:{off} redis: {area}: {message}{remedy}"
            ))?,
            Severity::Problem => {}
        }
    }
    let told = |found: &DoctorFinding| match &found.remedy {
        Some(remedy) => format!("{} ({remedy})", found.message),
        None => found.message.clone(),
    };
    let problems = report
        .findings
        .iter()
        .filter(|found| found.severity == Severity::Problem);
    let problems: Vec<String> = problems.map(told).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::failed(problems.join("; "))),
    }
}

/// Builds everything that a start builds, connects to nothing, and collects what it warns of and what raises alerts.
fn look_at(
    loaded: &Configuration,
) -> Result<(Vec<Warning>, Vec<AlertExplanation>), ConfigFileError> {
    log_filter(loaded)?;
    let assembled = loaded.assemble(builder(loaded), &variable)?;
    let mut warnings = assembled.cache.warnings().to_vec();
    warnings.extend(loaded.file.advice());
    warnings.extend(assembled.warnings);
    Ok((warnings, assembled.cache.explain_alerts()))
}

fn summary(loaded: &Configuration, warnings: usize) -> String {
    let config = &loaded.file.config;
    let off = config.rules.iter().filter(|rule| !rule.enabled).count();
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    let place = if config.redis.url.is_some() {
        "Redis"
    } else {
        "this process"
    };
    let mut parts = vec![count(config.rules.len(), "rule")];
    if off > 0 {
        parts.push(format!("{off} switched off"));
    }
    parts.push(count(config.streams.len(), "stream"));
    if !config.alerts.is_empty() {
        parts.push(count(config.alerts.len(), "alert"));
    }
    parts.push(count(warnings, "warning"));
    let upstream = match (
        loaded.tables.proxy.upstreams.is_empty(),
        config.has_implicit_rule(),
    ) {
        (true, _) => "; no upstream: `tagcache proxy` needs --upstream",
        (false, true) => "; what no rule takes is cached as its Cache-Control says",
        (false, false) => "; what no rule takes is not cached",
    };
    format!(
        "ok: {}; responses are kept in {place}{upstream}",
        parts.join(", ")
    )
}

fn as_json(checked: &Result<Checked, ConfigFileError>) -> Value {
    match checked {
        Ok(Checked {
            loaded,
            warnings,
            live,
            feed,
            push,
            alerts,
        }) => {
            let warning = |warning: &Warning| {
                json!({
                    "line": loaded.file.line_of(warning),
                    "place": warning.place().to_string(),
                    "message": warning.message(),
                })
            };
            let alert =
                |alert: &AlertExplanation| json!({ "name": alert.rule, "raised_by": alert.text });
            let activity = loaded.file.config.effective().activity;
            json!({
                "ok": true,
                "errors": [],
                "warnings": warnings.iter().map(warning).collect::<Vec<_>>(),
                "live": live.as_ref().map(live_json),
                "feed": feed.as_ref().map(feed_json),
                "push": push.as_ref().map(push_json),
                "webhooks": webhooks(loaded)
                    .map(|(name, origin)| json!({ "name": name, "origin": origin }))
                    .collect::<Vec<_>>(),
                "activity": activity.map(|activity| activity.to_string()),
                "alerts": alerts.iter().map(alert).collect::<Vec<_>>(),
            })
        }
        Err(error) => json!({
            "ok": false,
            "errors": [{
                "file": error.origin(),
                "line": error.line(),
                "column": error.column(),
                "message": error.message(),
                "help": error.help(),
            }],
            "warnings": [],
        }),
    }
}
