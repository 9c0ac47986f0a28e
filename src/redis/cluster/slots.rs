//! The slots of a Redis Cluster, and which primary has which.

use std::sync::Arc;

use ::redis::Value;

use crate::redis::address::HostPort;
use crate::redis::reply;

/// How many slots a Cluster has.
const SLOTS: usize = 16_384;
/// No node has it.
const NOBODY: u16 = u16::MAX;

/// One of 16,384 parts of all keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::redis) struct Slot(u16);

impl Slot {
    /// The slot of `key`: CRC-16 (XMODEM) of its hash tag.
    pub(in crate::redis) fn of(key: &str) -> Self {
        let hash = crc16::State::<crc16::XMODEM>::calculate(hash_tag(key).as_bytes());
        Self(hash % SLOTS as u16)
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The part of `key` that decides its slot: what stands in its first pair of braces, if that is anything, else all of it.
pub(in crate::redis) fn hash_tag(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| {
        let (tag, _) = rest.split_once('}')?;
        (!tag.is_empty()).then_some(tag)
    });
    tag.unwrap_or(key)
}

/// Which primary has which slot, as one node said it.
#[derive(Debug, Clone)]
pub(super) struct SlotMap {
    primaries: Vec<HostPort>,
    /// For each slot its place among them.
    owners: Arc<[u16]>,
}

impl Default for SlotMap {
    fn default() -> Self {
        Self {
            primaries: Vec::new(),
            owners: Arc::from([NOBODY; SLOTS]),
        }
    }
}

impl SlotMap {
    /// Reads what the node `asked` answered to `CLUSTER SLOTS`.
    pub(super) fn parse(answer: &Value, asked: &HostPort) -> Option<Self> {
        let mut primaries: Vec<HostPort> = Vec::new();
        let mut owners = vec![NOBODY; SLOTS];
        for range in answer.as_sequence()? {
            let [first, last, primary, ..] = range.as_sequence()? else {
                return None;
            };
            let [host, Value::Int(port), ..] = primary.as_sequence()? else {
                return None;
            };
            let Some(at) = address(reply::text(host), u16::try_from(*port).ok()?, asked) else {
                continue;
            };
            let known = primaries.iter().position(|known| *known == at);
            let place = known.unwrap_or_else(|| {
                primaries.push(at);
                primaries.len() - 1
            });
            let place = u16::try_from(place).ok()?;
            let (first, last) = (slot(first)?, slot(last)?);
            let range = owners.get_mut(first..=last).filter(|_| first <= last);
            range?.fill(place);
        }
        Some(Self {
            primaries,
            owners: owners.into(),
        })
    }

    pub(super) fn primaries(&self) -> &[HostPort] {
        &self.primaries
    }

    pub(super) fn owner(&self, slot: Slot) -> Option<&HostPort> {
        let place = self.owners[usize::from(slot.0)];
        self.primaries.get(usize::from(place))
    }

    /// This map, but for one slot that is said to be elsewhere.
    pub(super) fn with(&self, slot: Slot, at: &HostPort) -> Self {
        let mut map = self.clone();
        let known = map.primaries.iter().position(|known| known == at);
        let place = known.unwrap_or_else(|| {
            map.primaries.push(at.clone());
            map.primaries.len() - 1
        });
        let owners = Arc::make_mut(&mut map.owners);
        owners[usize::from(slot.0)] = u16::try_from(place).unwrap_or(NOBODY);
        map
    }
}

fn slot(value: &Value) -> Option<usize> {
    match value {
        Value::Int(slot) => usize::try_from(*slot).ok().filter(|slot| *slot < SLOTS),
        _ => None,
    }
}

/// A node's address: one that names no host has that of the node that was asked; `?` is none.
pub(super) fn address(host: Option<&str>, port: u16, asked: &HostPort) -> Option<HostPort> {
    let host = match host {
        None | Some("") => asked.host.clone(),
        Some("?") => return None,
        Some(host) => host.into(),
    };
    Some(HostPort { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> HostPort {
        let host = host.into();
        HostPort { host, port }
    }

    /// The numbers are those of `CLUSTER KEYSLOT`.
    #[test]
    fn a_key_has_the_slot_that_a_cluster_gives_it() {
        for (key, slot) in [
            ("", 0),
            ("123456789", 12_739),
            ("{user1000}.following", 3_443),
            ("{user1000}.followers", 3_443),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
            ("foo{bar}{zap}", 5_061),
        ] {
            assert_eq!(Slot::of(key), Slot(slot), "{key}");
        }
    }

    #[test]
    fn a_map_tells_owners_and_takes_what_it_is_told_later() {
        let text = b"*2\r\n*3\r\n:0\r\n:99\r\n*3\r\n$1\r\na\r\n:1\r\n$2\r\nid\r\n\
            *4\r\n:100\r\n:16383\r\n*3\r\n$0\r\n\r\n:2\r\n$2\r\nid\r\n*3\r\n$1\r\nc\r\n:3\r\n$2\r\nid\r\n";
        let answer = ::redis::parse_redis_value(text).unwrap();
        let map = SlotMap::parse(&answer, &at("asked", 9)).unwrap();
        assert_eq!(map.primaries(), [at("a", 1), at("asked", 2)]);
        assert_eq!(map.owner(Slot(99)), Some(&at("a", 1)));
        assert_eq!(map.owner(Slot(100)), Some(&at("asked", 2)));
        let moved = map.with(Slot(100), &at("new", 4));
        assert_eq!(moved.owner(Slot(100)), Some(&at("new", 4)));
        assert_eq!(moved.owner(Slot(101)), Some(&at("asked", 2)));
        assert_eq!(SlotMap::default().owner(Slot(0)), None);
    }

    #[test]
    fn what_is_no_map_is_none() {
        for text in [
            "+OK\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n",
            "*1\r\n*3\r\n:7\r\n:6\r\n*2\r\n$1\r\na\r\n:1\r\n",
            "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:70000\r\n",
        ] {
            let answer = ::redis::parse_redis_value(text.as_bytes()).unwrap();
            assert!(SlotMap::parse(&answer, &at("asked", 9)).is_none(), "{text}");
        }
    }
}
