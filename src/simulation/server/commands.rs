//! The commands that `src/redis` sends, as Redis 7.0 answers them.

use std::time::Duration;

use super::db::{Stored, change};
use super::resp::{Answer, Command};
use super::script;
use super::state::{Role, State};
use super::stream::{FieldList, Id, Records};

/// What comes of a command.
#[derive(Debug)]
pub(in crate::simulation) enum Outcome {
    Answer(Answer),
    /// `XREAD` waits for what comes behind `after`.
    Read {
        key: Vec<u8>,
        after: Id,
        most: usize,
        wait: Duration,
    },
    /// `WAIT` waits for so many replicas.
    Replicas {
        number: usize,
        wait: Duration,
    },
}

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
pub(super) const SYNTAX: &str = "ERR syntax error";
const NOT_A_NUMBER: &str = "ERR value is not an integer or out of range";

pub(super) type Answered = Result<Answer, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Hash,
    Stream,
}

pub(super) fn number<N: std::str::FromStr>(text: &[u8]) -> Result<N, String> {
    let number = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    number.ok_or_else(|| NOT_A_NUMBER.to_owned())
}

pub(super) fn word(text: &[u8]) -> String {
    String::from_utf8_lossy(text).to_ascii_uppercase()
}

pub(super) fn record(id: &Id, fields: &FieldList) -> Answer {
    let fields = fields
        .iter()
        .map(|part| Answer::Text(part.clone()))
        .collect();
    Answer::List(vec![Answer::text(id.to_string()), Answer::List(fields)])
}

/// The answer of `XREAD` about one stream.
pub(in crate::simulation) fn read(
    records: &Records,
    key: &[u8],
    after: Id,
    most: usize,
) -> Option<Answer> {
    let found: Vec<_> = records
        .after(after)
        .take(most)
        .map(|(id, fields)| record(id, fields))
        .collect();
    (!found.is_empty()).then(|| {
        Answer::List(vec![Answer::List(vec![
            Answer::text(key),
            Answer::List(found),
        ])])
    })
}

const WRITES: &[&str] = &[
    "SET", "DEL", "UNLINK", "PEXPIRE", "HSET", "HSETNX", "HDEL", "XADD", "XTRIM", "FLUSHALL",
];

impl State {
    /// Executes `command` of a client.
    pub(in crate::simulation) fn execute(&mut self, command: &Command) -> Outcome {
        let now = self.now();
        self.db.expire(now);
        let name = command.first().map(|name| word(name)).unwrap_or_default();
        let blocks = match (name.as_str(), &command[1..]) {
            ("WAIT", [number, wait]) => self.wait(number, wait),
            ("XREAD", arguments) => self.xread(arguments),
            _ => self
                .call(&name, command.get(1..).unwrap_or_default())
                .map(Outcome::Answer),
        };
        blocks.unwrap_or_else(|error| Outcome::Answer(Answer::Error(error)))
    }

    /// Executes one that does not block, of a client or a script.
    pub(super) fn call(&mut self, name: &str, arguments: &[Vec<u8>]) -> Answered {
        if WRITES.contains(&name) {
            self.may_write()?;
        }
        match (name, arguments) {
            ("PING", []) => Ok(Answer::Word("PONG")),
            ("SELECT" | "CLIENT", _) => Ok(Answer::OK),
            ("INFO", _) => Ok(Answer::text(self.info())),
            ("ROLE", []) => Ok(self.role_answer()),
            ("EXISTS", [key]) => Ok(Answer::Number(i64::from(self.db.keys.contains_key(key)))),
            ("GET", [key]) => self.get(key),
            ("GETRANGE", [key, from, to]) => self.getrange(key, from, to),
            ("SET", [key, value, how @ ..]) => self.set(key, value, how),
            ("DEL" | "UNLINK", keys) => Ok(Answer::Number(self.delete(keys))),
            ("PEXPIRE", [key, for_ms]) => self.pexpire(key, for_ms),
            ("HGET", [key, field]) => self
                .fields(key, std::slice::from_ref(field))
                .map(|mut found| found.remove(0)),
            ("HMGET", [key, fields @ ..]) => self.fields(key, fields).map(Answer::List),
            ("HGETALL", [key]) => self.hgetall(key),
            ("HSET", [key, pairs @ ..]) if !pairs.is_empty() => self.hset(key, pairs),
            ("HSETNX", [key, field, value]) => self.hsetnx(key, field, value),
            ("HDEL", [key, fields @ ..]) => self.hdel(key, fields),
            ("XADD", [key, how @ ..]) => self.xadd(key, how),
            ("XLEN", [key]) => self
                .records(key)
                .map(|found| Answer::Number(found.map_or(0, Records::len) as i64)),
            ("XRANGE", [key, from, to, how @ ..]) => self.range(key, from, to, how, false),
            ("XREVRANGE", [key, to, from, how @ ..]) => self.range(key, from, to, how, true),
            ("XTRIM", [key, how @ ..]) => self.xtrim(key, how),
            ("FLUSHALL", []) => {
                self.make(change([b"FLUSHALL"]));
                Ok(Answer::OK)
            }
            ("EVAL", [text, keys, arguments @ ..]) => {
                let keys: usize = number(keys)?;
                script::run(self, text, keys, arguments)
            }
            _ => Err(format!(
                "ERR unknown command '{name}', with args beginning with: "
            )),
        }
    }

    fn may_write(&self) -> Result<(), String> {
        if self.role != Role::Master {
            return Err("READONLY You can't write against a read only replica.".to_owned());
        }
        if self.demands > self.good {
            return Err("NOREPLICAS Not enough good replicas to write.".to_owned());
        }
        Ok(())
    }

    fn role_answer(&self) -> Answer {
        let offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
        match self.role {
            Role::Master => {
                let replicas = self.replicas.iter().map(|replica| {
                    let host = Answer::text(format!("server-{}", replica.host));
                    let offset = Answer::text(replica.acknowledged.to_string());
                    Answer::List(vec![host, Answer::text("6379"), offset])
                });
                let replicas = replicas.collect();
                Answer::List(vec![
                    Answer::text("master"),
                    Answer::Number(offset),
                    Answer::List(replicas),
                ])
            }
            Role::ReplicaOf(master) => Answer::List(vec![
                Answer::text("slave"),
                Answer::text(format!("server-{master}")),
                Answer::Number(6379),
                Answer::text("connected"),
                Answer::Number(offset),
            ]),
        }
    }

    pub(super) fn is(&self, key: &[u8], kind: Kind) -> Result<(), String> {
        let right = self.db.keys.get(key).is_none_or(|slot| match &slot.stored {
            Stored::Text(_) => kind == Kind::Text,
            Stored::Hash(_) => kind == Kind::Hash,
            Stored::Stream(_) => kind == Kind::Stream,
        });
        if right {
            Ok(())
        } else {
            Err(WRONG_TYPE.to_owned())
        }
    }

    fn get(&self, key: &[u8]) -> Answered {
        self.is(key, Kind::Text)?;
        Ok(self
            .db
            .text(key)
            .map_or(Answer::Nothing, |text| Answer::text(&**text)))
    }

    fn getrange(&self, key: &[u8], from: &[u8], to: &[u8]) -> Answered {
        let (from, to): (usize, usize) = (number(from)?, number(to)?);
        self.is(key, Kind::Text)?;
        let text: &[u8] = self.db.text(key).map_or(&[], |text| text);
        let end = text.len().min(to.saturating_add(1));
        Ok(Answer::text(text.get(from..end).unwrap_or_default()))
    }

    fn set(&mut self, key: &[u8], value: &[u8], how: &[Vec<u8>]) -> Answered {
        let (mut only_new, mut asks, mut expires) = (false, false, None);
        let mut how = how.iter();
        while let Some(option) = how.next() {
            match word(option).as_str() {
                "NX" => only_new = true,
                "GET" => asks = true,
                "PX" => {
                    let for_ms: i64 = number(how.next().ok_or(SYNTAX)?)?;
                    if for_ms <= 0 {
                        return Err("ERR invalid expire time in 'set' command".to_owned());
                    }
                    expires = Some(self.now() + for_ms.unsigned_abs());
                }
                _ => return Err(SYNTAX.to_owned()),
            }
        }
        let old = match asks {
            true => self.get(key)?,
            false => Answer::OK,
        };
        if only_new && self.db.keys.contains_key(key) {
            return Ok(if asks { old } else { Answer::Nothing });
        }
        let mut set = change([b"SET", key, value]);
        set.extend(expires.map(|at| at.to_string().into_bytes()));
        self.make(set);
        Ok(old)
    }

    fn delete(&mut self, keys: &[Vec<u8>]) -> i64 {
        let mut deleted = 0;
        for key in keys {
            if self.db.keys.contains_key(key) {
                deleted += 1;
                self.make(change([b"DEL", key]));
            }
        }
        deleted
    }

    fn pexpire(&mut self, key: &[u8], for_ms: &[u8]) -> Answered {
        let at = self.now() + number::<u64>(for_ms)?;
        if !self.db.keys.contains_key(key) {
            return Ok(Answer::Number(0));
        }
        self.make(change([b"EXPIREAT", key, at.to_string().as_bytes()]));
        Ok(Answer::Number(1))
    }

    fn fields(&self, key: &[u8], fields: &[Vec<u8>]) -> Result<Vec<Answer>, String> {
        self.is(key, Kind::Hash)?;
        let hash = self.db.hash(key);
        let find = |field: &Vec<u8>| hash.iter().find(|(name, _)| name == field);
        let found = fields.iter().map(|field| {
            find(field).map_or(Answer::Nothing, |(_, value)| Answer::Text(value.clone()))
        });
        Ok(found.collect())
    }

    fn hgetall(&self, key: &[u8]) -> Answered {
        self.is(key, Kind::Hash)?;
        let pairs = self
            .db
            .hash(key)
            .iter()
            .flat_map(|(name, value)| [name, value]);
        Ok(Answer::List(
            pairs.map(|part| Answer::Text(part.clone())).collect(),
        ))
    }

    fn hset(&mut self, key: &[u8], pairs: &[Vec<u8>]) -> Answered {
        self.is(key, Kind::Hash)?;
        let mut new = 0;
        for pair in pairs.chunks(2) {
            let [field, value] = pair else {
                return Err("ERR wrong number of arguments for 'hset' command".to_owned());
            };
            new += i64::from(!self.db.hash(key).iter().any(|(name, _)| name == field));
            self.make(change([b"HSET", key, field, value]));
        }
        Ok(Answer::Number(new))
    }

    fn hsetnx(&mut self, key: &[u8], field: &[u8], value: &[u8]) -> Answered {
        self.is(key, Kind::Hash)?;
        if self.db.hash(key).iter().any(|(name, _)| name == field) {
            return Ok(Answer::Number(0));
        }
        self.make(change([b"HSET", key, field, value]));
        Ok(Answer::Number(1))
    }

    fn hdel(&mut self, key: &[u8], fields: &[Vec<u8>]) -> Answered {
        self.is(key, Kind::Hash)?;
        let mut gone = 0;
        for field in fields {
            if self.db.hash(key).iter().any(|(name, _)| name == field) {
                gone += 1;
                self.make(change([b"HDEL", key, field]));
            }
        }
        Ok(Answer::Number(gone))
    }
}
