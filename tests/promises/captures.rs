//! The recorded stream entries, and what each of them names, read without any code of the crate.

use std::collections::BTreeSet;

use serde_json::Value;

macro_rules! fixture {
    ($file:literal) => {
        include_str!(concat!("../fixtures/", $file))
    };
}

pub(crate) const EVENTS: &str = fixture!("rindexer/v0.41.0/auction-events.json");
pub(crate) const FACTORY: &str = fixture!("rindexer/v0.41.0/auction-factory.json");
pub(crate) const FINALIZED: &str = fixture!("rindexer/v0.41.0/auction-finalized.json");
pub(crate) const LARGE: &str = fixture!("rindexer/v0.41.0/auction-sales-large.json");
pub(crate) const SALES: &str = fixture!("rindexer/v0.41.0/auction-sales.json");
pub(crate) const SETTLED: &str = fixture!("rindexer/v0.41.0/auction-settled.json");
pub(crate) const MINIMAL: &str = fixture!("rindexer/v0.41.0-streams-only/auction-minimal.json");
pub(crate) const CHAIN: &str = fixture!("rindexer/v0.41.0/chain-logs.json");
pub(crate) const DERIVED: &str = fixture!("other-publishers/derived.json");

/// The auctions of the captures.
pub(crate) const AUCTIONS: [&str; 4] = [
    "0xa16e02e87b7454126e5e10d957a927a7f5b5d2be",
    "0xb7a5bd0345ef1cc5e66bf61bdec17d2461fbd968",
    "0xeebe00ac0756308ac4aabfd76c05c4f3088b8883",
    "0x10c6e9530f1c1af873a391030a1d9e8ed0630d26",
];

/// A stream entry as `XRANGE` printed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// Names and values in turn.
    pub(crate) fields: Vec<String>,
}

/// The identity of an event that holds: block, transaction, place in it (`docs/PUBLISHERS.md` §3).
pub(crate) type Identity = (String, String, u64);

/// The entries of a capture, in its order.
pub(crate) fn entries(capture: &str) -> Vec<Entry> {
    let raw: Vec<(String, Vec<String>)> = serde_json::from_str(capture).unwrap();
    let entry = |(id, fields)| Entry { id, fields };
    raw.into_iter().map(entry).collect()
}

/// The first entry of `auction:events` with an event of this name.
pub(crate) fn first(event: &str) -> Entry {
    let mut all = entries(EVENTS).into_iter();
    all.find(|entry| entry.event() == event).unwrap()
}

impl Entry {
    /// An entry of our own, as rindexer would write it: one event of `address`.
    pub(crate) fn made(event: &str, address: &str) -> Self {
        let about = serde_json::json!({ "address": address });
        let data = serde_json::json!([{ "transaction_information": about }]);
        let payload = serde_json::json!({ "event_name": event, "event_data": data });
        Self::with(&[("payload", &payload.to_string())])
    }

    pub(crate) fn with(fields: &[(&str, &str)]) -> Self {
        let both = fields.iter().flat_map(|(name, value)| [*name, *value]);
        Self {
            id: "*".into(),
            fields: both.map(Into::into).collect(),
        }
    }

    /// What the entry says as a new entry, which Redis gives an id.
    pub(crate) fn again(mut self) -> Self {
        self.id = "*".into();
        self
    }

    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.fields[1]).unwrap()
    }

    pub(crate) fn event(&self) -> String {
        self.document()["event_name"].as_str().unwrap().into()
    }

    pub(crate) fn is_reorg(&self) -> bool {
        self.event() == "__rindexer_reorg"
    }

    fn data(&self) -> Vec<Value> {
        self.document()["event_data"].as_array().unwrap().clone()
    }

    /// What the cache has to tell about it: each event once, or the entry once if it has none.
    pub(crate) fn tellings(&self) -> usize {
        if self.is_reorg() {
            1
        } else {
            self.data().len().max(1)
        }
    }

    /// The paths of the responses that its events change, by DESIGN's sample mapping, where sales
    /// arrive under the name `sale`.
    pub(crate) fn named(&self, sale: &str) -> BTreeSet<String> {
        let event = self.event();
        let mut paths = BTreeSet::new();
        for data in self.data() {
            let emitter = &data["transaction_information"]["address"];
            let auction = match event.as_str() {
                "DeployedNewAuction" => &data["auction"],
                "AuctionRoundKicked" => emitter,
                name if name == sale => emitter,
                _ => continue,
            };
            let auction = format!("/auctions/{}", auction.as_str().unwrap());
            if event == sale {
                paths.insert(format!("{auction}/price-history"));
            }
            paths.extend([auction, "/auctions".into()]);
        }
        paths
    }

    /// The events in it, and the block of each.
    pub(crate) fn identities(&self) -> Vec<(Identity, u64)> {
        if self.is_reorg() {
            return Vec::new();
        }
        let identity = |data: &Value| {
            let about = &data["transaction_information"];
            let text = |key: &str| about[key].as_str().unwrap().to_owned();
            let index = u64::from_str_radix(&text("log_index")[2..], 16).unwrap();
            let identity = (text("block_hash"), text("transaction_hash"), index);
            (identity, about["block_number"].as_u64().unwrap())
        };
        self.data().iter().map(identity).collect()
    }
}

/// The kicks and sales of the chain as it ended, and the block of each.
pub(crate) fn canonical() -> Vec<(Identity, u64)> {
    let logs: Vec<Value> = serde_json::from_str(CHAIN).unwrap();
    let wanted =
        |log: &&Value| log["event"] == "AuctionSale" || log["event"] == "AuctionRoundKicked";
    let identity = |log: &Value| {
        let text = |key: &str| log[key].as_str().unwrap().to_owned();
        let index = log["log_index"].as_u64().unwrap();
        let block = log["block_number"].as_u64().unwrap();
        ((text("block_hash"), text("transaction_hash"), index), block)
    };
    logs.iter().filter(wanted).map(identity).collect()
}
