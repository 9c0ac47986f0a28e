//! What the server answers to stream commands, in RESP2 and RESP3, Redis 6.2 and later.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use ::redis::Value;

use crate::redis::reply::{fields, text};

/// The id of a stream entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct EntryId {
    ms: u64,
    sequence: u64,
}

impl EntryId {
    pub(crate) const fn new(ms: u64, sequence: u64) -> Self {
        Self { ms, sequence }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.sequence)
    }
}

impl FromStr for EntryId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ms, sequence) = text.split_once('-').unwrap_or((text, "0"));
        Ok(Self::new(ms.parse()?, sequence.parse()?))
    }
}

/// One entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamEntry {
    pub(crate) id: EntryId,
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Where a group is in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct GroupState {
    /// The stream's highest id ever.
    pub(crate) last: EntryId,
    /// The id of its first entry, if it has one.
    pub(crate) first: Option<EntryId>,
    pub(crate) length: u64,
    /// How many entries it ever had (Redis 7).
    pub(crate) added: Option<u64>,
    /// The highest id that `XDEL` removed (Redis 7); trimming leaves it alone.
    pub(crate) max_deleted: EntryId,
    /// The last entry that was delivered to the group.
    pub(crate) delivered: EntryId,
    /// How many entries the group has read, where the server knows it.
    pub(crate) read: Option<u64>,
    /// How many entries it has not read, where the server knows it.
    pub(crate) lag: Option<u64>,
    /// How many entries were delivered and are not acknowledged.
    pub(crate) pending: u64,
    /// How many entries are left that it has not read, where they were counted: not more than a
    /// thousand, and only if some in front of the group were deleted, or it was moved.
    pub(crate) unread: Option<u64>,
    /// Others were given entries, or the group was moved: that was marked as a gap in the same step.
    pub(crate) taken: bool,
    /// It may tell of a loss, so nothing was read.
    pub(crate) stopped: bool,
}

/// Entries delivered and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PendingEntries {
    pub(crate) entries: Vec<StreamEntry>,
    /// Delivered, and gone from the stream before they were acknowledged.
    pub(crate) deleted: Vec<EntryId>,
}

/// Entries taken over from others. They are read as [`PendingEntries`] ones are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ClaimedEntries {
    pub(crate) ids: Vec<EntryId>,
    pub(crate) deleted: Vec<EntryId>,
    /// Where to go on; nought at the end.
    pub(crate) next: EntryId,
    pub(crate) deliveries: HashMap<EntryId, u64>,
    /// They cannot be taken over, and nobody else has acknowledged them.
    pub(crate) out_of_reach: Vec<EntryId>,
}

/// Where some group is in the stream.
#[derive(Debug)]
pub(super) struct GroupPlace {
    pub(super) name: String,
    pub(super) delivered: EntryId,
    pub(super) pending: u64,
    /// How many it has not read, where the server knows (Redis 7).
    pub(super) unread: Option<u64>,
}

/// A consumer of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) pending: u64,
    pub(super) idle: u64,
}

/// The reply to `XREADGROUP` of one stream; `false` out of a script.
pub(super) fn delivered(reply: Value) -> Option<PendingEntries> {
    let entries = match reply {
        Value::Nil | Value::Int(0) => return Some(PendingEntries::default()),
        Value::Array(streams) if streams.is_empty() => return Some(PendingEntries::default()),
        Value::Array(mut streams) => match streams.pop()? {
            Value::Array(mut pair) => pair.pop()?,
            _ => return None,
        },
        Value::Map(mut streams) => streams.pop()?.1,
        _ => return None,
    };
    entries_of(entries)
}

/// The reply to `XAUTOCLAIM` with `JUSTID`.
pub(super) fn claimed(reply: Value) -> Option<ClaimedEntries> {
    let mut parts = array(reply)?.into_iter();
    Some(ClaimedEntries {
        next: id(&parts.next()?)?,
        ids: ids(parts.next()?)?,
        // Since 7.0 the deleted ones are listed.
        deleted: parts.next().map_or(Some(Vec::new()), ids)?,
        ..ClaimedEntries::default()
    })
}

/// A list of ids.
pub(super) fn ids(reply: Value) -> Option<Vec<EntryId>> {
    array(reply)?.iter().map(id).collect()
}

/// The reply to `XPENDING` with a range: how often each entry was delivered.
pub(super) fn deliveries(reply: Value) -> Option<HashMap<EntryId, u64>> {
    let rows = array(reply)?.into_iter().map(|row| {
        let row = array(row)?;
        Some((id(row.first()?)?, number(row.get(3)?)?))
    });
    rows.collect()
}

/// The reply to `XPENDING` with a range: the ids alone.
pub(super) fn waiting(reply: Value) -> Option<Vec<EntryId>> {
    let rows = array(reply)?.into_iter();
    rows.map(|row| id(array(row)?.first()?)).collect()
}

/// A list of texts.
pub(super) fn texts(reply: Value) -> Option<Vec<String>> {
    array(reply)?.iter().map(owned).collect()
}

/// The replies to `XINFO STREAM` and `XINFO GROUPS`: the state of `group`, or `Some(None)` if there
/// is no such group.
pub(super) fn state(stream: &Value, groups: &Value, group: &str) -> Option<Option<GroupState>> {
    let Value::Array(groups) = groups else {
        return None;
    };
    let is_ours = |info: &&Value| member(info, "name").and_then(text) == Some(group);
    let Some(ours) = groups.iter().find(is_ours) else {
        return Some(None);
    };
    let first = match member(stream, "first-entry") {
        Some(Value::Array(entry)) => Some(id(entry.first()?)?),
        _ => None,
    };
    Some(Some(GroupState {
        last: id(member(stream, "last-generated-id")?)?,
        first,
        length: number(member(stream, "length")?)?,
        added: member(stream, "entries-added").and_then(number),
        max_deleted: member(stream, "max-deleted-entry-id")
            .and_then(id)
            .unwrap_or_default(),
        delivered: id(member(ours, "last-delivered-id")?)?,
        read: member(ours, "entries-read").and_then(number),
        lag: member(ours, "lag").and_then(number),
        pending: member(ours, "pending").and_then(number).unwrap_or(0),
        unread: member(stream, "unread").and_then(number),
        taken: member(stream, "taken").is_some(),
        stopped: member(stream, "stopped").is_some(),
    }))
}

/// In how many milliseconds the next look is due.
pub(super) fn next_look(stream: &Value) -> Option<u64> {
    member(stream, "next").and_then(number)
}

/// The reply to `XREVRANGE` of the last entry: a state that shows where to wait, and no loss.
pub(super) fn last(reply: Value) -> Option<GroupState> {
    let entries = entries_of(reply)?.entries;
    let last = entries
        .first()
        .map_or_else(EntryId::default, |entry| entry.id);
    Some(GroupState {
        last,
        delivered: last,
        ..GroupState::default()
    })
}

/// The reply to `XINFO GROUPS`.
pub(super) fn places(reply: Value) -> Option<Vec<GroupPlace>> {
    let rows = array(reply)?.into_iter().map(|row| {
        Some(GroupPlace {
            name: owned(member(&row, "name")?)?,
            delivered: id(member(&row, "last-delivered-id")?)?,
            pending: number(member(&row, "pending")?)?,
            unread: member(&row, "lag").and_then(number),
        })
    });
    rows.collect()
}

/// The reply to `XPENDING` without a range: the first entry that is pending, if one is.
pub(super) fn oldest_pending(reply: Value) -> Option<Option<EntryId>> {
    match array(reply)?.into_iter().nth(1)? {
        Value::Nil => Some(None),
        first => id(&first).map(Some),
    }
}

/// The reply to `XINFO CONSUMERS`.
pub(super) fn consumers(reply: Value) -> Option<Vec<Member>> {
    let rows = array(reply)?.into_iter().map(|row| {
        Some(Member {
            name: owned(member(&row, "name")?)?,
            pending: number(member(&row, "pending")?)?,
            idle: number(member(&row, "idle")?)?,
        })
    });
    rows.collect()
}

fn entries_of(reply: Value) -> Option<PendingEntries> {
    let mut pending = PendingEntries::default();
    for entry in array(reply)? {
        let mut parts = match entry {
            Value::Array(parts) => parts.into_iter(),
            // 6.2: `XAUTOCLAIM` gives nil for an entry that is gone, without its id.
            Value::Nil => {
                pending.deleted.push(EntryId::default());
                continue;
            }
            _ => return None,
        };
        let id = id(&parts.next()?)?;
        match parts.next()? {
            Value::Nil => pending.deleted.push(id),
            listed => pending.entries.push(StreamEntry {
                id,
                fields: fields(listed)?,
            }),
        }
    }
    Some(pending)
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let mut pairs = value.as_map_iter()?;
    let found = pairs.find(|(key, _)| text(key) == Some(name));
    found.map(|(_, value)| value)
}

fn array(value: Value) -> Option<Vec<Value>> {
    value.into_sequence().ok()
}

fn owned(value: &Value) -> Option<String> {
    text(value).map(Into::into)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        other => text(other)?.parse().ok(),
    }
}

fn id(value: &Value) -> Option<EntryId> {
    text(value)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn ids_are_ordered_as_numbers() {
        let id = |text: &str| text.parse::<EntryId>().unwrap();
        assert!(id("9-1") < id("10-0"));
        assert!(id("9-2") < id("9-10"));
        assert_eq!(id("9"), EntryId::new(9, 0));
        assert_eq!(id("9-2").to_string(), "9-2");
        for bad in ["", "-", "a-1", "1-", "1-2-3", "-1-2"] {
            assert!(bad.parse::<EntryId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn resp2_and_resp3_replies_are_read_alike() {
        let fields = Value::Array(vec![bulk("f"), bulk("v")]);
        let entry = Value::Array(vec![bulk("1-1"), fields]);
        let gone = Value::Array(vec![bulk("1-2"), Value::Nil]);
        let entries = Value::Array(vec![entry, gone]);
        let resp2 = Value::Array(vec![Value::Array(vec![bulk("s"), entries.clone()])]);
        let resp3 = Value::Map(vec![(bulk("s"), entries)]);
        let expected = PendingEntries {
            entries: vec![StreamEntry {
                id: EntryId::new(1, 1),
                fields: vec![(b"f".into(), b"v".into())],
            }],
            deleted: vec![EntryId::new(1, 2)],
        };
        assert_eq!(delivered(resp2), Some(expected.clone()));
        assert_eq!(delivered(resp3), Some(expected));
        assert_eq!(delivered(Value::Nil), Some(PendingEntries::default()));
        assert_eq!(delivered(Value::Okay), None);
    }

    #[test]
    fn state_without_the_counters_of_redis_7_is_read() {
        let stream = Value::Array(vec![
            bulk("length"),
            Value::Int(0),
            bulk("last-generated-id"),
            bulk("5-0"),
            bulk("first-entry"),
            Value::Nil,
        ]);
        let info = vec![
            bulk("name"),
            bulk("g"),
            bulk("last-delivered-id"),
            bulk("4-0"),
        ];
        let groups = Value::Array(vec![Value::Array(info)]);
        let expected = GroupState {
            last: EntryId::new(5, 0),
            delivered: EntryId::new(4, 0),
            ..GroupState::default()
        };
        assert_eq!(state(&stream, &groups, "g"), Some(Some(expected)));
        assert_eq!(state(&stream, &groups, "other"), Some(None));
    }
}
