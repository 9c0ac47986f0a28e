//! [`ActivitySettings`]: what a configuration says of the activity feed and of analytics.

use std::fmt;
use std::time::Duration;

use super::entry::EntryMaker;
use super::store::ActivityBounds;
use crate::amount::Period;
use crate::defaults;
use crate::error::ConfigError;
use crate::place::Setting;
use crate::spelling::written;

const ENTRIES: Setting = Setting::of("activity", "entries");
const CHANNEL: Setting = Setting::of("activity", "channel");
const SUM: Setting = Setting::of("activity", "sum");
const KEEP: Setting = Setting::of("activity", "keep");

/// Entries that may be kept: how many a server can look through at once.
const MAX_ENTRIES: usize = 50_000;
/// The most fields that are added up.
const MAX_SUMS: usize = 16;
/// The longest that counters are kept: a year.
const MAX_KEEP: Duration = Duration::from_secs(366 * 86_400);
const HOUR: u64 = 3_600;

/// What is kept of activity, for [`CacheBuilder::activity`](crate::CacheBuilder::activity).
///
/// ```
/// use std::time::Duration;
/// use tower_tagcache::ActivitySettings;
///
/// let settings = ActivitySettings::new()
///     .sum(["amount", "fee"])
///     .keep(Duration::from_secs(30 * 86_400));
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(default, deny_unknown_fields)
)]
pub struct ActivitySettings {
    /// How many events are remembered: to know repeats, to undo what a reorg undid, and for the feeds, of which that of all
    /// has at most 1,000 entries and that of a subject 100. About 1.5 KB each in Redis. From 1,000 to 50,000. Default: 20,000.
    entries: usize,
    /// The fields that are added up, where they are whole numbers. At most 16. Default: `["amount"]`.
    sum: Vec<String>,
    /// How long counters are kept, in whole hours. Default: 7 d.
    keep: Period,
    /// The channel of Redis on which new entries are published (`PUBLISH`), for other consumers. Default: `activity:new`.
    channel: String,
}

impl Default for ActivitySettings {
    fn default() -> Self {
        Self {
            entries: defaults::ACTIVITY_ENTRIES,
            sum: vec![defaults::ACTIVITY_SUM.to_owned()],
            keep: Period(defaults::ANALYTICS_KEPT),
            channel: defaults::ACTIVITY_CHANNEL.to_owned(),
        }
    }
}

impl ActivitySettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many events are remembered, from 1,000 to 50,000. Default: 20,000.
    #[must_use]
    pub const fn entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// The fields of updates that are added up, where they are whole numbers. At most 16. Default: `amount`.
    #[must_use]
    pub fn sum(mut self, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.sum = fields.into_iter().map(Into::into).collect();
        self
    }

    /// How long counters are kept, in whole hours, up to a year. Default: seven days.
    #[must_use]
    pub fn keep(mut self, time: impl Into<Period>) -> Self {
        self.keep = time.into();
        self
    }

    /// The channel of Redis on which new entries are published. Default: `activity:new`.
    #[must_use]
    pub fn channel(mut self, name: impl Into<String>) -> Self {
        self.channel = name.into();
        self
    }

    /// The channel of Redis on which new entries are published.
    #[must_use]
    pub fn published_on(&self) -> &str {
        &self.channel
    }

    /// The fields that are added up.
    #[cfg(feature = "config")]
    pub(crate) fn summed(&self) -> &[String] {
        &self.sum
    }

    /// What a store keeps, and what is made of updates.
    pub(crate) fn compile(&self) -> Result<(ActivityBounds, EntryMaker), ConfigError> {
        let refused =
            |setting, why: String, input: String| Err(ConfigError::new(setting, why, input));
        let least = defaults::ACTIVITY_FEED;
        if !(least..=MAX_ENTRIES).contains(&self.entries) {
            let why = format!("not from {least} to {MAX_ENTRIES}");
            return refused(ENTRIES, why, self.entries.to_string());
        }
        if self.sum.len() > MAX_SUMS {
            let why = format!("more than {MAX_SUMS} fields");
            return refused(SUM, why, self.sum.len().to_string());
        }
        if let Some(name) = self
            .sum
            .iter()
            .find(|name| name.is_empty() || name.contains('\0'))
        {
            return refused(SUM, "no name of a field".to_owned(), name.clone());
        }
        let keep = self.keep.0;
        let is_whole = keep.as_secs().is_multiple_of(HOUR) && keep.subsec_nanos() == 0;
        if keep.is_zero() || keep > MAX_KEEP || !is_whole {
            let why = "not a whole number of hours, from 1h to 366d".to_owned();
            return refused(KEEP, why, written(keep));
        }
        if self.channel.is_empty() || self.channel.len() > 128 {
            let why = "not 1 to 128 bytes long".to_owned();
            return refused(CHANNEL, why, self.channel.clone());
        }
        let hours = keep.as_secs() / HOUR;
        let bounds = ActivityBounds {
            entries: self.entries,
            feed: defaults::ACTIVITY_FEED,
            subject_feed: defaults::ACTIVITY_SUBJECT_FEED,
            hours,
            channel: self.channel.as_str().into(),
        };
        let sums = self.sum.iter().map(|name| name.as_str().into()).collect();
        Ok((bounds, EntryMaker { sums, hours }))
    }
}

impl fmt::Display for ActivitySettings {
    /// For people: `the last 20000 events, counters of each hour for 7d with the sum of amount, …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, keep, channel) = (self.entries, written(self.keep.0), &self.channel);
        write!(
            f,
            "the last {entries} events, and counters of each hour for {keep}"
        )?;
        match &*self.sum {
            [] => {}
            [one] => write!(f, " with the sum of {one}")?,
            fields => write!(f, " with the sums of {}", fields.join(", "))?,
        }
        write!(f, "; new ones are published on `{channel}`")
    }
}
