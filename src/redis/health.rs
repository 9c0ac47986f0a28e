//! How well each use of the server goes, and who is told (SAFETY 88, 92, 94 and 96).
//!
//! Lookups, stores, purges and the follower have connections of their own, and one may fail while the others
//! work. So each has its state here, with its cause; the heartbeats of the purge log have another, which stands
//! before them: while they fail, that alone is told, and when they are answered again, all begin anew.
//!
//! A state counts as changed when it has lasted: one failure between successes is none, and what failed counts
//! as working when nothing failed for [`SETTLED`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::{Error, ErrorKind};
use crate::log::{Pulse, Trouble};
use crate::observe::{Notice, SharedObserver};
use crate::redis::breaker::Breaker;
use crate::redis::conn::Server;
use crate::redis::connecting::{Attempts, StillConnecting};
use crate::redis::info::Identity;
use crate::redis::replicas::Replicas;
use crate::telling::Telling;

/// So many failures in a row are one state.
const STREAK: u32 = 3;
/// Or one that nothing has contradicted for so long.
const LASTING: Duration = Duration::from_secs(1);
/// So many heartbeats in a row that an idle process is answered too late, and lookups are not to be tried: one
/// is nothing, on a machine that has other work too (SAFETY 91).
const SLOW: u32 = 3;
/// What failed works when nothing has failed for so long.
const SETTLED: Duration = Duration::from_secs(2);

/// What the server is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Lookups,
    Stores,
    Purges,
    Roll,
}

impl Part {
    const ALL: [Self; 4] = [Self::Lookups, Self::Stores, Self::Purges, Self::Roll];

    const fn name(self) -> &'static str {
        match self {
            Self::Lookups => "lookups",
            Self::Stores => "stores",
            Self::Purges => "purges",
            Self::Roll => "roll",
        }
    }

    /// What it means that it fails.
    const fn failing(self) -> &'static str {
        match self {
            Self::Lookups => "lookups in redis fail: requests go on as if nothing was stored",
            Self::Stores => "redis does not store responses: hits come from what is stored already",
            Self::Purges => {
                "redis does not take purges: they are in force in this process only, and wait"
            }
            Self::Roll => {
                "redis does not keep the roll: copies in this process are asked about, and purges wait for the longest lease"
            }
        }
    }

    const fn works(self) -> &'static str {
        match self {
            Self::Lookups => "lookups in redis work again",
            Self::Stores => "redis stores responses again",
            Self::Purges => "redis takes purges again",
            Self::Roll => "redis keeps the roll again",
        }
    }
}

/// How an answer to a heartbeat came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promptness {
    InTime,
    /// To a process that was too busy to say whether it came in time.
    Busy,
    /// After so long, which is too late for lookups, and this process was idle.
    Slow(Duration),
}

/// The health of one server, as one cache sees it.
#[derive(Debug)]
pub(crate) struct ServerHealth {
    pub(crate) server: Server,
    observer: SharedObserver,
    /// Refuses lookups, and reads of bodies with them.
    pub(crate) reads: Breaker,
    /// Refuses stores, and reads of bodies, which share their link.
    pub(crate) writes: Breaker,
    parts: [PartState; 4],
    /// Why the last heartbeat failed.
    silent: Mutex<Option<Cause>>,
    attempts: Attempts,
    replicas: Mutex<Replicas>,
    /// Heartbeats in a row whose end was noticed late.
    late: AtomicU32,
    /// Heartbeats in a row that were answered too late for lookups.
    slow: AtomicU32,
}

#[derive(Debug)]
struct Cause {
    error: Error,
    since: Instant,
}

impl Cause {
    /// That `error` of `server`, which it is to name; since the one `before` it, where something failed already.
    fn of(error: &Error, server: &Server, before: Option<&Self>) -> Self {
        let (mut message, server) = (error.to_string(), server.to_string());
        if !message.contains(&server) {
            message = format!("{message} ({server})");
        }
        Self {
            error: Error::new(error.kind(), message),
            since: before.map_or_else(Instant::now, |before| before.since),
        }
    }
}

#[derive(Debug)]
struct PartState {
    /// Whether there is anything to look at, so that what works costs one load.
    noted: AtomicBool,
    state: Mutex<Failing>,
}

#[derive(Debug)]
struct Failing {
    cause: Option<Cause>,
    /// In a row.
    failures: u32,
    last: Option<Instant>,
    /// Something worked since.
    works: bool,
    /// Whether it is taken for a state.
    lasts: bool,
    telling: Telling,
}

impl Default for PartState {
    fn default() -> Self {
        Self {
            noted: AtomicBool::new(false),
            state: Mutex::new(Failing {
                cause: None,
                failures: 0,
                last: None,
                works: false,
                lasts: false,
                telling: Telling::of_well(),
            }),
        }
    }
}

impl Failing {
    fn end(&mut self) {
        self.cause = None;
        self.failures = 0;
        self.last = None;
    }
}

impl ServerHealth {
    pub(crate) fn new(
        server: Server,
        observer: SharedObserver,
        reads: Breaker,
        writes: Breaker,
    ) -> Self {
        Self {
            server,
            observer,
            reads,
            writes,
            parts: Default::default(),
            silent: Mutex::default(),
            attempts: Attempts::default(),
            replicas: Mutex::default(),
            late: AtomicU32::new(0),
            slow: AtomicU32::new(0),
        }
    }

    fn pulse(&self) -> &Arc<Pulse> {
        self.server.pulse()
    }

    /// An operation of `part` ended so.
    pub(crate) fn note<T>(&self, part: Part, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.worked(part),
            // It was not tried.
            Err(error) if error.kind() == ErrorKind::BreakerOpen => {}
            Err(error) => self.failed(part, error),
        }
    }

    fn worked(&self, part: Part) {
        let one = &self.parts[part as usize];
        if !one.noted.load(Ordering::Relaxed) {
            return;
        }
        let mut state = one.state.lock();
        state.works = true;
        self.end_if_settled(part, one, &mut state);
    }

    /// Ends a state of failure that nothing has confirmed for long enough.
    fn end_if_settled(&self, part: Part, one: &PartState, state: &mut Failing) {
        let settled = state.last.is_none_or(|last| last.elapsed() >= SETTLED);
        if state.works && (!state.lasts || settled) {
            state.end();
            self.settle(part, state);
            one.noted.store(false, Ordering::Relaxed);
        }
    }

    fn failed(&self, part: Part, error: &Error) {
        let one = &self.parts[part as usize];
        let mut state = one.state.lock();
        one.noted.store(true, Ordering::Relaxed);
        state.failures = state.failures.saturating_add(1);
        state.works = false;
        state.cause = Some(Cause::of(error, &self.server, state.cause.as_ref()));
        state.last = Some(Instant::now());
        if !self.pulse().is_kept() {
            self.settle(part, &mut state);
        }
    }

    /// Tells if the state of `part` has changed, and that lasts.
    fn settle(&self, part: Part, state: &mut Failing) {
        let Some(cause) = &state.cause else {
            if std::mem::take(&mut state.lasts) {
                self.observer
                    .notify(&Notice::PartRestored { part: part.name() });
            }
            if let Some(tell) = state.telling.well() {
                let changes_not_told = tell.unsaid;
                tracing::info!(server = %self.server, changes_not_told, "{}", part.works());
            }
            return;
        };
        if state.failures < STREAK && cause.since.elapsed() < LASTING {
            return;
        }
        let error = &cause.error;
        if !std::mem::replace(&mut state.lasts, true) {
            self.observer.notify(&Notice::PartFailed {
                part: part.name(),
                error,
            });
        }
        if let Some(tell) = state.telling.failing(error.kind() as u64) {
            let changes_not_told = tell.unsaid;
            tracing::warn!(server = %self.server, %error, changes_not_told, "{}", part.failing());
        }
    }

    /// A heartbeat was answered, at that pace.
    pub(super) fn heartbeat_answered(&self, pace: Promptness) {
        self.late.store(0, Ordering::Relaxed);
        let kept = self.pulse().is_kept();
        let was_silent = self.silent.lock().take().is_some();
        if was_silent {
            // What failed then failed because of that.
            for (one, part) in self.parts.iter().zip(Part::ALL) {
                let mut state = one.state.lock();
                state.end();
                self.settle(part, &mut state);
                one.noted.store(false, Ordering::Relaxed);
            }
        }
        self.pulse().answered();
        self.server.usable();
        self.attempts.ended();
        if !kept {
            return;
        }
        if pace == Promptness::Busy {
            self.reads.excuse();
        }
        let too_late = self.too_late(pace);
        self.pulse().slow(too_late.is_some());
        self.reads.heartbeat(too_late.is_none());
        if let Some(took) = too_late {
            let message = format!(
                "redis at {} answers after {} ms, and lookups wait for {} ms: see what holds it up \
                 (SLOWLOG GET), or raise the read timeout",
                self.server,
                took.as_millis(),
                self.server.budgets().read.as_millis(),
            );
            self.failed(Part::Lookups, &Error::new(ErrorKind::Timeout, message));
        }
        for (one, part) in self.parts.iter().zip(Part::ALL) {
            if one.noted.load(Ordering::Relaxed) {
                let mut state = one.state.lock();
                self.end_if_settled(part, one, &mut state);
                self.settle(part, &mut state);
            }
        }
    }

    /// How long the last heartbeat took, if those before it took too long as well.
    fn too_late(&self, pace: Promptness) -> Option<Duration> {
        let Promptness::Slow(took) = pace else {
            self.slow.store(0, Ordering::Relaxed);
            return None;
        };
        let before = self.slow.fetch_add(1, Ordering::Relaxed);
        (before.saturating_add(1) >= SLOW).then_some(took)
    }

    /// No answer to a heartbeat was seen, by a process that was busy: whether that still says nothing.
    pub(super) fn is_late_once_more(&self) -> bool {
        self.late.fetch_add(1, Ordering::Relaxed) + 1 < STREAK
    }

    /// A heartbeat was not answered, or refused.
    pub(super) fn heartbeat_failed(&self, error: &Error) {
        {
            let mut silent = self.silent.lock();
            // What an attempt to connect said is more than that the next one has not ended.
            if silent.is_none() || !StillConnecting::is_cause_of(error) {
                *silent = Some(Cause::of(error, &self.server, silent.as_ref()));
            }
        }
        self.pulse().missed();
        if self.pulse().is_kept() {
            self.reads.heartbeat(false);
            self.writes.heartbeat(false);
            let limit = self.server.budgets().connect;
            if !self.attempts.will_say_more(error, limit) {
                self.server.failed(error);
            }
        }
    }

    /// What a heartbeat said of the server's replicas.
    pub(super) fn replicas(&self, identity: &Identity) {
        let told = self.replicas.lock().note(identity, &self.server);
        if let Some((connected, expected)) = told {
            self.observer.notify(&Notice::Replicas {
                connected,
                expected,
            });
        }
    }

    /// What is wrong, and for how long.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        let trouble = |part: &'static str, cause: &Cause| Trouble {
            part,
            message: cause.error.to_string(),
            since: cause.since.elapsed(),
        };
        let mut troubles = Vec::new();
        if let Some(cause) = &*self.silent.lock() {
            troubles.push(trouble("heartbeat", cause));
        }
        for (one, part) in self.parts.iter().zip(Part::ALL) {
            let state = one.state.lock();
            if state.lasts
                && let Some(cause) = &state.cause
            {
                let message = format!("{}: {}", part.failing(), cause.error);
                troubles.push(Trouble {
                    message,
                    ..trouble(part.name(), cause)
                });
            }
        }
        troubles.extend(self.server.account().trouble());
        troubles.extend(self.replicas.lock().trouble(&self.server));
        if let Some(cluster) = self.server.cluster() {
            troubles.extend(cluster.troubles());
        }
        troubles
    }
}

#[cfg(test)]
mod tests;
