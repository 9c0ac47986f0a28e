//! Event names and paths that a stream's format cannot have.

use crate::error::Warning;
use crate::invalidation::{EventStream, Mapping};
use crate::place::ConfigPlace;

/// Debezium's operations.
const OPERATIONS: [&str; 6] = ["c", "u", "d", "r", "t", "m"];
/// The members of Debezium's change records.
const MEMBERS: [&str; 10] = [
    "before",
    "after",
    "source",
    "op",
    "ts_ms",
    "ts_us",
    "ts_ns",
    "transaction",
    "updateDescription",
    "message",
];

pub(super) fn of(stream: &EventStream) -> Vec<Warning> {
    let mut messages = Vec::new();
    for mapping in &stream.mappings {
        let name = mapping.event.as_deref();
        if stream.decoder.has_operations() {
            messages.extend(name.and_then(no_operation));
            messages.extend(no_members(mapping));
        } else if stream.decoder.is_rindexer() {
            messages.extend(name.and_then(no_abi_name));
        }
    }
    let place = ConfigPlace::stream(&*stream.name);
    let warning = |message| Warning::new(place.clone(), message);
    messages.into_iter().map(warning).collect()
}

fn no_operation(name: &str) -> Option<String> {
    if OPERATIONS.contains(&name) {
        return None;
    }
    let meant = match name.to_lowercase().as_str() {
        "create" | "created" | "insert" | "inserted" | "c" | "i" => "; \"c\" is meant, perhaps",
        "update" | "updated" | "u" => "; \"u\" is meant, perhaps",
        "delete" | "deleted" | "remove" | "removed" | "d" => "; \"d\" is meant, perhaps",
        "read" | "snapshot" | "r" => "; \"r\" is meant, perhaps",
        "truncate" | "truncated" | "t" => "; \"t\" is meant, perhaps",
        _ => "",
    };
    Some(format!(
        "no event is ever called {name:?}: Debezium names them by operation, \"c\" (created), \"u\" (updated), \
         \"d\" (deleted), \"r\" (read for a snapshot), \"t\" (table truncated){meant}"
    ))
}

fn no_members(mapping: &Mapping) -> Option<String> {
    let templates = mapping.purge.iter().chain(&mapping.families);
    let paths = templates.flat_map(|template| template.sources());
    let first = |path: &crate::invalidation::Path| path.first_name().map(str::to_owned);
    let unknown = paths
        .filter_map(first)
        .find(|name| !MEMBERS.contains(&name.as_str()))?;
    Some(format!(
        "Debezium's records have no `{unknown}`: a row's values are below `before` and `after`, as in \
         {{after.{unknown}}}"
    ))
}

fn no_abi_name(name: &str) -> Option<String> {
    let is_name = !name.contains(['(', ' ']) && !name.starts_with("0x");
    (!is_name).then(|| {
        let short = name.split('(').next().unwrap_or(name).trim();
        format!(
            "no event is ever called {name:?}: rindexer names them as the ABI does, without arguments \
             ({short:?}), or by their alias"
        )
    })
}
