//! The state of a group, and entries with it in the same step: by a script that looks at their size
//! first, by a transaction where scripts are refused, and without the state where that is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::{Cmd, Pipeline, RedisResult, Value, cmd, pipe};

use crate::clock::millis;
use crate::error::{Error, ErrorKind};
use crate::redis::group::Group;
use crate::redis::group::refusals::Side;
use crate::redis::group::reply::{self, EntryId, GroupState, PendingEntries};
use crate::redis::group::taking::{Portion, Taking, ToldLosses};

const TAKE: &str = include_str!("take.lua");
/// How the names of gaps begin that are about entries which others were given.
pub(crate) const TAKEN: &str = "taken-";
const ALIGN: &str = include_str!("align.lua");

/// The state of the group before, and what was delivered then.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    pub(super) state: Option<GroupState>,
    pub(super) delivered: PendingEntries,
    pub(super) next: Option<Duration>,
}

impl Group {
    /// Looks at the state, and takes what is asked for.
    pub(super) async fn take(&self, taking: Taking<'_>) -> Result<Delivery, Error> {
        let mut taken = self.take_times(taking, 1).await?;
        Ok(taken.pop().unwrap_or_default())
    }

    /// As often as `times`, one after the other, asked for in one write. At least once.
    pub(super) async fn take_times(
        &self,
        taking: Taking<'_>,
        times: usize,
    ) -> Result<Vec<Delivery>, Error> {
        if self.is_scripted()
            && let Some(taken) = self.take_scripted(taking, times).await?
        {
            return Ok(taken);
        }
        let taken = self.take_plainly(taking.after, taking.portion).await?;
        Ok(vec![taken])
    }

    /// `None` if the script is refused, or what it runs: without it, the server says which.
    async fn take_scripted(
        &self,
        taking: Taking<'_>,
        times: usize,
    ) -> Result<Option<Vec<Delivery>>, Error> {
        let mut evals = pipe();
        evals.ignore_errors();
        for _ in 0..times.max(1) {
            evals.add_command(self.taking(taking));
        }
        let budget = self.wire.budget();
        let patience = taking.portion.map_or(budget, |portion| portion.patience);
        let answers = self.wire.query_all(&evals, "read", patience).await?;
        let mut taken = Vec::with_capacity(answers.len());
        for answer in answers {
            let refused =
                matches!(&answer, Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")));
            match self.wire.unless_gone("read", answer) {
                Ok(Some(answer)) => taken.push(self.delivery(answer)?),
                Ok(None) => taken.push(Delivery::default()),
                // What was taken before it is read again, as what is pending.
                Err(error) if refused && taken.is_empty() => {
                    self.refused.tell(Side::Script, &error);
                    self.scripted.store(false, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        self.refused.works(Side::Script);
        Ok(Some(taken))
    }

    fn taking(&self, taking: Taking<'_>) -> Cmd {
        let Taking {
            after,
            portion,
            unless,
            pace,
        } = taking;
        let mut eval = cmd("EVAL");
        eval.arg(TAKE).arg(4).arg(&*self.stream).arg(&self.keys.at);
        eval.arg(&self.keys.gaps).arg(&self.keys.looks);
        eval.arg(&*self.group).arg(&*self.consumer).arg(after);
        eval.arg(portion.map_or(0, |portion| portion.count));
        eval.arg(portion.map_or(0, |portion| portion.bytes));
        eval.arg(format!("{TAKEN}{:016x}", fastrand::u64(..)));
        eval.arg(&*self.bell);
        let told = |told: fn(ToldLosses) -> EntryId| {
            unless.map_or(String::new(), |unless| told(unless).to_string())
        };
        eval.arg(told(|told| told.deleted))
            .arg(told(|told| told.last));
        eval.arg(pace.map_or(0, |pace| millis(pace.every).max(1)));
        eval.arg(pace.map_or(0, |pace| millis(pace.most).max(1)));
        eval
    }

    fn delivery(&self, answer: Value) -> Result<Delivery, Error> {
        let Value::Array(parts) = answer else {
            return self.wire.understand(None);
        };
        let [stream, groups, entries] = self.wire.parts(parts)?;
        let state = reply::state(&stream, &groups, &self.group);
        let entries = reply::delivered(entries);
        Ok(Delivery {
            state: self.wire.understand(state)?,
            delivered: self.wire.understand(entries)?,
            next: reply::next_look(&stream).map(Duration::from_millis),
        })
    }

    async fn take_plainly(&self, after: &str, portion: Option<Portion>) -> Result<Delivery, Error> {
        let mut pipe = pipe();
        pipe.atomic().ignore_errors();
        self.ask_state(&mut pipe);
        if let Some(portion) = portion {
            pipe.add_command(self.xreadgroup(self.count_within(portion), after));
        }
        let patience = portion.map_or(self.wire.budget(), |portion| portion.patience);
        let answers = match self.wire.query_all(&pipe, "read", patience).await {
            Ok(answers) => answers,
            Err(error) => {
                self.perhaps_go_blind(&error).await;
                return Err(self.cause_of(error).await);
            }
        };
        let mut answers = answers.into_iter();
        let (Some(stream), Some(groups)) = (answers.next(), answers.next()) else {
            return self.wire.understand(None);
        };
        let delivered = match answers.next() {
            Some(entries) => match self.wire.unless_gone("read", entries)? {
                Some(entries) => self.wire.understand(reply::delivered(entries))?,
                None => return Ok(Delivery::default()),
            },
            None => PendingEntries::default(),
        };
        self.note_sizes(&delivered);
        Ok(Delivery {
            state: self.state(stream, groups)?,
            delivered,
            next: None,
        })
    }

    /// How many entries to ask for where nobody looks at their size first: as many as fit if they are
    /// like the largest seen lately.
    fn count_within(&self, portion: Portion) -> usize {
        let largest = self.largest.load(Ordering::Relaxed).max(1);
        (portion.bytes / largest).clamp(1, portion.count)
    }

    fn note_sizes(&self, delivered: &PendingEntries) {
        let sizes = delivered.entries.iter().map(|entry| {
            let sizes = entry.fields.iter().map(|(n, v)| n.len() + v.len());
            sizes.sum::<usize>()
        });
        if let Some(largest) = sizes.max() {
            // Large ones that came before may come again for a while.
            let before = self.largest.load(Ordering::Relaxed);
            self.largest
                .store(largest.max(before / 2), Ordering::Relaxed);
        }
    }

    /// Says to the server that the group has read up to `to`, which is so many entries, where it does
    /// not know since a loss: the loss was told, and would look like a further one at each trimming
    /// (SAFETY 101). Does nothing if anything has changed since `state`.
    pub(crate) async fn align(
        &self,
        state: &GroupState,
        to: EntryId,
        read: u64,
    ) -> Result<(), Error> {
        let Some(added) = state.added.filter(|_| self.is_scripted()) else {
            return Ok(());
        };
        let mut eval = cmd("EVAL");
        eval.arg(ALIGN).arg(2).arg(&*self.stream).arg(&self.keys.at);
        eval.arg(&*self.group);
        eval.arg(state.delivered.to_string()).arg(added);
        eval.arg(state.length).arg(state.max_deleted.to_string());
        eval.arg(to.to_string()).arg(read);
        let answer = self.wire.query(&eval).await?;
        let answer = self.wire.unless_gone("count what was read", answer);
        self.refused.allow(Side::Align, answer).map(drop)
    }

    /// The state, or `None` if the stream or the group is missing.
    fn state(
        &self,
        stream: RedisResult<Value>,
        groups: RedisResult<Value>,
    ) -> Result<Option<GroupState>, Error> {
        let stream = self.wire.unless_gone("look at the stream", stream)?;
        let groups = self.wire.unless_gone("look at the group", groups)?;
        let (Some(stream), Some(groups)) = (stream, groups) else {
            return Ok(None);
        };
        if self.is_blind() {
            return self.wire.understand(reply::last(stream)).map(Some);
        }
        self.wire
            .understand(reply::state(&stream, &groups, &self.group))
    }

    pub(super) fn is_blind(&self) -> bool {
        self.blind.load(Ordering::Relaxed)
    }

    /// Whether the server lets us see where the group is.
    pub(crate) fn sees_state(&self) -> bool {
        !self.is_blind()
    }

    /// Whether a read stops where entries may be lost. Where it does not, somebody has to look first.
    pub(crate) fn stops_at_losses(&self) -> bool {
        self.is_scripted()
    }

    pub(super) fn is_scripted(&self) -> bool {
        self.scripted.load(Ordering::Relaxed)
    }

    fn ask_state(&self, pipe: &mut Pipeline) {
        if self.is_blind() {
            // The last entry, to wait behind it. A missing group shows when it is read.
            pipe.cmd("XREVRANGE").arg(&*self.stream).arg("+").arg("-");
            pipe.arg("COUNT").arg(1);
            pipe.cmd("XLEN").arg(&*self.stream);
        } else {
            pipe.cmd("XINFO").arg("STREAM").arg(&*self.stream);
            pipe.cmd("XINFO").arg("GROUPS").arg(&*self.stream);
        }
    }

    /// If `XINFO` is denied, as managed servers may do, reads on without it: events are consumed as
    /// before, but nobody sees whether some were trimmed unread.
    async fn perhaps_go_blind(&self, error: &Error) {
        if !matches!(error.kind(), ErrorKind::Denied | ErrorKind::Protocol) || self.is_blind() {
            return;
        }
        for what in ["STREAM", "GROUPS"] {
            let mut probe = cmd("XINFO");
            probe.arg(what).arg(&*self.stream);
            let answer = self.wire.run(&probe, "look at the group").await;
            if let Err(error) = answer
                && error.kind() == ErrorKind::Denied
            {
                self.blind.store(true, Ordering::Relaxed);
                self.refused.tell(Side::State, &error);
                return;
            }
        }
    }

    /// A transaction that was refused does not say why: the reading itself may.
    async fn cause_of(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::Denied | ErrorKind::Protocol) || self.is_blind() {
            return error;
        }
        // Behind all entries, so that nothing is delivered.
        let command = self.xreadgroup(1, &format!("{}-0", u64::MAX));
        match self.wire.query(&command).await {
            Ok(answer) => match self.wire.unless_gone("read", answer) {
                Err(cause) => cause,
                Ok(_) => error,
            },
            Err(_) => error,
        }
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
}
