//! What the operator says about event streams: [`Stream`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::amount::{Bytes, Period};
use crate::error::ConfigError;
use crate::invalidation::format::{Decoder, Format, Payload};
use crate::invalidation::mapping::{Mapping, Scope};
use crate::invalidation::on::On;
use crate::invalidation::settings::StreamSettings;
use crate::place::ConfigPlace;
#[cfg(feature = "redis")]
use crate::update::Update;

mod entry;
mod reading;

pub(crate) use self::entry::{Exactness, Reading};

/// A stream of events, and what to purge when one arrives.
///
/// ```
/// use tower_tagcache::{Cache, On, Rule, Stream};
///
/// # fn main() -> Result<(), tower_tagcache::ConfigError> {
/// let sales = Stream::rindexer("auction_sales").on(On::event("AuctionSale")
///     .purge("auction:{transaction_information.address}")
///     .purge("auctions"));
/// let rule = |name: &str, route: &str| Rule::new(name, route).ttl(std::time::Duration::from_secs(10));
/// let (cache, _companion) = Cache::builder()
///     .rule(rule("list", "/auctions").tag("auctions"))
///     .rule(rule("auction", "/auctions/{address}").tag("auction:{address}"))
///     .rule(rule("bids", "/bids/{id}").tag("bid:{id}"))
///     .stream(sales)
///     .build()?;
/// // Nothing that this stream says purges a bid.
/// assert_eq!(cache.warnings().len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    settings: StreamSettings,
}

impl Stream {
    /// The stream with the key `name`, written as `format` says.
    pub fn new(name: impl Into<String>, format: Format) -> Self {
        StreamSettings::new(name.into(), format).into()
    }

    /// A stream that rindexer writes.
    pub fn rindexer(name: impl Into<String>) -> Self {
        Self::new(name, Format::rindexer())
    }

    /// A stream of JSON events. For names, networks or lists of events, see [`Format`].
    pub fn json(name: impl Into<String>, payload: Payload) -> Self {
        Self::new(name, Format::json(payload))
    }

    /// A stream of events as text fields.
    pub fn text(name: impl Into<String>, payload: Payload) -> Self {
        Self::new(name, Format::text(payload))
    }

    /// Its key.
    #[cfg(feature = "redis")]
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Adds what to purge for some events. Every [`On`] that an event fits applies; an event that
    /// fits none is counted and ignored. Default: none, which `build()` refuses.
    #[must_use]
    pub fn on(mut self, on: On) -> Self {
        self.settings.on.push(on);
        self
    }

    /// For how long after an event the data that it announces may not be visible to the inner
    /// service yet, a database replica's lag for example: responses with its tags are meanwhile served
    /// and not stored. Default: zero.
    #[must_use]
    pub const fn settle(mut self, time: Duration) -> Self {
        self.settings.settle = Period(time);
        self
    }

    /// Reads the stream from its first entry when nobody has read it before. Default: from its end,
    /// after a purge of everything that it can touch.
    #[must_use]
    pub const fn replay(mut self) -> Self {
        self.settings.replay = true;
        self
    }

    /// The largest entry that is read; a larger one is put aside, and everything that the stream can
    /// touch is purged. Default: 4 MiB.
    #[must_use]
    pub const fn max_entry_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_entry_bytes = Bytes(bytes as u64);
        self
    }

    /// Drops what all groups of the stream have read and acknowledged, so that it does not grow for ever:
    /// hardly any publisher trims. What the slowest group has not acknowledged stays. Not for a stream
    /// that somebody reads without a group, or wants to read again. Default: nothing is dropped.
    #[must_use]
    pub const fn trim(mut self) -> Self {
        self.settings.trim = true;
        self
    }

    /// Reads all templates, paths and conditions.
    pub(crate) fn compile(self) -> Result<EventStream, ConfigError> {
        let Self { settings } = self;
        let place = ConfigPlace::stream(&*settings.name);
        let refuse = |message| {
            let name = settings.name.as_str();
            Err(ConfigError::new(place.clone(), message, name))
        };
        if settings.name.is_empty() {
            return refuse("a stream needs a name");
        }
        if settings.on.is_empty() {
            return refuse("nothing is purged on any event");
        }
        settings
            .check_reading()
            .map_err(|e| e.within(place.clone()))?;
        // What an event purges: two processes that differ in it must not pass for one another.
        let mapping = format!("{:?}{:?}", settings.format, settings.on);
        let mapping = rapidhash::v3::rapidhash_v3(mapping.as_bytes());
        let decoder = settings.format.clone().compile();
        let decoder = decoder.map_err(|e| e.within(place.clone()))?;
        let mut mappings = Vec::new();
        for (number, on) in settings.on.iter().enumerate() {
            let on_place = on.place(number);
            let mapping = on.clone().compile(&decoder);
            mappings.push(mapping.map_err(|e| e.within(on_place).within(place.clone()))?);
        }
        Ok(EventStream {
            name: settings.name.as_str().into(),
            decoder,
            mappings,
            mapping,
            settings,
        })
    }
}

impl From<StreamSettings> for Stream {
    fn from(settings: StreamSettings) -> Self {
        Self { settings }
    }
}

/// A [`Stream`] that has been read: it can decode entries and map them to purges.
#[derive(Debug)]
pub(crate) struct EventStream {
    pub(crate) name: Box<str>,
    pub(crate) decoder: Decoder,
    pub(crate) mappings: Vec<Mapping>,
    /// A number for format and mappings, the same wherever they are the same.
    pub(crate) mapping: u64,
    /// What it was read from.
    pub(crate) settings: StreamSettings,
}

impl EventStream {
    /// Everything that the stream's events can touch: what is purged when some may be missing.
    pub(crate) fn scope(&self) -> Scope {
        self.scope_on(None)
    }

    /// What the events of one network can touch; of all, if none is named.
    pub(crate) fn scope_on(&self, network: Option<&str>) -> Scope {
        Scope::of(self.mappings.iter().filter(|m| m.may_fit(network)))
    }

    /// Whether people are told of some of the stream's events: then they are also told where some may be missing.
    pub(crate) fn announces(&self) -> bool {
        self.announces_on(None)
    }

    /// What people are told where its events may be missing, as the gap of this name; nothing if they are told of none.
    #[cfg(feature = "redis")]
    pub(crate) fn resync_of_gap(&self, gap: &str, reason: &str) -> Option<Update> {
        let resync = || self.resync(&format!("gap {gap}"), reason, std::iter::empty());
        self.announces().then(resync)
    }

    /// Whether they are told of those of one network; of all, if none is named.
    fn announces_on(&self, network: Option<&str>) -> bool {
        let mut fitting = self.mappings.iter().filter(|m| m.may_fit(network));
        fitting.any(|mapping| mapping.announce.is_some())
    }
}

/// Reads all `streams`.
///
/// # Errors
/// A stream cannot be used, or two have one name: one group would get the events of the other.
pub(crate) fn compile(streams: Vec<Stream>) -> Result<Vec<Arc<EventStream>>, ConfigError> {
    let mut names = HashSet::new();
    let mut compiled = Vec::new();
    for stream in streams {
        let name = &stream.settings.name;
        if !names.insert(name.clone()) {
            let place = ConfigPlace::stream(name);
            let message = "a second stream of this name";
            return Err(ConfigError::new(place, message, name));
        }
        compiled.push(Arc::new(stream.compile()?));
    }
    Ok(compiled)
}

pub(crate) fn longest_settle(streams: &[Arc<EventStream>]) -> Duration {
    let times = streams.iter().map(|stream| stream.settings.settle.0);
    times.max().unwrap_or_default()
}

#[cfg(test)]
mod tests;
