//! The breaker of one link: after failures requests stop asking Redis (P3, SAFETY 57, 58 and 88).
//!
//! Where heartbeats are sent, no request finds out at its own expense whether Redis is back, and none waits
//! for what is known to hang:
//!
//! - Closed → doubted, when an operation fails. The heartbeat that is asked for then decides, and until it has, nothing is
//!   asked: those that wait already are let go.
//! - A heartbeat that fails opens it, whatever was before; those that are answered close it. One is
//!   enough the first time; what opens again soon has to be answered more often.
//! - A time-out that was noticed late says that this process is busy, and nothing about Redis.
//! - [`STREAK`] failures in a row that heartbeats contradict open it for a while, which gets longer.
//!
//! Where none are sent (the companion does not run): closed → open after [`STREAK`] failures in a row, or when half
//! of the last [`WINDOW`] failed; open → one operation probes after [`FIRST`], then after twice as long each
//! time it fails, up to [`LONGEST`], jittered so that nodes do not come back in step. A probe that succeeds closes it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::log::Pulse;
use crate::observe::{Notice, SharedObserver};

const STREAK: u32 = 5;
const WINDOW: u32 = 20;
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
const BACKOFF: Backoff = Backoff::new(FIRST, LONGEST);
/// What opens again within it is closed by more heartbeats, up to [`MOST_BEATS`].
const SOON: Duration = Duration::from_secs(10);
const MOST_BEATS: u32 = 4;
/// How late a time-out may be noticed and still be one of Redis.
const SLIP: Duration = Duration::from_millis(5);

/// Guards the operations on one link.
#[derive(Debug)]
pub(crate) struct Breaker {
    clock: Arc<dyn Clock>,
    /// Told of changes, if requests depend on it.
    observer: Option<SharedObserver>,
    pulse: Arc<Pulse>,
    /// How long an operation may take.
    budget: Duration,
    state: Mutex<State>,
    /// Told when nothing is to be waited for any more.
    shut: Notify,
}

impl Breaker {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        observer: Option<SharedObserver>,
        pulse: Arc<Pulse>,
        budget: Duration,
    ) -> Self {
        Self {
            clock,
            observer,
            pulse,
            budget,
            state: Mutex::new(State::default()),
            shut: Notify::new(),
        }
    }

    /// Runs `operation`, or refuses to while open. `counts` says which errors speak against the
    /// server; any other one shows that it answers.
    ///
    /// # Errors
    /// [`ErrorKind::BreakerOpen`], without I/O or as soon as it opens; or the operation's own error.
    ///
    /// # Cancel safety
    /// An operation that is dropped proves nothing; if it was the probe, the next one is.
    pub(crate) async fn run<T>(
        &self,
        counts: impl FnOnce(&Error) -> bool,
        operation: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        // Before the look at the state, so that nothing in between is missed.
        let shut = self.shut.notified();
        let (now, kept) = (self.clock.monotonic(), self.pulse.is_kept());
        let Some(permit) = self.state.lock().admit(now, kept) else {
            return Err(refused());
        };
        let mut running = Running {
            breaker: self,
            permit,
            finding: Finding::Unknown,
        };
        let result = tokio::select! {
            biased;
            result = operation => result,
            () = shut => return Err(refused()),
        };
        running.finding = match &result {
            Err(error) if !counts(error) => Finding::Answered,
            Err(error) if error.kind() == ErrorKind::Timeout && self.is_late(began) => {
                Finding::Late
            }
            Err(_) => Finding::Failed,
            Ok(_) => Finding::Answered,
        };
        result
    }

    /// Whether the end of an operation that began at `began` was noticed so late that this process must have
    /// been busy: the answer may have been there in time.
    fn is_late(&self, began: Instant) -> bool {
        began.elapsed() > self.budget + SLIP.max(self.budget / 4)
    }

    /// What a heartbeat says about the link.
    pub(crate) fn heartbeat(&self, answered: bool) {
        let now = self.clock.monotonic();
        let change = self
            .state
            .lock()
            .heartbeat(answered, now, fastrand::u64(..));
        self.tell(change);
    }

    /// What failed since the last heartbeat did so in a process that was busy, and says nothing about Redis.
    pub(crate) fn excuse(&self) {
        self.state.lock().doubts = 0;
    }

    /// Whether operations are refused until a heartbeat has said something.
    pub(crate) fn is_shut(&self) -> bool {
        !matches!(self.state.lock().phase, Phase::Closed(_))
    }

    fn record(&self, permit: Permit, finding: Finding) {
        let (now, kept) = (self.clock.monotonic(), self.pulse.is_kept());
        let mut state = self.state.lock();
        let change = state.record(permit, finding, now, fastrand::u64(..), kept);
        drop(state);
        if kept && matches!(finding, Finding::Failed | Finding::Late) {
            self.pulse.alarm();
        }
        self.tell(change);
    }

    fn tell(&self, change: Option<Change>) {
        if matches!(change, Some(Change::Opened | Change::Doubted)) {
            self.shut.notify_waiters();
        }
        let Some(observer) = &self.observer else {
            return;
        };
        match change {
            Some(Change::Opened) => {
                tracing::debug!("breaker open: requests go on without redis");
                observer.notify(&Notice::BreakerOpened);
            }
            Some(Change::Closed) => {
                tracing::debug!("breaker closed: redis answers again");
                observer.notify(&Notice::BreakerClosed);
            }
            Some(Change::Doubted) | None => {}
        }
    }
}

fn refused() -> Error {
    let message = "the breaker is open: redis fails or does not answer";
    Error::new(ErrorKind::BreakerOpen, message)
}

/// Tells the breaker how an operation ended, also if it is dropped.
struct Running<'a> {
    breaker: &'a Breaker,
    permit: Permit,
    finding: Finding,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.breaker.record(self.permit, self.finding);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Answered,
    Failed,
    /// It timed out while this process was busy.
    Late,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Opened,
    /// Nothing is asked until the next heartbeat.
    Doubted,
    Closed,
}

/// Leave to run, valid in the round that it was given in: what was begun before the breaker opened
/// says nothing about the server afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Permit {
    round: u64,
}

/// The state machine; time and randomness are arguments.
#[derive(Debug, Default)]
struct State {
    round: u64,
    phase: Phase,
    /// Doubts that heartbeats contradicted since an operation was answered.
    doubts: u32,
    /// When it opened last, and how many heartbeats close it.
    opened: Option<Duration>,
    beats: u32,
}

#[derive(Debug)]
enum Phase {
    Closed(Tally),
    /// The next heartbeat decides.
    Doubted,
    /// Nothing is tried before `until`; a probe that fails then makes the next pause longer.
    Open {
        until: Duration,
        backoff: Backoff,
        /// Heartbeats that were answered since.
        answered: u32,
    },
    /// One probe is under way.
    Probing {
        backoff: Backoff,
    },
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed(Tally::default())
    }
}

/// The last results of a closed breaker.
#[derive(Debug, Default)]
struct Tally {
    streak: u32,
    /// One bit for each of the last `seen` operations, 1 = failed.
    window: u32,
    seen: u32,
}

impl Tally {
    fn add(&mut self, failed: bool) {
        self.streak = if failed { self.streak + 1 } else { 0 };
        self.window = ((self.window << 1) | u32::from(failed)) & ((1 << WINDOW) - 1);
        self.seen = (self.seen + 1).min(WINDOW);
    }

    const fn is_too_much(&self) -> bool {
        self.streak >= STREAK || (self.seen == WINDOW && self.window.count_ones() * 2 >= WINDOW)
    }
}

impl State {
    /// Leave for one operation. Where heartbeats are sent (`kept`), none probes.
    fn admit(&mut self, now: Duration, kept: bool) -> Option<Permit> {
        match self.phase {
            Phase::Closed(_) => {}
            Phase::Doubted | Phase::Open { .. } | Phase::Probing { .. } if kept => return None,
            Phase::Doubted => self.phase = Phase::default(),
            Phase::Open { until, backoff, .. } if now >= until => {
                self.phase = Phase::Probing { backoff };
                self.round += 1;
            }
            Phase::Open { .. } | Phase::Probing { .. } => return None,
        }
        Some(Permit { round: self.round })
    }

    fn record(
        &mut self,
        permit: Permit,
        finding: Finding,
        now: Duration,
        random: u64,
        kept: bool,
    ) -> Option<Change> {
        if permit.round != self.round {
            return None;
        }
        let failed = finding == Finding::Failed || (finding == Finding::Late && !kept);
        match &mut self.phase {
            Phase::Closed(_) if failed && kept => {
                self.round += 1;
                self.phase = Phase::Doubted;
                Some(Change::Doubted)
            }
            Phase::Closed(tally) if failed || finding == Finding::Answered => {
                self.doubts = 0;
                tally.add(failed);
                let opens = tally.is_too_much();
                opens.then(|| self.open(BACKOFF, now, random))
            }
            Phase::Closed(_) | Phase::Doubted | Phase::Open { .. } => None,
            Phase::Probing { .. } if finding == Finding::Answered => Some(self.close()),
            Phase::Probing { backoff } if failed => {
                let backoff = *backoff;
                self.open(backoff, now, random);
                None
            }
            Phase::Probing { backoff } => {
                self.phase = Phase::Open {
                    until: now,
                    backoff: *backoff,
                    answered: 0,
                };
                None
            }
        }
    }

    fn heartbeat(&mut self, answered_now: bool, now: Duration, random: u64) -> Option<Change> {
        match &mut self.phase {
            Phase::Closed(_) if answered_now => None,
            Phase::Doubted if answered_now && self.doubts + 1 < STREAK => {
                self.doubts += 1;
                self.round += 1;
                self.phase = Phase::default();
                None
            }
            Phase::Doubted if answered_now => {
                let backoff = BACKOFF.after(self.doubts + 1 - STREAK);
                self.doubts += 1;
                Some(self.open(backoff, now, random))
            }
            Phase::Closed(_) | Phase::Doubted => {
                let soon = self.opened.is_some_and(|opened| now < opened + SOON);
                self.beats = if soon { self.beats + 1 } else { 0 }.min(MOST_BEATS - 1);
                self.opened = Some(now);
                self.open(BACKOFF, now, random);
                // What heartbeats opened, they close, and nothing else does.
                if let Phase::Open { until, .. } = &mut self.phase {
                    *until = now;
                }
                Some(Change::Opened)
            }
            Phase::Open {
                answered, until, ..
            } => {
                *answered = if answered_now { *answered + 1 } else { 0 };
                let closes = *answered > self.beats && now >= *until;
                closes.then(|| self.close())
            }
            // Heartbeats are sent since it was begun.
            Phase::Probing { .. } => answered_now.then(|| self.close()),
        }
    }

    fn close(&mut self) -> Change {
        self.round += 1;
        self.phase = Phase::default();
        Change::Closed
    }

    fn open(&mut self, mut backoff: Backoff, now: Duration, random: u64) -> Change {
        self.round += 1;
        self.phase = Phase::Open {
            until: now + backoff.pause_by(random),
            backoff,
            answered: 0,
        };
        Change::Opened
    }
}

#[cfg(test)]
mod tests;
