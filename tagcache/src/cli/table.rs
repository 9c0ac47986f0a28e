//! Tables for people.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::failure::{Failure, colours, print};

/// What stands where nothing is known.
const NOTHING: &str = "-";
/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// Rows under a head, each column as wide as it has to be.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

struct Column {
    name: String,
    alignment: Alignment,
}

/// On which side the cells of a column stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alignment {
    /// For texts.
    Left,
    /// For numbers.
    Right,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self {
            columns: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(super) fn column(mut self, name: impl Into<String>, alignment: Alignment) -> Self {
        let name = printable(&name.into()).into_owned();
        self.columns.push(Column { name, alignment });
        self
    }

    /// Adds a row, of as many cells as there are columns.
    pub(super) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter();
        let cells = cells.map(|cell| printable(&cell).into_owned());
        self.rows.push(cells.collect());
    }

    pub(super) fn print(&self) -> Result<(), Failure> {
        let (on, off) = colours(io::stdout().is_terminal(), "1");
        let head: Vec<String> = self.columns.iter().map(|c| c.name.clone()).collect();
        print(&format!("{on}{}{off}", self.line(&head)))?;
        self.rows.iter().try_for_each(|row| print(&self.line(row)))
    }

    fn width(&self, at: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(at));
        let cells = cells.chain(self.columns.get(at).map(|column| &column.name));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (at, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            let gap = if at == 0 { "" } else { "  " };
            let width = self.width(at);
            // Writing to a text does not fail.
            let _ = match column.alignment {
                Alignment::Left => write!(line, "{gap}{cell:<width$}"),
                Alignment::Right => write!(line, "{gap}{cell:>width$}"),
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A value as a cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) if text.is_empty() => NOTHING.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Seconds since 1970 as a cell: `2026-11-30 09:47:12`, in UTC.
pub(super) fn time_cell(value: &Value) -> String {
    match value.as_u64().filter(|seconds| *seconds <= LAST_SECOND) {
        None => cell(value),
        Some(seconds) => {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let text = humantime::format_rfc3339_seconds(time).to_string();
            text.replace('T', " ").replace('Z', "")
        }
    }
}

/// `text`, with what a terminal acts on instead of showing it written as an escape. What happened is written by others.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    // Those that change the direction of what stands behind them, or are not seen.
    let is_hidden = |char| matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let acts = |char: char| char.is_control() || is_hidden(char);
    if !text.contains(acts) {
        return text.into();
    }
    let mut shown = String::new();
    for char in text.chars() {
        match acts(char) {
            true => shown.extend(char.escape_default()),
            false => shown.push(char),
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(table: &Table) -> Vec<String> {
        table.rows.iter().map(|row| table.line(row)).collect()
    }

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let mut table = Table::new()
            .column("type", Alignment::Left)
            .column("amount", Alignment::Right)
            .column("subject", Alignment::Left);
        table.add(["sale", "15", "auction:1"].map(str::to_owned));
        table.add(["kick-off", "1500000", "-"].map(str::to_owned));
        assert_eq!(
            lines(&table),
            ["sale           15  auction:1", "kick-off  1500000  -"]
        );
    }

    #[test]
    fn what_a_terminal_acts_on_is_shown_as_an_escape() {
        for (text, shown) in [
            ("plain ü", "plain ü"),
            ("a\u{1b}[31m", "a\\u{1b}[31m"),
            ("a\nb\t", "a\\nb\\t"),
            ("\u{9b}2J\u{202e}x", "\\u{9b}2J\\u{202e}x"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn values_are_cells() {
        assert_eq!(cell(&Value::Null), "-");
        assert_eq!(cell(&json!("7")), "7");
        assert_eq!(cell(&json!(7)), "7");
        assert_eq!(time_cell(&json!(1_795_410_650)), "2026-11-23 05:10:50");
        assert_eq!(time_cell(&json!(u64::MAX)), u64::MAX.to_string());
        assert_eq!(time_cell(&Value::Null), "-");
    }
}
