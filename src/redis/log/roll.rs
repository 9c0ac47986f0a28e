//! The roll as a hash in the log's slot, lost whole or not at all (PROTOCOL 34).
//!
//! Its fields: `n:` and a node's name: version, lease in milliseconds and heartbeat number. `p:` and its name: the position
//! that it has acknowledged. `mark`: the epoch for which the roll is complete. `token`: who waits to write that.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::{Pipeline, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::RedisLog;
use crate::clock::millis;
use crate::error::{Error, ErrorKind};
use crate::log::Roll;
use crate::log::Tip;
use crate::log::roll::{Registration, RollCall, RollEntry, RollHead, Token};
use crate::position::{Epoch, Position};
use crate::redis::exclusive::{is_replica, turned_replica};
use crate::redis::fault;
use crate::redis::health::Part;
use crate::redis::reply::{self, Last};
use crate::redis::verify::ask_last;

/// The version of what nodes write.
const VERSION: &str = "1";
const MARK: &str = "mark";
const TOKEN: &str = "token";

/// An acknowledgement changes an entry and creates none.
const ACKNOWLEDGE: &str = "\
if not redis.call('HGET', KEYS[1], ARGV[1]) then return 0 end \
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) \
return 1";
/// Removes an entry that is still as it was seen.
const REMOVE: &str = "\
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end \
redis.call('HDEL', KEYS[1], ARGV[1], ARGV[3]) \
return 1";
/// Puts a token in place of the one that was seen, or of none.
const OFFER: &str = "\
if (redis.call('HGET', KEYS[1], 'token') or '') ~= ARGV[1] then return 0 end \
redis.call('HSET', KEYS[1], 'token', ARGV[2]) \
return 1";
/// Writes the mark if the token is still there, and the log's last record of that epoch.
const WRITE_MARK: &str = "\
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end \
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1) \
if #last == 0 or string.sub(last[1][1], 1, string.len(ARGV[2]) + 1) ~= ARGV[2] .. '-' then return 0 end \
redis.call('HSET', KEYS[1], 'mark', ARGV[2]) \
redis.call('HDEL', KEYS[1], 'token') \
return 1";

/// What a server of the simulation has to run as a real one does.
#[cfg(test)]
pub(crate) const SCRIPTS: [&str; 4] = [ACKNOWLEDGE, REMOVE, OFFER, WRITE_MARK];

fn node_field(name: &str) -> String {
    format!("n:{name}")
}

fn position_field(name: &str) -> String {
    format!("p:{name}")
}

fn node_value(entry: &RollEntry) -> String {
    format!("{VERSION} {} {}", millis(entry.lease), entry.beat)
}

/// How many commands [`register`] adds.
pub(super) const COMMANDS: usize = 3;

/// Adds what registers `entry`, and asks for the head of the roll.
pub(super) fn register(pipe: &mut Pipeline, key: &str, entry: &RollEntry) {
    let set = pipe.cmd("HSET").arg(key).arg(node_field(&entry.name));
    set.arg(node_value(entry));
    let set = pipe.cmd("HSETNX").arg(key).arg(position_field(&entry.name));
    set.arg(entry.position.to_string());
    pipe.cmd("HMGET").arg(key).arg(MARK).arg(TOKEN);
}

impl RedisLog {
    /// What the answers to [`register`] say: the head of the roll; `None` if the entry was not taken.
    ///
    /// # Errors
    /// The server's, where it says that the log may not be used either.
    pub(super) async fn registered(&self, answers: &[Value]) -> Result<Option<RollHead>, Error> {
        let server = &self.verifier.server;
        let refused = answers.iter().find_map(fault::error_in);
        let head = match &refused {
            Some(_) => None,
            None => answers.last().and_then(head),
        };
        let error = match refused {
            None if head.is_some() => {
                // It takes scripts as well to acknowledge, and to write the mark.
                if !self.roll_denied.load(Ordering::Relaxed) {
                    self.health.note(Part::Roll, &Ok(()));
                }
                return Ok(head);
            }
            // PROTOCOL 22: a master that is cut off from its replicas refuses a write. `[hb_write]`
            Some(error) if error.code() == Some("NOREPLICAS") => {
                return Err(server.error("heartbeat", error));
            }
            Some(error) if error.code() == Some("WRONGTYPE") => {
                self.clear_roll().await;
                server.error("register", error)
            }
            Some(error) => server.error("register", error),
            None => {
                self.clear_roll().await;
                not_a_roll()
            }
        };
        self.health.note::<()>(Part::Roll, &Err(error));
        Ok(None)
    }

    /// What stands under the roll's key is no roll: that counts as lost, and all register anew.
    async fn clear_roll(&self) {
        let mut unlink = ::redis::cmd("UNLINK");
        unlink.arg(self.verifier.keys.roll());
        let budget = self.verifier.server.budgets().write;
        // If that fails, it is seen again.
        let _ = self.reads.run("clear the roll", budget, unlink).await;
    }

    /// Runs `script` over the roll and the log; whether it did something.
    async fn run(&self, what: &str, script: &str, arguments: &[&str]) -> Result<bool, Error> {
        let mut eval = ::redis::cmd("EVAL");
        eval.arg(script).arg(2);
        eval.arg(self.verifier.keys.roll());
        eval.arg(self.verifier.keys.log());
        eval.arg(arguments);
        let budget = self.verifier.server.budgets().write;
        let answer = self.reads.run(what, budget, eval).await;
        let denied = matches!(&answer, Err(error) if error.kind() == ErrorKind::Denied);
        self.roll_denied.store(denied, Ordering::Relaxed);
        if denied {
            self.health.note(Part::Roll, &answer);
        }
        Ok(answer? == Value::Int(1))
    }

    async fn call_roll(&self) -> Result<Option<RollCall>, Error> {
        let deadline = Instant::now() + self.verifier.server.budgets().write;
        let live = self.reads.verified(deadline).await?;
        let trust = &self.verifier.trust;
        let sent = trust.sent();
        let mut pipe = ::redis::pipe();
        pipe.cmd("HGETALL").arg(self.verifier.keys.roll());
        ask_last(&mut pipe, &self.verifier.keys);
        pipe.cmd("ROLE");
        let mut answers = self.reads.ask(&live, deadline, &pipe).await?.into_iter();
        let (Some(roll), Some(last), Some(role)) = (answers.next(), answers.next(), answers.next())
        else {
            return Err(reply::malformed("answer to HGETALL"));
        };
        if is_replica(&role) {
            live.distrusted(trust);
            return Err(turned_replica());
        }
        let last = Last::parse(last)?;
        let Ok(position) = trust.judge(sent, &live.verified.identity, &last) else {
            self.reads.doubt(&live);
            let message = "redis: the purge log is another one since it was verified";
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        trust.read(sent, position);
        let wrong_type = match fault::error_in(&roll) {
            Some(error) if error.code() == Some("WRONGTYPE") => true,
            Some(error) => return Err(self.verifier.server.error("read the roll", error)),
            None => false,
        };
        let replicas = trust.replicas_seen();
        let tip = Tip { position, replicas };
        let read = if wrong_type { None } else { parse(roll, tip) };
        if read.is_none() {
            self.health.note::<()>(Part::Roll, &Err(not_a_roll()));
            self.clear_roll().await;
        }
        Ok(read)
    }
}

impl Roll for RedisLog {
    fn register<'a>(&'a self, entry: &'a RollEntry) -> BoxFuture<'a, Result<Registration, Error>> {
        self.heartbeat(Some(entry)).boxed()
    }

    fn acknowledge<'a>(
        &'a self,
        name: &'a str,
        position: Position,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let (node, field) = (node_field(name), position_field(name));
            let position = position.to_string();
            self.run("acknowledge", ACKNOWLEDGE, &[&node, &field, &position])
                .await
                .map(drop)
        }
        .boxed()
    }

    fn call(&self) -> BoxFuture<'_, Result<Option<RollCall>, Error>> {
        self.call_roll().boxed()
    }

    fn remove<'a>(&'a self, entry: &'a RollEntry) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            let (node, field) = (node_field(&entry.name), position_field(&entry.name));
            let seen = node_value(entry);
            self.run("remove from the roll", REMOVE, &[&node, &seen, &field])
                .await
        }
        .boxed()
    }

    fn offer(&self, token: Token, before: Option<Token>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let before = before.map(|before| before.to_string()).unwrap_or_default();
            let token = token.to_string();
            self.run("offer a mark", OFFER, &[&before, &token])
                .await
                .map(drop)
        }
        .boxed()
    }

    fn mark(&self, token: Token) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let (offered, epoch) = (token.to_string(), token.epoch.get().to_string());
            self.run("mark the roll", WRITE_MARK, &[&offered, &epoch])
                .await
                .map(drop)
        }
        .boxed()
    }
}

fn not_a_roll() -> Error {
    let message = "redis: something else stands under the roll's key; it is cleared";
    Error::new(ErrorKind::Protocol, message)
}

/// The answer to `HMGET`; `None` if it is not ours.
fn head(answer: &Value) -> Option<RollHead> {
    let Value::Array(fields) = answer else {
        return None;
    };
    let [mark, token] = fields.as_slice() else {
        return None;
    };
    let read = |value: &Value| match value {
        Value::Nil => Some(None),
        value => reply::text(value).map(|text| Some(text.to_owned())),
    };
    let (mark, token) = (read(mark)?, read(token)?);
    Some(RollHead {
        mark: mark.map(|mark| epoch(&mark)).transpose().ok()?,
        token: token.map(|token| token.parse()).transpose().ok()?,
    })
}

fn epoch(text: &str) -> Result<Epoch, ()> {
    text.parse().map(Epoch::new).map_err(|_| ())
}

/// The answer to `HGETALL`; `None` if anything in it is not ours.
fn parse(answer: Value, tip: Tip) -> Option<RollCall> {
    // In order, so that the same roll is read alike each time.
    let fields: BTreeMap<String, String> = ::redis::from_redis_value(answer).ok()?;
    let mut head = RollHead::default();
    let mut entries = Vec::new();
    for (field, value) in &fields {
        match field.split_once(':') {
            None if field == MARK => head.mark = Some(epoch(value).ok()?),
            None if field == TOKEN => head.token = Some(value.parse().ok()?),
            Some(("n", name)) => {
                // Both are written by one heartbeat, and may be read in between: it has acknowledged nothing then.
                let position = fields.get(&position_field(name));
                let position = position.map_or(Ok(Position::new(0, 0)), |text| text.parse());
                entries.push(node(name, value, position.ok()?)?);
            }
            // Of a node that somebody removes now: both go together.
            Some(("p", name)) if fields.contains_key(&node_field(name)) => {}
            _ => return None,
        }
    }
    Some(RollCall { head, entries, tip })
}

/// The entry of the node `name`. Other versions may say more, behind what this one knows.
fn node(name: &str, value: &str, position: Position) -> Option<RollEntry> {
    let mut words = value.split(' ');
    let _version: u32 = words.next()?.parse().ok()?;
    let lease = words.next()?.parse().ok()?;
    let beat = words.next()?.parse().ok()?;
    Some(RollEntry {
        name: name.into(),
        lease: Duration::from_millis(lease),
        beat,
        position,
    })
}

#[cfg(test)]
mod tests;
