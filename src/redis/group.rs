//! One consumer of one stream's consumer group.
//!
//! Commands and waiting have a connection each, so that a command never stands behind a `BLOCK`
//! (SAFETY 65). Reading does not block: it takes the stream's and the group's state in the same
//! step, which shows exactly whether entries were lost before they were delivered, and takes no more
//! bytes than asked for. [Waiting](wait) takes nothing from the group. What a consumer can do without
//! may be [refused](refusals).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ::redis::{Cmd, Value, cmd, pipe};

use crate::clock::millis;
use crate::error::Error;
use crate::redis::conn::Server;
use crate::redis::keyspace::StreamKeys;

mod members;
mod refusals;
mod reply;
mod state;
mod taking;
mod trim;
mod wait;
mod wire;

use self::refusals::{Refusals, Side};
pub(crate) use self::reply::{ClaimedEntries, EntryId, GroupState, PendingEntries, StreamEntry};
use self::state::Delivery;
pub(crate) use self::state::TAKEN;
use self::taking::Taking;
pub(crate) use self::taking::{Look, LookPace, Portion, Read, ToldLosses};
pub(crate) use self::wait::Waited;
use self::wire::Wire;

/// Entries kept in a quarantine stream, about.
const MAX_QUARANTINED: usize = 1_000;
/// How many of the entries that wait are looked at.
const LISTED: usize = 128;

/// Names and values of what is put aside.
type Record = [(Vec<u8>, Vec<u8>)];

/// One consumer of one group.
#[derive(Debug)]
pub(crate) struct Group {
    wire: Wire,
    stream: Box<str>,
    group: Box<str>,
    consumer: Box<str>,
    keys: StreamKeys,
    /// The server does not let us see the state of streams, so that losses cannot be told.
    blind: AtomicBool,
    /// It lets us run scripts.
    scripted: AtomicBool,
    /// The group at which consumers [wait].
    bell: Box<str>,
    /// The server lets us wait there.
    belled: AtomicBool,
    /// Bytes of the largest entry seen lately, where no script looks at the size of those to come.
    largest: AtomicUsize,
    refused: Refusals,
}

impl Group {
    /// The consumer called `consumer` in the group `group` of `stream`, for those whose mapping has this
    /// number: entries that one of them was given count as taken by others for those with another mapping,
    /// which purges something else.
    pub(crate) fn new(
        server: Server,
        namespace: &str,
        group: &str,
        stream: &str,
        consumer: &str,
        mapping: u64,
    ) -> Self {
        Self {
            keys: StreamKeys::new(
                namespace,
                group,
                stream,
                mapping,
                server.cluster().is_some(),
            ),
            wire: Wire::new(server.with_key(stream), stream),
            stream: stream.into(),
            group: group.into(),
            consumer: consumer.into(),
            blind: AtomicBool::new(false),
            scripted: AtomicBool::new(true),
            bell: wait::bell_of(group).into(),
            belled: AtomicBool::new(true),
            largest: AtomicUsize::new(0),
            refused: Refusals::of(stream),
        }
    }

    /// How long an answer may take.
    pub(crate) fn budget(&self) -> Duration {
        self.wire.budget()
    }

    /// The state of stream and group, the gaps that are open, and what waits; asked for in one write.
    pub(crate) async fn look(&self, pace: LookPace) -> Result<Look, Error> {
        let mut marks = pipe();
        marks.ignore_errors();
        marks.cmd("HKEYS").arg(&self.keys.gaps);
        marks.cmd("XPENDING").arg(&*self.stream).arg(&*self.group);
        marks.arg("-").arg("+").arg(LISTED);
        let budget = self.wire.budget();
        let marks = self.wire.query_all(&marks, "look for gaps", budget);
        let (marks, taken) = tokio::join!(marks, self.take(Taking::nothing(pace)));
        let [gaps, waiting] = self.wire.parts(marks?)?;
        let gaps = gaps.map_err(|error| self.wire.error("look for gaps", error));
        let gaps = self.refused.allow(Side::Gaps, gaps)?;
        let waiting = self.wire.unless_gone("look for what waits", waiting);
        let waiting = self.refused.allow(Side::PendingEntries, waiting)?;
        let waiting = waiting.flatten().map(reply::waiting);
        let taken = taken?;
        Ok(Look {
            state: taken.state,
            gaps: match gaps {
                Some(gaps) => self.wire.understand(reply::texts(gaps))?,
                None => Vec::new(),
            },
            waiting: match waiting {
                Some(waiting) => self.wire.understand(waiting)?,
                None => Vec::new(),
            },
            next: taken.next,
        })
    }

    /// Takes the next entries, if there are any: as many portions as `times`, asked for in one write. Where entries may be
    /// lost that were not told, nothing is taken, unless `told` is `None` (PROTOCOL 44).
    pub(crate) async fn read(
        &self,
        portion: Portion,
        times: usize,
        told: Option<ToldLosses>,
    ) -> Result<Vec<Read>, Error> {
        let taken = self.take_times(Taking::new(portion, told), times).await?;
        let read = |taken: Delivery| Read {
            state: taken.state,
            entries: taken.delivered.entries,
        };
        Ok(taken.into_iter().map(read).collect())
    }

    /// What was delivered to this consumer behind `after` and not acknowledged.
    pub(crate) async fn pending(
        &self,
        after: EntryId,
        portion: Portion,
    ) -> Result<PendingEntries, Error> {
        let after = after.to_string();
        let taken = self.take(Taking::behind(&after, portion)).await?;
        Ok(taken.delivered)
    }

    /// Says for the time `lasting` that events were read from this server. Returns what it says if it is
    /// full: publishers can add nothing then either.
    pub(crate) async fn say_heard(&self, lasting: Duration) -> Result<Option<Error>, Error> {
        let mut heard = cmd("SET");
        heard.arg(&self.keys.heard).arg(1);
        heard.arg("PX").arg(millis(lasting).max(1));
        let said = self.wire.query(&heard).await?;
        let is_full = matches!(&said, Err(error) if error.code() == Some("OOM"));
        let said = said.map_err(|error| self.wire.error("say that events were read", error));
        match said {
            Err(error) if is_full => Ok(Some(error)),
            said => self.refused.allow(Side::Heard, said).map(|_| None),
        }
    }

    /// Whether some consumer of the group read lately: it said so, or was given an entry within
    /// `lately`. The key alone proves nothing by its absence, as a full server may evict it.
    pub(crate) async fn was_heard(&self, lately: Duration) -> Result<bool, Error> {
        let mut exists = cmd("EXISTS");
        exists.arg(&self.keys.heard);
        let doing = "see whether events were read";
        let exists = self.run(Side::Heard, &exists, doing).await?;
        if matches!(exists, Some(Value::Int(1))) {
            return Ok(true);
        }
        let consumers = self.consumers().await?;
        let mut idle = consumers.iter().map(|consumer| consumer.idle);
        Ok(idle.any(|idle| idle < millis(lately)))
    }

    /// Takes over, from `from` on, what any consumer has left unacknowledged for `idle`.
    pub(crate) async fn claim(
        &self,
        idle: Duration,
        from: EntryId,
        count: usize,
    ) -> Result<ClaimedEntries, Error> {
        let mut command = self.on_group("XAUTOCLAIM");
        command
            .arg(&*self.consumer)
            .arg(millis(idle))
            .arg(from.to_string());
        // Only their ids: they are read as what is pending here, by their size.
        command.arg("COUNT").arg(count).arg("JUSTID");
        let reply = self.wire.query(&command).await?;
        let reply = self.wire.unless_gone("claim", reply);
        let mut claimed = match self.refused.allow(Side::Claim, reply)? {
            Some(Some(reply)) => self.wire.understand(reply::claimed(reply))?,
            Some(None) => return Ok(ClaimedEntries::default()),
            None => return self.left_by_others(idle, count).await,
        };
        if let (Some(first), Some(last)) = (claimed.ids.first(), claimed.ids.last()) {
            let mut command = self.on_group("XPENDING");
            command.arg(first.to_string()).arg(last.to_string());
            command.arg(count).arg(&*self.consumer);
            let (side, doing) = (Side::PendingEntries, "count deliveries");
            if let Some(reply) = self.run(side, &command, doing).await? {
                claimed.deliveries = self.wire.understand(reply::deliveries(reply))?;
            }
        }
        Ok(claimed)
    }

    /// What cannot be taken over although it was left for `idle`.
    async fn left_by_others(&self, idle: Duration, count: usize) -> Result<ClaimedEntries, Error> {
        let mut command = self.on_group("XPENDING");
        command
            .arg("IDLE")
            .arg(millis(idle))
            .arg("-")
            .arg("+")
            .arg(count);
        let reply = self.wire.query(&command).await?;
        let reply = self.wire.unless_gone("see what others left", reply);
        let reply = self.refused.allow(Side::PendingEntries, reply)?;
        Ok(ClaimedEntries {
            out_of_reach: match reply.flatten() {
                Some(reply) => self.wire.understand(reply::waiting(reply))?,
                None => Vec::new(),
            },
            ..ClaimedEntries::default()
        })
    }

    /// Says that this consumer works on `ids`, so that no other takes them over. Returns those that
    /// are still to be acknowledged; all, if the server does not tell.
    ///
    /// Over the connection for waiting: the other may be busy with a long answer.
    pub(crate) async fn renew(&self, ids: &[EntryId]) -> Result<Vec<EntryId>, Error> {
        let mut command = self.on_group("XCLAIM");
        command.arg(&*self.consumer).arg(0);
        for id in ids {
            command.arg(id.to_string());
        }
        command.arg("JUSTID");
        let connection = self.wire.waiting().await?;
        let to = &mut connection.to.clone();
        let reply = command.query_async::<Value>(to);
        let reply = self.wire.heard(&connection, self.wire.budget(), reply);
        let Some(reply) = reply.await? else {
            return Err(self.wire.silent());
        };
        let reply = self.wire.unless_gone("say what is worked on", reply);
        match self.refused.allow(Side::Renew, reply)? {
            Some(Some(reply)) => self.wire.understand(reply::ids(reply)),
            // No group: the next look says so.
            Some(None) | None => Ok(ids.to_vec()),
        }
    }

    /// Acknowledges entries.
    pub(crate) async fn acknowledge(&self, ids: &[EntryId]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut command = self.on_group("XACK");
        for id in ids {
            command.arg(id.to_string());
        }
        self.wire.run(&command, "acknowledge").await.map(drop)
    }

    /// Adds `records` to the quarantine stream, in this order and in one write.
    pub(crate) async fn quarantine(&self, records: &[&Record]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let mut pipe = pipe();
        pipe.ignore_errors();
        for record in records {
            let add = pipe.cmd("XADD").arg(&self.keys.quarantine);
            add.arg("MAXLEN").arg("~").arg(MAX_QUARANTINED).arg("*");
            add.arg(*record);
        }
        let (doing, budget) = ("put an entry aside", self.wire.budget());
        for added in self.wire.query_all(&pipe, doing, budget).await? {
            let added = added.map_err(|error| self.wire.error(doing, error));
            self.refused.allow(Side::Quarantine, added)?;
        }
        Ok(())
    }

    /// Writes down that there is a gap, for any consumer to close should this one die.
    pub(crate) async fn mark_gap(&self, gap: &str, reason: &str) -> Result<(), Error> {
        let mut command = cmd("HSET");
        command.arg(&self.keys.gaps).arg(gap).arg(reason);
        let marked = self.run(Side::Gaps, &command, "mark a gap");
        marked.await.map(drop)
    }

    /// Forgets gaps that are closed. Others that were found meanwhile stay.
    pub(crate) async fn clear_gaps(&self, gaps: &[String]) -> Result<(), Error> {
        if gaps.is_empty() {
            return Ok(());
        }
        let mut command = cmd("HDEL");
        command.arg(&self.keys.gaps).arg(gaps);
        let cleared = self.run(Side::Gaps, &command, "clear a gap");
        cleared.await.map(drop)
    }

    /// Makes the group, at the stream's end or beginning, and the stream if it is missing.
    pub(crate) async fn create(&self, at_beginning: bool) -> Result<(), Error> {
        let mut command = cmd("XGROUP");
        command.arg("CREATE").arg(&*self.stream).arg(&*self.group);
        command
            .arg(if at_beginning { "0" } else { "$" })
            .arg("MKSTREAM");
        match self.wire.query(&command).await? {
            // Somebody else made it: as good.
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            Ok(_) => {
                // It was made elsewhere than the last one was: our own doing.
                let mut forget = cmd("DEL");
                forget.arg(&self.keys.at);
                let forgotten = self.run(Side::Gaps, &forget, "forget the last group");
                forgotten.await.map(drop)
            }
            Err(error) => Err(self.wire.error("make the group", error)),
        }
    }

    /// Drops the connections; the next command makes new ones.
    pub(crate) fn disconnect(&self) {
        self.wire.disconnect();
        // What was refused may be allowed by now.
        self.scripted.store(true, Ordering::Relaxed);
        self.belled.store(true, Ordering::Relaxed);
    }

    /// Waits before something is tried again: for `wait`, or until the server is known to be back.
    pub(crate) async fn rest(&self, wait: Duration) {
        self.wire.rest(wait).await;
    }

    /// The answer to a command that this consumer can do without; `None` if it is refused.
    async fn run(&self, side: Side, command: &Cmd, doing: &str) -> Result<Option<Value>, Error> {
        let answer = self.wire.run(command, doing).await;
        self.refused.allow(side, answer)
    }

    fn on_group(&self, name: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(&*self.stream).arg(&*self.group);
        command
    }
}
