//! What a server of the simulation holds, and the few changes that all commands come down to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resp::Command;
use super::stream::{Id, Records};

pub(in crate::simulation) type Key = Vec<u8>;

#[derive(Debug, Clone)]
pub(in crate::simulation) enum Stored {
    Text(Arc<[u8]>),
    /// In the order in which the fields came.
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
    Stream(Records),
}

#[derive(Debug, Clone)]
pub(in crate::simulation) struct Slot {
    pub(in crate::simulation) stored: Stored,
    /// On the server's clock, in milliseconds.
    pub(in crate::simulation) expires: Option<u64>,
}

/// The keys, in order, so that a seed that picks one picks the same one again.
#[derive(Debug, Clone, Default)]
pub(in crate::simulation) struct Db {
    pub(in crate::simulation) keys: BTreeMap<Key, Slot>,
}

/// A change, as it is also sent to replicas: a command that says exactly what becomes of which key.
pub(in crate::simulation) type Change = Command;

pub(in crate::simulation) fn change<const N: usize>(parts: [&[u8]; N]) -> Change {
    parts.iter().map(|part| part.to_vec()).collect()
}

fn digits(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("a change has numbers")
}

impl Db {
    pub(in crate::simulation) fn expire(&mut self, now: u64) {
        self.keys
            .retain(|_, slot| slot.expires.is_none_or(|at| now < at));
    }

    pub(in crate::simulation) fn text(&self, key: &[u8]) -> Option<&Arc<[u8]>> {
        match self.keys.get(key).map(|slot| &slot.stored) {
            Some(Stored::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(in crate::simulation) fn hash(&self, key: &[u8]) -> &[(Vec<u8>, Vec<u8>)] {
        match self.keys.get(key).map(|slot| &slot.stored) {
            Some(Stored::Hash(hash)) => hash,
            _ => &[],
        }
    }

    pub(in crate::simulation) fn stream(&self, key: &[u8]) -> Option<&Records> {
        match self.keys.get(key).map(|slot| &slot.stored) {
            Some(Stored::Stream(records)) => Some(records),
            _ => None,
        }
    }

    /// A replica of a master whose data went back may hold something else there: the master's word counts.
    fn hash_mut(&mut self, key: &[u8]) -> &mut Vec<(Vec<u8>, Vec<u8>)> {
        if !matches!(
            self.keys.get(key).map(|slot| &slot.stored),
            Some(Stored::Hash(_))
        ) {
            self.put(key, Stored::Hash(Vec::new()));
        }
        match self.keys.get_mut(key).map(|slot| &mut slot.stored) {
            Some(Stored::Hash(hash)) => hash,
            _ => unreachable!("it was put there"),
        }
    }

    fn stream_mut(&mut self, key: &[u8]) -> &mut Records {
        if self.stream(key).is_none() {
            self.put(key, Stored::Stream(Records::default()));
        }
        match self.keys.get_mut(key).map(|slot| &mut slot.stored) {
            Some(Stored::Stream(records)) => records,
            _ => unreachable!("it was put there"),
        }
    }

    fn put(&mut self, key: &[u8], stored: Stored) {
        let slot = Slot {
            stored,
            expires: None,
        };
        self.keys.insert(key.to_vec(), slot);
    }

    /// Makes `change`.
    pub(in crate::simulation) fn apply(&mut self, change: &[Vec<u8>]) {
        let (what, arguments) = change.split_first().expect("a change has a name");
        match (what.as_slice(), arguments) {
            (b"SET", [key, text, more @ ..]) => {
                let stored = Stored::Text(text.as_slice().into());
                let expires = more.first().map(|at| digits(at));
                self.keys.insert(key.clone(), Slot { stored, expires });
            }
            (b"DEL", [key]) => drop(self.keys.remove(key)),
            (b"EXPIREAT", [key, at]) => {
                if let Some(slot) = self.keys.get_mut(key) {
                    slot.expires = Some(digits(at));
                }
            }
            (b"HSET", [key, field, value]) => {
                let hash = self.hash_mut(key);
                match hash.iter_mut().find(|(name, _)| name == field) {
                    Some((_, old)) => old.clone_from(value),
                    None => hash.push((field.clone(), value.clone())),
                }
            }
            (b"HDEL", [key, field]) => {
                let hash = self.hash_mut(key);
                hash.retain(|(name, _)| name != field);
                if hash.is_empty() {
                    self.keys.remove(key);
                }
            }
            (b"XADD", [key, id, fields @ ..]) => {
                let id = Id::parse(id).expect("a change has whole ids");
                self.stream_mut(key).add(id, fields);
            }
            (b"XTRIM", [key, id]) => {
                let id = Id::parse(id).expect("a change has whole ids");
                self.stream_mut(key).drop_before(id);
            }
            (b"XSETID", [key, id]) => {
                self.stream_mut(key).last = Id::parse(id).expect("a change has whole ids");
            }
            (b"FLUSHALL", []) => self.keys.clear(),
            _ => unreachable!("no change is called {}", String::from_utf8_lossy(what)),
        }
    }

    /// The changes that make all of this out of nothing.
    pub(in crate::simulation) fn changes(&self) -> Vec<Change> {
        let mut changes = vec![change([b"FLUSHALL"])];
        for (key, slot) in &self.keys {
            match &slot.stored {
                Stored::Text(text) => changes.push(change([b"SET", key, text])),
                Stored::Hash(hash) => {
                    let set = hash
                        .iter()
                        .map(|(name, value)| change([b"HSET", key, name, value]));
                    changes.extend(set);
                }
                Stored::Stream(records) => {
                    for (id, fields) in records.iter() {
                        let mut add = change([b"XADD", key, id.to_string().as_bytes()]);
                        add.extend(fields.iter().cloned());
                        changes.push(add);
                    }
                    changes.push(change([
                        b"XSETID",
                        key,
                        records.last.to_string().as_bytes(),
                    ]));
                }
            }
            if let Some(at) = slot.expires {
                changes.push(change([b"EXPIREAT", key, at.to_string().as_bytes()]));
            }
        }
        changes
    }
}
