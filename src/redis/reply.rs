//! Stream entries out of Redis replies, in either protocol version.

use ::redis::Value;

use crate::error::{Error, ErrorKind};
use crate::log::{NumberedRecord, OVERHEAD, PurgeRecord};
use crate::position::Position;
use crate::redis::fault;

/// One entry of the purge log as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawRecord {
    pub(crate) position: Position,
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl RawRecord {
    /// The field `name`, if it is there and is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(n, _)| n == name.as_bytes());
        std::str::from_utf8(&found?.1).ok()
    }

    /// What it takes in the log, about: field names are shared.
    pub(crate) fn bytes(&self) -> u64 {
        let values: usize = self.fields.iter().map(|(_, value)| value.len()).sum();
        u64::try_from(values)
            .unwrap_or(u64::MAX)
            .saturating_add(OVERHEAD)
    }

    pub(crate) fn numbered(&self) -> NumberedRecord {
        let pairs = self
            .fields
            .iter()
            .map(|(n, v)| (n.as_slice(), v.as_slice()));
        NumberedRecord {
            position: self.position,
            record: PurgeRecord::from_fields(pairs),
        }
    }
}

/// The last record of the log, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Last {
    /// No log, or one without a record.
    Missing,
    /// Something else stands under the log's key.
    WrongType,
    Record(RawRecord),
}

impl Last {
    /// Reads the reply of `XREVRANGE + - COUNT 1`.
    pub(crate) fn parse(reply: Value) -> Result<Self, Error> {
        match fault::code(&reply) {
            Some("WRONGTYPE") => return Ok(Self::WrongType),
            Some(_) => return Err(refused(&reply)),
            None => {}
        }
        let mut records = entries(reply)?;
        Ok(records.pop().map_or(Self::Missing, Self::Record))
    }

    pub(crate) fn position(&self) -> Option<Position> {
        match self {
            Self::Record(record) => Some(record.position),
            Self::Missing | Self::WrongType => None,
        }
    }
}

/// The members of a list or a set, as text: numbers in decimal.
#[cfg(feature = "activity")]
pub(crate) fn words(reply: Value) -> Option<Vec<String>> {
    let word = |value| match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    };
    reply.into_sequence().ok()?.into_iter().map(word).collect()
}

/// The entries of an `XRANGE` or `XREVRANGE` reply.
pub(crate) fn entries(reply: Value) -> Result<Vec<RawRecord>, Error> {
    if fault::code(&reply).is_some() {
        return Err(refused(&reply));
    }
    let entries = reply.into_sequence().map_err(|_| malformed("stream"))?;
    entries.into_iter().map(entry).collect()
}

/// The entries of an `XREAD` reply about one stream; none if it ended without any.
pub(crate) fn read_entries(reply: Value) -> Result<Vec<RawRecord>, Error> {
    let of_stream = match reply {
        Value::Nil => None,
        // RESP3: a map of streams. RESP2: a list of pairs.
        Value::Map(streams) => streams.into_iter().next().map(|(_, entries)| entries),
        Value::Array(streams) => match streams.into_iter().next().map(Value::into_sequence) {
            None => None,
            Some(Ok(pair)) => pair.into_iter().nth(1),
            Some(Err(_)) => return Err(malformed("reading")),
        },
        error @ Value::ServerError(_) => return Err(refused(&error)),
        _ => return Err(malformed("reading")),
    };
    of_stream.map_or(Ok(Vec::new()), entries)
}

/// The id that `XADD` answered.
pub(crate) fn position(reply: &Value) -> Result<Position, Error> {
    text(reply)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed("record id"))
}

/// The text of a reply.
pub(crate) fn text(reply: &Value) -> Option<&str> {
    match reply {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

fn entry(entry: Value) -> Result<RawRecord, Error> {
    let parts = entry.into_sequence().map_err(|_| malformed("record"))?;
    let [id, listed] = <[Value; 2]>::try_from(parts).map_err(|_| malformed("record"))?;
    Ok(RawRecord {
        position: position(&id)?,
        fields: fields(listed).ok_or_else(|| malformed("field"))?,
    })
}

/// The fields of a stream entry.
pub(crate) fn fields(listed: Value) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let fields = listed.into_map_iter().ok()?;
    fields
        .map(|(name, value)| Some((bytes(name)?, bytes(value)?)))
        .collect()
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// An error for an answer that is none of those the command may give.
pub(crate) fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("redis: unreadable {what}"))
}

/// The error that the server answered with.
pub(crate) fn refused(reply: &Value) -> Error {
    fault::error_in(reply).map_or_else(
        || malformed("answer"),
        |error| fault::error("purge log", error),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(wire: &str) -> Value {
        ::redis::parse_redis_value(wire.replace('\n', "\r\n").as_bytes()).unwrap()
    }

    const ENTRY: &str = "*2\n$3\n7-2\n*2\n$4\nkind\n$4\nopen\n";

    fn ids(records: Result<Vec<RawRecord>, Error>) -> Vec<String> {
        let records = records.unwrap();
        records.iter().map(|r| r.position.to_string()).collect()
    }

    #[test]
    fn entries_are_read_in_both_protocol_versions() {
        assert_eq!(ids(entries(reply(&format!("*1\n{ENTRY}")))), ["7-2"]);
        let resp2 = format!("*1\n*2\n$1\nk\n*1\n{ENTRY}");
        assert_eq!(ids(read_entries(reply(&resp2))), ["7-2"]);
        let resp3 = format!("%1\n$1\nk\n*1\n{ENTRY}");
        assert_eq!(ids(read_entries(reply(&resp3))), ["7-2"]);
        assert!(ids(read_entries(reply("*-1\n"))).is_empty());
        assert!(ids(read_entries(reply("_\n"))).is_empty());
    }

    #[test]
    fn a_foreign_shape_is_an_error_and_never_a_panic() {
        for wire in [
            ":1\n",
            "*1\n:1\n",
            "*1\n*1\n$3\n7-2\n",
            "*1\n*2\n$1\nx\n*0\n",
            "*1\n*2\n$3\n7-2\n*1\n$1\na\n",
            "*1\n*2\n$3\n7-2\n$1\na\n",
            "-ERR no\n",
        ] {
            assert!(entries(reply(wire)).is_err(), "{wire:?}");
        }
        for wire in [":1\n", "*1\n:1\n", "-UNBLOCKED gone\n"] {
            assert!(read_entries(reply(wire)).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn the_last_record_is_missing_foreign_or_there() {
        assert_eq!(Last::parse(reply("*0\n")).unwrap(), Last::Missing);
        let foreign = reply("-WRONGTYPE Operation\n");
        assert_eq!(Last::parse(foreign).unwrap(), Last::WrongType);
        let last = Last::parse(reply(&format!("*1\n{ENTRY}"))).unwrap();
        assert_eq!(last.position(), Some(Position::new(7, 2)));
        assert!(Last::parse(reply("-NOPERM no\n")).is_err());
    }
}
