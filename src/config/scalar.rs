//! Values of the file that TOML has no type for: times, sizes, statuses.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Statuses;

/// A time as text with its unit: `"250ms"`, `"10s"`, `"1h 30m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

/// A number of bytes, as a whole number or as text with a unit: `65536`, `"64 KiB"`, `"2MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// An IP address and a port: `"127.0.0.1:8080"`, `"[::]:8080"`. Port 0 is a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

/// A lifetime: one of the three that `[cache]` names, or a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// `"default"`: `[cache] default_ttl`, or `CACHE_DEFAULT_TTL`.
    Default,
    /// `"long"`: `[cache] long_ttl`, or `CACHE_LONG_TTL`.
    Long,
    /// `"short"`: `[cache] short_ttl`, or `CACHE_SHORT_TTL`.
    Short,
    /// A time such as `"10s"`.
    Of(Duration),
}

/// A status or a class of them, as the key of `ttl_for`: `404` or `"4xx"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Status(String);

/// Text that is never shown: a URL with a password, a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Status {
    /// What a rule takes.
    #[must_use]
    pub fn statuses(&self) -> Statuses {
        self.0.parse().expect("read once when it was made")
    }
}

impl From<Period> for Duration {
    fn from(Period(time): Period) -> Self {
        time
    }
}

impl From<Duration> for Period {
    fn from(time: Duration) -> Self {
        Self(time)
    }
}

impl From<Bytes> for usize {
    fn from(Bytes(bytes): Bytes) -> Self {
        Self::try_from(bytes).unwrap_or(Self::MAX)
    }
}

impl From<usize> for Bytes {
    fn from(bytes: usize) -> Self {
        Self(bytes as u64)
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = humantime::parse_duration(text);
        time.map(Self)
            .map_err(|_| r#"a time with its unit, such as "250ms", "10s" or "1h""#.to_owned())
    }
}

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

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        let scale = match unit.trim() {
            "" | "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            "kB" | "KB" => Some(1_000),
            "MB" => Some(1_000_000),
            "GB" => Some(1_000_000_000),
            _ => None,
        };
        let number = number.parse::<u64>().ok();
        let bytes = number
            .zip(scale)
            .and_then(|(n, scale)| n.checked_mul(scale));
        bytes
            .map(Self)
            .ok_or_else(|| r#"a number of bytes, such as 65536 or "64 KiB""#.to_owned())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| Self::EXPECTED.to_owned())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known: Result<Statuses, _> = text.parse();
        known
            .map(|_| Self(text.to_owned()))
            .map_err(|_| r#"a status such as 404 or a class such as "4xx""#.to_owned())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
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

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let whole = |(shift, _): &(u32, &str)| self.0 > 0 && self.0.trailing_zeros() >= *shift;
        match units.iter().find(|unit| whole(unit)) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} B", self.0),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value that is written as text, and perhaps as a number or a table as well.
pub trait Written: Sized {
    /// The longer form, if there is one.
    type Table: for<'de> Deserialize<'de>;

    /// What is expected, for messages.
    const EXPECTED: &'static str;

    /// What `text` means, or what is expected in its place.
    ///
    /// # Errors
    /// It means nothing.
    fn from_text(text: &str) -> Result<Self, String>;

    /// What `number` means. Default: nothing.
    #[must_use]
    fn from_number(number: u64) -> Option<Self> {
        let _ = number;
        None
    }

    /// What `table` means.
    fn from_table(table: Self::Table) -> Option<Self>;
}

/// Reads a [`Written`].
///
/// # Errors
/// It is written otherwise; the message says what was expected.
pub fn read<'de, D: Deserializer<'de>, T: Written>(from: D) -> Result<T, D::Error> {
    struct Reader<T>(PhantomData<T>);

    impl<'de, T: Written> Visitor<'de> for Reader<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            T::from_text(text).map_err(|expected| E::custom(format!("{text:?} is not {expected}")))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
            let read = u64::try_from(number).ok().and_then(T::from_number);
            read.ok_or_else(|| E::custom(format!("{number} is not {}", T::EXPECTED)))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            let table = T::Table::deserialize(MapAccessDeserializer::new(map))?;
            T::from_table(table).ok_or_else(|| {
                A::Error::custom(format!("a table where {} is expected", T::EXPECTED))
            })
        }
    }

    from.deserialize_any(Reader(PhantomData))
}

/// Text (or a number), never a table.
macro_rules! text {
    ($name:ident, $expected:literal, $schema:tt) => {
        text!($name, $expected, $schema, |_| None);
    };
    ($name:ident, $expected:literal, $schema:tt, $number:expr) => {
        impl Written for $name {
            type Table = serde::de::IgnoredAny;
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse()
            }

            fn from_number(number: u64) -> Option<Self> {
                let read: fn(u64) -> Option<Self> = $number;
                read(number)
            }

            fn from_table(_: Self::Table) -> Option<Self> {
                None
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                read(from)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text!(Period, "a time with its unit, such as \"10s\"", {
    "description": "A time with its unit: \"250ms\", \"10s\", \"1h 30m\".",
    "type": "string",
    "examples": ["250ms", "10s", "1h"]
});
text!(Ttl, "\"default\", \"long\", \"short\", or a time such as \"10s\"", {
    "description": "\"default\", \"long\" or \"short\", as [cache] says, or a time such as \"10s\".",
    "type": "string",
    "examples": ["default", "long", "short", "10s"]
});
text!(Address, "an IP address and a port, such as \"127.0.0.1:8080\"", {
    "description": "An IP address and a port: \"127.0.0.1:8080\".",
    "type": "string"
});
text!(Bytes, "a number of bytes, such as 65536 or \"64 KiB\"", {
    "description": "A number of bytes: 65536 or \"64 KiB\".",
    "type": ["integer", "string"],
    "minimum": 0,
    "examples": ["64 MiB"]
}, |number| Some(Self(number)));
text!(Status, "a status such as 404 or a class such as \"4xx\"", {
    "description": "A status or a class of them.",
    "type": "string",
    "pattern": "^[1-9][0-9][0-9]$|^[2-5]xx$"
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("65536", Some(65_536)),
            ("64KiB", Some(65_536)),
            ("2 MiB", Some(2_097_152)),
            ("1 GB", Some(1_000_000_000)),
            ("1.5 GB", None),
            ("-1", None),
            ("KiB", None),
            ("3 XB", None),
            ("99999999999 GiB", None),
        ] {
            let read = text.parse::<Bytes>().ok();
            assert_eq!(read.map(|Bytes(bytes)| bytes), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for text in ["default", "long", "short", "10s", "1h 30m"] {
            let ttl: Ttl = text.parse().unwrap();
            assert_eq!(ttl.to_string(), text);
            assert_eq!(ttl.to_string().parse::<Ttl>().unwrap(), ttl);
        }
        for bytes in [0, 1, 1023, 1024, 65_536, 3 << 30] {
            assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }
    }

    #[test]
    fn statuses_are_codes_or_classes() {
        for (text, good) in [("404", true), ("4xx", true), ("6xx", false), ("x", false)] {
            assert_eq!(text.parse::<Status>().is_ok(), good, "{text}");
        }
        assert_eq!(
            "4xx".parse::<Status>().unwrap().statuses(),
            Statuses::CLIENT_ERROR
        );
    }
}
