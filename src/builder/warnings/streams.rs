//! Event names and paths that a stream's format cannot have, and identities that do not tell its events apart.

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
        if stream.decoder.events.is_some() {
            messages.extend(one_identity(mapping));
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
    let mut names = mapping.paths().filter_map(|path| path.first_name());
    let unknown = names.find(|name| !MEMBERS.contains(name))?;
    Some(format!(
        "Debezium's records have no `{unknown}`: a row's values are below `before` and `after`, as in \
         {{after.{unknown}}}"
    ))
}

/// Where an entry may have several events.
fn one_identity(mapping: &Mapping) -> Option<String> {
    let identity = mapping.announce.as_ref()?.own_identity()?;
    identity.sources().all(|path| path.is_whole()).then(|| {
        format!(
            "all events of an entry have one identity by `{}`: of those about one subject, people are told the first",
            identity.text()
        )
    })
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
