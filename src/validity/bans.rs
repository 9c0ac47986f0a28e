//! Glob purges, matched lazily against responses older than themselves; bounded.

use std::collections::VecDeque;

use crate::outcome::Detail;
use crate::tag::Glob;
use crate::tag::PurgeKind;
use crate::validity::Verdict;

#[derive(Debug)]
struct Ban {
    ordinal: u64,
    soft: bool,
    glob: Glob,
}

/// At most `limit` globs, oldest first; one more drops the oldest.
#[derive(Debug)]
pub(crate) struct Bans {
    list: VecDeque<Ban>,
    limit: usize,
}

impl Bans {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            list: VecDeque::new(),
            limit,
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Remembers a purge of `pattern` at `ordinal`. Returns the newest ordinal that had to be
    /// forgotten for it. A pattern that was purged before moves to its newest place, so that
    /// repeating one glob for ever needs one place.
    #[must_use]
    pub(crate) fn add(&mut self, ordinal: u64, kind: PurgeKind, pattern: &str) -> Option<u64> {
        let soft = kind == PurgeKind::Soft;
        // A hard ban covers what a soft one of the same pattern would; not the other way round.
        self.list.retain(|ban| {
            ban.glob.as_str() != pattern || ban.ordinal > ordinal || (soft && !ban.soft)
        });
        let place = self.list.partition_point(|ban| ban.ordinal <= ordinal);
        let glob = Glob::new(pattern);
        self.list.insert(
            place,
            Ban {
                ordinal,
                soft,
                glob,
            },
        );
        if self.list.len() <= self.limit {
            return None;
        }
        self.list.pop_front().map(|ban| ban.ordinal)
    }

    /// What the globs newer than `stamp` mean for a response at `path`.
    pub(crate) fn judge(&self, path: &str, stamp: u64) -> Verdict {
        let mut verdict = Verdict::Valid;
        for ban in self.list.iter().rev() {
            if ban.ordinal <= stamp {
                break;
            }
            if (!ban.soft || verdict == Verdict::Valid) && ban.glob.matches(path) {
                if !ban.soft {
                    return Verdict::Purged(Detail::PurgedGlob);
                }
                verdict = Verdict::Soft(Detail::SoftPurged);
            }
        }
        verdict
    }
}
