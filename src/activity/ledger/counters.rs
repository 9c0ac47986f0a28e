//! [`Counters`]: how many, and how much, by hour.

use std::collections::BTreeMap;

use crate::activity::entry::FeedEntry;
use crate::activity::store::{Counted, CountedKey, CountedOf, MAX_SUBJECTS};

/// Counters of one subject, or of all: by hour and type.
type ByHour = BTreeMap<(u64, Box<str>), Counted>;

/// How many entries there were, and how much, by hour: of all, and of the subjects that were active last.
#[derive(Debug)]
pub(super) struct Counters {
    hours: u64,
    all: ByHour,
    subjects: BTreeMap<Box<str>, SubjectCounters>,
}

#[derive(Debug, Default)]
struct SubjectCounters {
    /// The last hour in which it was active.
    last: u64,
    by_hour: ByHour,
}

impl Counters {
    pub(super) const fn new(hours: u64) -> Self {
        Self {
            hours,
            all: BTreeMap::new(),
            subjects: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, entry: &FeedEntry) {
        let Some(hour) = entry.hour else {
            return;
        };
        count(&mut self.all, hour, entry, 1);
        self.forget(hour);
        let subject = self.subjects.entry(entry.subject.clone()).or_default();
        subject.last = subject.last.max(hour);
        count(&mut subject.by_hour, hour, entry, 1);
        if self.subjects.len() > MAX_SUBJECTS {
            let ranked = self
                .subjects
                .iter()
                .min_by_key(|(name, one)| (one.last, *name));
            if let Some(least) = ranked.map(|(name, _)| name.clone()) {
                self.subjects.remove(&least);
            }
        }
    }

    pub(super) fn subtract(&mut self, entry: &FeedEntry) {
        let Some(hour) = entry.hour else {
            return;
        };
        let key = (hour, entry.kind.clone());
        if self.all.contains_key(&key) {
            count(&mut self.all, hour, entry, -1);
        }
        if let Some(subject) = self.subjects.get_mut(&entry.subject)
            && subject.by_hour.contains_key(&key)
        {
            count(&mut subject.by_hour, hour, entry, -1);
        }
    }

    /// Hours that are over for so long.
    fn forget(&mut self, now: u64) {
        let oldest = now.saturating_sub(self.hours);
        let is_old = self
            .all
            .first_key_value()
            .is_some_and(|((hour, _), _)| *hour < oldest);
        if is_old {
            self.all.retain(|(hour, _), _| *hour >= oldest);
            for subject in self.subjects.values_mut() {
                subject.by_hour.retain(|(hour, _), _| *hour >= oldest);
            }
            self.subjects.retain(|_, subject| subject.last >= oldest);
        }
    }

    pub(super) fn read(&self, of: &CountedOf, from: u64, to: u64) -> BTreeMap<CountedKey, Counted> {
        let mut read = BTreeMap::new();
        let mut add = |whose: Option<&Box<str>>, by_hour: &ByHour| {
            for ((hour, kind), counted) in by_hour {
                if (from..=to).contains(hour) && counted.count != 0 {
                    read.insert((whose.cloned(), *hour, kind.clone()), counted.clone());
                }
            }
        };
        match of {
            CountedOf::All => add(None, &self.all),
            CountedOf::Subject(name) => {
                if let Some((name, subject)) = self.subjects.get_key_value(name) {
                    add(Some(name), &subject.by_hour);
                }
            }
            CountedOf::Subjects(most) => {
                let mut ranked: Vec<_> = self.subjects.iter().collect();
                ranked.sort_by_key(|(name, subject)| std::cmp::Reverse((subject.last, *name)));
                for (name, subject) in ranked.into_iter().take(*most) {
                    add(Some(name), &subject.by_hour);
                }
            }
        }
        read
    }
}

fn count(by_hour: &mut ByHour, hour: u64, entry: &FeedEntry, times: i64) {
    let counted = by_hour.entry((hour, entry.kind.clone())).or_default();
    counted.count += times;
    for (field, limb, value) in &entry.sums {
        let sum = counted.sums.entry(field.clone()).or_default();
        sum.add(*limb, value * times);
    }
}
