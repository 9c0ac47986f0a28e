//! Appending: in the log of a verified epoch, and on a replica where there is one (PROTOCOL 23).

use std::time::Duration;

use ::redis::{Pipeline, Value};
use tokio::time::Instant;

use super::{RedisLog, TRIES, changes_too_fast};
use crate::error::{Error, ErrorKind};
use crate::log::{Appended, PurgeRecord};
use crate::redis::fault;
use crate::redis::info::Lost;
use crate::redis::link::Live;
use crate::redis::reply;
use crate::redis::verify::{fields, is_refused};

impl RedisLog {
    /// Appends within the purge budget. What ends in an error may be in the log all the same: it
    /// is repeated, and a double record is harmless.
    pub(super) async fn append_within(&self, record: &PurgeRecord) -> Result<Appended, Error> {
        let deadline = Instant::now() + self.verifier.server.budgets().purge;
        let mut refused = changes_too_fast();
        for _ in 0..TRIES {
            let live = self.appends.verified(deadline).await?;
            match self.append_once(&live, record, deadline).await {
                Ok(Some(appended)) => return Ok(appended),
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

    /// One `XADD`; `None` if the log refused the epoch or put the record where it cannot be.
    async fn append_once(
        &self,
        live: &Live,
        record: &PurgeRecord,
        deadline: Instant,
    ) -> Result<Option<Appended>, Error> {
        let trust = &self.verifier.trust;
        let sent = trust.sent();
        let waits = trust.replicas() > 0;
        let pipe = self.appending(live, record, waits, deadline);
        let answer = self.appends.ask(live, deadline, &pipe).await?;
        let added = answer
            .first()
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
        let replicas = answer
            .get(1)
            .map_or(Ok(0), |wait| self.is_replicated(wait))?;
        Ok(Some(Appended { position, replicas }))
    }

    fn appending(
        &self,
        live: &Live,
        record: &PurgeRecord,
        waits: bool,
        deadline: Instant,
    ) -> Pipeline {
        let mut pipe = ::redis::pipe();
        let add = pipe.cmd("XADD").arg(self.verifier.keys.log());
        // Only opening an epoch creates the log (PROTOCOL 7).
        add.arg("NOMKSTREAM");
        add.arg(format!("{}-*", live.verified.epoch.get()));
        for (name, value) in fields(record, &live.verified.identity) {
            add.arg(name).arg(value);
        }
        if waits {
            // `WAIT n 0` would wait for ever.
            let millis = within(deadline).as_millis();
            pipe.cmd("WAIT")
                .arg(1)
                .arg(u64::try_from(millis).unwrap_or(1).max(1));
        }
        pipe
    }

    /// PROTOCOL 23: where replicas exist, a record that none of them has is not durable. `[durable]`
    fn is_replicated(&self, wait: &Value) -> Result<u32, Error> {
        if let Value::Int(count) = wait {
            let count = u32::try_from(*count).unwrap_or(0);
            if count > 0 {
                return Ok(count);
            }
            let message = "redis: no replica acknowledged the purge in time";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let Some(error) = fault::error_in(wait) else {
            return Err(reply::malformed("answer to WAIT"));
        };
        if fault::Fault::of(&error).kind == ErrorKind::Denied {
            self.verifier.tell(Lost::Wait);
            return Ok(0);
        }
        Err(self.verifier.server.error("wait for a replica", error))
    }
}

/// `WAIT` is late by up to 100 ms, as everything that blocks in Redis.
const LATE: Duration = Duration::from_millis(150);

/// Time for `WAIT`, so that its answer still arrives before `deadline`.
fn within(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    left.saturating_sub(LATE.max(left / 4))
}
