//! The commands about streams, and `WAIT`.

use std::time::Duration;

use super::commands::{Answered, Kind, Outcome, SYNTAX, number, read, record, word};
use super::db::change;
use super::resp::Answer;
use super::state::{Role, State};
use super::stream::{Id, Records};

impl State {
    pub(super) fn records(&self, key: &[u8]) -> Result<Option<&Records>, String> {
        self.is(key, Kind::Stream)?;
        Ok(self.db.stream(key))
    }

    pub(super) fn xadd(&mut self, key: &[u8], how: &[Vec<u8>]) -> Answered {
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

    pub(super) fn range(
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

    pub(super) fn xtrim(&mut self, key: &[u8], how: &[Vec<u8>]) -> Answered {
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

    pub(super) fn xread(&mut self, arguments: &[Vec<u8>]) -> Result<Outcome, String> {
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

    pub(super) fn wait(&self, replicas: &[u8], wait: &[u8]) -> Result<Outcome, String> {
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
