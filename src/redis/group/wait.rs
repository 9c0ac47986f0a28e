//! Waiting for entries.
//!
//! Consumers wait at a *bell*: a group beside theirs, in whose name nothing is read or acknowledged. A group hands an entry
//! to one of those who block on it, so that an entry wakes one consumer and not each (SAFETY 146). Nothing depends on the
//! bell (PROTOCOL 45): what it told to a consumer that is dead is found by whoever looks at the group next. Where it is
//! refused, each consumer waits by a plain `XREAD`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::{Cmd, Value, cmd};

use crate::clock::millis;
use crate::error::Error;
use crate::redis::group::refusals::Side;
use crate::redis::group::reply::GroupPlace;
use crate::redis::group::wire::is_gone;
use crate::redis::group::{EntryId, Group};

/// How much longer than asked the server may wait before the connection counts as dead.
const WATCHDOG: Duration = Duration::from_secs(2);
/// What the name of a bell has behind that of its group.
const BELL: &str = ":wake";
/// The one consumer of a bell.
const ANYBODY: &str = "anybody";

/// The bell of `group`.
pub(super) fn bell_of(group: &str) -> String {
    format!("{group}{BELL}")
}

/// Whether `place` is the bell of one of `places`.
pub(super) fn is_bell(place: &GroupPlace, places: &[GroupPlace]) -> bool {
    let of = place.name.strip_suffix(BELL);
    of.is_some_and(|of| places.iter().any(|other| other.name == of))
}

/// What ended the waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// There is an entry, or was: another consumer may have been faster.
    Entry,
    /// The time is over.
    Nothing,
    /// The stream or the group may be gone: to be looked at.
    Gone,
}

impl Group {
    /// Waits until there is an entry behind `after`, up to which all were delivered, or for `at_most`.
    pub(crate) async fn wait(&self, after: EntryId, at_most: Duration) -> Result<Waited, Error> {
        let is_belled = self.is_scripted() && self.belled.load(Ordering::Relaxed);
        let command = match is_belled {
            true => self.at_the_bell(at_most),
            false => self.behind(after, at_most),
        };
        let connection = self.wire.waiting().await?;
        let to = &mut connection.to.clone();
        let reply = command.query_async::<Value>(to);
        let most = at_most + WATCHDOG;
        match self.wire.heard(&connection, most, reply).await? {
            Some(Ok(Value::Nil)) => Ok(Waited::Nothing),
            Some(Ok(_)) => Ok(Waited::Entry),
            Some(Err(error)) if error.code() == Some("UNBLOCKED") => Ok(Waited::Gone),
            Some(Err(error)) if is_belled && is_gone(&error) => self.hang_bell(after).await,
            Some(Err(error)) if is_belled && error.code() == Some("NOPERM") => {
                let error = self.wire.error("wait for entries", error);
                self.refuse_bell(&error);
                Ok(Waited::Nothing)
            }
            Some(Err(error)) => Err(self.wire.error("wait for entries", error)),
            None => Err(self.wire.silent()),
        }
    }

    /// Makes the bell, to ring for what stands behind `after`.
    async fn hang_bell(&self, after: EntryId) -> Result<Waited, Error> {
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(&*self.stream).arg(&*self.bell);
        create.arg(after.to_string());
        match self.wire.query(&create).await? {
            Ok(_) => Ok(Waited::Nothing),
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(Waited::Nothing),
            Err(error) if error.code() == Some("NOPERM") => {
                let error = self.wire.error("make a group to wait at", error);
                self.refuse_bell(&error);
                Ok(Waited::Nothing)
            }
            // No stream: the next look says so.
            Err(_) => Ok(Waited::Gone),
        }
    }

    fn refuse_bell(&self, error: &Error) {
        self.refused.tell(Side::Bell, error);
        self.belled.store(false, Ordering::Relaxed);
    }

    fn at_the_bell(&self, at_most: Duration) -> Cmd {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(&*self.bell).arg(ANYBODY);
        command.arg("COUNT").arg(1);
        // BLOCK 0 would wait for ever.
        command.arg("BLOCK").arg(millis(at_most).max(1));
        command.arg("NOACK");
        command.arg("STREAMS").arg(&*self.stream).arg(">");
        command
    }

    fn behind(&self, after: EntryId, at_most: Duration) -> Cmd {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(1);
        command.arg("BLOCK").arg(millis(at_most).max(1));
        command.arg("STREAMS").arg(&*self.stream);
        command.arg(after.to_string());
        command
    }
}
