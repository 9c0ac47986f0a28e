//! Tag -> its last hard and its last soft purge; bounded.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::outcome::Detail;
use crate::tag::{PurgeKind, TagId};
use crate::validity::Verdict;
use crate::weaken::{ProtocolRule, weakened};

/// The last purges of one tag. Ordinal 0 opens an epoch and purges nothing, so 0 means "none".
#[derive(Debug, Clone, Copy)]
struct Mark {
    hard: u64,
    soft: u64,
    detail: Detail,
}

impl Mark {
    fn newest(&self) -> u64 {
        self.hard.max(self.soft)
    }
}

/// At most `limit` marks; setting one more drops the one purged longest ago.
#[derive(Debug)]
pub(crate) struct Marks {
    by_id: HashMap<TagId, Mark, BuildHasherDefault<IdHasher>>,
    /// Each purge in the order it was applied. A tag purged again leaves its older place behind;
    /// those are skipped when they come to the front, and swept when they outnumber the marks.
    order: VecDeque<(u64, TagId)>,
    limit: usize,
}

impl Marks {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            by_id: HashMap::default(),
            order: VecDeque::new(),
            limit,
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Remembers a purge of `id` at `ordinal`. Returns the newest ordinal that had to be forgotten
    /// for it.
    #[must_use]
    pub(crate) fn set(
        &mut self,
        id: TagId,
        ordinal: u64,
        kind: PurgeKind,
        detail: Detail,
    ) -> Option<u64> {
        let none = Mark {
            hard: 0,
            soft: 0,
            detail,
        };
        let mark = self.by_id.entry(id).or_insert(none);
        let before = mark.newest();
        // Hard and soft are two maxima: a later soft purge does not soften an earlier hard one
        // (PROTOCOL 5 [two_marks]).
        match kind {
            PurgeKind::Soft if weakened(ProtocolRule::TwoMarks) => {
                *mark = Mark {
                    hard: 0,
                    soft: ordinal,
                    detail,
                };
            }
            PurgeKind::Soft => mark.soft = mark.soft.max(ordinal),
            PurgeKind::Hard | PurgeKind::Open => mark.hard = mark.hard.max(ordinal),
        }
        mark.detail = detail;
        // An own append is applied again by the follower: its place is there already. Two for each tag
        // would leave nothing to sweep, again and again.
        if mark.newest() > before || before == 0 {
            self.order.push_back((ordinal, id));
        }
        let forgotten = self.drop_oldest();
        self.sweep();
        forgotten
    }

    fn drop_oldest(&mut self) -> Option<u64> {
        let mut forgotten = None;
        while self.by_id.len() > self.limit {
            let (ordinal, id) = self.order.pop_front()?;
            // Own appends are applied ahead of the follower, so places may repeat or be out of order;
            // only the tag's newest purge counts.
            if self
                .by_id
                .get(&id)
                .is_some_and(|mark| mark.newest() <= ordinal)
            {
                self.by_id.remove(&id);
                forgotten = forgotten.max(Some(ordinal));
            }
        }
        forgotten
    }

    fn sweep(&mut self) {
        if self.order.len() > 2 * self.limit.max(self.by_id.len()) + 16 {
            self.sweep_now();
        }
    }

    pub(super) fn sweep_now(&mut self) {
        let by_id = &self.by_id;
        self.order
            .retain(|(ordinal, id)| by_id.get(id).is_some_and(|mark| mark.newest() <= *ordinal));
    }

    /// Places kept in the order of purging, those left behind included.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.order.len()
    }

    /// What the purges of `id` mean for a response stamped `stamp`.
    pub(crate) fn judge(&self, id: TagId, stamp: u64) -> Verdict {
        match self.by_id.get(&id) {
            Some(mark) if mark.hard > stamp => Verdict::Purged(mark.detail),
            Some(mark) if mark.soft > stamp => Verdict::Soft(Detail::SoftPurged),
            _ => Verdict::Valid,
        }
    }
}

/// Tag ids are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}
