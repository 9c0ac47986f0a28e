//! How a file writes a [`Format`]: the name of a publisher, or a table.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::format::{Format, Payload};
use crate::written::{Written, read};

/// How events are written, in full. Paths start at the event, or with `$.` at the whole payload.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatSection {
    /// How the payload is written.
    kind: FormatKind,
    /// Where in the entry the payload is.
    payload: Payload,
    /// The path of the list of events. Default: the payload is the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<String>,
    /// The path of an event's name. Default: events have no names.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_name: Option<String>,
    /// The path of an event's network. Default: events name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    /// The payload that says nothing, such as a tombstone after a delete. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    tombstone: Option<String>,
    /// Texts that stand where the publisher does not know a value, beside those that are known
    /// (`__debezium_unavailable_value`, `null`, `***`, `…truncated` and the like). Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    placeholders: Vec<String>,
}

/// How a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum FormatKind {
    /// JSON.
    Json,
    /// Text fields.
    Text,
    /// Debezium's change records.
    Debezium,
}

impl FormatKind {
    fn format(self, payload: Payload) -> Format {
        match self {
            Self::Json => Format::json(payload),
            Self::Text => Format::text(payload),
            Self::Debezium => Format::debezium(payload),
        }
    }
}

impl Written for Format {
    type Table = FormatSection;
    const EXPECTED: &'static str =
        "\"rindexer\", \"debezium\" or { kind = \"json\", payload = \"single\" }";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "rindexer" => Ok(Self::rindexer()),
            "debezium" => Ok(Self::debezium(Payload::Single)),
            _ => Err(Self::EXPECTED.to_owned()),
        }
    }

    fn from_table(table: FormatSection) -> Option<Self> {
        // What the publisher is known for holds where the table does not say.
        let known = table.kind.format(table.payload);
        Some(Self {
            events: table.events.or(known.events),
            event_name: table.event_name.or(known.event_name),
            network: table.network.or(known.network),
            tombstone: table.tombstone.or(known.tombstone),
            placeholders: table.placeholders,
            ..known
        })
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from)
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        for known in ["rindexer", "debezium"] {
            if Self::from_text(known).as_ref() == Ok(self) {
                return to.serialize_str(known);
            }
        }
        let format = self.clone();
        let table = FormatSection {
            kind: match (format.json, format.schemas) {
                (_, true) => FormatKind::Debezium,
                (true, false) => FormatKind::Json,
                (false, false) => FormatKind::Text,
            },
            payload: format.payload,
            events: format.events,
            event_name: format.event_name,
            network: format.network,
            tombstone: format.tombstone,
            placeholders: format.placeholders,
        };
        table.serialize(to)
    }
}

impl JsonSchema for Format {
    fn schema_name() -> Cow<'static, str> {
        "Format".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let described = generator.subschema_for::<FormatSection>();
        json_schema!({ "anyOf": [
            { "oneOf": [
                { "type": "string", "const": "rindexer", "description": "rindexer's Redis streams." },
                { "type": "string", "const": "debezium",
                  "description": "Debezium Server's Redis sink in its compact format." }
            ] },
            described
        ] })
    }
}
