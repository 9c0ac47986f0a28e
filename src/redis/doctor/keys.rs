//! What stands under the keys of a cache, and under those that it reads.

use super::facts::{Facts, StreamFacts};
use super::report::DoctorFinding;
use crate::redis::promise::Promise::{P1, P6, P7};

/// An entry that has waited for so long is stuck.
const STUCK_MS: u64 = 60_000;

/// The purge log.
pub(super) fn log(facts: &Facts) -> DoctorFinding {
    let log = &facts.log;
    match log.kind.as_deref() {
        Some("other") => DoctorFinding::warning(
            "log",
            format!("`{}` is no stream: something else uses this cache's keys, and the first start removes it", log.key),
        )
        .limits(&[P1])
        .remedy("give this cache a namespace of its own (`namespace` in [redis])"),
        Some("none") => DoctorFinding::ok("log", format!("`{}` is not there yet: the first start makes it", log.key)),
        Some(_) => {
            let tip = log.tip.as_deref().unwrap_or("?");
            let records = log.length.map_or_else(String::new, |length| format!(", {}", count(length, "record")));
            DoctorFinding::ok("log", format!("`{}` is at {tip}{records}", log.key))
        }
        None => DoctorFinding::note("log", format!("`{}` cannot be looked at", log.key)),
    }
}

/// A stream that is configured.
pub(super) fn stream(stream: &StreamFacts) -> Vec<DoctorFinding> {
    let area = format!("stream {}", stream.name);
    let name = &stream.name;
    match stream.kind.as_deref() {
        Some("other") => {
            let text = format!("`{name}` is no stream: no event is read");
            let finding = DoctorFinding::warning(area, text).breaks(&[P6, P7]);
            let remedy = "name the key that the publisher writes, as `name` under [[streams]]";
            vec![finding.remedy(remedy)]
        }
        Some("none") => {
            let text = format!(
                "`{name}` is empty or not there: is this the key that its publisher writes?"
            );
            let remedy = "see what the publisher writes: SCAN 0 TYPE stream";
            vec![DoctorFinding::note(area, text).remedy(remedy)]
        }
        None => {
            let text = format!("`{name}` cannot be looked at");
            vec![DoctorFinding::note(area, text)]
        }
        Some(_) => {
            let mut found = vec![reading(stream, &area)];
            found.extend(company(stream, &area));
            found
        }
    }
}

/// How far it is read.
fn reading(stream: &StreamFacts, area: &str) -> DoctorFinding {
    let length = stream.length.unwrap_or_default();
    let entries = match length {
        1 => "1 entry".to_owned(),
        length => format!("{length} entries"),
    };
    let (name, group) = (&stream.name, &stream.group);
    match stream.has_group {
        Some(true) => {}
        Some(false) => {
            let text = format!(
                "{entries}; no group `{group}` yet: the first start makes it, and reads what comes then"
            );
            return DoctorFinding::note(area, text);
        }
        None => {
            let text = format!("{entries}; its groups are hidden (XINFO)");
            return DoctorFinding::note(area, text);
        }
    }
    let known = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let (unread, pending) = (known(stream.unread), known(stream.pending));
    let text = format!("{entries}; group `{group}`: {unread} unread, {pending} not acknowledged");
    let waited = stream.oldest_pending_ms;
    match waited.filter(|waited| *waited >= STUCK_MS) {
        Some(waited) => {
            let seconds = waited / 1_000;
            let text = format!("{text}, the oldest for {seconds} s: nobody applies it");
            let finding = DoctorFinding::warning(area, text).limits(&[P6]);
            finding.remedy(format!(
                "see whether a node runs that reads it; XPENDING {name} {group} - + 10"
            ))
        }
        None => DoctorFinding::ok(area, text),
    }
}

/// Who else reads in the name of the group.
fn company(stream: &StreamFacts, area: &str) -> Option<DoctorFinding> {
    let first = stream.strangers.first()?;
    let others = match stream.strangers.len() {
        1 => "a consumer that does not belong".to_owned(),
        number => format!("{number} consumers that do not belong"),
    };
    let text = format!(
        "the group `{}` is shared with {others} to this cache (`{first}`): each event goes to one of them, so that purges are \
         lost",
        stream.group
    );
    let finding = DoctorFinding::warning(area, text).breaks(&[P6]);
    Some(finding.remedy("give this cache a group of its own (`consumer_group` in [redis])"))
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}
