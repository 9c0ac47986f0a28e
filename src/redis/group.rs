//! One consumer of one stream's consumer group.
//!
//! Commands and waiting have a connection each, so that a command never stands behind a `BLOCK`
//! (SAFETY 65). Reading does not block: it takes the stream's and the group's state in the same
//! transaction, which shows exactly whether entries were lost before they were delivered. Waiting is
//! a plain `XREAD` that takes nothing from the group.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::redis::{Cmd, RedisResult, Value, cmd, pipe};

use crate::error::Error;
use crate::redis::conn::Server;
use crate::redis::keyspace::StreamKeys;

mod reply;
mod state;
mod wire;

pub(crate) use self::reply::{Claimed, Entry, EntryId, GroupState, Pending};
use self::wire::Wire;

/// How much longer than asked the server may wait before the connection counts as dead.
const WATCHDOG: Duration = Duration::from_secs(2);
/// Entries kept in a quarantine stream, about.
const MAX_QUARANTINED: usize = 1_000;

/// What was found before reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// `None` if the stream or the group is missing.
    pub(crate) state: Option<GroupState>,
    /// The gaps that somebody found and did not finish closing.
    pub(crate) gaps: Vec<String>,
    /// Whether any consumer of the group heard from this server lately.
    pub(crate) heard: bool,
}

/// What a read delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Read {
    /// The state just before; `None` if the stream or the group is missing.
    pub(crate) state: Option<GroupState>,
    pub(crate) entries: Vec<Entry>,
}

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
}

impl Group {
    /// The consumer called `consumer` in the group `group` of `stream`.
    pub(crate) fn new(
        server: Server,
        namespace: &str,
        group: &str,
        stream: &str,
        consumer: &str,
    ) -> Self {
        Self {
            keys: StreamKeys::new(namespace, stream),
            wire: Wire::new(server, stream),
            stream: stream.into(),
            group: group.into(),
            consumer: consumer.into(),
            blind: AtomicBool::new(false),
        }
    }

    /// The state of stream and group, and of what is known about gaps.
    pub(crate) async fn look(&self) -> Result<Look, Error> {
        let mut connection = self.wire.commands().await?;
        let mut marks = pipe();
        marks.cmd("HKEYS").arg(&self.keys.gaps);
        marks.cmd("EXISTS").arg(&self.keys.heard);
        let marks: RedisResult<(Vec<String>, bool)> = marks.query_async(&mut *connection).await;
        let (gaps, heard) = marks.map_err(|error| self.wire.error("look for gaps", error))?;
        let [stream, groups] = self.with_state("look", None).await?;
        let state = self.state(stream, groups)?;
        Ok(Look { state, gaps, heard })
    }

    /// Takes the next `count` entries, if there are any, and says for the time `heard_for` that
    /// this server was heard from.
    pub(crate) async fn read(&self, count: usize, heard_for: Duration) -> Result<Read, Error> {
        let mut heard = cmd("SET");
        heard.arg(&self.keys.heard).arg(1);
        heard.arg("PX").arg(millis(heard_for).max(1));
        self.wire.run(&mut heard, "say it was heard").await?;
        let command = self.xreadgroup(count, ">");
        let [stream, groups, entries] = self.with_state("read", Some(command)).await?;
        let Some(entries) = self.wire.unless_gone("read", entries)? else {
            return Ok(Read::default());
        };
        Ok(Read {
            state: self.state(stream, groups)?,
            entries: self.wire.understand(reply::delivered(entries))?.entries,
        })
    }

    /// What was delivered to this consumer behind `after` and not acknowledged.
    pub(crate) async fn pending(&self, after: EntryId, count: usize) -> Result<Pending, Error> {
        let mut command = self.xreadgroup(count, &after.to_string());
        let reply = self.wire.query(&mut command).await?;
        match self.wire.unless_gone("read what is pending", reply)? {
            Some(reply) => self.wire.understand(reply::delivered(reply)),
            None => Ok(Pending::default()),
        }
    }

    /// Takes over, from `from` on, what any consumer has left unacknowledged for `idle`.
    pub(crate) async fn claim(
        &self,
        idle: Duration,
        from: EntryId,
        count: usize,
    ) -> Result<Claimed, Error> {
        let mut command = self.on_group("XAUTOCLAIM");
        command
            .arg(&*self.consumer)
            .arg(millis(idle))
            .arg(from.to_string());
        command.arg("COUNT").arg(count);
        let reply = self.wire.query(&mut command).await?;
        let Some(reply) = self.wire.unless_gone("claim", reply)? else {
            return Ok(Claimed::default());
        };
        let mut claimed = self.wire.understand(reply::claimed(reply))?;
        if let (Some(first), Some(last)) = (claimed.entries.first(), claimed.entries.last()) {
            let mut command = self.on_group("XPENDING");
            command.arg(first.id.to_string()).arg(last.id.to_string());
            command.arg(count).arg(&*self.consumer);
            let reply = self.wire.run(&mut command, "count deliveries").await?;
            claimed.deliveries = self.wire.understand(reply::deliveries(reply))?;
        }
        Ok(claimed)
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
        self.wire.run(&mut command, "acknowledge").await.map(drop)
    }

    /// Adds a record to the quarantine stream.
    pub(crate) async fn quarantine(&self, record: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
        let mut command = cmd("XADD");
        command.arg(&self.keys.quarantine);
        command.arg("MAXLEN").arg("~").arg(MAX_QUARANTINED).arg("*");
        for (name, value) in record {
            command.arg(name).arg(value);
        }
        self.wire
            .run(&mut command, "put an entry aside")
            .await
            .map(drop)
    }

    /// Writes down that there is a gap, for any consumer to close should this one die.
    pub(crate) async fn mark_gap(&self, gap: &str, reason: &str) -> Result<(), Error> {
        let mut command = cmd("HSET");
        command.arg(&self.keys.gaps).arg(gap).arg(reason);
        self.wire.run(&mut command, "mark a gap").await.map(drop)
    }

    /// Forgets gaps that are closed. Others that were found meanwhile stay.
    pub(crate) async fn clear_gaps(&self, gaps: &[String]) -> Result<(), Error> {
        if gaps.is_empty() {
            return Ok(());
        }
        let mut command = cmd("HDEL");
        command.arg(&self.keys.gaps).arg(gaps);
        self.wire.run(&mut command, "clear a gap").await.map(drop)
    }

    /// Makes the group, at the stream's end or beginning, and the stream if it is missing.
    pub(crate) async fn create(&self, at_beginning: bool) -> Result<(), Error> {
        let mut command = cmd("XGROUP");
        command.arg("CREATE").arg(&*self.stream).arg(&*self.group);
        command
            .arg(if at_beginning { "0" } else { "$" })
            .arg("MKSTREAM");
        match self.wire.query(&mut command).await? {
            // Somebody else made it: as good.
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            other => other
                .map(drop)
                .map_err(|error| self.wire.error("make the group", error)),
        }
    }

    /// Waits until the stream has an entry behind `after`, or for `at_most`.
    pub(crate) async fn wait(&self, after: EntryId, at_most: Duration) -> Result<(), Error> {
        let mut connection = self.wire.waiting().await?;
        let mut command = cmd("XREAD");
        // BLOCK 0 would wait for ever.
        command
            .arg("COUNT")
            .arg(1)
            .arg("BLOCK")
            .arg(millis(at_most).max(1));
        command
            .arg("STREAMS")
            .arg(&*self.stream)
            .arg(after.to_string());
        let reply = command.query_async::<Value>(&mut *connection);
        match tokio::time::timeout(at_most + WATCHDOG, reply).await {
            Ok(Ok(_)) => Ok(()),
            // The stream is gone: the next look says so.
            Ok(Err(error)) if error.code() == Some("UNBLOCKED") => Ok(()),
            Ok(Err(error)) => Err(self.wire.error("wait for entries", error)),
            Err(_) => Err(self.wire.silent()),
        }
    }

    /// Removes consumers with nothing pending that were not heard from for `idle`. `true` if one
    /// turned out to have entries, which are lost with it.
    pub(crate) async fn forget_idle(&self, idle: Duration) -> Result<bool, Error> {
        if self.is_blind() {
            return Ok(false);
        }
        let mut command = cmd("XINFO");
        command
            .arg("CONSUMERS")
            .arg(&*self.stream)
            .arg(&*self.group);
        let reply = self.wire.query(&mut command).await?;
        let Some(reply) = self.wire.unless_gone("list consumers", reply)? else {
            return Ok(false);
        };
        let mut lost = false;
        for consumer in self.wire.understand(reply::consumers(reply))? {
            let dead = consumer.pending == 0 && u128::from(consumer.idle) > idle.as_millis();
            if dead && consumer.name != *self.consumer {
                lost |= self.remove(&consumer.name).await?;
            }
        }
        Ok(lost)
    }

    /// Removes this consumer, unless it leaves entries for others to claim.
    pub(crate) async fn leave(&self) -> Result<(), Error> {
        let mut command = self.on_group("XPENDING");
        command.arg("-").arg("+").arg(1).arg(&*self.consumer);
        let reply = self.wire.query(&mut command).await?;
        match self.wire.unless_gone("leave", reply)? {
            Some(Value::Array(pending)) if pending.is_empty() => {
                self.remove(&self.consumer).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Drops the connections; the next command makes new ones.
    pub(crate) fn disconnect(&self) {
        self.wire.disconnect();
    }

    /// Waits before something is tried again: for `wait`, or until the server is known to be back.
    pub(crate) async fn rest(&self, wait: Duration) {
        self.wire.rest(wait).await;
    }

    async fn remove(&self, consumer: &str) -> Result<bool, Error> {
        let mut command = cmd("XGROUP");
        command
            .arg("DELCONSUMER")
            .arg(&*self.stream)
            .arg(&*self.group)
            .arg(consumer);
        let reply = self.wire.run(&mut command, "remove a consumer").await?;
        Ok(!matches!(reply, Value::Int(0)))
    }

    fn xreadgroup(&self, count: usize, from: &str) -> Cmd {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(&*self.group).arg(&*self.consumer);
        command
            .arg("COUNT")
            .arg(count)
            .arg("STREAMS")
            .arg(&*self.stream)
            .arg(from);
        command
    }

    fn on_group(&self, name: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(&*self.stream).arg(&*self.group);
        command
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
