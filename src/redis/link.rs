//! Links: verified connections to the server of the purge log.
//!
//! A link makes its connection when somebody needs it, in a task of its own, one at a time. Whoever
//! needs it waits for that no longer than for what they want; what they do not live to see is
//! there for the next one. A connection is used only while the trust in which it was verified lasts
//! (PROTOCOL 6 and 8).

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, Pipeline, Value};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::patience::answered_by;
use crate::redis::connect::{beside, connect};
use crate::redis::connecting::StillConnecting;
use crate::redis::fault;
use crate::redis::live::{Live, believed};
use crate::redis::reply;
use crate::redis::verify::Verifier;
use crate::sync::owned;

mod down;

use self::down::{flapping, pause};

/// A connection that lived so long ends a burst of reconnects.
const SETTLED: Duration = Duration::from_secs(1);
/// So many connections in a burst are made without delay.
const FREE: u32 = 3;
/// So many requests in a row without an answer, each sent after the last was given up, and the socket is
/// taken for dead (half-open TCP). Those that wait together for one slow command are one.
const UNANSWERED: u32 = 3;

/// One shared connection to the server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What it is for, in messages.
    name: &'static str,
    verifier: Arc<Verifier>,
    /// Heartbeats are sent on it.
    has_heartbeats: bool,
    /// Held for moments only, by whoever needs the connection and by the task that makes it.
    state: Mutex<State>,
    /// Told when the task that makes a connection has ended.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    slot: Slot,
    /// Connections made in the present burst.
    burst: u32,
    /// Why the last one ended, if it was not of age.
    cause: Option<Box<str>>,
    /// How often the server was back when this was last looked at.
    revivals: u64,
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Empty,
    Connecting,
    Up(Live),
    /// Works, but what it led to was not what it had been verified for: to be verified again.
    Doubted(Live),
    Down {
        /// Told to all who come until then.
        why: Error,
        until: Duration,
    },
}

impl Link {
    pub(crate) fn new(name: &'static str, verifier: Arc<Verifier>) -> Self {
        Self::with(name, verifier, false)
    }

    /// One on which heartbeats are sent, where they are.
    pub(crate) fn with_heartbeats(name: &'static str, verifier: Arc<Verifier>) -> Self {
        Self::with(name, verifier, true)
    }

    fn with(name: &'static str, verifier: Arc<Verifier>, has_heartbeats: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                name,
                verifier,
                has_heartbeats,
                state: Mutex::default(),
                changed: Notify::new(),
            }),
        }
    }

    /// The connection, made and verified first if need be.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] at `deadline`; at once why there is none, until the next attempt.
    pub(crate) async fn verified(&self, deadline: Instant) -> Result<Live, Error> {
        let ready = answered_by(deadline, self.ready()).await;
        ready.unwrap_or_else(|| Err(self.late("no connection in time")))
    }

    /// Whether there is a trusted connection right now.
    pub(crate) fn is_up(&self) -> bool {
        let trusted = self.inner.verifier.trust.generation();
        matches!(&self.inner.state.lock().slot, Slot::Up(live) if live.generation == trusted)
    }

    /// Sends `pipe` in one write and returns one answer to each of its commands; those may be errors
    /// of the server, none that ends the trust.
    ///
    /// # Errors
    /// No answer by `deadline`, or the trust in the connection ended before all was read.
    pub(crate) async fn ask(
        &self,
        live: &Live,
        deadline: Instant,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, Error> {
        let (mut conn, sent) = (live.conn.clone(), Instant::now());
        let answer = conn.to.send_packed_commands(pipe, 0, pipe.len());
        let Some(answer) = answered_by(deadline, answer).await else {
            self.not_answered(live, sent);
            return Err(self.late("no answer in time"));
        };
        live.unanswered.lock().0 = 0;
        let trust = &self.inner.verifier.trust;
        believed(&self.inner.verifier, self.inner.name, live, answer).inspect_err(|error| {
            if live.generation != trust.generation() {
                self.inner.state.lock().cause = Some(error.to_string().into());
                self.drop_if(live, |_| Slot::Empty);
            }
        })
    }

    /// Sends `command` alone, on the connection, made and verified first if need be; its answer, within
    /// `budget`.
    ///
    /// # Errors
    /// As of [`verified`](Self::verified) and [`ask`](Self::ask); or that the server refuses `command`.
    pub(crate) async fn run(
        &self,
        doing: &str,
        budget: Duration,
        command: Cmd,
    ) -> Result<Value, Error> {
        let deadline = Instant::now() + budget;
        let live = self.verified(deadline).await?;
        let mut pipe = ::redis::pipe();
        pipe.add_command(command);
        let answer = self.ask(&live, deadline, &pipe).await?.pop();
        let answer = answer.ok_or_else(|| reply::malformed(doing))?;
        match fault::error_in(&answer) {
            Some(error) => Err(self.inner.verifier.server.error(doing, error)),
            None => Ok(answer),
        }
    }

    /// Has the connection verified again before its next use: the log was not the expected one.
    pub(crate) fn doubt(&self, live: &Live) {
        self.drop_if(live, Slot::Doubted);
    }

    /// A heartbeat sent then was not answered, by somebody who waited with all patience; what that is.
    pub(crate) fn gave_up(&self, sent: Instant) -> Error {
        let live = match &self.inner.state.lock().slot {
            Slot::Up(live) => live.clone(),
            _ => {
                let what =
                    "no connection in time: see whether it hangs, or what is sent there is lost";
                return self.late(what).with_source(StillConnecting);
            }
        };
        self.count_unanswered(&live, sent);
        self.late("no answer in time")
    }

    /// Puts another connection in the place of one that is of age; what is under way on that ends there.
    pub(crate) async fn look_after(&self) {
        let verifier = &self.inner.verifier;
        let old = match &self.inner.state.lock().slot {
            Slot::Up(live) if live.conn.is_of_age() => live.clone(),
            _ => return,
        };
        match beside(verifier).await {
            Ok(Some(live)) => self.drop_if(&old, |_| Slot::Up(live)),
            // As many are open as may be: first that one has to go.
            Ok(None) => {
                self.drop_if(&old, |_| Slot::Empty);
                self.look();
            }
            Err(_) => old.conn.stays(),
        }
    }

    async fn ready(&self) -> Result<Live, Error> {
        loop {
            // Before the look at the slot, so that a change in between is not missed.
            let changed = self.inner.changed.notified();
            if let Some(result) = self.look() {
                return result;
            }
            changed.await;
        }
    }

    /// The connection, or why there is none; `None`: it is being made.
    fn look(&self) -> Option<Result<Live, Error>> {
        let verifier = &self.inner.verifier;
        let now = verifier.clock.monotonic();
        let trusted = verifier.trust.generation();
        let mut state = self.inner.state.lock();
        state.noticed(verifier.server.pulse().revivals());
        let again = match &state.slot {
            Slot::Up(live) if live.generation == trusted => {
                if verifier.inquiry.is_named(&live.verified.identity) {
                    return Some(Ok(live.clone()));
                }
                Some(live.clone())
            }
            Slot::Down { why, until } if now < *until => return Some(Err(why.told_again())),
            Slot::Connecting => return None,
            Slot::Doubted(live) if live.generation == trusted => Some(live.clone()),
            Slot::Up(live) | Slot::Doubted(live) => {
                let lived = now.saturating_sub(live.made);
                state.ended(lived);
                None
            }
            Slot::Down { .. } | Slot::Empty => None,
        };
        if again.is_none() {
            state.burst += 1;
            if state.burst > FREE && !matches!(state.slot, Slot::Down { .. }) {
                let why = flapping(state.cause.as_deref());
                let error = why.told_again();
                state.slot = Slot::Down {
                    why,
                    until: now + pause(state.burst - FREE),
                };
                return Some(Err(error));
            }
        }
        state.slot = Slot::Connecting;
        drop(state);
        self.start(again);
        None
    }

    fn start(&self, again: Option<Live>) {
        let task = Task {
            link: self.clone(),
            result: None,
        };
        tokio::spawn(owned(async move {
            let made = connect(&task.link.inner.verifier, again).await;
            task.finish(made);
        }));
    }

    fn settle(&self, result: Option<Result<Live, Error>>) {
        let now = self.inner.verifier.clock.monotonic();
        let mut state = self.inner.state.lock();
        state.slot = match result {
            Some(Ok(live)) => Slot::Up(live),
            Some(Err(why)) => Slot::Down {
                why,
                until: now + pause(state.burst),
            },
            None => Slot::Empty,
        };
        drop(state);
        self.inner.changed.notify_waiters();
    }

    fn not_answered(&self, live: &Live, sent: Instant) {
        if self.inner.has_heartbeats && self.inner.verifier.server.pulse().is_kept() {
            // Those know better whether it is the server (SAFETY 91). Should it be back, this shows that what
            // was asked before may never be answered.
            let number = &mut live.unanswered.lock().0;
            *number = (*number).max(1);
        } else {
            self.count_unanswered(live, sent);
        }
    }

    fn count_unanswered(&self, live: &Live, sent: Instant) {
        let (number, until) = &mut *live.unanswered.lock();
        if *number > 0 && until.is_some_and(|until| sent < until) {
            return;
        }
        *number += 1;
        *until = Some(Instant::now());
        if *number >= UNANSWERED {
            self.drop_if(live, |_| Slot::Empty);
        }
    }

    /// Puts something else in the place of `live`, if it is still there.
    fn drop_if(&self, live: &Live, instead: impl FnOnce(Live) -> Slot) {
        let lived = self
            .inner
            .verifier
            .clock
            .monotonic()
            .saturating_sub(live.made);
        let mut state = self.inner.state.lock();
        if matches!(&state.slot, Slot::Up(present) if present.is(live)) {
            state.slot = instead(live.clone());
            state.ended(lived);
        }
    }

    fn late(&self, what: &str) -> Error {
        let Inner { name, verifier, .. } = &*self.inner;
        let message = format!("redis, {name} at {}: {what}", verifier.server);
        Error::new(ErrorKind::Timeout, message)
    }
}

impl State {
    /// The server is back since this was last looked at: what waited to try again need not, and what was not
    /// answered before may never be.
    fn noticed(&mut self, revivals: u64) {
        if std::mem::replace(&mut self.revivals, revivals) == revivals {
            return;
        }
        let over = match &self.slot {
            Slot::Down { .. } => true,
            Slot::Up(live) => live.unanswered.lock().0 > 0,
            Slot::Empty | Slot::Connecting | Slot::Doubted(_) => false,
        };
        if over {
            self.slot = Slot::Empty;
            self.burst = 0;
        }
    }

    /// A connection ended after `lived`.
    fn ended(&mut self, lived: Duration) {
        if lived >= SETTLED {
            self.burst = 0;
        }
    }
}

/// The task that makes a connection; tells its result also when the runtime ends it early.
struct Task {
    link: Link,
    result: Option<Result<Live, Error>>,
}

impl Task {
    fn finish(mut self, made: Result<Live, Error>) {
        self.result = Some(made);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.link.settle(self.result.take());
    }
}
