//! `tagcache analytics`.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::Value;

use super::asking::{AboutArgs, AskArgs, query};
use super::failure::{Failure, print};
use super::table::{Alignment, Table, cell, time_cell};
use crate::admin::Page;

#[derive(Debug, Args)]
#[command(after_help = "\
Without --admin Redis is asked, as the configuration names it. Hours begin as in UTC; what a reorg undid does not count. With
`--by subject` it is the twenty subjects that were active last.")]
pub(super) struct AnalyticsArgs {
    /// The present hour and those before it, so many together, up to all that are kept [default: 24]
    #[arg(long, value_name = "N")]
    hours: Option<String>,
    /// What is told apart beside types: hour, subject, or both
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    by: Vec<String>,
    #[command(flatten)]
    about: AboutArgs,
    #[command(flatten)]
    ask: AskArgs,
}

pub(super) fn run(args: &AnalyticsArgs) -> Result<(), Failure> {
    let hours = args.hours.iter().map(|hours| ("hours", hours.as_str()));
    let by = args.by.iter().map(|by| ("by", by.as_str()));
    let query = query(hours.chain(by).chain(args.about.parameters()));
    let told = args.ask.ask(Page::Analytics, &query)?;
    if args.ask.json {
        return print(&format!("{told:#}"));
    }
    let none = Vec::new();
    let rows = told["rows"].as_array().unwrap_or(&none);
    if rows.is_empty() {
        let second = |name: &str| told[name].as_u64().unwrap_or_default();
        let hours = second("to").saturating_sub(second("from")).div_ceil(3_600);
        let what = if args.about.is_all() {
            "nothing"
        } else {
            "nothing of this kind"
        };
        return print(&format!("{what} was counted in the last {hours} h"));
    }
    table(rows).print()
}

fn table(rows: &[Value]) -> Table {
    let has = |name: &str| rows.iter().any(|row| !row[name].is_null());
    let (by_hour, by_subject) = (has("hour"), has("subject"));
    let sums = rows.iter().filter_map(|row| row["sums"].as_object());
    let fields: BTreeSet<&String> = sums.flat_map(|sums| sums.keys()).collect();
    let mut table = Table::new().column("type", Alignment::Left);
    if by_hour {
        table = table.column("hour (UTC)", Alignment::Left);
    }
    if by_subject {
        table = table.column("subject", Alignment::Left);
    }
    table = table.column("count", Alignment::Right);
    for field in &fields {
        table = table.column(format!("sum of {field}"), Alignment::Right);
    }
    for row in rows {
        let mut cells = vec![cell(&row["type"])];
        // It begins with the hour.
        let hour = || time_cell(&row["hour"]).trim_end_matches(":00").to_owned() + ":00";
        cells.extend(by_hour.then(hour));
        cells.extend(by_subject.then(|| cell(&row["subject"])));
        cells.push(cell(&row["count"]));
        cells.extend(fields.iter().map(|field| cell(&row["sums"][*field])));
        table.add(cells);
    }
    table
}
