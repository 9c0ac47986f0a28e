//! [`Counters`]: how many, and how much, by hour.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::activity::entry::FeedEntry;
use crate::activity::store::{Counted, CountedKey, CountedOf, MAX_COUNTERS, MAX_SUBJECTS};

/// How many entries there were, and how much, by hour and type: of all, and of each subject.
#[derive(Debug)]
pub(super) struct Counters {
    hours: u64,
    by_hour: BTreeMap<u64, HourCounters>,
    /// The last hour in which a subject was active, of those that were so last.
    active: BTreeMap<Box<str>, u64>,
}

/// Those of one hour.
#[derive(Debug, Default)]
struct HourCounters {
    all: BTreeMap<Box<str>, Counted>,
    /// By subject and type.
    subjects: BTreeMap<(Box<str>, Box<str>), Counted>,
}

impl Counters {
    pub(super) const fn new(hours: u64) -> Self {
        Self {
            hours,
            by_hour: BTreeMap::new(),
            active: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, entry: &FeedEntry) {
        let Some(hour) = entry.hour else {
            return;
        };
        let counters = self.by_hour.entry(hour).or_default();
        count(
            counters.all.entry(entry.kind.clone()).or_default(),
            entry,
            1,
        );
        let key = (entry.subject.clone(), entry.kind.clone());
        if counters.subjects.contains_key(&key) || counters.subjects.len() < MAX_COUNTERS {
            count(counters.subjects.entry(key).or_default(), entry, 1);
        }
        let oldest = hour.saturating_sub(self.hours);
        self.by_hour = self.by_hour.split_off(&oldest);
        let last = self.active.entry(entry.subject.clone()).or_default();
        *last = hour.max(*last);
        if self.active.len() > MAX_SUBJECTS {
            let ranked = self
                .active
                .iter()
                .min_by_key(|(name, last)| (**last, *name));
            if let Some(least) = ranked.map(|(name, _)| name.clone()) {
                self.active.remove(&least);
            }
        }
    }

    pub(super) fn subtract(&mut self, entry: &FeedEntry) {
        let Some(counters) = entry.hour.and_then(|hour| self.by_hour.get_mut(&hour)) else {
            return;
        };
        if let Some(counted) = counters.all.get_mut(&entry.kind) {
            count(counted, entry, -1);
        }
        let key = (entry.subject.clone(), entry.kind.clone());
        if let Some(counted) = counters.subjects.get_mut(&key) {
            count(counted, entry, -1);
        }
    }

    pub(super) fn read(&self, of: &CountedOf, from: u64, to: u64) -> BTreeMap<CountedKey, Counted> {
        let wanted = match of {
            CountedOf::All => None,
            CountedOf::Subject(name) => Some(vec![name.clone()]),
            CountedOf::Subjects(most) => {
                let mut ranked: Vec<_> = self.active.iter().collect();
                ranked.sort_by_key(|(name, last)| Reverse((**last, *name)));
                let names = ranked.into_iter().take(*most).map(|(name, _)| name.clone());
                Some(names.collect())
            }
        };
        let mut read = BTreeMap::new();
        for (hour, counters) in self.by_hour.range(from..=to) {
            match &wanted {
                None => read.extend(
                    counters
                        .all
                        .iter()
                        .map(|(kind, counted)| ((None, *hour, kind.clone()), counted.clone())),
                ),
                Some(names) => {
                    let of_these = counters
                        .subjects
                        .iter()
                        .filter(|((subject, _), _)| names.contains(subject));
                    read.extend(of_these.map(|((subject, kind), counted)| {
                        let key = (Some(subject.clone()), *hour, kind.clone());
                        (key, counted.clone())
                    }));
                }
            }
        }
        read.retain(|_, counted| counted.count != 0);
        read
    }
}

fn count(counted: &mut Counted, entry: &FeedEntry, times: i64) {
    counted.count += times;
    for (field, limb, value) in &entry.sums {
        let sum = counted.sums.entry(field.clone()).or_default();
        sum.add(*limb, value * times);
    }
}
