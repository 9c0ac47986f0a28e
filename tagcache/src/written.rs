//! How the file writes settings that have types of the standard library.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tower_tagcache::config::Address;

/// For `#[serde(with = "As::<W>")]`: read, written and described as a `W`.
pub(crate) struct As<W>(PhantomData<W>);

impl<W> As<W> {
    pub(crate) fn serialize<T, S>(value: &T, to: S) -> Result<S::Ok, S::Error>
    where
        T: Copy + Into<W>,
        W: Serialize,
        S: Serializer,
    {
        let written: W = (*value).into();
        written.serialize(to)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        W: Deserialize<'de> + Into<T>,
        D: Deserializer<'de>,
    {
        W::deserialize(from).map(Into::into)
    }
}

impl<W: JsonSchema> JsonSchema for As<W> {
    fn schema_name() -> Cow<'static, str> {
        W::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        W::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        W::json_schema(generator)
    }
}

/// Reads an address, with a message that says what one looks like.
pub(crate) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    Address::deserialize(from).map(|Address(address)| address)
}

/// Reads a type that is written as text or as a table, and says so in the schema.
macro_rules! text_or_table {
    ($name:ident, $table:ty) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                tower_tagcache::config::read(from)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let table = generator.subschema_for::<$table>();
                schemars::json_schema!({ "anyOf": [{ "type": "string" }, table] })
            }
        }
    };
}

pub(crate) use text_or_table;
