//! [`StreamSettings`]: what is said about an event stream, field by field. [`Stream`](super::Stream)'s setters set them,
//! and a configuration file has them under these names.

use std::time::Duration;

use super::format::Format;
use super::on::On;
use crate::amount::{Bytes, Period};
use crate::defaults;
use crate::error::ConfigError;
use crate::spelling::written;

/// A Redis stream of events, and what to purge when one arrives.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct StreamSettings {
    /// The stream's key in Redis.
    pub name: String,
    /// How its publisher writes: "rindexer", "debezium", or a table.
    pub format: Format,
    /// What to purge for which events.
    pub on: Vec<On>,
    /// How long after an event the data may not be visible to the upstream yet (a replica's lag):
    /// meanwhile responses with its tags are served and not stored. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub settle: Period,
    /// `true` reads the stream from its first entry when nobody has read it before. Default: false, from its end.
    #[cfg_attr(feature = "config", serde(default))]
    pub replay: bool,
    /// `true` drops what all groups of the stream have read, so that it does not fill Redis; not for a stream
    /// that somebody reads without a group. Default: false, somebody else trims it.
    #[cfg_attr(feature = "config", serde(default))]
    pub trim: bool,
    /// The largest entry that is read. Default: "4 MiB".
    #[cfg_attr(feature = "config", serde(default = "max_entry_bytes"))]
    pub max_entry_bytes: Bytes,
    /// The most entries that one record of the log is for; up to sixteen times as many are read at once where they wait.
    /// Default: 32.
    #[cfg_attr(feature = "config", serde(default = "batch"))]
    pub batch: usize,
    /// After how long without a sign of life the events that a consumer took are taken over by another. The same
    /// on all nodes. Default: "3s".
    #[cfg_attr(feature = "config", serde(default = "claim_after"))]
    pub claim_after: Period,
    /// How long the events may stay unread before nothing that they can touch is served from the cache.
    /// Default: "60s".
    #[cfg_attr(feature = "config", serde(default = "away"))]
    pub away: Period,
}

const fn max_entry_bytes() -> Bytes {
    Bytes(defaults::STREAM_ENTRY_BYTES)
}

const fn batch() -> usize {
    defaults::STREAM_BATCH
}

const fn claim_after() -> Period {
    Period(defaults::CLAIM_AFTER)
}

const fn away() -> Period {
    Period(defaults::AWAY)
}

impl StreamSettings {
    /// What is said where nothing but these is.
    pub(super) const fn new(name: String, format: Format) -> Self {
        Self {
            name,
            format,
            on: Vec::new(),
            settle: Period(Duration::ZERO),
            replay: false,
            trim: false,
            max_entry_bytes: max_entry_bytes(),
            batch: batch(),
            claim_after: claim_after(),
            away: away(),
        }
    }

    /// Whether batch and times can be used.
    pub(super) fn check_reading(&self) -> Result<(), ConfigError> {
        if !(1..=1_000).contains(&self.batch) {
            let batch = self.batch.to_string();
            return Err(ConfigError::new("batch", "not between 1 and 1000", batch));
        }
        let within = |what, time: Duration, least, most| {
            let why = || format!("not between {} and {}", written(least), written(most));
            let error = || ConfigError::new(what, why(), written(time));
            (least..=most)
                .contains(&time)
                .then_some(())
                .ok_or_else(error)
        };
        let least = Duration::from_millis(10);
        within(
            "claim_after",
            self.claim_after.0,
            least,
            Duration::from_secs(3600),
        )?;
        let least = Duration::from_millis(100);
        within("away", self.away.0, least, Duration::from_secs(86_400))
    }
}
