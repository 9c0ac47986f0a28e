//! What this process knows about the purge log's identity: whether its connections are still
//! trusted (PROTOCOL 8), where it has been (PROTOCOL 9), and the rules that a read of the log's end
//! has to pass before it is believed (PROTOCOL 7 and 9).

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::position::{Epoch, Position};
use crate::redis::info::Identity;
use crate::redis::reply::{Last, RawRecord};
use crate::weaken::{ProtocolRule, weakened};

/// Epochs left behind that are remembered, so that a log rolled back into one is noticed.
const REMEMBERED: usize = 64;

/// Shared by all log connections of one cache.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// Grows each time that trust is lost. A connection verified in another generation is not used.
    generation: AtomicU64,
    /// Replicas in step with the server, when it was last asked.
    replicas: AtomicU32,
    /// Whether it ever had one: a master that is cut off forgets its replicas after `repl-timeout`. A
    /// process that starts later knows it by what the master demands.
    replicated: std::sync::atomic::AtomicBool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    now: Knowledge,
    /// Epochs that were current here, and the change that ended each.
    left: VecDeque<(Epoch, u64)>,
}

/// What was known when a read was sent: a reply is compared with that, because a tip that is
/// overtaken while its reply travels is normal (PROTOCOL 9).
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Knowledge {
    /// The highest position of the current epoch that was read or appended here.
    pub(super) highest: Option<Position>,
    /// How often the current epoch changed.
    changes: u64,
    /// The greatest epoch that was believed or written here; but the last one that there is, behind which it begins anew.
    newest: Option<u64>,
}

/// Why the end of the log is not believed: an epoch has to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distrust {
    Missing,
    WrongType,
    OtherServer,
    Backwards,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the purge log is missing or empty",
            Self::WrongType => "something else stands under the purge log's key",
            Self::OtherServer => "the purge log was written on another server",
            Self::Backwards => "the purge log ends before where this process has been",
        })
    }
}

impl Trust {
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Ends the trust in all connections, if the one that failed was of the present generation: a
    /// later one was verified after whatever happened to an earlier one. `[lose_trust]`
    pub(crate) fn lose(&self, generation: u64) {
        let next = generation.wrapping_add(1);
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        let lost = self
            .generation
            .compare_exchange(generation, next, set, fetch);
        if lost.is_ok() {
            tracing::debug!("trust lost: all connections to the purge log are verified anew");
        }
    }

    pub(crate) fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed)
    }

    /// The replicas, and at least one if there ever was one or has to be (PROTOCOL 22). [hb_write, strict_lease]
    pub(crate) fn replicas_seen(&self) -> u32 {
        self.replicas()
            .max(u32::from(self.replicated.load(Ordering::Relaxed)))
    }

    pub(crate) fn set_replicas(&self, identity: &Identity) {
        self.replicas.store(identity.replicas, Ordering::Relaxed);
        if identity.replicas > 0 || identity.demands_replicas() {
            self.replicated.store(true, Ordering::Relaxed);
        }
    }

    /// To be called before a read or an append is sent.
    pub(crate) fn sent(&self) -> Knowledge {
        self.known.lock().now
    }

    /// The position of `last`, if every rule believes it.
    pub(crate) fn judge(
        &self,
        sent: Knowledge,
        identity: &Identity,
        last: &Last,
    ) -> Result<Position, Distrust> {
        let record = log_has_a_record(last)?;
        log_is_of_this_server(identity, record)?;
        let position = record.position;
        log_is_not_shorter(sent, position).inspect_err(|_| self.condemn(position.epoch))?;
        self.epoch_was_not_left(sent, position)?;
        epoch_is_not_older(sent, position).inspect_err(|_| self.condemn(position.epoch))?;
        Ok(position)
    }

    /// Whether an append was acknowledged where it belongs: behind the record that opened the epoch
    /// and behind all that was known when it was sent.
    pub(crate) fn judge_appended(
        &self,
        sent: Knowledge,
        epoch: Epoch,
        position: Position,
    ) -> Result<(), Distrust> {
        let behind_known = match sent.highest {
            Some(known) if known.epoch == epoch => position.ordinal > known.ordinal,
            _ => position.ordinal > 0,
        };
        if position.epoch == epoch && behind_known {
            return Ok(());
        }
        self.condemn(epoch);
        Err(Distrust::Backwards)
    }

    /// Remembers a believed position that a read sent at `sent` returned. A reply that was overtaken
    /// by a change of epoch changes nothing.
    pub(crate) fn read(&self, sent: Knowledge, position: Position) {
        let mut known = self.known.lock();
        if known.reach(position) || known.now.changes != sent.changes {
            return;
        }
        known.change_to(position);
    }

    /// Remembers a position that this process wrote, which is news unless its epoch has ended here.
    pub(crate) fn wrote(&self, position: Position) {
        let mut known = self.known.lock();
        let has_ended = known.left.iter().any(|(epoch, _)| *epoch == position.epoch);
        if !known.reach(position) && !has_ended {
            known.change_to(position);
        }
    }

    /// Ends an epoch in which the log went backwards: the next look must not believe it again, even
    /// if appends (our own among them) have made the log as long as it was. `[backwards]`
    fn condemn(&self, epoch: Epoch) {
        let mut known = self.known.lock();
        known.now.changes += 1;
        known.now.highest = known.now.highest.filter(|highest| highest.epoch != epoch);
        known.leave(epoch);
    }

    /// The current epoch, if one is known.
    #[cfg(test)]
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.known.lock().now.highest.map(|position| position.epoch)
    }

    /// The greatest epoch that this process has known, which the next one has to be above.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.known.lock().now.newest
    }

    /// PROTOCOL 9 over epochs: a log rolled back into an epoch that this process saw end is as short
    /// as one rolled back within its epoch. `[backwards]`
    fn epoch_was_not_left(&self, sent: Knowledge, position: Position) -> Result<(), Distrust> {
        let known = self.known.lock();
        let mut left = known.left.iter();
        let was_left =
            left.any(|(epoch, change)| *epoch == position.epoch && *change <= sent.changes);
        if was_left {
            return Err(Distrust::Backwards);
        }
        Ok(())
    }
}

impl Known {
    /// Raises the highest position; `false` if `position` is of another epoch.
    fn reach(&mut self, position: Position) -> bool {
        match &mut self.now.highest {
            Some(highest) if highest.epoch == position.epoch => {
                highest.ordinal = highest.ordinal.max(position.ordinal);
                true
            }
            _ => false,
        }
    }

    fn change_to(&mut self, position: Position) {
        self.now.changes += 1;
        let epoch = Some(position.epoch.get()).filter(|epoch| *epoch != u64::MAX);
        self.now.newest = self.now.newest.max(epoch);
        if let Some(old) = self.now.highest.replace(position) {
            self.leave(old.epoch);
        }
    }

    fn leave(&mut self, epoch: Epoch) {
        if self.left.iter().all(|(left, _)| *left != epoch) {
            self.left.push_back((epoch, self.now.changes));
        }
        if self.left.len() > REMEMBERED {
            self.left.pop_front();
        }
    }
}

/// PROTOCOL 7: a log that is missing, without a record or of the wrong type is a new log. `[identity]`
fn log_has_a_record(last: &Last) -> Result<&RawRecord, Distrust> {
    match last {
        Last::Missing => Err(Distrust::Missing),
        Last::WrongType => Err(Distrust::WrongType),
        Last::Record(record) => Ok(record),
    }
}

/// PROTOCOL 7: the last record names the server that it was written on. Where the server hides its
/// `master_replid`, its `run_id` has to do; where it hides both, the guarantee is lost. `[verify_data]`
fn log_is_of_this_server(identity: &Identity, record: &RawRecord) -> Result<(), Distrust> {
    let same = match (&identity.replid, &identity.run) {
        (Some(replid), _) => record.text("replid") == Some(&**replid),
        (None, Some(run)) => record.text("run") == Some(&**run),
        (None, None) => true,
    };
    if same {
        Ok(())
    } else {
        Err(Distrust::OtherServer)
    }
}

/// PROTOCOL 9: compared with what was known when the read was sent. `[backwards]`
fn log_is_not_shorter(sent: Knowledge, position: Position) -> Result<(), Distrust> {
    match sent.highest {
        Some(known) if known.epoch == position.epoch && position.ordinal < known.ordinal => {
            Err(Distrust::Backwards)
        }
        _ => Ok(()),
    }
}

/// PROTOCOL 9: whoever opens an epoch takes one above those known, so an older one is a log rolled back into a time that this
/// process may not have seen; or one opened by who knew none, which costs another epoch. `[older_epoch]`
fn epoch_is_not_older(sent: Knowledge, position: Position) -> Result<(), Distrust> {
    let is_older = sent
        .newest
        .is_some_and(|newest| position.epoch.get() < newest);
    match is_older && !weakened(ProtocolRule::OlderEpoch) {
        true => Err(Distrust::Backwards),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
