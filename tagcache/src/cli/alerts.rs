//! `tagcache alerts`.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::asking::{AskArgs, query};
use super::failure::{Failure, print};
use super::table::{Alignment, Table, cell, time_cell};
use crate::admin::{Again, Page};

#[derive(Debug, Args)]
#[command(after_help = "Without --admin Redis is asked, as the configuration names it.")]
pub(super) struct AlertsArgs {
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Tells which alerts could not be delivered, and why.
    Failed(FailedArgs),
    /// Sends alerts again that could not be delivered.
    Resend(ResendArgs),
}

#[derive(Debug, Args)]
struct FailedArgs {
    /// At most so many, the newest, from 1 to 1000 [default: 20]
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
struct ResendArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The id of the alert, as `tagcache alerts failed` tells it
    id: Option<String>,
    /// All that failed
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &AlertsArgs) -> Result<(), Failure> {
    match &args.command {
        AlertsCommand::Failed(args) => failed(args),
        AlertsCommand::Resend(args) => resend(args),
    }
}

fn failed(args: &FailedArgs) -> Result<(), Failure> {
    let limit = args.limit.iter().map(|limit| ("limit", limit.as_str()));
    let told = args.ask.ask(Page::FailedAlerts, &query(limit))?;
    if args.ask.json {
        return print(&format!("{told:#}"));
    }
    match told["failed"].as_array().map(Vec::as_slice) {
        None | Some([]) => print("no alert has failed"),
        Some(failed) => table(failed).print(),
    }
}

fn table(failed: &[Value]) -> Table {
    let mut table = Table::new()
        .column("time (UTC)", Alignment::Left)
        .column("id", Alignment::Left)
        .column("to", Alignment::Left)
        .column("why", Alignment::Left);
    for alert in failed {
        table.add([
            time_cell(&alert["at"]),
            cell(&alert["id"]),
            cell(&alert["queue"]),
            cell(&alert["reason"]),
        ]);
    }
    table
}

fn resend(args: &ResendArgs) -> Result<(), Failure> {
    let again = match &args.which.id {
        Some(id) => Again::Alert(id.clone()),
        None => Again::All,
    };
    let told = args.ask.send(&again)?;
    if args.ask.json {
        return print(&format!("{told:#}"));
    }
    print(&match told["alerts"].as_u64() {
        None | Some(0) => "no alert has failed: nothing is sent again".to_owned(),
        Some(1) => "1 alert waits to be sent again".to_owned(),
        Some(alerts) => format!("{alerts} alerts wait to be sent again"),
    })
}
