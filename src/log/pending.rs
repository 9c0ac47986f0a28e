//! Purges that are in force in this process and not yet known to be in the log (PROTOCOL 24).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use crate::clock::Timestamp;
use crate::log::PurgeRecord;
use crate::outcome::Detail;
use crate::sync::{AtomicUsize, Mutex};
use crate::tag::{PurgeKind, TagId, Target};
use crate::validity::{Glob, Subject, Verdict};

/// The most targets that waiting purges may name; more turn all of them into a purge of everything.
const LIMIT: usize = 10_000;

/// Each counts as a mark above every stamp until it is appended.
#[derive(Debug)]
pub(crate) struct Pending {
    /// How many are in force; the usual case, none, costs one load.
    count: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In force, by number: being appended right now, or waiting.
    records: HashMap<u64, PurgeRecord>,
    /// Those that wait for the log to come back, in order.
    waiting: VecDeque<u64>,
}

impl State {
    /// How many targets wait, those of purge `number` included.
    fn targets_with(&self, number: u64) -> usize {
        let all = self.waiting.iter().chain([&number]);
        let records = all.filter_map(|number| self.records.get(number));
        records.map(|record| record.targets.len()).sum()
    }

    /// Whether an equal purge waits, which will be appended later than now.
    fn waits_already(&self, number: u64) -> bool {
        let Some(record) = self.records.get(&number) else {
            return true;
        };
        let equal = |other: &PurgeRecord| {
            (other.kind, &other.targets, other.settle)
                == (record.kind, &record.targets, record.settle)
        };
        let mut waiting = self
            .waiting
            .iter()
            .filter_map(|waits| self.records.get(waits));
        waiting.any(equal)
    }
}

/// One purge in force. Dropped without [`appended`](Ticket::appended), it waits to be appended: a caller
/// that stops waiting for its purge does not undo it.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    pending: &'a Pending,
    number: u64,
    done: bool,
}

impl Pending {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// Puts `record` in force.
    pub(crate) fn begin(&self, record: &PurgeRecord) -> Ticket<'_> {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.records.insert(number, record.clone());
        self.count.store(state.records.len(), Ordering::Release);
        Ticket {
            pending: self,
            number,
            done: false,
        }
    }

    /// The purge that waits longest, if any.
    pub(crate) fn first_waiting(&self) -> Option<(Ticket<'_>, PurgeRecord)> {
        let mut state = self.state.lock();
        let number = state.waiting.pop_front()?;
        let record = state.records.get(&number)?.clone();
        Some((
            Ticket {
                pending: self,
                number,
                done: false,
            },
            record,
        ))
    }

    /// How many wait to be appended.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// What the purges in force mean for a response.
    pub(crate) fn judge(&self, subject: Subject<'_>) -> Verdict {
        if self.count.load(Ordering::Acquire) == 0 {
            return Verdict::Valid;
        }
        let mut verdict = Verdict::Valid;
        for record in self.state.lock().records.values() {
            if record.targets.iter().any(|target| names(target, subject)) {
                if record.kind == PurgeKind::Hard {
                    return Verdict::Purged(Detail::PurgePending);
                }
                verdict = Verdict::Soft(Detail::PurgePending);
            }
        }
        verdict
    }
}

fn names(target: &Target, subject: Subject<'_>) -> bool {
    match target {
        Target::Glob(pattern) => Glob::new(pattern).matches(subject.path),
        _ => target
            .id()
            .is_some_and(|id: TagId| subject.tags.contains(id)),
    }
}

impl Ticket<'_> {
    /// The record is in the log, and its marks are applied.
    pub(crate) fn appended(mut self) {
        self.done = true;
        let mut state = self.pending.state.lock();
        state.records.remove(&self.number);
        self.pending
            .count
            .store(state.records.len(), Ordering::Release);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.pending.state.lock();
        if state.waits_already(self.number) {
            // A caller that tries again and again (a consumer of events) needs one place.
            state.records.remove(&self.number);
            self.pending
                .count
                .store(state.records.len(), Ordering::Release);
            return;
        }
        if state.targets_with(self.number) <= LIMIT {
            state.waiting.push_back(self.number);
            return;
        }
        // Overflow: one purge of everything stands for all that waited. Those being appended right
        // now keep their own tickets.
        let at = state
            .records
            .get(&self.number)
            .map_or_else(Timestamp::default, |record| record.at);
        let dropped: Vec<u64> = state.waiting.drain(..).chain([self.number]).collect();
        let settle = dropped
            .iter()
            .filter_map(|number| state.records.remove(number))
            .map(|r| r.settle)
            .max();
        let mut everything = PurgeRecord::everything(at);
        everything.settle = settle.unwrap_or_default();
        let number = state.next;
        state.next += 1;
        state.records.insert(number, everything);
        state.waiting.push_back(number);
        self.pending
            .count
            .store(state.records.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Position, Stamp};
    use crate::tag::{Tag, TagSet};
    use std::time::Duration;

    fn record(kind: PurgeKind, target: Target) -> PurgeRecord {
        PurgeRecord {
            kind,
            targets: vec![target],
            settle: Duration::ZERO,
            at: Timestamp::default(),
        }
    }

    fn tag(text: &str) -> Target {
        Target::Tag(Tag::new(text).unwrap())
    }

    fn judge(pending: &Pending, text: &str) -> Verdict {
        let mut tags = TagSet::implicit("r", "/p");
        tags.add(&Tag::new(text).unwrap()).unwrap();
        let stamp = Stamp::at(Position::new(1, u64::MAX));
        pending.judge(Subject {
            stamp,
            tags: &tags,
            path: "/p",
        })
    }

    #[test]
    fn a_purge_is_in_force_from_its_call_to_its_append() {
        let pending = Pending::new();
        let ticket = pending.begin(&record(PurgeKind::Hard, tag("x")));
        assert_eq!(judge(&pending, "x"), Verdict::Purged(Detail::PurgePending));
        assert_eq!(judge(&pending, "y"), Verdict::Valid);
        ticket.appended();
        assert_eq!(judge(&pending, "x"), Verdict::Valid);
    }

    #[test]
    fn a_purge_whose_caller_gives_up_waits_and_stays_in_force() {
        let pending = Pending::new();
        drop(pending.begin(&record(PurgeKind::Soft, Target::Glob("/p".into()))));
        assert_eq!(judge(&pending, "x"), Verdict::Soft(Detail::PurgePending));
        let (ticket, again) = pending.first_waiting().unwrap();
        assert_eq!(again.kind, PurgeKind::Soft);
        drop(ticket);
        assert_eq!(pending.waiting(), 1);
        pending.first_waiting().unwrap().0.appended();
        assert_eq!(judge(&pending, "x"), Verdict::Valid);
    }

    #[test]
    fn a_purge_tried_again_and_again_waits_once() {
        let pending = Pending::new();
        for _ in 0..3 {
            drop(pending.begin(&record(PurgeKind::Hard, tag("x"))));
        }
        assert_eq!(pending.waiting(), 1);
        pending.first_waiting().unwrap().0.appended();
        assert_eq!(judge(&pending, "x"), Verdict::Valid);
    }

    #[test]
    fn too_many_waiting_purges_become_one_of_everything() {
        let pending = Pending::new();
        for n in 0..=LIMIT {
            drop(pending.begin(&record(PurgeKind::Hard, tag(&format!("{n}")))));
        }
        assert_eq!(pending.waiting(), 1);
        assert_eq!(
            judge(&pending, "never purged"),
            Verdict::Purged(Detail::PurgePending)
        );
    }
}
