//! Trimming by age, by number and by bytes, never to nothing (PROTOCOL 2).

use ::redis::{Cmd, Value};
use tokio::time::Instant;

use super::RedisLog;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::log::Keep;
use crate::position::Position;
use crate::redis::reply;

/// Records looked at together.
const CHUNK: usize = 500;
/// Chunks dropped in one call; the next call goes on.
const CHUNKS: usize = 200;

impl RedisLog {
    /// Drops all but about the newest so many and so many bytes of them, then those that are too old.
    pub(super) async fn trim_to(&self, keep: Keep) -> Result<(), Error> {
        let most = keep.records.max(1);
        self.trim_command(|trim| trim.arg("MAXLEN").arg("~").arg(most))
            .await?;
        let from = self.size.lock().keep_from(keep.bytes);
        let deadline = Instant::now() + self.verifier.server.budgets().purge;
        let epoch = self.appends.verified(deadline).await?.verified.epoch;
        // An id of another epoch says nothing about the records of this one.
        if let Some(from) = from.filter(|from| from.epoch == epoch) {
            self.trim_command(|trim| trim.arg("MINID").arg(from.to_string()))
                .await?;
        }
        self.size.lock().trimmed(most, from);
        let older_than = keep.since;
        for _ in 0..CHUNKS {
            let Some((keep_from, more)) = self.first_to_keep(older_than).await? else {
                return Ok(());
            };
            // An id that was read: that record stays, whatever else goes.
            self.trim_command(|trim| trim.arg("MINID").arg(keep_from.to_string()))
                .await?;
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Among the oldest records the first that has to stay, and whether more may have to go. `None`:
    /// nothing has to go.
    async fn first_to_keep(
        &self,
        older_than: Timestamp,
    ) -> Result<Option<(Position, bool)>, Error> {
        let mut range = ::redis::cmd("XRANGE");
        range
            .arg(self.verifier.keys.log())
            .arg("-")
            .arg("+")
            .arg("COUNT")
            .arg(CHUNK);
        let oldest = reply::entries(self.command(range).await?)?;
        let young = |record: &reply::RawRecord| record.numbered().record.at >= older_than;
        let keep = oldest.iter().position(young);
        Ok(match keep {
            Some(0) => None,
            Some(place) => Some((oldest[place].position, false)),
            None => oldest.last().filter(|_| oldest.len() > 1).map(|last| {
                let more = oldest.len() == CHUNK;
                (last.position, more)
            }),
        })
    }

    async fn trim_command(&self, how: impl Fn(&mut Cmd) -> &mut Cmd) -> Result<(), Error> {
        let mut trim = ::redis::cmd("XTRIM");
        how(trim.arg(self.verifier.keys.log()));
        self.command(trim).await.map(drop)
    }

    async fn command(&self, command: Cmd) -> Result<Value, Error> {
        let budget = self.verifier.server.budgets().purge;
        self.appends.run("trim", budget, command).await
    }
}
