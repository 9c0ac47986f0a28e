//! How a publisher writes its events: where in a stream entry they are.

use std::borrow::Cow;

use crate::error::ConfigError;
use crate::invalidation::path::Path;
use crate::invalidation::placeholder;

mod decode;

/// What a reorg notice calls the first block that is undone.
pub(super) const FORK_BLOCK: &str = "fork_block";

/// Where in a stream entry the payload is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum Payload {
    /// The value of the field with this name.
    Field(Cow<'static, str>),
    /// The value of the entry's only field, whatever its name.
    Single,
    /// The *name* of the entry's only field (Debezium's compact format has the record's key there).
    SingleName,
    /// All fields together, as one object.
    AllFields,
}

impl Payload {
    /// The value of the field `name`.
    pub fn field(name: impl Into<Cow<'static, str>>) -> Self {
        Self::Field(name.into())
    }
}

/// How a publisher writes its events to a stream.
///
/// Paths in it, as in the templates of an [`On`](crate::invalidation::On), start at the event, or with `$.` in
/// front at the whole payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    pub(super) payload: Payload,
    pub(super) json: bool,
    pub(super) events: Option<String>,
    pub(super) event_name: Option<String>,
    pub(super) network: Option<String>,
    pub(super) tombstone: Option<String>,
    pub(super) placeholders: Vec<String>,
    pub(super) schemas: bool,
}

impl Format {
    /// What rindexer writes: one field, `payload`, JSON, with a list `event_data`.
    #[must_use]
    pub fn rindexer() -> Self {
        Self::json(Payload::field("payload"))
            .events("event_data")
            .event_name("$.event_name")
            .network("$.network")
    }

    /// What Debezium Server's Redis sink writes: a change record in [`Payload::Single`] (its
    /// `compact` format, the default) or in the field `value` (`extended`), with or without
    /// schemas. The event's name is its operation (`c`, `u`, `d` or `r`), and tombstones are no-ops.
    #[must_use]
    pub fn debezium(payload: Payload) -> Self {
        let mut format = Self::json(payload).event_name("op").tombstone("default");
        format.schemas = true;
        format
    }

    /// One JSON event an entry, or a list of them. With [`Payload::AllFields`] each field's value is
    /// JSON where it begins like a text in quotes, a list or an object, and text otherwise.
    #[must_use]
    pub fn json(payload: Payload) -> Self {
        Self {
            payload,
            json: true,
            events: None,
            event_name: None,
            network: None,
            tombstone: None,
            placeholders: Vec::new(),
            schemas: false,
        }
    }

    /// One event an entry, as text. A named field is read by its name, and the only field by `name`
    /// and `value`. Where a field's value is JSON after all, paths go on into it (`value.id`). A
    /// value in JSON quotes (`"7"`) counts as not understood.
    #[must_use]
    pub fn text(payload: Payload) -> Self {
        Self {
            json: false,
            ..Self::json(payload)
        }
    }

    /// The path of the list of events in the payload. Default: the payload is the event.
    #[must_use]
    pub fn events(mut self, path: impl Into<String>) -> Self {
        self.events = Some(path.into());
        self
    }

    /// The path of an event's name. Every event must then have one. Default: events have no names.
    #[must_use]
    pub fn event_name(mut self, path: impl Into<String>) -> Self {
        self.event_name = Some(path.into());
        self
    }

    /// The path of an event's network. Default: events name no network.
    #[must_use]
    pub fn network(mut self, path: impl Into<String>) -> Self {
        self.network = Some(path.into());
        self
    }

    /// The payload that says nothing, such as a tombstone after a delete. Default: none.
    #[must_use]
    pub fn tombstone(mut self, text: impl Into<String>) -> Self {
        self.tombstone = Some(text.into());
        self
    }

    /// A text that stands where the publisher does not know a value: an event that has it in a tag
    /// purges everything that the stream can touch. Debezium's
    /// `__debezium_unavailable_value` in all its forms, `null`, `undefined` and the like, masks (`***`)
    /// and texts that were cut off (`…truncated`) are known. Default: no others.
    #[must_use]
    pub fn placeholder(mut self, text: impl Into<String>) -> Self {
        self.placeholders.push(text.into());
        self
    }

    pub(crate) fn compile(self) -> Result<Decoder, ConfigError> {
        let path = |text: Option<String>, place: &'static str| {
            text.map(|text| Path::parse_at(&text, place)).transpose()
        };
        let decoder = Decoder {
            events: path(self.events, "events")?,
            event_name: path(self.event_name, "event name")?,
            network: path(self.network, "network")?,
            payload: self.payload,
            json: self.json,
            tombstone: self.tombstone.map(Into::into),
            placeholders: self.placeholders.into_iter().map(Into::into).collect(),
            schemas: self.schemas,
        };
        if let Some(path) = decoder
            .events
            .as_ref()
            .filter(|_| !decoder.json || matches!(decoder.payload, Payload::AllFields))
        {
            let message = "a list of events needs one JSON payload";
            return Err(ConfigError::new("events", message, path.text()));
        }
        Ok(decoder)
    }
}

/// A [`Format`] whose paths have been read.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(super) payload: Payload,
    pub(super) json: bool,
    pub(crate) events: Option<Path>,
    pub(super) event_name: Option<Path>,
    pub(super) network: Option<Path>,
    pub(super) tombstone: Option<Box<str>>,
    pub(super) placeholders: Box<[Box<str>]>,
    pub(super) schemas: bool,
}

impl Decoder {
    /// Why `value` can be no part of a tag, if it is a placeholder.
    pub(crate) fn problem(&self, value: &str) -> Option<&'static str> {
        self.unknown(value).or_else(|| placeholder::problem(value))
    }

    /// Why a condition cannot judge `value`, if it is not the one that the publisher has.
    pub(super) fn hidden(&self, value: &str) -> Option<&'static str> {
        self.unknown(value).or_else(|| placeholder::hidden(value))
    }

    /// Why `value` says nothing, if it is one of the publisher's own placeholders.
    pub(super) fn unknown(&self, value: &str) -> Option<&'static str> {
        let known = self
            .placeholders
            .iter()
            .any(|known| **known == *value.trim());
        known.then_some("the publisher does not know the value")
    }

    /// Whether entries are as rindexer writes them.
    pub(crate) fn is_rindexer(&self) -> bool {
        let is = |path: &Option<Path>, text: &str| path.as_ref().is_some_and(|p| p.text() == text);
        is(&self.event_name, "$.event_name") && is(&self.events, "event_data")
    }

    /// Whether events are Debezium's change records, each named by its operation.
    pub(crate) fn has_operations(&self) -> bool {
        self.schemas
            && self
                .event_name
                .as_ref()
                .is_some_and(|path| path.text() == "op")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_paths_are_found_at_build_with_the_input_quoted() {
        let payload = || Payload::field("data");
        for (format, expected) in [
            (
                Format::json(payload()).events("a..b"),
                "events: empty name in the path `a..b` in \"a..b\"",
            ),
            (
                Format::json(payload()).event_name("$"),
                "event name: `$` alone names no value (a member of it is `$.name`) in \"$\"",
            ),
            (
                Format::json(payload()).events("list?"),
                "events: every event has it: without `?` in \"list?\"",
            ),
            (
                Format::text(Payload::AllFields).events("list"),
                "events: a list of events needs one JSON payload in \"list\"",
            ),
        ] {
            assert_eq!(format.compile().unwrap_err().to_string(), expected);
        }
    }
}
