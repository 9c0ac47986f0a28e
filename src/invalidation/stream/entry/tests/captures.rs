//! Every captured stream, replayed through DESIGN's sample mapping.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::*;
use crate::invalidation::announce::Announce;

macro_rules! capture {
    ($file:literal) => {
        include_str!(concat!("../../../../../tests/fixtures/rindexer/", $file))
    };
}

const EVENTS: &str = capture!("v0.41.0/auction-events.json");
const FACTORY: &str = capture!("v0.41.0/auction-factory.json");
const FINALIZED: &str = capture!("v0.41.0/auction-finalized.json");
const LARGE: &str = capture!("v0.41.0/auction-sales-large.json");
const SALES: &str = capture!("v0.41.0/auction-sales.json");
const SETTLED: &str = capture!("v0.41.0/auction-settled.json");
const MINIMAL: &str = capture!("v0.41.0-streams-only/auction-minimal.json");
const LOGS: &str = capture!("v0.41.0/chain-logs.json");
const SAMPLES: &str = capture!("samples.json");

/// The mapping of DESIGN's sample configuration; a sale is named as it arrives, by its alias.
fn sample(sale: &str) -> EventStream {
    let emitter = "{transaction_information.address}";
    let stream = Stream::rindexer("auction")
        .on(On::event(sale)
            .purge(format!("auction:{emitter}"))
            .purge(format!("history:{emitter}"))
            .purge("auctions"))
        .on(On::event("AuctionRoundKicked")
            .purge(format!("auction:{emitter}"))
            .purge("auctions"))
        .on(On::event("DeployedNewAuction")
            .purge("auction:{auction}")
            .purge("auctions"));
    stream.compile().unwrap()
}

fn entries(capture: &str) -> Vec<Fields> {
    let entries: Vec<Value> = serde_json::from_str(capture).unwrap();
    entries.iter().map(fields_of).collect()
}

fn document(fields: &Fields) -> Value {
    serde_json::from_slice(&fields[0].1).unwrap()
}

/// What an entry names, by a reading of its JSON that shares no code with the decoder.
fn named(document: &Value, sale: &str) -> BTreeSet<String> {
    let name = document["event_name"].as_str().unwrap();
    let mut tags = BTreeSet::new();
    for event in document["event_data"].as_array().unwrap() {
        let emitter = event["transaction_information"]["address"]
            .as_str()
            .unwrap();
        if name == sale {
            tags.insert(format!("t:history:{emitter}"));
        }
        if name == sale || name == "AuctionRoundKicked" {
            tags.insert(format!("t:auction:{emitter}"));
            tags.insert("t:auctions".into());
        } else if name == "DeployedNewAuction" {
            tags.insert(format!("t:auction:{}", event["auction"].as_str().unwrap()));
            tags.insert("t:auctions".into());
        }
    }
    tags
}

/// Replays `capture`, asserting for each entry that exactly what it names is purged. Counts
/// entries, events applied, entries without events, events without a mapping, reorg notices, and
/// targets, those of the notices left out.
fn replay(capture: &str, sale: &str) -> [usize; 6] {
    let stream = sample(sale);
    let scope: BTreeSet<String> = ["f:auction", "f:history", "t:auctions"]
        .map(Into::into)
        .into();
    let mut counts = [0; 6];
    for fields in entries(capture) {
        let (reading, document) = (stream.read("1-0", &fields), document(&fields));
        let purges: Vec<String> = purged(&reading);
        let unique: BTreeSet<String> = purges.iter().cloned().collect();
        assert_eq!(purges.len(), unique.len(), "a target twice: {document}");
        counts[0] += 1;
        if document["event_name"] == "__rindexer_reorg" {
            assert_eq!(reading.exactness, Exactness::Scope("reorg"));
            assert_eq!(unique, scope, "{document}");
            counts[4] += 1;
            continue;
        }
        assert_eq!(reading.exactness, Exactness::Exact);
        assert_eq!(unique, named(&document, sale), "{document}");
        counts[1] += reading.applied.len();
        counts[2] += reading
            .ignored
            .iter()
            .filter(|r| **r == "no events")
            .count();
        counts[3] += reading
            .ignored
            .iter()
            .filter(|r| **r == "no mapping fits")
            .count();
        counts[5] += purges.len();
    }
    counts
}

#[test]
fn captured_streams_purge_exactly_what_their_entries_name() {
    for (name, capture, sale, expected) in [
        (
            "auction:events",
            EVENTS,
            "AuctionSale",
            [73, 226, 0, 0, 3, 201],
        ),
        (
            "auction:factory",
            FACTORY,
            "AuctionSale",
            [5, 4, 0, 0, 1, 8],
        ),
        (
            "auction:finalized",
            FINALIZED,
            "AuctionSale",
            [59, 64, 0, 0, 3, 160],
        ),
        (
            "auction:sales:large",
            LARGE,
            "LargeSale",
            [60, 32, 29, 0, 3, 88],
        ),
        ("auction:sales", SALES, "Sale", [60, 213, 0, 0, 3, 175]),
        (
            "auction:settled",
            SETTLED,
            "AuctionSale",
            [4, 0, 0, 1, 3, 0],
        ),
        (
            "auction:minimal",
            MINIMAL,
            "AuctionSale",
            [46, 62, 0, 0, 0, 139],
        ),
    ] {
        assert_eq!(replay(capture, sale), expected, "{name}");
    }
}

/// The identity of an event that holds: block, transaction, place (PUBLISHERS §3).
type Identity = (String, String, u64);

/// The events that a capture holds, and the block of each.
fn published(capture: &str) -> Vec<(Identity, u64)> {
    let mut found = Vec::new();
    for document in entries(capture).iter().map(document) {
        if document["event_name"].as_str().unwrap().starts_with("__") {
            continue;
        }
        for event in document["event_data"].as_array().unwrap() {
            let about = &event["transaction_information"];
            let text = |key: &str| about[key].as_str().unwrap().to_owned();
            let index = u64::from_str_radix(&text("log_index")[2..], 16).unwrap();
            let identity = (text("block_hash"), text("transaction_hash"), index);
            found.push((identity, about["block_number"].as_u64().unwrap()));
        }
    }
    found
}

/// The kicks and sales of the final chain, and the block of each.
fn canonical() -> BTreeMap<Identity, u64> {
    let logs: Vec<Value> = serde_json::from_str(LOGS).unwrap();
    let wanted = ["AuctionSale", "AuctionRoundKicked"];
    let wanted = |log: &&Value| wanted.contains(&log["event"].as_str().unwrap());
    let identity = |log: &Value| {
        let text = |key: &str| log[key].as_str().unwrap().to_owned();
        let index = log["log_index"].as_u64().unwrap();
        let block = log["block_number"].as_u64().unwrap();
        ((text("block_hash"), text("transaction_hash"), index), block)
    };
    logs.iter().filter(wanted).map(identity).collect()
}

#[test]
fn difference_from_the_chain_is_one_dropped_event_and_three_undone_ones() {
    let (chain, published) = (canonical(), published(EVENTS));
    assert_eq!(chain.len(), 221);
    let unique: BTreeSet<&Identity> = published.iter().map(|(identity, _)| identity).collect();
    let missing = chain
        .iter()
        .filter(|(identity, _)| !unique.contains(identity));
    let missing: Vec<u64> = missing.map(|(_, block)| *block).collect();
    assert_eq!(missing, [141]);
    let undone = published
        .iter()
        .filter(|(identity, _)| !chain.contains_key(identity));
    let mut undone: Vec<u64> = undone.map(|(_, block)| *block).collect();
    undone.sort_unstable();
    assert_eq!(undone, [133, 134, 135]);
    // Three sales came twice; they are the same events, so the same purges again.
    assert_eq!(published.len() - unique.len(), 3);
    // And the replay applies each of these events, no other: 220 of the chain, 3 undone, 3 repeats.
    assert_eq!(replay(EVENTS, "AuctionSale")[1], 220 + 3 + 3);
}

#[test]
fn samples_of_all_versions_are_read() {
    let samples: Vec<Value> = serde_json::from_str(SAMPLES).unwrap();
    assert_eq!(samples.len(), 14);
    for item in &samples {
        let label = item["label"].as_str().unwrap();
        let fields = fields_of(&item["entry"]);
        let document = document(&fields);
        let sale = match document["event_name"].as_str().unwrap() {
            alias @ ("Sale" | "LargeSale") => alias,
            _ => "AuctionSale",
        };
        let reading = sample(sale).read("1-0", &fields);
        if document["event_name"] == "__rindexer_reorg" {
            assert_eq!(reading.exactness, Exactness::Scope("reorg"), "{label}");
            continue;
        }
        assert_eq!(reading.exactness, Exactness::Exact, "{label}");
        let purges: BTreeSet<String> = purged(&reading).into_iter().collect();
        assert_eq!(purges, named(&document, sale), "{label}");
    }
}

#[test]
fn our_condition_selects_what_the_publishers_own_did() {
    let large = |name: &str| {
        let on = On::event(name).when("amountPaid >= 5000000000000000000");
        let purge = "x:{transaction_information.transaction_hash}";
        Stream::rindexer("s").on(on.purge(purge)).compile().unwrap()
    };
    let applied = |stream: &EventStream, capture: &str| -> usize {
        let each = |fields: &Fields| stream.read("1-0", fields).applied.len();
        entries(capture).iter().map(each).sum()
    };
    assert_eq!(applied(&large("Sale"), SALES), 32);
    assert_eq!(applied(&large("LargeSale"), LARGE), 32);
}

/// What people are told of all entries of `capture`, and of them by `id`, which may be another for each delivery.
fn told(stream: &EventStream, capture: &str, id: impl Fn(usize) -> String) -> Vec<Update> {
    let entries = entries(capture);
    let read = |(at, fields)| stream.read(&id(at), fields).updates;
    entries.iter().enumerate().flat_map(read).collect()
}

#[test]
fn captured_events_are_told_once_however_often_they_are_published() {
    let on = |announce: Announce| {
        let on = On::any().announce(announce.subject("{transaction_information.address}"));
        Stream::rindexer("auction").on(on).compile().unwrap()
    };
    // What chain, block, transaction and log are together, by paths.
    let parts = on(Announce::new("event")
        .field("block", "transaction_information.block_hash")
        .field("transaction", "transaction_information.transaction_hash")
        .field("log", "transaction_information.log_index"));
    let undone = |update: &Update| update.kind() == "resync";
    for (capture, events, repeats, reorgs) in [
        (EVENTS, 226, 3, 3),
        (FACTORY, 4, 0, 1),
        (FINALIZED, 64, 0, 3),
        (LARGE, 32, 0, 3),
        (SALES, 213, 3, 3),
        (SETTLED, 1, 0, 3),
        (MINIMAL, 62, 29, 0),
    ] {
        let first = told(&parts, capture, |at| format!("1-{at}"));
        let again = told(&parts, capture, |at| format!("2-{at}"));
        let mut identities = BTreeMap::new();
        for update in first.iter().filter(|update| !undone(update)) {
            let of = ["block", "transaction", "log"].map(|name| update.get(name).unwrap());
            let identity = identities.entry(of).or_insert(update.identity());
            assert_eq!(*identity, update.identity(), "{of:?}");
        }
        let unique: HashSet<u128> = first.iter().map(Update::fingerprint).collect();
        let notices = first.iter().filter(|update| undone(update)).count();
        assert_eq!(
            [first.len() - notices, first.len() - unique.len(), notices],
            [events, repeats, reorgs]
        );
        assert_eq!(unique.len() - notices, identities.len());
        let identity_of = |updates: &[Update]| -> Vec<String> {
            let events = updates.iter().filter(|update| !undone(update));
            events.map(|update| update.identity().to_owned()).collect()
        };
        assert_eq!(identity_of(&first), identity_of(&again));
    }
}

#[test]
fn a_captured_reorg_is_told_with_its_block_and_transactions() {
    let on = On::any().announce(Announce::new("event").subject("auctions"));
    let stream = Stream::rindexer("auction").on(on).compile().unwrap();
    let told = told(&stream, EVENTS, |at| format!("1-{at}"));
    let notices: Vec<_> = told.iter().filter(|u| u.kind() == "resync").collect();
    assert_eq!(notices.len(), 3);
    for notice in notices {
        let said = ["reason", "network", "fork_block", "depth", "events_deleted"];
        let said = said.map(|name| notice.get(name).unwrap());
        assert_eq!(said, ["reorg", "local", "133", "3", "3"]);
        let transactions = notice.get("affected_tx_hashes").unwrap();
        assert_eq!(transactions.split(',').count(), 3);
    }
}
