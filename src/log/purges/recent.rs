//! The purges that were acknowledged lately, to be repeated in another epoch (PROTOCOL 25).

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Purges;
use crate::log::{PurgeRecord, Receipt};
use crate::observe::Notice;
use crate::position::Epoch;
use crate::weaken::{ProtocolRule, weakened};

/// The most recent purges kept for repeating in a new epoch; past it, the oldest are covered by one
/// purge of everything.
const RECENT_LIMIT: usize = 10_000;
/// The joined epochs that are remembered.
const JOINED_LIMIT: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Recent {
    records: VecDeque<Acknowledged>,
    /// Until when forgotten ones would have had to be repeated.
    forgotten_until: Duration,
    /// The epochs that were joined, the present one last.
    joined: VecDeque<Epoch>,
    /// How often one was joined.
    joins: u64,
}

impl Recent {
    /// Whether `epoch` is over: it was left, or another one was joined since `joins` was read.
    fn is_over(&self, epoch: Epoch, joins: u64) -> bool {
        self.joined.back().is_some_and(|present| *present != epoch)
            && (self.joins != joins || self.joined.contains(&epoch))
    }

    fn join(&mut self, epoch: Epoch) {
        self.joins += 1;
        self.joined.push_back(epoch);
        if self.joined.len() > JOINED_LIMIT {
            self.joined.pop_front();
        }
    }
}

/// A purge that the log took.
#[derive(Debug)]
struct Acknowledged {
    at: Duration,
    epoch: Epoch,
    record: PurgeRecord,
}

impl Purges {
    /// How often an epoch was joined.
    pub(super) fn joins(&self) -> u64 {
        self.recent.lock().joins
    }

    /// Whether `epoch` is over: it was left, or another one was joined since there were so many `joins`.
    pub(super) fn is_over(&self, epoch: Epoch, joins: u64) -> bool {
        self.recent.lock().is_over(epoch, joins)
    }

    /// `false` if it was acknowledged in an epoch that is over. Decided under the same lock as
    /// [`repeat_recent`](Self::repeat_recent), so that an epoch joined later repeats it.
    pub(super) fn acknowledged(&self, appended: Receipt, record: &PurgeRecord, joins: u64) -> bool {
        let epoch = appended.position.epoch;
        let now = self.clock.monotonic();
        let mut recent = self.recent.lock();
        if recent.is_over(epoch, joins) && !weakened(ProtocolRule::Ack) {
            return false;
        }
        recent.records.push_back(Acknowledged {
            at: now,
            epoch,
            // A repeat announces nothing: whoever purged does that in the new epoch.
            record: PurgeRecord {
                updates: None,
                relayed: None,
                ..record.clone()
            },
        });
        self.forget_old(&mut recent, now);
        drop(recent);
        self.retry_at.store(0, Ordering::Release);
        self.views.apply_own(appended.position, record);
        self.observer.notify(&Notice::Purged {
            position: appended.position,
            targets: record.targets.len(),
        });
        true
    }

    fn forget_old(&self, recent: &mut Recent, now: Duration) {
        while let Some(oldest) = recent.records.front() {
            let until = oldest.at + self.repeat_for;
            if until > now && recent.records.len() <= RECENT_LIMIT {
                break;
            }
            recent.forgotten_until = recent.forgotten_until.max(until);
            recent.records.pop_front();
        }
    }

    /// `epoch` was joined: what was acknowledged shortly before in another one may be unknown to it,
    /// because a cut-off server can acknowledge after another was promoted (PROTOCOL 25). Puts those
    /// purges in force again; [`append_waiting`](Self::append_waiting) appends them.
    pub(crate) fn repeat_recent(&self, epoch: Epoch) {
        let now = self.clock.monotonic();
        let mut recent = self.recent.lock();
        recent.join(epoch);
        if weakened(ProtocolRule::Ack) {
            return;
        }
        let forgotten = recent.forgotten_until > now;
        recent.records.retain(|old| {
            if old.epoch != epoch && old.at + self.repeat_for > now {
                drop(self.views.pending.begin(&old.record));
            }
            old.epoch == epoch
        });
        if forgotten {
            drop(
                self.views
                    .pending
                    .begin(&PurgeRecord::everything(self.clock.now())),
            );
        }
    }
}
