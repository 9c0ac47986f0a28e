//! `[[streams]]`: the file's form of a [`Stream`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::scalar::{Bytes, Period, Written, read};
use crate::{Format, On, Payload, Stream};

/// A Redis stream of events, and what to purge when one arrives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamSection {
    /// The stream's key in Redis.
    pub name: String,
    /// How its publisher writes: "rindexer", "debezium", or a table.
    pub format: FormatChoice,
    /// What to purge for which events.
    pub on: Vec<OnSection>,
    /// How long after an event the data may not be visible to the upstream yet (a replica's lag):
    /// meanwhile responses with its tags are served and not stored. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Period>,
    /// `true` reads the stream from its first entry when nobody has read it before. Default: false, from its end.
    #[serde(default)]
    pub replay: bool,
    /// `true` drops what all groups of the stream have read, so that it does not fill Redis; not for a stream
    /// that somebody reads without a group. Default: false, somebody else trims it.
    #[serde(default)]
    pub trim: bool,
    /// The largest entry that is read. Default: "4 MiB".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entry_bytes: Option<Bytes>,
    /// The most entries that are read at once. Default: 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// After how long without a sign of life the events that a consumer took are taken over by another. The same
    /// on all nodes. Default: "3s".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_after: Option<Period>,
    /// How long the events may stay unread before nothing that they can touch is served from the cache.
    /// Default: "60s".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<Period>,
}

/// Which events of a stream, and what they purge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnSection {
    /// The event's name. Default: all events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Only events of this network. Default: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Only events for which all of these hold: `"amountPaid >= 1000000000000000000"`, `'op in ["c", "u"]'`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<String>,
    /// The tags to purge: `"auction:{transaction_information.address}"`. `{before?.id}` may find nothing,
    /// `{"a.b".c}` quotes a name, `{ids.@json}` reads JSON in a string.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purge: Vec<String>,
    /// Families to purge whole, what stands before the first colon of their tags: `"item"`, or
    /// `"{source.table}"`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purge_family: Vec<String>,
    /// `true`: what is purged stays usable as stale, where its rule allows that. Default: false.
    #[serde(default)]
    pub soft: bool,
}

/// How a publisher writes its events: `"rindexer"`, `"debezium"`, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FormatChoice {
    /// A publisher that is known.
    Known(Publisher),
    /// Described in full.
    Described(FormatSection),
}

/// The publishers that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Publisher {
    /// rindexer's Redis streams.
    Rindexer,
    /// Debezium Server's Redis sink in its compact format.
    Debezium,
}

/// How events are written, in full. Paths start at the event, or with `$.` at the whole payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatSection {
    /// How the payload is written.
    pub kind: FormatKind,
    /// Where in the entry the payload is.
    pub payload: PayloadChoice,
    /// The path of the list of events. Default: the payload is the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<String>,
    /// The path of an event's name. Default: events have no names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// The path of an event's network. Default: events name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The payload that says nothing, such as a tombstone after a delete. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<String>,
    /// Texts that stand where the publisher does not know a value, beside those that are known
    /// (`__debezium_unavailable_value`, `null`, `***`, `…truncated` and the like). Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placeholders: Vec<String>,
}

/// How a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FormatKind {
    /// JSON.
    Json,
    /// Text fields.
    Text,
    /// Debezium's change records.
    Debezium,
}

/// Where in a stream entry the payload is: a word, or `{ field = "data" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PayloadChoice {
    /// The value of the field with this name.
    Field(String),
    /// The value of the entry's only field.
    Single,
    /// The name of the entry's only field.
    SingleName,
    /// All fields together, as one object.
    AllFields,
}

impl Written for FormatChoice {
    type Table = FormatSection;
    const EXPECTED: &'static str =
        "\"rindexer\", \"debezium\" or { kind = \"json\", payload = \"single\" }";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "rindexer" => Ok(Self::Known(Publisher::Rindexer)),
            "debezium" => Ok(Self::Known(Publisher::Debezium)),
            _ => Err(Self::EXPECTED.to_owned()),
        }
    }

    fn from_table(table: FormatSection) -> Option<Self> {
        Some(Self::Described(table))
    }
}

impl<'de> Deserialize<'de> for FormatChoice {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from)
    }
}

impl JsonSchema for FormatChoice {
    fn schema_name() -> Cow<'static, str> {
        "FormatChoice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let known = generator.subschema_for::<Publisher>();
        let described = generator.subschema_for::<FormatSection>();
        json_schema!({ "anyOf": [known, described] })
    }
}

impl StreamSection {
    pub(super) fn stream(&self) -> Stream {
        let mut stream = Stream::new(&self.name, self.format.format());
        stream = self.on.iter().map(OnSection::on).fold(stream, Stream::on);
        if let Some(Period(settle)) = self.settle {
            stream = stream.settle(settle);
        }
        if self.replay {
            stream = stream.replay();
        }
        if let Some(entries) = self.batch {
            stream = stream.batch(entries);
        }
        if let Some(Period(time)) = self.claim_after {
            stream = stream.claim_after(time);
        }
        if let Some(Period(time)) = self.away {
            stream = stream.away(time);
        }
        if self.trim {
            stream = stream.trim();
        }
        match self.max_entry_bytes {
            Some(Bytes(bytes)) => {
                stream.max_entry_bytes(usize::try_from(bytes).unwrap_or(usize::MAX))
            }
            None => stream,
        }
    }
}

impl OnSection {
    fn on(&self) -> On {
        let mut on = self.event.as_ref().map_or_else(On::any, On::event);
        if let Some(network) = &self.network {
            on = on.network(network);
        }
        on = self.when.iter().fold(on, On::when);
        on = self.purge.iter().fold(on, On::purge);
        on = self.purge_family.iter().fold(on, On::purge_family);
        if self.soft { on.soft() } else { on }
    }
}

impl FormatChoice {
    fn format(&self) -> Format {
        match self {
            Self::Known(Publisher::Rindexer) => Format::rindexer(),
            Self::Known(Publisher::Debezium) => Format::debezium(Payload::Single),
            Self::Described(section) => section.format(),
        }
    }
}

impl FormatSection {
    fn format(&self) -> Format {
        let payload = match &self.payload {
            PayloadChoice::Field(name) => Payload::field(name.clone()),
            PayloadChoice::Single => Payload::Single,
            PayloadChoice::SingleName => Payload::SingleName,
            PayloadChoice::AllFields => Payload::AllFields,
        };
        let mut format = match self.kind {
            FormatKind::Json => Format::json(payload),
            FormatKind::Text => Format::text(payload),
            FormatKind::Debezium => Format::debezium(payload),
        };
        if let Some(path) = &self.events {
            format = format.events(path);
        }
        if let Some(path) = &self.event_name {
            format = format.event_name(path);
        }
        if let Some(path) = &self.network {
            format = format.network(path);
        }
        format = self.placeholders.iter().fold(format, Format::placeholder);
        match &self.tombstone {
            Some(text) => format.tombstone(text),
            None => format,
        }
    }
}
