//! Heartbeats: who the server is, where the log ends, and what that says about all links (PROTOCOL 21 and 22).

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;

use super::{RedisLog, TRIES, changes_too_fast};
use crate::error::{Error, ErrorKind};
use crate::log::Head;
use crate::position::Position;
use crate::redis::fault;
use crate::redis::health::Health;
use crate::redis::link::Live;
use crate::redis::verify::{ask_last, role_is_master};

/// How long the heartbeat's key outlives the last heartbeat.
pub(super) const KEPT_MS: u64 = 60_000;
/// How late the end of a heartbeat may be noticed and still be the server's.
const SLIP: Duration = Duration::from_millis(20);
/// Turns that an answer waits for where this process is busy: to be read, to be handed over, to be taken.
const TURNS: u32 = 3;

/// One heartbeat. Dropped without an end, it was not answered in the time that somebody had for it.
struct Beat<'a> {
    health: &'a Health,
    ended: bool,
}

impl Beat<'_> {
    fn end(mut self, say: impl FnOnce(&Health)) {
        self.ended = true;
        say(self.health);
    }
}

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let message = format!(
                "redis at {}: no heartbeat within the lease",
                self.health.server
            );
            self.health
                .heartbeat_failed(&Error::new(ErrorKind::Timeout, message));
        }
    }
}

impl RedisLog {
    /// A heartbeat, and what its end says to all who depend on the server.
    pub(super) async fn heartbeat(&self) -> Result<Head, Error> {
        let (began, budgets) = (Instant::now(), *self.verifier.server.budgets());
        let beat = Beat {
            health: &self.health,
            ended: false,
        };
        let result = self.heartbeat_within(began + budgets.write).await;
        let took = began.elapsed();
        match &result {
            Ok(_) => {
                let late = took > budgets.read && took > budgets.read + busy_for().await;
                beat.end(|health| health.heartbeat_answered(late.then_some(took)));
                self.probe_writes();
            }
            // This process was too busy to see an answer: that says nothing, unless it is always so.
            Err(error)
                if error.kind() == ErrorKind::Timeout
                    && took > budgets.write + SLIP
                    && self.health.is_late_once_more() =>
            {
                beat.end(|_| self.verifier.server.pulse().alarm());
            }
            Err(error) => beat.end(|health| health.heartbeat_failed(error)),
        }
        result
    }

    async fn heartbeat_within(&self, deadline: Instant) -> Result<Head, Error> {
        let mut refused = changes_too_fast();
        for _ in 0..TRIES {
            let live = self.reads.verified(deadline).await?;
            let position = match self.beat(&live, deadline).await {
                // The socket is gone: the next one shows whether the server is.
                Err(error)
                    if error.kind() == ErrorKind::Unavailable
                        && live.is_over(&self.verifier.trust) =>
                {
                    refused = error;
                    continue;
                }
                beat => beat?,
            };
            if let Some(position) = position {
                let replicas = self.verifier.trust.replicas_seen();
                if replicas > 0 {
                    self.write_heartbeat(&live, deadline).await?;
                }
                return Ok(Head { position, replicas });
            }
        }
        Err(refused)
    }

    /// Asks for role, identity and head; `None` if the log has to be verified again. `[identity]`
    async fn beat(&self, live: &Live, deadline: Instant) -> Result<Option<Position>, Error> {
        let trust = &self.verifier.trust;
        let sent = trust.sent();
        let (form, question) = self.verifier.question();
        let answer = self.reads.ask(live, deadline, &question).await?;
        let Some((identity, last)) = self.verifier.answer(form, answer)? else {
            return Ok(None);
        };
        role_is_master(&identity).inspect_err(|_| live.distrusted(trust))?;
        trust.set_replicas(&identity);
        self.health.replicas(&identity);
        let Ok(position) = trust.judge(sent, &identity, &last) else {
            self.reads.doubt(live);
            return Ok(None);
        };
        trust.read(sent, position);
        Ok(Some(position))
    }

    /// PROTOCOL 22: where replicas exist, a master that is cut off from them refuses a write.
    /// `[hb_write]`
    async fn write_heartbeat(&self, live: &Live, deadline: Instant) -> Result<(), Error> {
        let mut pipe = ::redis::pipe();
        let set = pipe.cmd("SET").arg(self.verifier.keys.heartbeat());
        let now = self.verifier.clock.now().as_millis();
        set.arg(now).arg("PX").arg(KEPT_MS);
        let answer = self.reads.ask(live, deadline, &pipe).await?;
        match answer.iter().find_map(fault::error_in) {
            Some(error) => Err(self.verifier.server.error("heartbeat", error)),
            None => Ok(()),
        }
    }

    /// The link of the stores is another one: where something failed on it, a heartbeat of its own says
    /// whether it works. In a task, as nobody waits for it; it ends within the write budget.
    fn probe_writes(&self) {
        if !self.verifier.server.pulse().is_kept() || !self.health.writes.is_shut() {
            return;
        }
        let (link, health) = (self.writes.clone(), std::sync::Arc::clone(&self.health));
        let mut pipe = ::redis::pipe();
        ask_last(&mut pipe, &self.verifier.keys);
        let deadline = Instant::now() + self.verifier.server.budgets().write;
        tokio::spawn(async move {
            let probed = async {
                let live = link.verified(deadline).await?;
                link.ask(&live, deadline, &pipe).await
            };
            // Any answer will do: what is stored is refused or taken later.
            let answered = probed.await.is_ok();
            health.writes.heartbeat(answered);
            if health.writes.is_shut() {
                // It is worth asking again soon, since the server is there.
                health.server.pulse().alarm();
            }
        });
    }
}

/// About how long an answer lies here before it is taken.
async fn busy_for() -> Duration {
    let began = Instant::now();
    yield_now().await;
    began.elapsed() * TURNS
}
