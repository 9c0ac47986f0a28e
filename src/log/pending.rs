//! Purges that are in force in this process and not yet known to be in the log (PROTOCOL 24).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use crate::log::PurgeRecord;
use crate::outcome::Detail;
use crate::position::{Epoch, Position};
use crate::sync::{AtomicUsize, Mutex};
use crate::tag::{PurgeKind, TagId, Target};
use crate::validity::{Glob, Subject, Verdict};

/// The most targets that waiting purges may name; more turn all of them into a purge of everything.
const LIMIT: usize = 10_000;

/// Targets, and bytes of them, that purges which wait bring into one record; that of the last may exceed it.
const TOGETHER: usize = 256;
const BYTES_TOGETHER: usize = 32 * 1024;

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
    /// In force, by number: being appended right now, waiting, or in doubt.
    records: HashMap<u64, InForce>,
    /// Those that wait for the log to come back, in order.
    waiting: VecDeque<u64>,
}

#[derive(Debug)]
struct InForce {
    record: PurgeRecord,
    /// What `Cache-Status` says of it.
    detail: Detail,
    /// Where it is in the log, if it is, and not as durable as it should be.
    logged: Option<Position>,
    /// Who waits until it is in the log for good.
    waiters: Vec<oneshot::Sender<()>>,
}

impl InForce {
    fn new(record: &PurgeRecord) -> Self {
        Self {
            record: record.clone(),
            detail: Detail::PurgePending,
            logged: None,
            waiters: Vec::new(),
        }
    }
}

impl State {
    /// How many targets wait, those of purge `number` included.
    fn targets_with(&self, number: u64) -> usize {
        let all = self.waiting.iter().chain([&number]);
        let records = all.filter_map(|number| self.records.get(number));
        records.map(|held| held.record.targets.len()).sum()
    }

    /// An equal purge that waits, which will be appended later than now.
    fn waits_already(&self, number: u64) -> Option<u64> {
        let record = &self.records.get(&number)?.record;
        let equal = |waits: &&u64| {
            self.records.get(waits).is_some_and(|other| {
                if other.logged.is_some() {
                    return false;
                }
                let other = &other.record;
                (other.kind, &other.targets, other.settle)
                    == (record.kind, &record.targets, record.settle)
            })
        };
        self.waiting.iter().find(equal).copied()
    }

    /// Ends one, and lets those who waited for it wait for another.
    fn replace(&mut self, number: u64, by: u64) {
        let Some(ended) = self.records.remove(&number) else {
            return;
        };
        if let Some(other) = self.records.get_mut(&by) {
            other.waiters.extend(ended.waiters);
        }
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
        state.records.insert(number, InForce::new(record));
        self.count.store(state.records.len(), Ordering::Release);
        Ticket {
            pending: self,
            number,
            done: false,
        }
    }

    /// Puts `record` in force for good, until [`trust`](Self::trust): it is never appended.
    pub(crate) fn doubt(&self, record: &PurgeRecord) -> u64 {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        let mut held = InForce::new(record);
        held.detail = Detail::EventsUnread;
        state.records.insert(number, held);
        self.count.store(state.records.len(), Ordering::Release);
        number
    }

    /// Ends a [`doubt`](Self::doubt).
    pub(crate) fn trust(&self, number: u64) {
        let mut state = self.state.lock();
        state.records.remove(&number);
        self.count.store(state.records.len(), Ordering::Release);
    }

    /// The purge that waits longest, if any, and in one record with it those behind it that are of its kind:
    /// unsafe requests purge by the thousand (SAFETY 75). Those that are in the log already come last, alone.
    pub(crate) fn first_waiting(&self) -> Option<(Tickets<'_>, PurgeRecord)> {
        let mut state = self.state.lock();
        let is_new = |number: &u64| {
            let held = state.records.get(number);
            held.is_some_and(|held| held.logged.is_none())
        };
        let first = state.waiting.iter().position(is_new).unwrap_or(0);
        let number = state.waiting.remove(first)?;
        let mut record = state.records.get(&number)?.record.clone();
        let (mut tickets, mut bytes) = (vec![self.ticket(number)], 0);
        while let Some(next) = state.waiting.get(first).copied()
            && let Some(held) = state.records.get(&next)
            && held.logged.is_none()
            && state
                .records
                .get(&number)
                .is_some_and(|held| held.logged.is_none())
            && record.joins(&held.record)
            && record.targets.len() < TOGETHER
            && bytes < BYTES_TOGETHER
        {
            let names = held.record.targets.iter();
            bytes += names.map(|target| target.name().len()).sum::<usize>();
            record.targets.extend(held.record.targets.iter().cloned());
            record.at = record.at.max(held.record.at);
            tickets.push(self.ticket(next));
            state.waiting.remove(first);
        }
        // The order in which they wait again if the log does not take them.
        tickets.reverse();
        Some((Tickets(tickets), record))
    }

    const fn ticket(&self, number: u64) -> Ticket<'_> {
        Ticket {
            pending: self,
            number,
            done: false,
        }
    }

    /// How many wait to be appended.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// What the purges in force mean for a response, to whoever knows the log of `epoch`.
    pub(crate) fn judge(&self, subject: Subject<'_>, epoch: Epoch) -> Verdict {
        if self.count.load(Ordering::Acquire) == 0 {
            return Verdict::Valid;
        }
        let mut verdict = Verdict::Valid;
        for held in self.state.lock().records.values() {
            let InForce { record, detail, .. } = held;
            // Its mark is in the view, as of all that are in the log.
            if held.logged.is_some_and(|position| position.epoch == epoch) {
                continue;
            }
            if record.targets.iter().any(|target| names(target, subject)) {
                if record.kind == PurgeKind::Hard {
                    return Verdict::Purged(*detail);
                }
                verdict = Verdict::Soft(*detail);
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

/// Those of purges that are one record.
#[derive(Debug)]
pub(crate) struct Tickets<'a>(pub(super) Vec<Ticket<'a>>);

impl Tickets<'_> {
    /// The record is in the log, and its marks are applied.
    pub(crate) fn appended(self) {
        self.0.into_iter().for_each(Ticket::appended);
    }
}

impl Ticket<'_> {
    /// Resolves when the record is in the log, or another one that stands for it.
    pub(crate) fn in_log(&self) -> oneshot::Receiver<()> {
        let (told, waits) = oneshot::channel();
        if let Some(held) = self.pending.state.lock().records.get_mut(&self.number) {
            held.waiters.push(told);
        }
        waits
    }

    /// Where the record is in the log, if it is.
    pub(crate) fn logged(&self) -> Option<Position> {
        self.pending.state.lock().records.get(&self.number)?.logged
    }

    /// The record is in the log there, its marks are applied, and it is not durable yet; or it is in the
    /// log no more.
    pub(crate) fn set_logged(&self, position: Option<Position>) {
        if let Some(held) = self.pending.state.lock().records.get_mut(&self.number) {
            held.logged = position;
        }
    }

    /// The record is in the log, and its marks are applied.
    pub(crate) fn appended(mut self) {
        self.done = true;
        let mut state = self.pending.state.lock();
        let ended = state.records.remove(&self.number);
        self.pending
            .count
            .store(state.records.len(), Ordering::Release);
        for waiter in ended.map(|ended| ended.waiters).unwrap_or_default() {
            // Whoever waited may have gone.
            let _ = waiter.send(());
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.pending.state.lock();
        if !state.records.contains_key(&self.number) {
            return;
        }
        if let Some(equal) = state.waits_already(self.number) {
            // A caller that tries again and again needs one place.
            state.replace(self.number, equal);
        } else if state.targets_with(self.number) <= LIMIT {
            state.waiting.push_back(self.number);
        } else {
            state.overflow(self.number);
        }
        self.pending
            .count
            .store(state.records.len(), Ordering::Release);
    }
}

impl State {
    /// One purge of everything stands for all that waited, and for `last`. Those being appended right
    /// now keep their own tickets.
    fn overflow(&mut self, last: u64) {
        let dropped: Vec<u64> = self.waiting.drain(..).chain([last]).collect();
        let records = dropped.iter().filter_map(|number| self.records.get(number));
        let at = records.clone().map(|held| held.record.at).max();
        let settle = records.map(|held| held.record.settle).max();
        let mut everything = PurgeRecord::everything(at.unwrap_or_default());
        everything.settle = settle.unwrap_or_default();
        let number = self.next;
        self.next += 1;
        self.records.insert(number, InForce::new(&everything));
        self.waiting.push_back(number);
        for old in dropped {
            self.replace(old, number);
        }
    }
}

#[cfg(test)]
mod tests;
