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
const SYNTAX: &str = "ERR syntax error";
const NOT_A_NUMBER: &str = "ERR value is not an integer or out of range";

type Answered = Result<Answer, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Hash,
    Stream,
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Result<N, String> {
    let number = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    number.ok_or_else(|| NOT_A_NUMBER.to_owned())
}

fn word(text: &[u8]) -> String {
    String::from_utf8_lossy(text).to_ascii_uppercase()
}

fn record(id: &Id, fields: &FieldList) -> Answer {
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

    fn is(&self, key: &[u8], kind: Kind) -> Result<(), String> {
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

    fn records(&self, key: &[u8]) -> Result<Option<&Records>, String> {
        self.is(key, Kind::Stream)?;
        Ok(self.db.stream(key))
    }

    fn xadd(&mut self, key: &[u8], how: &[Vec<u8>]) -> Answered {
        let (makes, how) = match how {
            [first, rest @ ..] if word(first) == "NOMKSTREAM" => (false, rest),
            all => (true, all),
        };
        let [asked, fields @ ..] = how else {
            return Err("ERR wrong number of arguments for 'xadd' command".to_owned());
        };
        if fields.is_empty() || fields.len() % 2 == 1 {
            return Err("ERR wrong number of arguments for 'xadd' command".to_owned());
        }
        // An id that cannot be read is refused whatever is there.
        if let Err(error) = Records::next(Id::default(), asked)
            && error.contains("Invalid")
        {
            return Err(error.to_owned());
        }
        if !asked.ends_with(b"-*") && Id::parse(asked) == Some(Id(0, 0)) {
            return Err("ERR The ID specified in XADD must be greater than 0-0".to_owned());
        }
        let last = match self.records(key)? {
            None if !makes => return Ok(Answer::Nothing),
            None => Id::default(),
            Some(records) => records.last,
        };
        let id = Records::next(last, asked)?;
        let mut add = change([b"XADD", key, id.to_string().as_bytes()]);
        add.extend(fields.iter().cloned());
        self.make(add);
        Ok(Answer::text(id.to_string()))
    }

    fn range(
        &self,
        key: &[u8],
        from: &[u8],
        to: &[u8],
        how: &[Vec<u8>],
        backwards: bool,
    ) -> Answered {
        let most: usize = match how {
            [] => usize::MAX,
            [option, most] if word(option) == "COUNT" => number(most)?,
            _ => return Err(SYNTAX.to_owned()),
        };
        let bound = |text: &[u8]| match text {
            b"-" => Some(Id(0, 0)),
            b"+" => Some(Id(u64::MAX, u64::MAX)),
            text => Id::parse(text),
        };
        let invalid = "ERR Invalid stream ID specified as stream command argument";
        let (from, to) = (bound(from).ok_or(invalid)?, bound(to).ok_or(invalid)?);
        let Some(records) = self.records(key)?.filter(|_| from <= to) else {
            return Ok(Answer::List(Vec::new()));
        };
        let found = records
            .between(from, to)
            .map(|(id, fields)| record(id, fields));
        Ok(Answer::List(match backwards {
            true => found.rev().take(most).collect(),
            false => found.take(most).collect(),
        }))
    }

    fn xtrim(&mut self, key: &[u8], how: &[Vec<u8>]) -> Answered {
        let [what, how @ ..] = how else {
            return Err("ERR wrong number of arguments for 'xtrim' command".to_owned());
        };
        let (about, most) = match how {
            [about, most] if about == b"~" => (true, most),
            [most] => (false, most),
            _ => return Err(SYNTAX.to_owned()),
        };
        let what = word(what);
        let Some(records) = self.records(key)? else {
            return Ok(Answer::Number(0));
        };
        let (len, last) = (records.len(), records.last);
        let keep_from = match what.as_str() {
            "MINID" => Id::parse(most)
                .ok_or("ERR Invalid stream ID specified as stream command argument")?,
            "MAXLEN" => {
                let too_many = len.saturating_sub(number(most)?);
                // A stream drops whole nodes of a hundred records.
                let dropped = if about {
                    too_many / 100 * 100
                } else {
                    too_many
                };
                let first = records.iter().nth(dropped).map(|(id, _)| *id);
                first.unwrap_or(Id(last.0, last.1.saturating_add(1)))
            }
            _ => return Err(SYNTAX.to_owned()),
        };
        let dropped = records
            .iter()
            .take_while(|(id, _)| **id < keep_from)
            .count();
        if dropped > 0 {
            self.make(change([b"XTRIM", key, keep_from.to_string().as_bytes()]));
        }
        Ok(Answer::Number(i64::try_from(dropped).unwrap_or(0)))
    }

    fn xread(&mut self, arguments: &[Vec<u8>]) -> Result<Outcome, String> {
        let (mut most, mut wait) = (usize::MAX, None);
        let mut rest = arguments;
        let (key, after) = loop {
            match rest {
                [option, value, more @ ..] if word(option) == "COUNT" => {
                    most = number(value)?;
                    rest = more;
                }
                [option, value, more @ ..] if word(option) == "BLOCK" => {
                    wait = Some(Duration::from_millis(number(value)?));
                    rest = more;
                }
                [option, key, after] if word(option) == "STREAMS" => break (key, after),
                _ => return Err(SYNTAX.to_owned()),
            }
        };
        let after =
            Id::parse(after).ok_or("ERR Invalid stream ID specified as stream command argument")?;
        let found = self
            .records(key)?
            .and_then(|records| read(records, key, after, most));
        Ok(match (found, wait) {
            (Some(found), _) => Outcome::Answer(found),
            (None, None) => Outcome::Answer(Answer::NoList),
            (None, Some(wait)) => Outcome::Read {
                key: key.clone(),
                after,
                most,
                wait,
            },
        })
    }

    fn wait(&self, replicas: &[u8], wait: &[u8]) -> Result<Outcome, String> {
        if self.role != Role::Master {
            let why = "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.";
            return Err(why.to_owned());
        }
        let wait = Duration::from_millis(number(wait)?);
        Ok(Outcome::Replicas {
            number: number(replicas)?,
            wait,
        })
    }
}
