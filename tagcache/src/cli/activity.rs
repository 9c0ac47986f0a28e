//! `tagcache activity`.

use clap::Args;
use serde_json::Value;

use super::asking::{AboutArgs, AskArgs, query};
use super::failure::{Failure, print};
use super::table::{Alignment, Table, cell, printable, time_cell};
use crate::admin::Page;

#[derive(Debug, Args)]
#[command(after_help = "\
Without --admin Redis is asked, as the configuration names it. Times are in UTC; amounts are as the events have them.")]
pub(super) struct ActivityArgs {
    /// At most so many, from 1 to 1000 [default: 20]
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// Those behind this one, which are older: the id of an entry
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    about: AboutArgs,
    /// Also those that a reorg undid
    #[arg(long)]
    reorged: bool,
    #[command(flatten)]
    ask: AskArgs,
}

pub(super) fn run(args: &ActivityArgs) -> Result<(), Failure> {
    let limit = args.limit.iter().map(|limit| ("limit", limit.as_str()));
    let cursor = args.cursor.iter();
    let cursor = cursor.map(|cursor| ("cursor", cursor.as_str()));
    let reorged = args.reorged.then_some(("reorged", "true"));
    let parameters = limit.chain(cursor).chain(args.about.parameters());
    let query = query(parameters.chain(reorged));
    let told = args.ask.ask(Page::Activity, &query)?;
    if args.ask.json {
        return print(&format!("{told:#}"));
    }
    let none = Vec::new();
    let entries = told["entries"].as_array().unwrap_or(&none);
    if entries.is_empty() {
        return print(match (&args.cursor, args.about.is_all()) {
            (Some(_), _) => "nothing older is kept",
            (None, true) => "nothing has happened yet that is kept",
            (None, false) => "nothing of this kind is kept",
        });
    }
    table(entries).print()?;
    match told["next"].as_str() {
        Some(next) => print(&format!("\nolder ones: --cursor {}", printable(next))),
        None => Ok(()),
    }
}

fn table(entries: &[Value]) -> Table {
    let is_undone = |entry: &Value| entry["reorged"] == true;
    let mut table = Table::new()
        .column("time (UTC)", Alignment::Left)
        .column("type", Alignment::Left)
        .column("subject", Alignment::Left)
        .column("amount", Alignment::Right)
        .column("price", Alignment::Right);
    if entries.iter().any(is_undone) {
        table = table.column("", Alignment::Left);
    }
    for entry in entries {
        let undone = if is_undone(entry) { "undone" } else { "" };
        table.add([
            time_cell(&entry["timestamp"]),
            cell(&entry["type"]),
            cell(&entry["subject"]),
            cell(&entry["amount"]),
            cell(&entry["price"]),
            undone.to_owned(),
        ]);
    }
    table
}
