//! May this stored response still be used? (PROTOCOL 5)
//!
//! [`Memory`] is what one process remembers of one epoch of the purge log: the last hard and the last
//! soft purge of each tag, the glob purges, and the floor below which it remembers nothing. It is
//! bounded; what it forgets raises the floor, so that forgetting costs hits and never truth.

mod bans;
mod marks;
mod slots;

pub(crate) use self::bans::Bans;
pub(crate) use self::marks::Marks;
use self::slots::{SLOTS, Slots};

use crate::outcome::Detail;
use crate::position::Stamp;
use crate::tag::{PurgeKind, TagId, TagSet, Target};
use crate::weaken::{ProtocolRule, weakened};

/// What a stored response may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it is.
    Valid,
    /// Only as stale.
    Soft(Detail),
    /// For nothing: not as stale on error, not as the base of a conditional request.
    Purged(Detail),
}

/// What decides about a stored or in-flight response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) stamp: Stamp,
    pub(crate) tags: &'a TagSet,
    pub(crate) path: &'a str,
}

/// How much a process remembers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) marks: usize,
    pub(crate) globs: usize,
    /// For what unsafe requests name.
    pub(crate) slots: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            marks: 100_000,
            globs: 1_000,
            slots: SLOTS,
        }
    }
}

/// The purges of one epoch, as far as they are remembered.
#[derive(Debug)]
pub(crate) struct Memory {
    marks: Marks,
    bans: Bans,
    /// Hard purges of paths, and of cache groups: what unsafe requests name. In tables of their own, since
    /// all tags of a response may be groups, and only one id is its path.
    paths: Slots,
    groups: Slots,
    floor: u64,
}

impl Memory {
    pub(crate) fn new(bounds: Bounds, floor: u64) -> Self {
        Self {
            marks: Marks::new(bounds.marks),
            bans: Bans::new(bounds.globs),
            paths: Slots::new(bounds.slots),
            groups: Slots::new(bounds.slots),
            floor,
        }
    }

    /// Remembers that the record at `ordinal` purges `targets`.
    pub(crate) fn apply(&mut self, ordinal: u64, kind: PurgeKind, targets: &[Target]) {
        if kind == PurgeKind::Open {
            return;
        }
        for target in targets {
            if kind == PurgeKind::Hard && self.slot(ordinal, target) {
                continue;
            }
            let forgotten = match target {
                Target::Glob(pattern) => self.bans.add(ordinal, kind, pattern),
                _ => target
                    .id()
                    .and_then(|id| self.marks.set(id, ordinal, kind, detail_of(target))),
            };
            // PROTOCOL 5 [mark_floor]: what is dropped raises the floor.
            if let Some(forgotten) = forgotten {
                self.raise_floor(forgotten);
            }
        }
    }

    /// Remembers what unsafe requests name by the thousand where it takes no room of others.
    fn slot(&mut self, ordinal: u64, target: &Target) -> bool {
        let slots = match target {
            Target::Path(_) => &mut self.paths,
            Target::Tag(tag) if tag.is_cache_group() => &mut self.groups,
            _ => return false,
        };
        if let Some(id) = target.id() {
            slots.set(id, ordinal);
        }
        true
    }

    /// Responses stamped below `ordinal` are purged from now on.
    pub(crate) fn raise_floor(&mut self, ordinal: u64) {
        if !weakened(ProtocolRule::MarkFloor) {
            self.floor = self.floor.max(ordinal);
        }
    }

    pub(crate) const fn floor(&self) -> u64 {
        self.floor
    }

    /// How many marks and globs are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.marks.len() + self.bans.len()
    }

    /// Judges a response whose stamp is of this memory's epoch.
    pub(crate) fn judge(&self, subject: Subject<'_>) -> Verdict {
        let stamp = subject.stamp.position().ordinal;
        if stamp < self.floor {
            return Verdict::Purged(Detail::BelowFloor);
        }
        if self.paths.has_purged_since(stamp)
            && self.paths.has_purged(TagId::path(subject.path), stamp)
        {
            return Verdict::Purged(Detail::PurgedPath);
        }
        let by_group = self.groups.has_purged_since(stamp);
        let mut verdict = Verdict::Valid;
        for id in subject.tags.iter() {
            if by_group && self.groups.has_purged(id, stamp) {
                return Verdict::Purged(Detail::Purged);
            }
            match self.marks.judge(id, stamp) {
                Verdict::Valid => {}
                purged @ Verdict::Purged(_) => return purged,
                soft @ Verdict::Soft(_) => verdict = soft,
            }
        }
        match self.bans.judge(subject.path, stamp) {
            Verdict::Valid => verdict,
            banned => banned,
        }
    }
}

/// What `Cache-Status` says of a purge of `target`.
pub(crate) const fn detail_of(target: &Target) -> Detail {
    match target {
        Target::All => Detail::PurgedAll,
        Target::Tag(_) => Detail::Purged,
        Target::Family(_) => Detail::PurgedFamily,
        Target::Rule(_) => Detail::PurgedRule,
        Target::Path(_) => Detail::PurgedPath,
        Target::Glob(_) => Detail::PurgedGlob,
    }
}

#[cfg(test)]
mod tests;
