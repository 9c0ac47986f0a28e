//! Who sees everything: when each purge was called, returned and told, and what must never be seen after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::position::Position;

/// Events of a history, numbered in the order in which they happen.
pub(super) type Moment = u64;
/// A start of a node: its number, and how many came before.
pub(super) type Start = (usize, usize);

/// What an answer tells of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed {
    pub(super) began: Moment,
    pub(super) version: u64,
    pub(super) is_stale: bool,
    pub(super) is_hit: bool,
}

/// A request that a node has been given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) page: &'static str,
    pub(super) arrived: Moment,
    pub(super) at: Start,
    pub(super) is_strict: bool,
    /// The position that it names.
    pub(super) after: Option<Position>,
}

#[derive(Debug)]
struct PurgeSeen {
    is_soft: bool,
    /// `None`: all.
    page: Option<&'static str>,
    called: Moment,
    by: Start,
    /// It holds for strict rules, on all nodes that are not cut off with an old master.
    in_log: Option<Moment>,
    everywhere: Option<Moment>,
    /// It was told that the purge waits: it holds in the process that called.
    pending: Option<Moment>,
    told: Option<Moment>,
    position: Option<Position>,
    announced: bool,
}

#[derive(Debug, Default)]
struct Page {
    version: u64,
    /// When a 304 confirmed a version last.
    confirmed: BTreeMap<u64, Moment>,
}

/// What is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) purges: u64,
    pub(super) everywhere: u64,
    pub(super) pending: u64,
    pub(super) told: u64,
    pub(super) strict: u64,
    pub(super) near: u64,
    pub(super) hits: u64,
    pub(super) faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.purges += other.purges;
        self.everywhere += other.everywhere;
        self.pending += other.pending;
        self.told += other.told;
        self.strict += other.strict;
        self.near += other.near;
        self.hits += other.hits;
        for (kind, number) in &other.faults {
            *self.faults.entry(kind).or_default() += number;
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Witness {
    moment: Moment,
    pages: BTreeMap<&'static str, Page>,
    purges: Vec<PurgeSeen>,
    /// What the clients of each start were told, and when they were told to look at everything again.
    told: BTreeMap<Start, (BTreeSet<usize>, Moment)>,
    pub(super) violation: Option<String>,
    /// A limit that the protocol names was reached: from here on nothing is held against it.
    pub(super) is_excused: bool,
    pub(super) tally: Tally,
    /// Where the log was rolled back just now: the nodes that had been past the point that it went back to.
    pub(super) aware: Option<Vec<Start>>,
    /// Some node was cut off with an old master.
    pub(super) is_split: bool,
    hash: DefaultHasher,
    /// The steps, if somebody wants to read them.
    trace: Option<Vec<String>>,
    line: String,
}

impl Witness {
    pub(super) fn new(traces: bool) -> Self {
        Self {
            trace: traces.then(Vec::new),
            ..Self::default()
        }
    }

    pub(super) fn tick(&mut self) -> Moment {
        self.moment += 1;
        self.moment
    }

    /// Notes a step: its hash always, its words if they are wanted.
    pub(super) fn note(&mut self, time: u128, what: std::fmt::Arguments<'_>) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let _ = write!(line, "{time}: {what}");
        line.hash(&mut self.hash);
        if let Some(trace) = &mut self.trace {
            trace.push(line.clone());
        }
        self.line = line;
    }

    /// Of all that was noted.
    pub(super) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub(super) fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    pub(super) fn fault(&mut self, kind: &'static str) {
        *self.tally.faults.entry(kind).or_default() += 1;
    }

    pub(super) fn faults(&self) -> u64 {
        self.tally.faults.values().sum()
    }

    /// A generation begins: when, and what it reads.
    pub(super) fn generation(&mut self, page: &'static str) -> (Moment, u64) {
        let began = self.tick();
        (began, self.pages.entry(page).or_default().version)
    }

    pub(super) fn confirm(&mut self, page: &'static str, version: u64, began: Moment) {
        let confirmed = &mut self.pages.entry(page).or_default().confirmed;
        let newest = confirmed.entry(version).or_default();
        *newest = began.max(*newest);
    }

    pub(super) fn write(&mut self, page: &'static str) {
        self.pages.entry(page).or_default().version += 1;
    }

    pub(super) fn purge_called(
        &mut self,
        page: Option<&'static str>,
        is_soft: bool,
        by: Start,
    ) -> usize {
        let called = self.tick();
        self.tally.purges += 1;
        self.purges.push(PurgeSeen {
            is_soft,
            page,
            called,
            by,
            in_log: None,
            everywhere: None,
            pending: None,
            told: None,
            position: None,
            announced: false,
        });
        self.purges.len() - 1
    }

    pub(super) fn purge_returned(
        &mut self,
        which: usize,
        position: Position,
        everywhere: bool,
        announced: bool,
    ) {
        let now = self.tick();
        // What an old master acknowledged holds for strict rules on its own side only.
        let holds = !self.is_split;
        let purge = &mut self.purges[which];
        purge.position = Some(position);
        purge.announced = announced;
        if everywhere {
            purge.everywhere = Some(now);
            self.tally.everywhere += 1;
        } else if holds {
            purge.in_log = Some(now);
        }
    }

    pub(super) fn purge_waits(&mut self, which: usize) {
        let now = self.tick();
        self.tally.pending += 1;
        self.purges[which].pending = Some(now);
    }

    /// Purges that wait are in the log, and long enough for everybody to know.
    pub(super) fn waited_out(&mut self, alive: &[Start]) {
        let now = self.tick();
        for purge in &mut self.purges {
            if purge.pending.is_some() && alive.contains(&purge.by) {
                purge.everywhere.get_or_insert(now);
            }
        }
    }

    /// Clients of a node are told.
    pub(super) fn told(&mut self, by: Start, which: usize, position: Position) {
        let now = self.tick();
        self.tally.told += 1;
        let (told, _) = self.told.entry(by).or_default();
        if !told.insert(which) {
            let repeated = format!("node {by:?} told twice of purge {which}");
            self.violate(repeated);
        }
        let purge = &mut self.purges[which];
        purge.told.get_or_insert(now);
        purge.position = Some(position);
    }

    pub(super) fn resynced(&mut self, by: Start) {
        let now = self.tick();
        self.told.entry(by).or_default().1 = now;
    }

    /// A position that somebody was told of, one of the last.
    pub(super) fn told_position(&self, back: usize) -> Option<Position> {
        let known = |purge: &PurgeSeen| {
            purge
                .position
                .filter(|_| purge.told.is_some() || purge.everywhere.is_some())
        };
        self.purges.iter().rev().filter_map(known).nth(back)
    }

    pub(super) fn violate(&mut self, what: String) {
        if !self.is_excused {
            self.violation.get_or_insert(what);
        }
    }

    /// A question was answered.
    pub(super) fn check(&mut self, asked: &Question, seen: Observed) {
        match asked.is_strict {
            true => self.tally.strict += 1,
            false => self.tally.near += 1,
        }
        self.tally.hits += u64::from(seen.is_hit);
        let confirmed = self
            .pages
            .get(asked.page)
            .and_then(|page| page.confirmed.get(&seen.version));
        let began = confirmed.map_or(seen.began, |at| seen.began.max(*at));
        let before = |moment: Option<Moment>| moment.is_some_and(|moment| moment < asked.arrived);
        let broken = self.purges.iter().position(|purge| {
            let touches = purge.page.is_none_or(|page| page == asked.page);
            let named = asked
                .after
                .zip(purge.position)
                .is_some_and(|(after, at)| after.reaches(at));
            let holds = named
                || before(purge.everywhere)
                || before(purge.told)
                || before(purge.in_log) && asked.is_strict && !self.is_split
                || before(purge.pending) && purge.by == asked.at;
            touches && holds && began < purge.called && (!purge.is_soft || named || !seen.is_stale)
        });
        let unaware = |aware: &Vec<Start>| !aware.contains(&asked.at);
        if broken.is_some() && self.aware.as_ref().is_some_and(unaware) && self.violation.is_none()
        {
            // PROTOCOL 9, limit.
            self.is_excused = true;
        }
        if let Some(which) = broken {
            let broken = format!(
                "{asked:?} got {seen:?} (began {began}) despite purge {which}: {:?}",
                self.purges[which]
            );
            self.violate(broken);
        }
    }

    /// When all is well again: each node has told of each announcement, or that it may have missed some.
    pub(super) fn check_told(&mut self, alive: &[Start]) {
        let missed = alive.iter().find_map(|start| {
            let (told, resynced) = self.told.get(start)?;
            let missed = self.purges.iter().enumerate().position(|(which, purge)| {
                purge.announced && !told.contains(&which) && *resynced < purge.called
            });
            missed.map(|which| {
                format!(
                    "node {start:?} never told of purge {which}: {:?}",
                    self.purges[which]
                )
            })
        });
        if let Some(missed) = missed {
            self.violate(missed);
        }
    }
}
