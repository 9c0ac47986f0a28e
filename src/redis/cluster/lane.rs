//! One connection to one node of a Cluster, for what needs no trust: entries are judged by the purge log, wherever
//! they come from.
//!
//! It is made when somebody needs it, in a task of its own, and whoever waits for it does so no longer than for what they
//! want. A node that hangs costs few of them that: see [`FRESH`] and [`UNANSWERED`].

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Pipeline, Value};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};
use crate::log::Trouble;
use crate::patience::answered_by;
use crate::redis::address::HostPort;
use crate::redis::cluster::dial::Dial;
use crate::redis::connection::Connection;
use crate::telling::Telling;

/// A connection that takes longer to be made is not waited for.
const FRESH: Duration = Duration::from_millis(100);
/// So many requests in a row without an answer, each sent after the last was given up, and the connection is taken for dead.
const UNANSWERED: u32 = 3;
/// So many failures in a row are told.
const STREAK: u32 = 3;
/// Pauses between attempts to connect.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// A connection to the node `at`.
#[derive(Debug)]
pub(super) struct Lane {
    at: HostPort,
    state: Mutex<State>,
    /// Told when an attempt to connect has ended.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    slot: Slot,
    /// Attempts to connect that failed in a row.
    failed: u32,
    /// Requests that failed in a row, connected or not.
    streak: u32,
    /// Why the last of a streak failed, and since when they do.
    cause: Option<(Error, Instant)>,
    telling: Telling,
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Empty,
    Connecting(Instant),
    Up(Up),
    Down {
        /// Told to all who come until then.
        why: Error,
        until: Instant,
    },
}

#[derive(Debug, Clone)]
struct Up {
    conn: Connection,
    /// Requests in a row, and when the last of them was given up.
    unanswered: Arc<Mutex<(u32, Option<Instant>)>>,
}

impl Lane {
    pub(super) fn new(at: HostPort) -> Self {
        Self {
            at,
            state: Mutex::new(State {
                slot: Slot::default(),
                failed: 0,
                streak: 0,
                cause: None,
                telling: Telling::of_well(),
            }),
            changed: Notify::new(),
        }
    }

    /// Sends `pipe` in one write and returns one answer to each of its commands, which may be errors of the server.
    ///
    /// # Errors
    /// There is no connection, or no answer by `deadline`.
    pub(super) async fn ask(
        self: &Arc<Self>,
        server: &impl Dial,
        deadline: Instant,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, Error> {
        let answer = self.answer(server, deadline, pipe).await;
        self.note(server, answer.as_ref().err());
        answer
    }

    async fn answer(
        self: &Arc<Self>,
        server: &impl Dial,
        deadline: Instant,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, Error> {
        let ready = answered_by(deadline, self.ready(server)).await;
        let up = ready.unwrap_or_else(|| Err(self.late(server, "no connection in time")))?;
        let (mut conn, sent) = (up.conn.clone(), Instant::now());
        let answer = conn.to.send_packed_commands(pipe, 0, pipe.len());
        match answered_by(deadline, answer).await {
            Some(Ok(answer)) => {
                up.unanswered.lock().0 = 0;
                Ok(answer)
            }
            Some(Err(error)) => {
                self.drop_if(&up);
                Err(server.error(&format!("node {}", self.at), error))
            }
            None => {
                self.not_answered(&up, sent);
                Err(self.late(server, "no answer in time"))
            }
        }
    }

    async fn ready(self: &Arc<Self>, server: &impl Dial) -> Result<Up, Error> {
        loop {
            // Before the look, so that a change in between is not missed.
            let changed = self.changed.notified();
            if let Some(ready) = self.look(server) {
                return ready;
            }
            changed.await;
        }
    }

    /// The connection, or why there is none; `None`: it is being made.
    fn look(self: &Arc<Self>, server: &impl Dial) -> Option<Result<Up, Error>> {
        let mut state = self.state.lock();
        match &state.slot {
            Slot::Up(up) => {
                if up.conn.is_of_age() {
                    // It works until another one can take its place, or for a while longer.
                    up.conn.stays();
                    self.connect(server);
                }
                return Some(Ok(up.clone()));
            }
            Slot::Down { why, until } if Instant::now() < *until => {
                return Some(Err(why.told_again()));
            }
            Slot::Connecting(since) if since.elapsed() < FRESH => return None,
            // One whose runtime ended while it was made never ends.
            Slot::Connecting(since) if since.elapsed() < server.budgets().connect + FRESH => {
                return Some(Err(self.late(server, "no connection yet")));
            }
            _ => {}
        }
        state.slot = Slot::Connecting(Instant::now());
        self.connect(server);
        None
    }

    fn connect(self: &Arc<Self>, server: &impl Dial) {
        let (lane, server) = (Arc::clone(self), server.clone());
        tokio::spawn(async move {
            let made = server.connect_to(&lane.at).await;
            lane.settle(made);
        });
    }

    fn settle(&self, made: Result<Connection, Error>) {
        let mut state = self.state.lock();
        if made.is_err() && matches!(state.slot, Slot::Up(_)) {
            return;
        }
        state.slot = match made {
            Ok(conn) => {
                state.failed = 0;
                Slot::Up(Up {
                    conn,
                    unanswered: Arc::default(),
                })
            }
            Err(why) => {
                let pause = BACKOFF.after(state.failed).pause();
                state.failed = state.failed.saturating_add(1);
                Slot::Down {
                    why,
                    until: Instant::now() + pause,
                }
            }
        };
        drop(state);
        self.changed.notify_waiters();
    }

    fn not_answered(&self, up: &Up, sent: Instant) {
        let (number, until) = &mut *up.unanswered.lock();
        if *number > 0 && until.is_some_and(|until| sent < until) {
            return;
        }
        *number += 1;
        *until = Some(Instant::now());
        if *number >= UNANSWERED {
            self.drop_if(up);
        }
    }

    fn drop_if(&self, up: &Up) {
        let mut state = self.state.lock();
        let same = |present: &Up| Arc::ptr_eq(&present.unanswered, &up.unanswered);
        if matches!(&state.slot, Slot::Up(present) if same(present)) {
            state.slot = Slot::Empty;
        }
    }

    /// Says once that the node cannot be used, until it can again.
    fn note(&self, server: &impl Dial, failed: Option<&Error>) {
        let mut state = self.state.lock();
        let Some(error) = failed else {
            state.cause = None;
            if std::mem::take(&mut state.streak) >= STREAK
                && let Some(tell) = state.telling.well()
            {
                let (node, changes_not_told) = (&self.at, tell.unsaid);
                tracing::info!(%server, %node, changes_not_told, "a node of the Redis Cluster is in use again");
            }
            return;
        };
        state.streak = state.streak.saturating_add(1);
        let since = state
            .cause
            .take()
            .map_or_else(Instant::now, |(_, since)| since);
        state.cause = Some((error.told_again(), since));
        if state.streak == STREAK
            && let Some(tell) = state.telling.failing(0)
        {
            let (node, changes_not_told) = (&self.at, tell.unsaid);
            tracing::warn!(
                %server, %node, %error, changes_not_told,
                "a node of the Redis Cluster cannot be used: what is stored there is forwarded"
            );
        }
    }

    /// What is wrong with the node, if it is more than one failure.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let state = self.state.lock();
        let (error, since) = state.cause.as_ref().filter(|_| state.streak >= STREAK)?;
        Some(Trouble {
            part: "node",
            message: format!("what is stored on {} is forwarded: {error}", self.at),
            since: since.elapsed(),
        })
    }

    fn late(&self, server: &impl Dial, what: &str) -> Error {
        let message = format!("redis at {server}, node {}: {what}", self.at);
        Error::new(ErrorKind::Timeout, message)
    }
}
