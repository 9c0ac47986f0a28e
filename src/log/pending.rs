//! Purges that are in force in this process and not yet known to be in the log (PROTOCOL 24).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use crate::log::{AnnouncementStage, PurgeRecord, RecordUpdates};
use crate::outcome::Detail;
use crate::position::{Epoch, Position};
use crate::sync::{AtomicUsize, Mutex};
use crate::update::Update;
use crate::validity::{Subject, Verdict};

mod index;

use self::index::{InForces, Waiting, weight};

/// The most targets, and updates of about this many bytes, that waiting purges may have; more turn all of them into a purge of
/// everything.
const LIMIT: usize = 10_000;

/// Targets, and bytes of them, that purges which wait bring into one record; that of the last may exceed it.
const TOGETHER: usize = 256;
const BYTES_TOGETHER: usize = 32 * 1024;

/// Each counts as a mark above every stamp until it is appended.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// How many are in force; the usual case, none, costs one load.
    count: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: InForces,
    /// Those that wait for the log to come back.
    waiting: Waiting,
}

#[derive(Debug)]
struct InForce {
    record: PurgeRecord,
    /// What `Cache-Status` says of it.
    detail: Detail,
    /// Where it is in the log, if it is, and not as durable as it should be.
    logged: Option<Position>,
    /// Nobody's call waits for it, and it is being appended.
    taken: bool,
    /// Who waits until it is in the log for good, and is told where.
    waiters: Vec<oneshot::Sender<Position>>,
}

impl InForce {
    fn new(record: &PurgeRecord) -> Self {
        Self {
            record: record.clone(),
            detail: Detail::PurgePending,
            logged: None,
            taken: false,
            waiters: Vec::new(),
        }
    }
}

impl State {
    /// Ends one, and lets those who waited for it wait for another.
    fn replace(&mut self, number: u64, by: u64) {
        let Some(ended) = self.held.remove(number) else {
            return;
        };
        if let Some(other) = self.held.records.get_mut(&by) {
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
    /// Puts `record` in force.
    pub(crate) fn begin(&self, record: &PurgeRecord) -> Ticket<'_> {
        let mut state = self.state.lock();
        let number = state.held.insert(InForce::new(record));
        self.count
            .store(state.held.records.len(), Ordering::Release);
        self.ticket(number)
    }

    /// Puts `record` in force for good, until [`trust`](Self::trust): it is never appended.
    pub(crate) fn doubt(&self, record: &PurgeRecord) -> u64 {
        let mut held = InForce::new(record);
        held.detail = Detail::EventsUnread;
        let mut state = self.state.lock();
        let number = state.held.insert(held);
        self.count
            .store(state.held.records.len(), Ordering::Release);
        number
    }

    /// Ends a [`doubt`](Self::doubt).
    pub(crate) fn trust(&self, number: u64) {
        let mut state = self.state.lock();
        state.held.remove(number);
        self.count
            .store(state.held.records.len(), Ordering::Release);
    }

    /// The purge that waits longest, if any, and in one record with it those behind it that are of its kind:
    /// unsafe requests purge by the thousand (SAFETY 75). Those that are in the log already come last, alone.
    pub(crate) fn first_waiting(&self) -> Option<(Tickets<'_>, PurgeRecord)> {
        let mut state = self.state.lock();
        let (number, is_new) = state.waiting.pop_first()?;
        let mut record = state.held.records.get(&number)?.record.clone();
        let (mut tickets, mut bytes) = (vec![self.ticket(number)], 0);
        while is_new
            && let Some(next) = state.waiting.first_new()
            && let Some(held) = state.held.records.get(&next)
            && record.joins(&held.record)
            && record.targets.len() < TOGETHER
            && bytes < BYTES_TOGETHER
        {
            let names = held.record.targets.iter();
            bytes += names.map(|target| target.name().len()).sum::<usize>();
            record.targets.extend(held.record.targets.iter().cloned());
            record.at = record.at.max(held.record.at);
            record.asks |= held.record.asks;
            tickets.push(self.ticket(next));
            state.waiting.pop_first();
        }
        for ticket in &tickets {
            if let Some(held) = state.held.records.get_mut(&ticket.number) {
                held.taken = true;
            }
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

    /// How many nobody's call waits for any more and are not in the log: those that wait, and those that are being
    /// appended, which can take as long as the log is away.
    pub(crate) fn unappended(&self) -> usize {
        let state = self.state.lock();
        let taken = state.held.records.values().filter(|held| held.taken);
        state.waiting.len() + taken.count()
    }

    /// What the purges in force mean for a response, to whoever knows the log of `epoch`.
    // Each hit asks, and mostly none waits.
    #[inline]
    pub(crate) fn judge(&self, subject: Subject<'_>, epoch: Epoch) -> Verdict {
        match self.count.load(Ordering::Acquire) {
            0 => Verdict::Valid,
            _ => self.judge_held(subject, epoch),
        }
    }

    #[cold]
    fn judge_held(&self, subject: Subject<'_>, epoch: Epoch) -> Verdict {
        self.state.lock().held.judge(subject, epoch)
    }
}

/// Those of purges that are one record.
#[derive(Debug)]
pub(crate) struct Tickets<'a>(pub(super) Vec<Ticket<'a>>);

impl Tickets<'_> {
    /// The record is in the log at `position`, and its marks are applied.
    pub(crate) fn appended(self, position: Position) {
        let tickets = self.0.into_iter();
        tickets.for_each(|ticket| ticket.appended(position));
    }
}

impl Ticket<'_> {
    /// Resolves when the record is in the log, or another one that stands for it, with its position.
    pub(crate) fn in_log(&self) -> oneshot::Receiver<Position> {
        let (told, waits) = oneshot::channel();
        if let Some(held) = self.pending.state.lock().held.records.get_mut(&self.number) {
            held.waiters.push(told);
        }
        waits
    }

    /// Where the record is in the log, if it is.
    pub(crate) fn logged(&self) -> Option<Position> {
        self.pending
            .state
            .lock()
            .held
            .records
            .get(&self.number)?
            .logged
    }

    /// The record is in the log there, its marks are applied, and it is not durable yet; or it is in the
    /// log no more.
    pub(crate) fn set_logged(&self, position: Option<Position>) {
        if let Some(held) = self.pending.state.lock().held.records.get_mut(&self.number) {
            held.logged = position;
        }
    }

    /// The record is in the log at `position`, and its marks are applied.
    pub(crate) fn appended(mut self, position: Position) {
        self.done = true;
        let mut state = self.pending.state.lock();
        let ended = state.held.remove(self.number);
        self.pending
            .count
            .store(state.held.records.len(), Ordering::Release);
        for waiter in ended.map(|ended| ended.waiters).unwrap_or_default() {
            // Whoever waited may have gone.
            let _ = waiter.send(position);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.pending.state.lock();
        let State { held, waiting } = &mut *state;
        if let Some(ours) = held.records.get_mut(&self.number) {
            ours.taken = false;
        }
        let Some(ours) = held.records.get(&self.number) else {
            return;
        };
        if let Some(equal) = waiting.alike(&ours.record, held) {
            // A caller that tries again and again needs one place.
            state.replace(self.number, equal);
        } else if waiting.weight() + weight(&ours.record) <= LIMIT {
            waiting.push_back(self.number, ours);
        } else {
            state.overflow(self.number);
        }
        self.pending
            .count
            .store(state.held.records.len(), Ordering::Release);
    }
}

impl State {
    /// One purge of everything stands for all that waited, and for `last`. Those being appended right
    /// now keep their own tickets.
    fn overflow(&mut self, last: u64) {
        let mut dropped = self.waiting.drain();
        dropped.push(last);
        let records = dropped
            .iter()
            .filter_map(|number| self.held.records.get(number));
        let at = records.clone().map(|held| held.record.at).max();
        let settle = records.clone().map(|held| held.record.settle).max();
        let owe = |held: &InForce| held.record.updates.is_some();
        let updates = records.clone().any(owe).then(|| {
            let resync = Update::resync("too many purges waited for the log");
            Arc::new(RecordUpdates {
                stage: AnnouncementStage::Owed,
                updates: vec![Arc::new(resync)],
            })
        });
        let mut everything = PurgeRecord::everything(at.unwrap_or_default());
        everything.settle = settle.unwrap_or_default();
        everything.asks = true;
        everything.updates = updates;
        let held = InForce::new(&everything);
        let number = self.held.next();
        self.waiting.push_back(number, &held);
        self.held.insert(held);
        for old in dropped {
            // Whoever waits to have people told of his own makes it again.
            if let Some(held) = self.held.records.get_mut(&old)
                && held.record.updates.is_some()
            {
                held.waiters.clear();
            }
            self.replace(old, number);
        }
    }
}

#[cfg(test)]
mod tests;
