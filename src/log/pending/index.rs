//! Purges in force and those of them that wait, each found without a look at all others: there may be
//! thousands while Redis is away, and every hit asks.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher;
use std::time::Duration;

use super::InForce;
use crate::log::{PurgeRecord, RecordUpdates};
use crate::position::Epoch;
use crate::tag::{Glob, PurgeKind, TagId, Target};
use crate::validity::{Subject, Verdict};

/// So many bytes of an update count as much as a target, which has at most as many.
const BYTES_OF_ONE: usize = 256;

/// Purges in force, by number.
#[derive(Debug, Default)]
pub(super) struct InForces {
    next: u64,
    /// Being appended right now, waiting, or in doubt. Added and removed by the functions below only.
    pub(super) records: HashMap<u64, InForce>,
    /// Which of them name an id.
    named: BTreeSet<(TagId, u64)>,
    /// And which a pattern.
    patterns: BTreeSet<u64>,
}

impl InForces {
    /// Its number.
    pub(super) fn insert(&mut self, held: InForce) -> u64 {
        let number = self.next;
        self.next += 1;
        for target in &held.record.targets {
            match target.id() {
                Some(id) => self.named.insert((id, number)),
                None => self.patterns.insert(number),
            };
        }
        self.records.insert(number, held);
        number
    }

    /// The number of the next.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<InForce> {
        let held = self.records.remove(&number)?;
        for id in held.record.targets.iter().filter_map(|target| target.id()) {
            self.named.remove(&(id, number));
        }
        self.patterns.remove(&number);
        Some(held)
    }

    /// What they mean for a response, to whoever knows the log of `epoch`: a hard one before a soft one.
    pub(super) fn judge(&self, subject: Subject<'_>, epoch: Epoch) -> Verdict {
        let by_id = subject.tags.iter().flat_map(|id| {
            let named = self.named.range((id, u64::MIN)..=(id, u64::MAX));
            named.map(|(_, number)| *number)
        });
        let by_pattern = self.patterns.iter().copied();
        let by_pattern = by_pattern.filter(|number| self.matches(*number, subject.path));
        let mut verdict = Verdict::Valid;
        for number in by_id.chain(by_pattern) {
            let Some(held) = self.records.get(&number) else {
                continue;
            };
            // Its mark is in the view, as of all that are in the log.
            if held.logged.is_some_and(|position| position.epoch == epoch) {
                continue;
            }
            let InForce { record, detail, .. } = held;
            if record.kind == PurgeKind::Hard {
                return Verdict::Purged(*detail);
            }
            verdict = Verdict::Soft(*detail);
        }
        verdict
    }

    /// Whether a pattern of `number` matches `path`.
    fn matches(&self, number: u64, path: &str) -> bool {
        let targets = self.records.get(&number).map(|held| &held.record.targets);
        targets.into_iter().flatten().any(
            |target| matches!(target, Target::Glob(pattern) if Glob::new(pattern).matches(path)),
        )
    }
}

/// The numbers of those that wait, in order: those that are in the log already come last.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    new: VecDeque<Place>,
    logged: VecDeque<Place>,
    /// The new ones whose records may be equal, by a hash of what makes them so.
    alike: HashMap<u64, Vec<u64>>,
    weight: usize,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    number: u64,
    hash: u64,
    weight: usize,
}

impl Waiting {
    /// A new one that is equal to `record`: it will be appended later than now.
    pub(super) fn alike(&self, record: &PurgeRecord, held: &InForces) -> Option<u64> {
        let candidates = self.alike.get(&self.hash(record))?;
        let equal = |number: &&u64| {
            let other = held.records.get(number).map(|held| &held.record);
            other.is_some_and(|other| essence(other) == essence(record))
        };
        candidates.iter().find(equal).copied()
    }

    fn hash(&self, record: &PurgeRecord) -> u64 {
        self.alike.hasher().hash_one(essence(record))
    }

    /// How many targets and updates they have together.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn len(&self) -> usize {
        self.new.len() + self.logged.len()
    }

    /// The first that is new.
    pub(super) fn first_new(&self) -> Option<u64> {
        self.new.front().map(|place| place.number)
    }

    pub(super) fn push_back(&mut self, number: u64, held: &InForce) {
        let place = Place {
            number,
            hash: self.hash(&held.record),
            weight: weight(&held.record),
        };
        self.weight += place.weight;
        if held.logged.is_some() {
            self.logged.push_back(place);
        } else {
            self.alike.entry(place.hash).or_default().push(number);
            self.new.push_back(place);
        }
    }

    /// The first, and whether it is new.
    pub(super) fn pop_first(&mut self) -> Option<(u64, bool)> {
        let Some(place) = self.new.pop_front() else {
            let place = self.logged.pop_front()?;
            self.weight -= place.weight;
            return Some((place.number, false));
        };
        self.weight -= place.weight;
        if let Some(alike) = self.alike.get_mut(&place.hash) {
            alike.retain(|number| *number != place.number);
            if alike.is_empty() {
                self.alike.remove(&place.hash);
            }
        }
        Some((place.number, true))
    }

    /// All of them, of which none waits any more.
    pub(super) fn drain(&mut self) -> Vec<u64> {
        self.alike.clear();
        self.weight = 0;
        let all = self.new.drain(..).chain(self.logged.drain(..));
        all.map(|place| place.number).collect()
    }
}

/// How much of the bound it takes: a target is one, and so are some hundred bytes of updates.
pub(super) fn weight(record: &PurgeRecord) -> usize {
    let updates = record.owed().unwrap_or_default().iter();
    let updates: usize = updates
        .map(|update| 1 + update.bytes() / BYTES_OF_ONE)
        .sum();
    (record.targets.len() + updates).max(1)
}

/// What two purges have in common that are the same but for when they were called.
fn essence(record: &PurgeRecord) -> (PurgeKind, &[Target], Duration, Option<&RecordUpdates>) {
    let updates = record.updates.as_deref();
    (record.kind, &record.targets, record.settle, updates)
}
