//! What this process knows of the purge log.
//!
//! A [`View`] belongs to one epoch and is never reused for another: a decision takes the `Arc` once
//! and so cannot mix two epochs (PROTOCOL 4 `[one_view]`). [`Views`] holds the current one, and what
//! outlives epochs: purges that wait to be appended, and tags that settle.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::watch;

use crate::clock::{Clock, millis};
use crate::defaults;
use crate::log::pending::Pending;
use crate::log::roll::WaitTime;
use crate::log::settling::Settling;
use crate::log::{NumberedRecord, PurgeRecord, Regions, Tail, UpdateHub};
use crate::outcome::Detail;
use crate::position::{Epoch, Position, Stamp};
use crate::sync::{AtomicU64, RwLock};
use crate::tag::PurgeKind;
use crate::validity::{Bounds, Memory, Subject, Verdict};
use crate::weaken::{ProtocolRule, weakened};

mod applying;
#[cfg(feature = "live")]
mod following;
mod judging;

#[cfg(feature = "live")]
pub(crate) use self::following::{Listening, LossReason, NextTold, Resumption};

/// The purges of one epoch up to a position. Written by the follower and by whoever reads the log on
/// a request's behalf; read by every lookup.
#[derive(Debug)]
pub(crate) struct View {
    epoch: Epoch,
    /// Every record up to here is in `memory`. Moved only under `memory`'s write lock, with release
    /// order, so that whoever reads a position finds the marks that belong to it.
    position: AtomicU64,
    /// No purge newer than this is remembered: a stamp at or past it needs no look at `memory`.
    newest: AtomicU64,
    memory: RwLock<Memory>,
    /// Monotonic milliseconds until which Redis is known to have been heard (PROTOCOL 21).
    lease_until: AtomicU64,
}

/// What came of applying records to a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApplyResult {
    /// All of them.
    All,
    /// All, but some had been missed; the floor is now this ordinal.
    Gap(u64),
    /// They belong to another epoch: join it.
    OtherEpoch,
}

impl View {
    /// The view of a node that joins at the end of `tail` (PROTOCOL 10): it knows the purges that
    /// the log still holds without a hole, and nothing older.
    fn join(tail: &Tail, bounds: Bounds) -> Self {
        let tip = tail.tip.position;
        let floor = match tail.records.first().map(|first| first.position.ordinal) {
            // The record that opened the epoch is held: nothing came before it.
            Some(0) => 0,
            Some(lowest) => lowest - 1,
            None => tip.ordinal,
        };
        let floor = if weakened(ProtocolRule::BootFloor) {
            0
        } else {
            floor
        };
        let mut memory = Memory::new(bounds, floor);
        for NumberedRecord { position, record } in &tail.records {
            memory.apply(position.ordinal, record.kind, &record.targets);
        }
        Self {
            epoch: tip.epoch,
            position: AtomicU64::new(tip.ordinal),
            newest: AtomicU64::new(tip.ordinal),
            memory: RwLock::new(memory),
            lease_until: AtomicU64::new(0),
        }
    }

    /// Where this process is in the log.
    pub(crate) fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            ordinal: self.position.load(Ordering::Acquire),
        }
    }

    /// The stamp for a response whose generation begins now (PROTOCOL 15).
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp::at(self.position())
    }

    /// Applies what was read, in order; records at or before the position are known already.
    pub(crate) fn apply(&self, records: &[NumberedRecord]) -> ApplyResult {
        let mut outcome = ApplyResult::All;
        let mut memory = self.memory.write();
        for NumberedRecord { position, record } in records {
            if position.epoch != self.epoch {
                return ApplyResult::OtherEpoch;
            }
            let here = self.position.load(Ordering::Relaxed);
            if position.ordinal <= here {
                continue;
            }
            // PROTOCOL 11 [gap]: a hole means that purges were missed.
            if position.ordinal != here + 1 && !weakened(ProtocolRule::Gap) {
                memory.raise_floor(position.ordinal);
                self.newest.fetch_max(position.ordinal, Ordering::Release);
                outcome = ApplyResult::Gap(position.ordinal);
            }
            if weakened(ProtocolRule::MarkFirst) {
                self.position.store(position.ordinal, Ordering::Release);
            }
            memory.apply(position.ordinal, record.kind, &record.targets);
            self.note_newest(position.ordinal, record);
            // PROTOCOL 12 [mark_first]: marks, then the position.
            self.position.store(position.ordinal, Ordering::Release);
        }
        outcome
    }

    /// Whether purges stand between the position and `records`, or between those, that were not read.
    /// What settles is not known then, as after joining (PROTOCOL 10, 32).
    fn would_gap(&self, records: &[NumberedRecord]) -> bool {
        let mut here = self.position.load(Ordering::Acquire);
        records.iter().map(|read| read.position).any(|position| {
            let gap = position.epoch == self.epoch && position.ordinal > here + 1;
            here = here.max(position.ordinal);
            gap
        })
    }

    /// The records up to `tip` cannot be read: everything stamped below it is invalid from now on. Whether there were any.
    pub(crate) fn skip_to(&self, tip: u64) -> bool {
        let mut memory = self.memory.write();
        let skips = tip > self.position.load(Ordering::Relaxed);
        if skips {
            memory.raise_floor(tip);
            self.newest.fetch_max(tip, Ordering::Release);
            self.position.store(tip, Ordering::Release);
        }
        skips
    }

    /// Applies the marks of a record of our own at once, without taking its id for a position reached
    /// (PROTOCOL 13 `[own_ack]`): records of others may stand before it.
    fn apply_own(&self, ordinal: u64, record: &PurgeRecord) {
        let mut memory = self.memory.write();
        memory.apply(ordinal, record.kind, &record.targets);
        self.note_newest(ordinal, record);
        if weakened(ProtocolRule::OwnAck) {
            self.position.fetch_max(ordinal, Ordering::Release);
        }
    }

    /// A record without targets (one that opens an epoch, or announces) leaves every older stamp valid.
    fn note_newest(&self, ordinal: u64, record: &PurgeRecord) {
        if record.kind != PurgeKind::Open && !record.targets.is_empty() {
            self.newest.fetch_max(ordinal, Ordering::Release);
        }
    }

    /// Judges a response by the purges of this view alone.
    fn judge(&self, subject: Subject<'_>) -> Verdict {
        let stamp = subject.stamp.position();
        // PROTOCOL 5 [epoch_check].
        if stamp.epoch != self.epoch && !weakened(ProtocolRule::EpochCheck) {
            return Verdict::Purged(Detail::OtherEpoch);
        }
        if stamp.ordinal >= self.newest.load(Ordering::Acquire) {
            return Verdict::Valid;
        }
        self.memory.read().judge(subject)
    }

    fn extend_lease(&self, until: Duration) {
        self.lease_until.fetch_max(millis(until), Ordering::AcqRel);
    }

    fn end_lease(&self) {
        self.lease_until.store(0, Ordering::Release);
    }

    /// Whether the lease holds at `now` (monotonic).
    pub(crate) fn leased(&self, now: Duration) -> bool {
        now.as_millis() < u128::from(self.lease_until.load(Ordering::Acquire))
    }

    /// Until when the lease runs (monotonic milliseconds); zero if it was never had, or ended. To be loaded before the
    /// marks are looked at, and compared with a clock that is read after them (PROTOCOL 21 `[lease_first]`).
    pub(crate) fn lease_end(&self) -> u64 {
        self.lease_until.load(Ordering::Acquire)
    }

    /// Until when the lease runs (monotonic); zero if it was never had, or ended.
    fn lease_until(&self) -> Duration {
        Duration::from_millis(self.lease_until.load(Ordering::Acquire))
    }

    /// The floor, for the log line and tests.
    pub(crate) fn floor(&self) -> u64 {
        self.memory.read().floor()
    }
}

/// The current view of this process, and what outlives it. Shared by every part of one cache.
#[derive(Debug)]
pub(crate) struct Views {
    current: ArcSwapOption<View>,
    /// Tells waiters that the position moved or the view was replaced.
    moved: watch::Sender<()>,
    bounds: Bounds,
    lease: Duration,
    longest_lease: Duration,
    wait_time: WaitTime,
    clock: Arc<dyn Clock>,
    /// Whether somebody waits for this node to say up to where it has applied the log, told anew each time that it has
    /// applied more of what is asked for (PROTOCOL 36).
    asked: watch::Sender<bool>,
    pub(super) pending: Pending,
    settling: Settling,
    pub(crate) updates: UpdateHub,
    /// Those that must be heard for anything to be a hit (PROTOCOL 39g); none by default.
    regions: Option<Regions>,
}

impl Views {
    pub(crate) fn new(bounds: Bounds, lease: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            moved: watch::Sender::new(()),
            bounds,
            lease,
            longest_lease: defaults::LONGEST_LEASE,
            wait_time: WaitTime::new(),
            asked: watch::Sender::new(false),
            settling: Settling::new(bounds.marks),
            clock,
            pending: Pending::default(),
            updates: UpdateHub::new(),
            regions: None,
        }
    }

    /// Serves nothing from what is stored while one of `regions` was not heard for too long.
    pub(crate) fn with_regions(mut self, regions: Option<Regions>) -> Self {
        self.regions = regions;
        self
    }

    /// What is wrong with the regions that must be heard.
    pub(crate) fn region_troubles(&self) -> Vec<crate::log::Trouble> {
        let now = self.clock.monotonic();
        self.regions
            .iter()
            .flat_map(|regions| regions.troubles(now))
            .collect()
    }

    /// The current view; none before the log was first reached.
    pub(crate) fn current(&self) -> Option<Arc<View>> {
        self.current.load_full()
    }

    /// The current view for a moment, without a share in it.
    pub(crate) fn borrow(&self) -> Guard<Option<Arc<View>>> {
        self.current.load()
    }

    /// How many records a joining node reads.
    pub(crate) const fn tail_limit(&self) -> usize {
        self.bounds.marks
    }

    pub(crate) const fn lease(&self) -> Duration {
        self.lease
    }

    /// The longest lease that a node of this log can have.
    pub(crate) const fn longest_lease(&self) -> Duration {
        self.longest_lease
    }

    /// For tests and benches, in which all nodes say the same.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) const fn with_longest_lease(mut self, longest: Duration) -> Self {
        self.longest_lease = longest;
        self
    }

    /// The time by which purges wait, of which the model test decides.
    #[cfg(test)]
    pub(crate) fn waiting_by_clock(mut self) -> Self {
        self.wait_time.clock = Some(Arc::clone(&self.clock));
        self
    }

    pub(crate) fn wait_time(&self) -> WaitTime {
        self.wait_time.clone()
    }

    /// Says whether this node is asked what it has applied.
    pub(crate) fn asked(&self) -> watch::Receiver<bool> {
        self.asked.subscribe()
    }

    /// The longest settling time in use, known from the configuration.
    pub(crate) fn expect_settle(&self, longest: Duration) {
        self.settling.expect(longest);
    }

    /// Replaces the view by one that joins at the end of `tail`, unless it is of that epoch already.
    /// Returns the view and whether it is new.
    pub(crate) fn join(&self, tail: &Tail) -> (Arc<View>, bool) {
        let mut current = self.current.load_full();
        loop {
            if let Some(view) = current
                .as_ref()
                .filter(|view| view.epoch == tail.tip.position.epoch)
            {
                return (Arc::clone(view), false);
            }
            // Settling first, so that nobody fills through the new view without it (PROTOCOL 32).
            let longest = tail.records.iter().map(|read| read.record.settle).max();
            self.settling
                .joined(self.clock.monotonic(), longest.unwrap_or_default());
            let joined = Arc::new(View::join(tail, self.bounds));
            // Held until the board has joined too: nothing of this epoch is told before.
            let mut board = self.updates.board.lock();
            let before = self
                .current
                .compare_and_swap(&current, Some(Arc::clone(&joined)));
            if before.as_ref().map(Arc::as_ptr) == current.as_ref().map(Arc::as_ptr) {
                board.join(tail.tip.position, &tail.records, self.wait_time.now());
                drop(board);
                self.moved.send_replace(());
                // Records that ask may have been cut off.
                self.asked.send_replace(true);
                return (joined, true);
            }
            current = before.clone();
        }
    }

    /// The lease runs from `sent`, when the heartbeat that saw `tip` was sent, and only for a view
    /// that has reached that tip (PROTOCOL 21 `[lease_send]`, `[caught_up]`).
    pub(crate) fn extend_lease(&self, view: &View, sent: Duration, tip: Position) {
        if let Some(regions) = &self.regions {
            regions.saw_tip(sent, tip);
        }
        if view.position().reaches(tip) || weakened(ProtocolRule::CaughtUp) {
            view.extend_lease(sent + self.lease);
        }
    }

    /// The heartbeat was refused or came from a server that may not be used.
    pub(crate) fn end_lease(&self) {
        if let Some(view) = self.current() {
            view.end_lease();
        }
    }

    /// Whether strict lookups may use `view` on a server with replicas (PROTOCOL 22).
    pub(crate) fn leased(&self, view: &View) -> bool {
        view.leased(self.clock.monotonic())
    }

    /// Returns when this process has read up to `position`.
    pub(crate) async fn wait_for(&self, position: Position) {
        let mut moved = self.watch();
        let reached = || {
            let view = self.current();
            view.is_some_and(|view| view.position().reaches(position))
        };
        while !reached() && moved.changed().await.is_ok() {}
    }

    /// Waits until the position has moved since this was called, or the view was replaced.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }
}

#[cfg(test)]
mod tests;
