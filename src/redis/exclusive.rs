//! Connections that one caller has to itself: what blocks must not be shared (SAFETY 65).

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, Value};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::redis::connect::{beside, connect};
use crate::redis::live::{Live, believed};
use crate::redis::reply;
use crate::redis::verify::Verifier;

/// Verified connections for callers that block. Callers at the same time have one each.
#[derive(Debug)]
pub(crate) struct Exclusive {
    verifier: Arc<Verifier>,
    /// The connection of whoever came last, for the next.
    idle: Mutex<Option<Live>>,
}

impl Exclusive {
    pub(crate) const fn new(verifier: Arc<Verifier>) -> Self {
        Self {
            verifier,
            idle: Mutex::new(None),
        }
    }

    /// Sends `command` on a connection of its own and waits until `within` after it was sent.
    ///
    /// # Errors
    /// No connection, or no answer in time: the socket is then taken for dead.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection, so that nothing stays blocked on the server.
    pub(crate) async fn ask(
        &self,
        name: &str,
        within: Duration,
        command: &Cmd,
    ) -> Result<(Live, Value), Error> {
        let live = self.take().await?;
        self.ask_on(live, name, within, command).await
    }

    async fn ask_on(
        &self,
        mut live: Live,
        name: &str,
        within: Duration,
        command: &Cmd,
    ) -> Result<(Live, Value), Error> {
        let answer = timeout(within, live.conn.to.send_packed_command(command)).await;
        let Ok(answer) = answer else {
            live.distrusted(&self.verifier.trust);
            let message = format!("redis, {name}: no answer in time, the connection is dead");
            return Err(Error::new(ErrorKind::Timeout, message));
        };
        let answer = answer.map(|answer| vec![answer]);
        let mut answer = believed(&self.verifier, name, &live, answer)?;
        let answer = answer.pop().ok_or_else(|| reply::malformed("answer"))?;
        Ok((live, answer))
    }

    /// As [`ask`](Self::ask), for a command that blocks, with `ROLE` in front of it in the same
    /// write: a master demoted before the command blocks is seen there, one demoted while it blocks
    /// answers `UNBLOCKED` (PROTOCOL 8). `[role]`
    pub(crate) async fn follow(
        &self,
        within: Duration,
        command: &Cmd,
    ) -> Result<(Live, Value), Error> {
        let live = self.take().await?;
        let mut asking = live.clone();
        let demoted = async {
            let role = asking
                .conn
                .to
                .send_packed_command(&::redis::cmd("ROLE"))
                .await;
            if !role.is_ok_and(|role| is_replica(&role)) {
                // The other branch ends it; a server that denies `ROLE` says nothing.
                pending::<()>().await;
            }
        };
        tokio::select! {
            // In this order, so that `ROLE` is sent first.
            biased;
            () = demoted => {}
            answer = self.ask_on(live, "follow", within, command) => return answer,
        }
        asking.distrusted(&self.verifier.trust);
        Err(turned_replica())
    }

    /// Keeps `live` for the next caller.
    pub(crate) fn keep(&self, live: Live) {
        *self.idle.lock() = Some(live);
    }

    async fn take(&self) -> Result<Live, Error> {
        let idle = self.idle.lock().take();
        match idle {
            Some(live) if live.is_over(&self.verifier.trust) => self.connect().await,
            Some(live) if live.conn.is_of_age() => match beside(&self.verifier).await {
                Ok(Some(younger)) => Ok(younger),
                // Its place is needed first.
                Ok(None) => {
                    drop(live);
                    self.connect().await
                }
                Err(_) => {
                    live.conn.stays();
                    Ok(live)
                }
            },
            Some(live) => Ok(live),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<Live, Error> {
        connect(&self.verifier, None).await
    }
}

/// Whether a `ROLE` reply names a replica.
pub(super) fn is_replica(role: &Value) -> bool {
    let name = role.as_sequence().and_then(|parts| parts.first());
    name.and_then(reply::text) == Some("slave")
}

pub(super) fn turned_replica() -> Error {
    let message = "redis: the server that was followed is now a replica";
    Error::new(ErrorKind::Unavailable, message)
}
