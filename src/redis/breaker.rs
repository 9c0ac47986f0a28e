//! The breaker: after a run of failures requests stop asking Redis, and one of them at a time tries
//! again (P3, SAFETY 57 and 58).
//!
//! Closed → open after [`STREAK`] failures in a row, or when half of the last [`WINDOW`] failed.
//! Open → one probe after [`FIRST`], then after twice as long each time it fails, up to [`LONGEST`],
//! jittered so that nodes do not come back in step. A probe that succeeds closes it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::observe::{Notice, SharedObserver};
use crate::redis::random;

const STREAK: u32 = 5;
const WINDOW: u32 = 20;
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Guards operations on one server.
#[derive(Debug)]
pub(crate) struct Breaker {
    clock: Arc<dyn Clock>,
    observer: SharedObserver,
    state: Mutex<State>,
}

impl Breaker {
    pub(crate) fn new(clock: Arc<dyn Clock>, observer: SharedObserver) -> Self {
        Self {
            clock,
            observer,
            state: Mutex::new(State::default()),
        }
    }

    /// Runs `operation`, or refuses to while open. `counts` says which errors speak against the
    /// server; any other one shows that it answers.
    ///
    /// # Errors
    /// [`ErrorKind::BreakerOpen`], at once and without I/O; or the operation's own error.
    ///
    /// # Cancel safety
    /// An operation that is dropped proves nothing; if it was the probe, the next one is.
    pub(crate) async fn run<T>(
        &self,
        counts: impl FnOnce(&Error) -> bool,
        operation: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(permit) = self.state.lock().admit(self.clock.monotonic()) else {
            let message = "the breaker is open: redis failed too often";
            return Err(Error::new(ErrorKind::BreakerOpen, message));
        };
        let mut running = Running {
            breaker: self,
            permit,
            verdict: Verdict::Unknown,
        };
        let result = operation.await;
        running.verdict = match &result {
            Err(error) if counts(error) => Verdict::Failed,
            _ => Verdict::Answered,
        };
        result
    }

    fn record(&self, permit: Permit, verdict: Verdict) {
        let now = self.clock.monotonic();
        let change = self.state.lock().record(permit, verdict, now, random());
        match change {
            Some(Change::Opened) => {
                tracing::warn!("breaker open: requests go on without redis");
                self.observer.notify(&Notice::BreakerOpened);
            }
            Some(Change::Closed) => {
                tracing::info!("breaker closed: redis answers again");
                self.observer.notify(&Notice::BreakerClosed);
            }
            None => {}
        }
    }
}

/// Tells the breaker how an operation ended, also if it is dropped.
struct Running<'a> {
    breaker: &'a Breaker,
    permit: Permit,
    verdict: Verdict,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.breaker.record(self.permit, self.verdict);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Answered,
    Failed,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Opened,
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
}

#[derive(Debug)]
enum Phase {
    Closed(Tally),
    /// Nothing is tried before `until`; a probe that fails then doubles `wait`.
    Open {
        until: Duration,
        wait: Duration,
    },
    /// One probe is under way.
    Probing {
        wait: Duration,
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
    fn admit(&mut self, now: Duration) -> Option<Permit> {
        match self.phase {
            Phase::Closed(_) => {}
            Phase::Open { until, wait } if now >= until => {
                self.phase = Phase::Probing { wait };
                self.round += 1;
            }
            Phase::Open { .. } | Phase::Probing { .. } => return None,
        }
        Some(Permit { round: self.round })
    }

    fn record(
        &mut self,
        permit: Permit,
        verdict: Verdict,
        now: Duration,
        random: u64,
    ) -> Option<Change> {
        if permit.round != self.round {
            return None;
        }
        match (&mut self.phase, verdict) {
            (Phase::Closed(_) | Phase::Open { .. }, Verdict::Unknown) | (Phase::Open { .. }, _) => {
                None
            }
            (Phase::Closed(tally), _) => {
                tally.add(verdict == Verdict::Failed);
                let opens = tally.is_too_much();
                opens.then(|| {
                    self.open(FIRST, now, random);
                    Change::Opened
                })
            }
            (Phase::Probing { .. }, Verdict::Answered) => {
                self.round += 1;
                self.phase = Phase::default();
                Some(Change::Closed)
            }
            (Phase::Probing { wait }, Verdict::Failed) => {
                let wait = (*wait * 2).min(LONGEST);
                self.open(wait, now, random);
                None
            }
            (Phase::Probing { wait }, Verdict::Unknown) => {
                self.phase = Phase::Open {
                    until: now,
                    wait: *wait,
                };
                None
            }
        }
    }

    fn open(&mut self, wait: Duration, now: Duration, random: u64) {
        self.round += 1;
        let until = now + jittered(wait, random);
        self.phase = Phase::Open { until, wait };
    }
}

/// Between half of `wait` and the whole of it.
pub(super) fn jittered(wait: Duration, random: u64) -> Duration {
    let half = wait / 2;
    let share = u32::try_from(random & 0xffff).unwrap_or(0);
    half + half * share / 0xffff
}

#[cfg(test)]
mod tests;
