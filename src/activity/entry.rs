//! From an update that was announced to what the feed and the counters take of it. Pure.

use std::time::Duration;

use serde_json::{Map, Value};

use super::cursor::{ActivityCursor, bounded_block};
use super::sum::limbs;
use crate::clock::Timestamp;
use crate::rules::template::WholeNumber;
use crate::update::{EventSource, Update, UpdateId};

/// The fields that each entry has, also where nothing is known of them.
const ALWAYS: [&str; 3] = ["amount", "price", TRANSACTION];
const TIMESTAMP: &str = "timestamp";
const TRANSACTION: &str = "tx_hash";
/// What a page of the feed says of an entry.
const REORGED: &str = "reorged";
const HOUR: u64 = 3_600;
/// A time that is so much later than the announcement is none.
const FUTURE: Duration = Duration::from_secs(86_400);
/// The most bytes of the fields of an entry; an update has up to 8 KiB.
const MAX_FIELDS_BYTES: usize = 4 * 1024;
/// Times from here on are in milliseconds: in seconds that would be the year 5138.
const MILLIS_FROM: u64 = 100_000_000_000;

/// An entry of the activity feed, and what is counted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedEntry {
    pub(crate) cursor: ActivityCursor,
    pub(crate) kind: Box<str>,
    pub(crate) subject: Box<str>,
    pub(crate) network: Box<str>,
    /// `None`: no reorg undoes it.
    pub(crate) block: Option<u64>,
    /// What people read of it, an object.
    pub(crate) json: String,
    /// The hour that it is counted in, in hours since 1970; `None`: it is too old.
    pub(crate) hour: Option<u64>,
    /// What is added up: the field, the limb and the value.
    pub(crate) sums: Vec<(Box<str>, u8, i64)>,
}

/// What is made of updates.
#[derive(Debug)]
pub(crate) struct EntryMaker {
    /// The fields that are added up.
    pub(crate) sums: Vec<Box<str>>,
    /// How many hours are kept.
    pub(crate) hours: u64,
}

impl EntryMaker {
    /// The entry for `update`, which was announced `at` that time, in this place of the log.
    pub(crate) fn entry(&self, update: &Update, at: Timestamp, place: UpdateId) -> FeedEntry {
        let nothing = EventSource::default();
        let source = update.source().unwrap_or(&nothing);
        let time = time_of(update, source, at);
        let (block, index) = match source.block {
            Some(block) => (block, source.log_index.unwrap_or_default()),
            // What no chain orders is ordered as it was announced.
            None => (place.position.ordinal, place.index.into()),
        };
        let cursor = ActivityCursor::new(time, block, index, update.fingerprint());
        let (hour, now) = (hour_of(time), hour_of(at));
        let is_kept = hour + self.hours > now && hour <= now + 1;
        FeedEntry {
            cursor,
            kind: update.kind().into(),
            subject: update.subject().into(),
            network: source.network.clone().unwrap_or_default(),
            block: source.block.map(bounded_block),
            json: json_of(update, source, cursor, time),
            hour: is_kept.then_some(hour),
            sums: self.sums_of(update),
        }
    }

    fn sums_of(&self, update: &Update) -> Vec<(Box<str>, u8, i64)> {
        let mut sums = Vec::new();
        for field in &self.sums {
            let number = update.get(field).and_then(WholeNumber::parse);
            let limbs = number.as_ref().and_then(limbs).unwrap_or_default();
            let limbs = limbs.into_iter();
            sums.extend(limbs.map(|(limb, value)| (field.clone(), limb, value)));
        }
        sums
    }
}

pub(crate) const fn hour_of(time: Timestamp) -> u64 {
    time.as_millis() / 1_000 / HOUR
}

/// When it happened: as the mapping says, or its block; else when it was announced.
fn time_of(update: &Update, source: &EventSource, at: Timestamp) -> Timestamp {
    let mapped = update.get(TIMESTAMP).and_then(WholeNumber::parse);
    let mapped = mapped.and_then(|number| number.as_str().parse().ok());
    let millis = |time: u64| match time {
        MILLIS_FROM.. => time,
        _ => time * 1_000,
    };
    let said = mapped.or(source.time).map(millis);
    let said = said.map(Timestamp::from_millis);
    said.filter(|said| said.since(at) <= FUTURE).unwrap_or(at)
}

fn json_of(
    update: &Update,
    source: &EventSource,
    cursor: ActivityCursor,
    time: Timestamp,
) -> String {
    let mut json = Map::new();
    for name in ALWAYS {
        json.insert(name.into(), Value::Null);
    }
    if let Some(transaction) = &source.transaction {
        json.insert(TRANSACTION.into(), (**transaction).into());
    }
    if let Some(network) = &source.network {
        json.insert("network".into(), (**network).into());
    }
    if let Some(block) = source.block {
        json.insert("block".into(), block.into());
    }
    if let Some((kind, id)) = update.subject().split_once(':') {
        let name = match id.starts_with("0x") {
            true => format!("{kind}_address"),
            false => kind.to_owned(),
        };
        if name != REORGED && !json.contains_key(&name) {
            json.insert(name, id.into());
        }
    }
    // What is long is left out, so that a page of many entries has a bound.
    let mut room = MAX_FIELDS_BYTES;
    for (name, value) in update.fields() {
        match room.checked_sub(name.len() + value.len()) {
            Some(left) => {
                room = left;
                json.insert(name.into(), value.into());
            }
            None => {
                json.insert("truncated".into(), true.into());
            }
        }
    }
    json.insert(TIMESTAMP.into(), (time.as_millis() / 1_000).into());
    json.insert("id".into(), cursor.to_string().into());
    json.insert("type".into(), update.kind().into());
    json.insert("subject".into(), update.subject().into());
    Value::from(json).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AUCTION: &str = "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";

    const PLACE: UpdateId = UpdateId::new(crate::position::Position::new(1, 2), 3);

    fn maker() -> EntryMaker {
        EntryMaker {
            sums: vec!["amount".into()],
            hours: 48,
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn an_entry_has_the_fields_that_clients_know_and_those_of_the_mapping() {
        let sale = Update::new("sale", AUCTION).unwrap();
        let sale = sale.with_field("amount", "1500000000000000000000").unwrap();
        let sale = sale.with_field("buyer", "0x70").unwrap();
        let sale = sale.with_source(EventSource {
            block: Some(17),
            log_index: Some(3),
            network: Some("local".into()),
            transaction: Some("0x91cc".into()),
            time: Some(1_795_410_650),
            ..EventSource::of("sales", "1-1")
        });
        let entry = maker().entry(&sale, at(1_795_410_700), PLACE);
        let json: Value = serde_json::from_str(&entry.json).unwrap();
        let expected = json!({
            "id": entry.cursor.to_string(), "type": "sale", "subject": AUCTION,
            "auction_address": "0xa16e02e87b7454126e5e10d957a927a7f5b5d2be",
            "amount": "1500000000000000000000", "price": null, "timestamp": 1_795_410_650,
            "tx_hash": "0x91cc", "network": "local", "block": 17, "buyer": "0x70",
        });
        assert_eq!(json, expected);
        assert_eq!(entry.hour, Some(1_795_410_650 / 3_600));
        assert_eq!(
            entry.sums.len(),
            1,
            "1500 and 18 zeros: one limb that is not zero"
        );
    }

    #[test]
    fn a_field_that_is_too_long_is_left_out_and_the_entry_says_so() {
        let sale = Update::new("sale", AUCTION).unwrap();
        let sale = sale.with_field("amount", "5").unwrap();
        let sale = sale.with_field("note", "x".repeat(5_000)).unwrap();
        let entry = maker().entry(&sale, at(1_795_410_700), PLACE);
        let json: Value = serde_json::from_str(&entry.json).unwrap();
        assert_eq!(
            (&json["amount"], &json["truncated"]),
            (&json!("5"), &json!(true))
        );
        assert!(json["note"].is_null());
    }

    #[test]
    fn the_time_is_that_of_the_mapping_then_that_of_the_block_then_that_of_the_announcement() {
        let update = |timestamp: Option<&str>, block: Option<u64>| {
            let update = Update::new("sale", "auction:7").unwrap();
            let update = match timestamp {
                Some(time) => update.with_field("timestamp", time).unwrap(),
                None => update,
            };
            let update = update.with_source(EventSource {
                time: block,
                ..EventSource::of("sales", "1-1")
            });
            let entry = maker().entry(&update, at(1_795_410_700), PLACE);
            let json: Value = serde_json::from_str(&entry.json).unwrap();
            (json["timestamp"].as_u64().unwrap(), entry.hour)
        };
        let hour = Some(1_795_410_700 / 3_600);
        for (timestamp, block, expected, counted) in [
            (Some("1795410650"), Some(9), 1_795_410_650, hour),
            (Some("0x6b03cada"), None, 1_795_410_650, hour),
            (Some("1795410650123"), None, 1_795_410_650, hour),
            (Some("yesterday"), Some(1_795_410_640), 1_795_410_640, hour),
            (None, None, 1_795_410_700, hour),
            // Nothing happens years from now.
            (Some("1995410650"), None, 1_795_410_700, hour),
            (Some("-5"), None, 1_795_410_700, hour),
            // A replay of what is long past is shown, and counted nowhere.
            (Some("1700000000"), None, 1_700_000_000, None),
        ] {
            assert_eq!(
                update(timestamp, block),
                (expected, counted),
                "{timestamp:?}"
            );
        }
    }

    #[test]
    fn what_is_no_whole_number_is_not_added_up() {
        let sale = |amount: &str| {
            let sale = Update::new("sale", "auction:7").unwrap();
            let sale = sale.with_field("amount", amount).unwrap();
            maker().entry(&sale, at(1_795_410_700), PLACE).sums
        };
        assert_eq!(sale("7"), [("amount".into(), 0, 7)]);
        for amount in ["", "1.5", "many", &"9".repeat(100)] {
            assert_eq!(sale(amount), [], "{amount}");
        }
    }
}
