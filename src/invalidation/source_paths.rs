//! From an event to where it comes from. Pure.

use crate::error::ConfigError;
use crate::invalidation::event::{ChangeEvent, EventOrigin};
use crate::invalidation::node::Node;
use crate::invalidation::path::Path;
use crate::rules::template::WholeNumber;
use crate::update::EventSource;

/// The most characters of a transaction's hash.
const MAX_TRANSACTION: usize = 128;

/// Where an event says which block it stands in. Nothing depends on whether it does.
#[derive(Debug)]
pub(super) struct SourcePaths {
    block: Path,
    transaction: Path,
    log_index: Path,
    time: Path,
}

impl SourcePaths {
    /// As rindexer writes its events.
    pub(super) fn of_rindexer() -> Result<Self, ConfigError> {
        let path =
            |name: &str| Path::parse_at(&format!("transaction_information.{name}"), "event source");
        Ok(Self {
            block: path("block_number")?,
            transaction: path("transaction_hash")?,
            log_index: path("log_index")?,
            time: path("block_timestamp")?,
        })
    }

    /// Adds to `source` what `event` says.
    pub(super) fn read(&self, event: &ChangeEvent<'_>, whole: &Node<'_>, source: &mut EventSource) {
        let text = |path: &Path| path.value(event.start(path, whole));
        let number = |path: &Path| whole_number(&text(path)?);
        source.block = number(&self.block);
        source.log_index = number(&self.log_index);
        source.time = number(&self.time);
        let transaction = text(&self.transaction);
        let transaction = transaction.filter(|hash| hash.len() <= MAX_TRANSACTION);
        source.transaction = transaction.map(|hash| hash.as_ref().into());
    }
}

/// Where `event` comes from, as every publisher says.
pub(super) fn source_of(event: &ChangeEvent<'_>, origin: &EventOrigin<'_>) -> EventSource {
    EventSource {
        network: event.network.as_deref().map(Box::from),
        ..EventSource::of(origin.stream, origin.entry)
    }
}

/// A number in decimal or hexadecimal, if it has 64 bits.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    WholeNumber::parse(text)?.as_str().parse().ok()
}
