//! What is sent to the scripts of activity, and what they answer.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

#[cfg(feature = "push")]
use crate::activity::KeptSubscription;
use crate::activity::{
    ActivityBatch, ActivityBounds, ActivityChange, AlertToRaise, COPIES_WITHIN, Counted,
    CountedKey, FailedAlert, KEEPER_FOR, MAX_COUNTERS, MAX_FAILED, MAX_NOTICES, MAX_STREAMS,
    MAX_SUBJECTS, MAX_WAITING, ReorgNotice, Sighting, StoredActivity, WaitingAlert,
};
use crate::clock::{Timestamp, millis};

/// A batch as the script reads it.
pub(super) struct BatchOnWire(Value);

impl BatchOnWire {
    pub(super) fn new(keeper: &str, batch: &ActivityBatch, bounds: &ActivityBounds) -> Self {
        let behind = batch.behind.map(|behind| behind.to_string());
        let changes: Vec<Value> = batch.changes.iter().map(change).collect();
        Self(json!({
            "keeper": keeper,
            "keep_for": millis(KEEPER_FOR),
            "behind": behind.unwrap_or_default(),
            "through": batch.through.to_string(),
            "channel": bounds.channel,
            "entries": bounds.entries,
            "hours": bounds.hours,
            "subjects": MAX_SUBJECTS,
            "counters": MAX_COUNTERS,
            "streams": MAX_STREAMS,
            "notices": MAX_NOTICES,
            "copies": millis(COPIES_WITHIN),
            "most_waiting": MAX_WAITING,
            "most_failed": MAX_FAILED,
            "changes": changes,
        }))
    }
}

impl fmt::Display for BatchOnWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn change(change: &ActivityChange) -> Value {
    match change {
        ActivityChange::Event(sighting) => event(sighting),
        ActivityChange::Reorg(notice) => reorg(notice),
    }
}

/// A place that is ordered as its text is.
fn place(place: Option<(u64, u64)>) -> Option<Value> {
    place.map(|(at, number)| format!("b{at:016x}{number:016x}").into())
}

fn event(sighting: &Sighting) -> Value {
    let entry = &sighting.entry;
    let sums = entry.sums.iter();
    let sums: Vec<Value> = sums
        .map(|(field, limb, value)| json!([field, limb, value]))
        .collect();
    let alerts: Vec<Value> = sighting.alerts.iter().map(alert).collect();
    let mut json = object(json!({
        "fp": format!("{:032x}", entry.cursor.fingerprint()),
        "key": entry.cursor.to_string(),
        "type": entry.kind,
        "subject": entry.subject,
        "network": entry.network,
        "json": entry.json,
        "sums": sums,
        "stream": sighting.stream,
        "at": sighting.at.as_millis(),
        "alerts": alerts,
    }));
    let optional = [
        ("block", entry.block.map(Value::from)),
        ("hour", entry.hour.map(Value::from)),
        ("place", place(sighting.place)),
    ];
    add(&mut json, optional);
    json.into()
}

fn reorg(notice: &ReorgNotice) -> Value {
    let at = notice.at.as_millis();
    let mut json = object(json!({
        "stream": notice.stream,
        "at": at,
        "millis": notice.place.map_or(at, |(at, _)| at),
        "fork": notice.fork_block,
        "content": format!("{:032x}", notice.content),
    }));
    let network = notice.network.as_deref().map(Value::from);
    add(
        &mut json,
        [("network", network), ("place", place(notice.place))],
    );
    json.into()
}

fn alert(alert: &AlertToRaise) -> Value {
    let mut json = object(json!({
        "id": format!("{:032x}", alert.id),
        "rule": alert.rule,
        "queues": alert.queues,
        "json": alert.json,
    }));
    if let Some((most, per)) = alert.limit {
        let limit = [
            ("most", Some(most.into())),
            ("per", Some(millis(per).into())),
        ];
        add(&mut json, limit);
    }
    json.into()
}

fn object(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Adds the members that have a value: a script takes null for something.
fn add<const N: usize>(json: &mut Map<String, Value>, members: [(&str, Option<Value>); N]) {
    for (name, value) in members {
        if let Some(value) = value {
            json.insert(name.into(), value);
        }
    }
}

/// Entries of a feed.
pub(super) fn entries(words: &[String]) -> Option<Vec<StoredActivity>> {
    let entries = words.chunks(3).map(|entry| {
        let [cursor, undone, json] = entry else {
            return None;
        };
        Some(StoredActivity {
            cursor: cursor.parse().ok()?,
            is_undone: undone == "x",
            json: json.clone(),
        })
    });
    entries.collect()
}

/// Counters: whose, the hour, and a field that names the type, and what is added up.
pub(super) fn counters(words: &[String]) -> Option<BTreeMap<CountedKey, Counted>> {
    let mut counters = BTreeMap::<CountedKey, Counted>::new();
    for counter in words.chunks(4) {
        let [whose, hour, field, value] = counter else {
            return None;
        };
        let whose = (!whose.is_empty()).then(|| whose.as_str().into());
        let value: i64 = value.parse().ok()?;
        let mut parts = field.split('\0');
        let key = (whose, hour.parse().ok()?, parts.next()?.into());
        let counted = counters.entry(key).or_default();
        match (parts.next()?, parts.next()) {
            ("", None) => counted.count = value,
            (field, Some(limb)) => {
                let sum = counted.sums.entry(field.into()).or_default();
                sum.add(limb.parse().ok()?, value);
            }
            _ => return None,
        }
    }
    counters.retain(|_, counted| counted.count != 0);
    Some(counters)
}

/// An alert, and how it was tried.
pub(super) fn waiting(alert: &str, tried: &str) -> Option<WaitingAlert> {
    let (id, rest) = alert.split_once(' ')?;
    let (suppressed, json) = rest.split_once(' ')?;
    let (attempts, next) = tried.split_once(' ')?;
    Some(WaitingAlert {
        id: u128::from_str_radix(id, 16).ok()?,
        json: json.into(),
        suppressed: suppressed.parse().ok()?,
        attempts: attempts.parse().ok()?,
        next: Timestamp::from_millis(next.parse().ok()?),
    })
}

/// Alerts that were given up.
pub(super) fn failed(words: &[String]) -> Option<Vec<FailedAlert>> {
    let failed = |word: &String| {
        let json: Value = serde_json::from_str(word).ok()?;
        let text = |name: &str| Some(json.get(name)?.as_str()?.to_owned());
        // A script writes whole numbers as what may have a fraction.
        let number = |name: &str| Some(json.get(name)?.as_f64()? as u64);
        Some(FailedAlert {
            queue: text("queue")?.into(),
            id: u128::from_str_radix(&text("id")?, 16).ok()?,
            json: text("json")?,
            suppressed: number("suppressed")?,
            reason: text("reason")?.into(),
            at: Timestamp::from_millis(number("at")?),
        })
    };
    words.iter().map(failed).collect()
}

/// Browsers that want alerts.
#[cfg(feature = "push")]
pub(super) fn subscriptions(words: &[String]) -> Option<Vec<KeptSubscription>> {
    let kept = |word: &String| {
        let (id, kept) = word.split_once(' ')?;
        Some((u128::from_str_radix(id, 16).ok()?, kept.to_owned()))
    };
    words.iter().map(kept).collect()
}
