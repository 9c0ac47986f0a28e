//! Heartbeats: who the server is, where the log ends, and what that says about all links (PROTOCOL 21 and 22).

use std::time::Duration;

use tokio::time::Instant;

use super::{RedisLog, TRIES, changes_too_fast, roll};
use crate::error::{Error, ErrorKind};
use crate::log::Tip;
use crate::log::roll::{Registration, RollEntry, RollHead};
use crate::patience::{lag, surely_answered_by};
use crate::position::Position;
use crate::redis::fault;
use crate::redis::health::{Promptness, ServerHealth};
use crate::redis::live::Live;
use crate::redis::verify::{ask_last, role_is_master};
use crate::sync::owned;

/// How long the heartbeat's key outlives the last heartbeat.
pub(super) const KEPT_MS: u64 = 60_000;
/// How long a heartbeat may be waited for if it is this process that is late: more than patience lasts.
const LONGEST: Duration = Duration::from_secs(5);
/// Turns that an answer waits for where this process is busy: to be read, to be handed over, to be taken.
const TURNS: u32 = 3;

/// One heartbeat. Dropped without an end, it was not answered in the time that somebody had for it: that says
/// nothing of the server, unless it is always so.
struct Beat<'a> {
    health: &'a ServerHealth,
    ended: bool,
}

impl Beat<'_> {
    fn end(mut self, say: impl FnOnce(&ServerHealth)) {
        self.ended = true;
        say(self.health);
    }
}

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        if !self.ended && !self.health.is_late_once_more() {
            let server = &self.health.server;
            let message = format!("redis at {server}: no heartbeat within the lease");
            self.health
                .heartbeat_failed(&Error::new(ErrorKind::Timeout, message));
        }
    }
}

impl RedisLog {
    /// A heartbeat, and what its end says to all who depend on the server.
    pub(super) async fn heartbeat(&self, entry: Option<&RollEntry>) -> Result<Registration, Error> {
        let (began, budgets) = (Instant::now(), *self.verifier.server.budgets());
        let beat = Beat {
            health: &self.health,
            ended: false,
        };
        let within = budgets.write;
        let asked = self.heartbeat_within(entry, began + within.max(LONGEST));
        let result = surely_answered_by(began + within, asked).await;
        let result = result.unwrap_or_else(|| Err(self.reads.gave_up(began)));
        match &result {
            Ok(_) => {
                let pace = self.pace(began.elapsed(), budgets.read).await;
                beat.end(|health| health.heartbeat_answered(pace));
                self.probe_writes();
            }
            Err(error) => beat.end(|health| health.heartbeat_failed(error)),
        }
        result
    }

    /// What it means that the answer to a heartbeat was there after `took`, where lookups wait for `budget`.
    async fn pace(&self, took: Duration, budget: Duration) -> Promptness {
        if took <= budget && !self.health.reads.is_shut() {
            return Promptness::InTime;
        }
        let late = lag().await * TURNS;
        match took > budget + late {
            true => Promptness::Slow(took),
            false if took > budget || late > budget => Promptness::Busy,
            false => Promptness::InTime,
        }
    }

    async fn heartbeat_within(
        &self,
        entry: Option<&RollEntry>,
        deadline: Instant,
    ) -> Result<Registration, Error> {
        let mut refused = changes_too_fast();
        for again in 0..TRIES {
            let live = self.reads.verified(deadline).await?;
            let entry = entry.map(|entry| entry.sent_again(again));
            let seen = match self.beat(&live, entry.as_ref(), deadline).await {
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
            if let Some((position, head)) = seen {
                let replicas = self.verifier.trust.replicas_seen();
                // A registration is a write as well.
                if replicas > 0 && head.is_none() {
                    self.write_heartbeat(&live, deadline).await?;
                }
                return Ok(Registration {
                    tip: Tip { position, replicas },
                    taken: head.is_some(),
                    head: head.unwrap_or_default(),
                });
            }
        }
        Err(refused)
    }

    /// Registers `entry`, then asks for the tip, then for role and identity, in this order (PROTOCOL 35). Answers
    /// with the position and the head of the roll, if the entry was taken; `None` if the log has to be verified
    /// again. `[identity, roll_first]`
    async fn beat(
        &self,
        live: &Live,
        entry: Option<&RollEntry>,
        deadline: Instant,
    ) -> Result<Option<(Position, Option<RollHead>)>, Error> {
        let trust = &self.verifier.trust;
        let sent = trust.sent();
        let mut pipe = ::redis::pipe();
        if let Some(entry) = entry {
            roll::register(&mut pipe, self.verifier.keys.roll(), entry);
        }
        let form = self.verifier.question_after(&mut pipe);
        let mut answer = self.reads.ask(live, deadline, &pipe).await?;
        let registered = match entry {
            Some(_) if answer.len() > roll::COMMANDS => {
                let registered: Vec<_> = answer.drain(..roll::COMMANDS).collect();
                self.registered(&registered).await?
            }
            _ => None,
        };
        // As it is asked for elsewhere: role and identity first.
        answer.reverse();
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
        Ok(Some((position, registered)))
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
        tokio::spawn(owned(async move {
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
        }));
    }
}
