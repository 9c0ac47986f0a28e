//! Streams, as far as the purge log needs them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(in crate::simulation) struct Id(pub(in crate::simulation) u64, pub(in crate::simulation) u64);

impl Id {
    /// A whole id, or one without its second number, which is 0 then.
    pub(in crate::simulation) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        match text.split_once('-') {
            Some((first, second)) => Some(Self(first.parse().ok()?, second.parse().ok()?)),
            None => Some(Self(text.parse().ok()?, 0)),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// Names and values in turn.
pub(in crate::simulation) type FieldList = Arc<[Vec<u8>]>;

#[derive(Debug, Clone, Default)]
pub(in crate::simulation) struct Records {
    by_id: BTreeMap<Id, FieldList>,
    /// The last that was ever given.
    pub(in crate::simulation) last: Id,
}

impl Records {
    pub(in crate::simulation) fn add(&mut self, id: Id, fields: &[Vec<u8>]) {
        self.by_id.insert(id, fields.into());
        self.last = self.last.max(id);
    }

    pub(in crate::simulation) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(in crate::simulation) fn iter(&self) -> impl Iterator<Item = (&Id, &FieldList)> {
        self.by_id.iter()
    }

    pub(in crate::simulation) fn newest(&self) -> Option<(&Id, &FieldList)> {
        self.by_id.last_key_value()
    }

    pub(in crate::simulation) fn after(&self, id: Id) -> impl Iterator<Item = (&Id, &FieldList)> {
        self.by_id.range((Bound::Excluded(id), Bound::Unbounded))
    }

    pub(in crate::simulation) fn between(
        &self,
        from: Id,
        to: Id,
    ) -> impl DoubleEndedIterator<Item = (&Id, &FieldList)> {
        let from = from.min(to);
        self.by_id.range(from..=to)
    }

    pub(in crate::simulation) fn drop_before(&mut self, id: Id) {
        self.by_id = self.by_id.split_off(&id);
    }

    /// The id that `XADD` gives for `asked`; or why not.
    pub(in crate::simulation) fn next(last: Id, asked: &[u8]) -> Result<Id, &'static str> {
        const INVALID: &str = "ERR Invalid stream ID specified as stream command argument";
        const SMALLER: &str =
            "ERR The ID specified in XADD is equal or smaller than the target stream top item";
        let text = std::str::from_utf8(asked).map_err(|_| INVALID)?;
        let id = match text.strip_suffix("-*") {
            Some(first) => {
                let first: u64 = first.parse().map_err(|_| INVALID)?;
                match first == last.0 {
                    true => Id(first, last.1.checked_add(1).ok_or(SMALLER)?),
                    false => Id(first, 0),
                }
            }
            None => Id::parse(asked).ok_or(INVALID)?,
        };
        if last != Id::default() && id <= last {
            return Err(SMALLER);
        }
        if id == Id(0, 0) {
            return Err("ERR The ID specified in XADD must be greater than 0-0");
        }
        Ok(id)
    }
}
