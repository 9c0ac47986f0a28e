//! How settings are written in a file: values that TOML has no type for (times, sizes, addresses), and those that
//! have more than one form.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::amount::{Bytes, Period};

/// An IP address and a port: `"127.0.0.1:8080"`, `"[::]:8080"`. Port 0 is a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = humantime::parse_duration(text);
        time.map(Self)
            .map_err(|_| r#"a time with its unit, such as "250ms", "10s" or "1h""#.to_owned())
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

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
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
        text!($name, $expected, $schema, $number, str::parse);
    };
    ($name:ident, $expected:literal, $schema:tt, $number:expr, $text:expr) => {
        impl $crate::written::Written for $name {
            type Table = serde::de::IgnoredAny;
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Result<Self, String> {
                let read: fn(&str) -> Result<Self, String> = $text;
                read(text)
            }

            fn from_number(number: u64) -> Option<Self> {
                let read: fn(u64) -> Option<Self> = $number;
                read(number)
            }

            fn from_table(_: Self::Table) -> Option<Self> {
                None
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::written::read(from)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(crate) use text;

text!(Period, "a time with its unit, such as \"10s\"", {
    "description": "A time with its unit: \"250ms\", \"10s\", \"1h 30m\".",
    "type": "string",
    "examples": ["250ms", "10s", "1h"]
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
        for bytes in [0, 1, 1023, 1024, 65_536, 3 << 30] {
            assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }
    }
}
