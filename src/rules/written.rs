//! How a file writes what has more than one form there: cookies, tag headers, lifetimes, statuses.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cookies::{Cookies, IgnoredCookies};
use super::names::Names;
use super::options::{Separator, TagHeader, Ttl};
use super::statuses::Statuses;
use crate::amount::Period;
use crate::written::{Written, read, text};

/// Cookies by name; one that is in neither list ends caching for its request.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CookieNames {
    /// Cookies that do not change the response; a name may end in `*`.
    #[serde(default)]
    ignore: Names,
    /// Cookies that are part of the key.
    #[serde(default)]
    key: Names,
}

/// A header and what separates its tags.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeparatedHeader {
    /// The header's name.
    name: String,
    /// What separates its tags.
    separator: Separator,
}

impl Written for Cookies {
    type Table = CookieNames;
    const EXPECTED: &'static str = "\"bypass\", \"ignore\" or { ignore = [...], key = [...] }";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "bypass" => Ok(Self::bypass()),
            "ignore" => Ok(Self::ignore_all()),
            _ => Err(Self::EXPECTED.to_owned()),
        }
    }

    fn from_table(table: CookieNames) -> Option<Self> {
        Some(Self {
            ignored: IgnoredCookies::Named(table.ignore),
            keyed: table.key,
        })
    }
}

impl Written for TagHeader {
    type Table = SeparatedHeader;
    const EXPECTED: &'static str = "a header's name or { name = \"...\", separator = \"space\" }";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }

    fn from_table(table: SeparatedHeader) -> Option<Self> {
        let SeparatedHeader { name, separator } = table;
        Some(Self { name, separator })
    }
}

impl<'de> Deserialize<'de> for Cookies {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from)
    }
}

impl<'de> Deserialize<'de> for TagHeader {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from)
    }
}

impl Serialize for Cookies {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let names = match &self.ignored {
            IgnoredCookies::All if self.keyed.is_empty() => return to.serialize_str("ignore"),
            _ if *self == Self::bypass() => return to.serialize_str("bypass"),
            IgnoredCookies::All => Names::new(["*"]),
            IgnoredCookies::Named(names) => names.clone(),
        };
        let key = self.keyed.clone();
        CookieNames { ignore: names, key }.serialize(to)
    }
}

impl Serialize for TagHeader {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let name = self.name.clone();
        match Self::from(name.as_str()) == *self {
            true => to.serialize_str(&name),
            false => SeparatedHeader {
                name,
                separator: self.separator,
            }
            .serialize(to),
        }
    }
}

impl JsonSchema for Cookies {
    fn schema_name() -> Cow<'static, str> {
        "Cookies".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator.subschema_for::<CookieNames>();
        json_schema!({ "anyOf": [
            { "oneOf": [
                { "type": "string", "const": "bypass", "description": "A request with any cookie is not cached." },
                { "type": "string", "const": "ignore", "description": "No cookie changes the response." }
            ] },
            names
        ] })
    }
}

impl JsonSchema for TagHeader {
    fn schema_name() -> Cow<'static, str> {
        "TagHeader".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<SeparatedHeader>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}

text!(Statuses, "a status such as 404 or a class such as \"4xx\"", {
    "description": "A status or a class of them.",
    "type": "string",
    "pattern": "^[1-9][0-9][0-9]$|^[2-5]xx$"
}, |_| None, |text: &str| text.parse().map_err(|_| Self::EXPECTED.to_owned()));

impl FromStr for Ttl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            "long" => Ok(Self::Long),
            "short" => Ok(Self::Short),
            _ => text
                .parse()
                .map(|Period(time)| Self::Of(time))
                .map_err(|_| {
                    r#""default", "long", "short", or a time with its unit such as "10s""#
                        .to_owned()
                }),
        }
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Long => f.write_str("long"),
            Self::Short => f.write_str("short"),
            Self::Of(time) => Period(*time).fmt(f),
        }
    }
}

/// A rule's lifetimes by status, as a table.
pub(super) mod by_status {
    use super::{BTreeMap, Deserialize, Deserializer, Serializer, Statuses, Ttl};

    pub(crate) fn serialize<S: Serializer>(
        named: &[(Statuses, Ttl)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(named.iter().copied())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(Statuses, Ttl)>, D::Error> {
        BTreeMap::deserialize(from).map(|named| named.into_iter().collect())
    }
}

text!(Ttl, "\"default\", \"long\", \"short\", or a time such as \"10s\"", {
    "description": "\"default\", \"long\" or \"short\", as [cache] says, or a time such as \"10s\".",
    "type": "string",
    "examples": ["default", "long", "short", "10s"]
});
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for text in ["default", "long", "short", "10s", "1h 30m"] {
            let ttl: Ttl = text.parse().unwrap();
            assert_eq!(ttl.to_string(), text);
            assert_eq!(ttl.to_string().parse::<Ttl>().unwrap(), ttl);
        }
    }

    #[test]
    fn statuses_are_codes_or_classes() {
        for (text, good) in [("404", true), ("4xx", true), ("6xx", false), ("x", false)] {
            assert_eq!(Statuses::from_text(text).is_ok(), good, "{text}");
        }
        assert_eq!(Statuses::from_text("4xx").unwrap(), Statuses::CLIENT_ERROR);
    }
}
