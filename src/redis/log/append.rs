//! Appending: in the log of a verified epoch, and on a replica where there is one (PROTOCOL 23).

use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::{Pipeline, Value};
use tokio::time::{Instant, timeout_at};

use super::beat::KEPT_MS;
use super::{RedisLog, TRIES, changes_too_fast};
use crate::clock::millis;
use crate::error::{Error, ErrorKind};
use crate::log::{PurgeRecord, Receipt};
use crate::position::{Epoch, Position};
use crate::redis::fault;
use crate::redis::health::Part;
use crate::redis::info::Loss;
use crate::redis::live::Live;
use crate::redis::reply;
use crate::redis::verify::{fields, is_refused};

impl RedisLog {
    /// Appends `records` in one write and in this order, within the purge budget, in `epoch` only if one is given. What ends
    /// in an error may be in the log all the same: it is repeated, and a double record is harmless.
    pub(super) async fn append_within(
        &self,
        records: &[PurgeRecord],
        epoch: Option<Epoch>,
    ) -> Result<Option<Vec<Receipt>>, Error> {
        let appended = self.try_append(records, epoch).await;
        match &appended {
            Ok(Some(appended)) if appended.iter().any(|appended| !appended.durable) => {
                let undone: Result<(), _> = Err(not_replicated());
                self.health.note(Part::Purges, &undone);
            }
            _ => self.health.note(Part::Purges, &appended),
        }
        appended
    }

    async fn try_append(
        &self,
        records: &[PurgeRecord],
        epoch: Option<Epoch>,
    ) -> Result<Option<Vec<Receipt>>, Error> {
        let deadline = Instant::now() + self.verifier.server.budgets().purge;
        let mut refused = changes_too_fast();
        for _ in 0..TRIES {
            let live = self.appends.verified(deadline).await?;
            if epoch.is_some_and(|epoch| live.verified.epoch != epoch) {
                return Ok(None);
            }
            match self.append_once(&live, records, deadline).await {
                Ok(Some(appended)) => return Ok(Some(appended)),
                // Not the log that it was verified to be: look again (PROTOCOL 1).
                Ok(None) => self.appends.doubt(&live),
                // The socket is gone, which an idle connection notices only now.
                Err(error)
                    if error.kind() == ErrorKind::Unavailable
                        && live.is_over(&self.verifier.trust) =>
                {
                    refused = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    /// One `XADD` for each, and one `WAIT`; `None` if the log refused the epoch or put a record where it cannot be.
    async fn append_once(
        &self,
        live: &Live,
        records: &[PurgeRecord],
        deadline: Instant,
    ) -> Result<Option<Vec<Receipt>>, Error> {
        let trust = &self.verifier.trust;
        let sent = trust.sent();
        // Where the replicas are late, `WAIT` would only hold up the next record: SAFETY 102.
        let waits = trust.replicas() > 0;
        let asks = waits && !self.late.load(Ordering::Relaxed);
        let pipe = self.appending(live, records, asks, deadline);
        let answer = self.appends.ask(live, deadline, &pipe).await?;
        let mut positions = Vec::with_capacity(records.len());
        for place in 0..records.len() {
            let added = answer
                .get(place)
                .ok_or_else(|| reply::malformed("record id"))?;
            if is_refused(added)? {
                return Ok(None);
            }
            let position = reply::position(added)?;
            if trust
                .judge_appended(sent, live.verified.epoch, position)
                .is_err()
            {
                return Ok(None);
            }
            trust.wrote(position);
            positions.push(position);
        }
        let replicas = match answer.get(records.len()) {
            Some(wait) => self.replicated(wait)?,
            None => Some(0),
        };
        let durable = replicas.is_some() && asks == waits;
        self.late.store(waits && !durable, Ordering::Relaxed);
        let receipt = |position| Receipt {
            position,
            replicas: replicas.unwrap_or(0),
            durable,
        };
        Ok(Some(positions.into_iter().map(receipt).collect()))
    }

    /// Whether what was appended up to `position` is on a replica by now. One caller asks at a time, for
    /// all: `WAIT` holds up what comes after it on the same connection.
    pub(super) async fn confirm_within(
        &self,
        position: Position,
    ) -> Result<Option<Receipt>, Error> {
        let deadline = Instant::now() + self.verifier.server.budgets().purge;
        let confirming = timeout_at(deadline, self.confirmed.lock()).await;
        let Ok(mut confirmed) = confirming else {
            return Err(not_replicated());
        };
        let done = |replicas| {
            Some(Receipt {
                position,
                replicas,
                durable: true,
            })
        };
        if let Some((known, replicas)) = *confirmed
            && known.epoch == position.epoch
            && known.ordinal >= position.ordinal
        {
            return Ok(done(replicas));
        }
        let live = self.appends.verified(deadline).await?;
        if live.verified.epoch != position.epoch {
            return Ok(None);
        }
        let trust = &self.verifier.trust;
        if trust.replicas() == 0 {
            self.late.store(false, Ordering::Relaxed);
            return Ok(done(0));
        }
        // All that is known to be in the log is in front of what is written now.
        let known = trust.sent().highest;
        let up_to = known.filter(|known| known.epoch == position.epoch);
        let up_to = up_to.filter(|known| known.ordinal > position.ordinal);
        let mut pipe = ::redis::pipe();
        // `WAIT` counts from the last write on its own connection, which may be a new one.
        let now = self.verifier.clock.now().as_millis();
        let set = pipe.cmd("SET").arg(self.verifier.keys.heartbeat());
        set.arg(now).arg("PX").arg(KEPT_MS);
        wait_for_one(&mut pipe, SLICE.min(within(deadline)));
        let answer = self.appends.ask(&live, deadline, &pipe).await?;
        if let Some(error) = answer.first().and_then(fault::error_in) {
            return Err(self.verifier.server.error("wait for a replica", error));
        }
        let wait = answer
            .get(1)
            .ok_or_else(|| reply::malformed("answer to WAIT"))?;
        let replicas = self.replicated(wait)?.ok_or_else(not_replicated)?;
        self.late.store(false, Ordering::Relaxed);
        *confirmed = Some((up_to.unwrap_or(position), replicas));
        Ok(done(replicas))
    }

    fn appending(
        &self,
        live: &Live,
        records: &[PurgeRecord],
        waits: bool,
        deadline: Instant,
    ) -> Pipeline {
        let mut pipe = ::redis::pipe();
        for record in records {
            let add = pipe.cmd("XADD").arg(self.verifier.keys.log());
            // Only opening an epoch creates the log (PROTOCOL 7).
            add.arg("NOMKSTREAM");
            add.arg(format!("{}-*", live.verified.epoch.get()));
            add.arg(fields(record, &live.verified.identity));
        }
        if waits {
            wait_for_one(&mut pipe, SLICE.min(within(deadline)));
        }
        pipe
    }

    /// PROTOCOL 23: where replicas exist, a record that none of them has is not durable. `[durable]`
    fn replicated(&self, wait: &Value) -> Result<Option<u32>, Error> {
        if let Value::Int(count) = wait {
            let count = u32::try_from(*count).unwrap_or(0);
            return Ok((count > 0).then_some(count));
        }
        let Some(error) = fault::error_in(wait) else {
            return Err(reply::malformed("answer to WAIT"));
        };
        if fault::Fault::of(&error).kind == ErrorKind::Denied {
            self.verifier.tell(Loss::Wait);
            return Ok(Some(0));
        }
        Err(self.verifier.server.error("wait for a replica", error))
    }
}

pub(super) fn not_replicated() -> Error {
    let message = "redis: no replica acknowledged the purge in time";
    Error::new(ErrorKind::Unavailable, message)
}

fn wait_for_one(pipe: &mut Pipeline, at_most: Duration) {
    // `WAIT n 0` would wait for ever.
    pipe.cmd("WAIT").arg(1).arg(millis(at_most).max(1));
}

/// How long one `WAIT` may hold up what comes after it. A replica that is well answers within a round
/// trip.
const SLICE: Duration = Duration::from_millis(300);

/// `WAIT` is late by up to 100 ms, as everything that blocks in Redis.
const LATE: Duration = Duration::from_millis(150);

/// Time for `WAIT`, so that its answer still arrives before `deadline`.
fn within(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    left.saturating_sub(LATE.max(left / 4))
}
