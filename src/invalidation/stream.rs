//! What the operator says about event streams: [`Stream`] and [`On`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::error::ConfigError;
use crate::invalidation::condition::Condition;
use crate::invalidation::event::CONTROL;
use crate::invalidation::format::{Decoder, Format, Payload};
use crate::invalidation::mapping::{Mapping, Scope};
use crate::invalidation::path::Path;
use crate::rules::template::Template;

/// The largest entry that is read, by default.
const MAX_BYTES: usize = 4 * 1024 * 1024;

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
#[derive(Debug, Clone)]
pub struct Stream {
    name: String,
    format: Format,
    on: Vec<On>,
    settle: Duration,
    start: Start,
    max_bytes: usize,
    batch: usize,
    claim_after: Duration,
    away: Duration,
}

/// Where a consumer group that does not exist yet begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Tail,
    Beginning,
}

impl Stream {
    /// The stream with the key `name`, written as `format` says.
    pub fn new(name: impl Into<String>, format: Format) -> Self {
        Self {
            name: name.into(),
            format,
            on: Vec::new(),
            settle: Duration::ZERO,
            start: Start::Tail,
            max_bytes: MAX_BYTES,
            batch: reading::BATCH,
            claim_after: reading::CLAIM_AFTER,
            away: reading::AWAY,
        }
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

    /// Adds what to purge for some events. Every [`On`] that an event fits applies; an event that
    /// fits none is counted and ignored. Default: none, which `build()` refuses.
    #[must_use]
    pub fn on(mut self, on: On) -> Self {
        self.on.push(on);
        self
    }

    /// For how long after an event the data that it announces may not be visible to the inner
    /// service yet, a database replica's lag for example: responses with its tags are meanwhile served
    /// and not stored. Default: zero.
    #[must_use]
    pub const fn settle(mut self, time: Duration) -> Self {
        self.settle = time;
        self
    }

    /// Reads the stream from its first entry when nobody has read it before. Default: from its end,
    /// after a purge of everything that it can touch.
    #[must_use]
    pub const fn replay(mut self) -> Self {
        self.start = Start::Beginning;
        self
    }

    /// The largest entry that is read; a larger one is put aside, and everything that the stream can
    /// touch is purged. Default: 4 MiB.
    #[must_use]
    pub const fn max_entry_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Reads all templates, paths and conditions.
    pub(crate) fn compile(self) -> Result<EventStream, ConfigError> {
        let place = format!("stream `{}`", self.name);
        let refuse = |message| {
            Err(ConfigError::new(
                place.as_str(),
                message,
                self.name.as_str(),
            ))
        };
        if self.name.is_empty() {
            return refuse("a stream needs a name");
        }
        if self.on.is_empty() {
            return refuse("nothing is purged on any event");
        }
        self.check_reading().map_err(|e| e.within(&place))?;
        let decoder = self.format.compile().map_err(|e| e.within(&place))?;
        let mut mappings = Vec::new();
        for on in self.on {
            let on_place = on.place();
            let mapping = on.compile(&decoder);
            mappings.push(mapping.map_err(|e| e.within(&on_place).within(&place))?);
        }
        Ok(EventStream {
            name: self.name.into(),
            decoder,
            mappings,
            settle: self.settle,
            start: self.start,
            max_bytes: self.max_bytes,
            batch: self.batch,
            claim_after: self.claim_after,
            away: self.away,
        })
    }
}

/// Which events of a stream, and what they purge.
#[derive(Debug, Clone)]
pub struct On {
    event: Option<String>,
    network: Option<String>,
    when: Vec<String>,
    purge: Vec<String>,
    families: Vec<String>,
    soft: bool,
}

impl On {
    /// The events that arrive with this name: for rindexer the ABI name, or the alias that its
    /// configuration gives the event.
    pub fn event(name: impl Into<String>) -> Self {
        Self {
            event: Some(name.into()),
            ..Self::any()
        }
    }

    /// All events of the stream.
    #[must_use]
    pub const fn any() -> Self {
        Self {
            event: None,
            network: None,
            when: Vec::new(),
            purge: Vec::new(),
            families: Vec::new(),
            soft: false,
        }
    }

    /// Only those of the network with this name. Default: of all networks.
    #[must_use]
    pub fn network(mut self, name: impl Into<String>) -> Self {
        self.network = Some(name.into());
        self
    }

    /// Only those for which `condition` holds: a path, one of `>= <= == != > <`, and a whole number
    /// of any size; `==` or `!=` and a text in quotes; or `in` or `not in` and a list of both
    /// (`op in ["c", "u"]`). Several conditions must all hold. A path that may find nothing
    /// (`status?`) and finds nothing passes `!=` and `not in` alone. Default: none.
    #[must_use]
    pub fn when(mut self, condition: impl Into<String>) -> Self {
        self.when.push(condition.into());
        self
    }

    /// Purges the tags that `template` gives, such as `auction:{transaction_information.address}`.
    ///
    /// A path names members by dots. `before?.id` may find nothing, `"a.b".c` quotes a name, and
    /// `ids.@json` reads the JSON in a string (where names follow, a path goes on into it by itself:
    /// `data.id`). Default: none; without [`purge_family`](Self::purge_family) either, `build()` refuses.
    #[must_use]
    pub fn purge(mut self, template: impl Into<String>) -> Self {
        self.purge.push(template.into());
        self
    }

    /// Purges all tags of the family that `template` gives: what stands before their first colon.
    /// `item` purges `item:1`, `item:2` and all others, and `{source.table}` those of the table that
    /// the event names. Default: none.
    #[must_use]
    pub fn purge_family(mut self, template: impl Into<String>) -> Self {
        self.families.push(template.into());
        self
    }

    /// Purges softly: what is stored stays usable as stale, where its rule allows that.
    /// Default: hard.
    #[must_use]
    pub const fn soft(mut self) -> Self {
        self.soft = true;
        self
    }

    fn place(&self) -> String {
        match &self.event {
            Some(name) => format!("on `{name}`"),
            None => "on any event".into(),
        }
    }

    fn compile(self, decoder: &Decoder) -> Result<Mapping, ConfigError> {
        let refuse = |message, input: &str| Err(ConfigError::new("", message, input));
        if let Some(name) = &self.event {
            if decoder.event_name.is_none() {
                return refuse("the stream's format does not say where names are", name);
            }
            if name.starts_with(CONTROL) {
                return refuse("a name that starts with `__` is a control message's", name);
            }
        }
        if let Some(network) = &self.network
            && decoder.network.is_none()
        {
            return refuse(
                "the stream's format does not say where networks are",
                network,
            );
        }
        if self.purge.is_empty() && self.families.is_empty() {
            return refuse("nothing is purged", self.event.as_deref().unwrap_or("*"));
        }
        let when = self.when.iter().map(|text| Condition::parse(text));
        Ok(Mapping {
            when: when.collect::<Result<_, _>>()?,
            purge: templates(&self.purge, tag_template)?,
            families: templates(&self.families, family_template)?,
            event: self.event.map(Into::into),
            network: self.network.map(Into::into),
            soft: self.soft,
        })
    }
}

fn templates(
    texts: &[String],
    read: fn(&str) -> Result<Template<Path>, ConfigError>,
) -> Result<Vec<Template<Path>>, ConfigError> {
    texts.iter().map(|text| read(text)).collect()
}

fn tag_template(text: &str) -> Result<Template<Path>, ConfigError> {
    if let Some(family) = text.strip_suffix(":*") {
        let message = format!(
            "a tag with a star is a tag like others; the whole family is purged by purge_family `{family}`"
        );
        return Err(ConfigError::new("purge", message, text));
    }
    Template::parse(text, Path::parse)
}

fn family_template(text: &str) -> Result<Template<Path>, ConfigError> {
    let template = Template::parse(text, Path::parse)?;
    if template.family().is_some() {
        let message = "a family is what stands before the first colon of a tag";
        return Err(ConfigError::new("purge_family", message, text));
    }
    Ok(template)
}

/// A [`Stream`] that has been read: it can decode entries and map them to purges.
#[derive(Debug)]
pub(crate) struct EventStream {
    pub(crate) name: Box<str>,
    pub(crate) decoder: Decoder,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) settle: Duration,
    pub(crate) start: Start,
    pub(crate) max_bytes: usize,
    pub(crate) batch: usize,
    pub(crate) claim_after: Duration,
    pub(crate) away: Duration,
}

impl EventStream {
    /// Everything that the stream's events can touch: what is purged when some may be missing.
    pub(crate) fn scope(&self) -> Scope {
        self.scope_on(None)
    }

    /// The same for the events of one network; of all, if none is named.
    pub(crate) fn scope_on(&self, network: Option<&str>) -> Scope {
        Scope::of(self.mappings.iter().filter(|m| m.may_fit(network)))
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
        if !names.insert(stream.name.clone()) {
            let place = format!("stream `{}`", stream.name);
            return Err(ConfigError::new(
                place,
                "a second stream of this name",
                stream.name,
            ));
        }
        compiled.push(Arc::new(stream.compile()?));
    }
    Ok(compiled)
}

pub(crate) fn longest_settle(streams: &[Arc<EventStream>]) -> Duration {
    let times = streams.iter().map(|stream| stream.settle);
    times.max().unwrap_or_default()
}

mod reading;
#[cfg(test)]
mod tests;
