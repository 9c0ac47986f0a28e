//! [`EventSource`]: where the event of an update comes from.

use serde_json::{Map, Value};

/// Where the event of an update comes from, as far as its publisher says: what the activity feed orders by, and what a
/// reorg is held against. It goes with the update in the purge log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct EventSource {
    /// The stream, as it is configured.
    pub(crate) stream: Box<str>,
    /// The entry's id there.
    pub(crate) entry: Box<str>,
    pub(crate) network: Option<Box<str>>,
    /// The number of its block.
    pub(crate) block: Option<u64>,
    pub(crate) transaction: Option<Box<str>>,
    /// Its place in its block.
    pub(crate) log_index: Option<u64>,
    /// When its block was made, in seconds since 1970.
    pub(crate) time: Option<u64>,
    /// It is no event: the publisher says that what happened from this block on is undone.
    pub(crate) fork_block: Option<u64>,
}

impl EventSource {
    pub(crate) fn of(stream: &str, entry: &str) -> Self {
        Self {
            stream: stream.into(),
            entry: entry.into(),
            ..Self::default()
        }
    }

    /// What it takes in a record, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.network, &self.transaction];
        let texts = texts.into_iter().flatten().map(|text| text.len());
        self.stream.len() + self.entry.len() + 100 + texts.sum::<usize>()
    }

    pub(super) fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("stream".into(), (*self.stream).into());
        json.insert("entry".into(), (*self.entry).into());
        let texts = [("network", &self.network), ("tx", &self.transaction)];
        for (name, text) in texts {
            if let Some(text) = text {
                json.insert(name.into(), (**text).into());
            }
        }
        let numbers = [
            ("block", self.block),
            ("log", self.log_index),
            ("time", self.time),
            ("fork", self.fork_block),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                json.insert(name.into(), number.into());
            }
        }
        json.into()
    }

    /// `None` if it is none that this crate wrote: an update is as good without.
    pub(super) fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name)?.as_str().map(Box::<str>::from);
        let number = |name: &str| json.get(name)?.as_u64();
        Some(Self {
            stream: text("stream")?,
            entry: text("entry")?,
            network: text("network"),
            block: number("block"),
            transaction: text("tx"),
            log_index: number("log"),
            time: number("time"),
            fork_block: number("fork"),
        })
    }
}
