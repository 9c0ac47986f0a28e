//! Purging: from a call to a record in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use self::announcing::PurgeToAnnounce;
use self::announcing::in_one_epoch;
use self::recent::Recent;
use crate::clock::{Clock, millis};
use crate::error::{Error, ErrorKind};
use crate::log::pending::Ticket;
use crate::log::{Everywhere, Log, Pulse, PurgeRecord, Receipt, RollCaller, Views};
use crate::observe::{Notice, SharedObserver};
use crate::position::Position;
use crate::tag::{PurgeKind, Target};

/// How long after it was not durable a record is looked at again.
const CONFIRM_AGAIN: Duration = Duration::from_millis(20);
/// How often a purge is appended that is acknowledged in an epoch which is over.
const TRIES: usize = 3;
/// How long after a failure nobody who has a client to answer waits for the log.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// So much longer than its budget an append may take to say itself why it was not acknowledged.
const GRACE: Duration = Duration::from_millis(20);
/// How often a purge is appended that was on its way to all nodes when the log became another.
const LOGS: usize = 8;
/// The longest that the purge of an unsafe request is waited for on other nodes (PROTOCOL 33).
const PROMPTLY: Duration = Duration::from_millis(100);

/// How long a record that is in the log may take to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Not at all: it is confirmed later.
    None,
    /// As long as somebody waits for a purge.
    Budget,
}

/// A purge that is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Its position: a view at or past it knows the purge.
    pub position: Position,
    /// How durable it is.
    pub durability: Durability,
    /// How it came to be on every node; `None` if only the log was waited for.
    pub everywhere: Option<Everywhere>,
    /// Where people were told of it; `None` if there was nothing to tell, or it is not announced yet.
    pub announced: Option<Position>,
}

/// What a purge is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// It is in the log: other nodes may answer near with what was purged, for about a round trip.
    InLog,
    /// No node answers with what was purged any more (PROTOCOL 33).
    Everywhere,
}

/// How durable an acknowledged purge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Durability {
    /// In the log's memory: lost if the log is, which itself purges everything (a new epoch).
    Acknowledged,
    /// On this many replicas as well.
    Replicated(u32),
}

/// Appends purges, keeps those that could not be appended, and repeats the recent ones in a new epoch.
#[derive(Debug)]
pub(crate) struct Purges {
    pub(crate) log: Arc<dyn Log>,
    pub(super) pulse: Arc<Pulse>,
    pub(crate) views: Arc<Views>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: SharedObserver,
    /// How long a call waits for the acknowledgement.
    budget: Duration,
    /// How long an acknowledged purge is repeated when an epoch opens (PROTOCOL 25).
    repeat_for: Duration,
    recent: Mutex<Recent>,
    pub(super) roll: RollCaller,
    /// Monotonic milliseconds at which one caller may try again what failed; 0 while nothing fails.
    retry_at: AtomicU64,
    /// Whether a task appends what waits for those who have a client to answer; told when it fails.
    prompt: AtomicBool,
    prompt_failed: Notify,
}

impl Purges {
    pub(crate) fn new(
        log: Arc<dyn Log>,
        views: Arc<Views>,
        clock: Arc<dyn Clock>,
        observer: SharedObserver,
        budget: Duration,
        repeat_for: Duration,
    ) -> Self {
        Self {
            pulse: log.pulse(),
            roll: RollCaller::new(Arc::clone(&log), Arc::clone(&views), views.wait_time()),
            log,
            views,
            clock,
            observer,
            budget,
            repeat_for,
            recent: Mutex::default(),
            retry_at: AtomicU64::new(0),
            prompt: AtomicBool::new(false),
            prompt_failed: Notify::new(),
        }
    }

    /// Purges `targets`: in force in this process at once, on every node as `until` says once this returns `Ok`.
    ///
    /// # Errors
    /// [`ErrorKind::Pending`] if the log cannot be reached or did not acknowledge in time: the purge
    /// stays in force here and is appended when the log is back.
    ///
    /// # Cancel safety
    /// A purge whose future is dropped stays in force here and is appended by the companion.
    pub(crate) async fn purge(
        &self,
        kind: PurgeKind,
        targets: Vec<Target>,
        settle: Duration,
        until: Until,
    ) -> Result<Purged, Error> {
        let mut record = self.record(kind, targets, settle);
        record.asks = until == Until::Everywhere;
        self.purge_by(&[record], settle, until).await
    }

    /// As [`purge`](Self::purge) until it is everywhere, and announces it when it has settled.
    ///
    /// # Errors
    /// As of that; people are told all the same, when the log is back.
    ///
    /// # Cancel safety
    /// As of that; it is then announced later.
    pub(crate) async fn purge_and_announce(&self, purge: PurgeToAnnounce) -> Result<Purged, Error> {
        let settle = purge.settle;
        let records = self.owing_records(purge);
        self.purge_by(&records, settle, Until::Everywhere).await
    }

    async fn purge_by(
        &self,
        records: &[PurgeRecord],
        settle: Duration,
        until: Until,
    ) -> Result<Purged, Error> {
        for _ in 0..=LOGS {
            let (positions, last) = self.append_all(records).await?;
            let mut purged = Purged {
                position: last.position,
                durability: durability(last),
                everywhere: None,
                announced: None,
            };
            if until == Until::InLog {
                return Ok(purged);
            }
            if !in_one_epoch(&positions) {
                continue;
            }
            let Some(everywhere) = self.everywhere(records, last.position).await else {
                continue;
            };
            purged.everywhere = Some(everywhere);
            if records.iter().all(|record| record.updates.is_none()) {
                return Ok(purged);
            }
            self.let_settle(settle, everywhere).await;
            match self.announce_all(records, &positions).await {
                Ok(None) => {}
                Ok(announced) => {
                    return Ok(Purged {
                        announced,
                        ..purged
                    });
                }
                // It is owed, and known to all nodes.
                Err(_) => return Ok(purged),
            }
        }
        let message = "the purge log became another each time that it was waited for";
        // The companion goes on.
        for record in records {
            drop(self.views.pending.begin(record));
        }
        Err(self.pending(Error::new(ErrorKind::Unavailable, message)))
    }

    /// Appends `records` one after the other; all are in force here at once. Where they are, and what became of the last.
    async fn append_all(&self, records: &[PurgeRecord]) -> Result<(Vec<Position>, Receipt), Error> {
        let begin = |record| self.views.pending.begin(record);
        let tickets: Vec<Ticket<'_>> = records.iter().map(begin).collect();
        let (mut positions, mut last) = (Vec::new(), None);
        // What is left of them when this ends waits, in this order.
        for (record, ticket) in records.iter().zip(tickets) {
            let tickets = std::slice::from_ref(&ticket);
            match self.append(record, tickets, Patience::Budget).await {
                Ok(appended) => {
                    ticket.appended(appended.position);
                    positions.push(appended.position);
                    last = Some(appended);
                }
                Err(error) => return Err(self.pending(error)),
            }
        }
        let nothing = || Error::new(ErrorKind::Invalid, "nothing to purge");
        Ok((positions, last.ok_or_else(nothing)?))
    }

    fn record(&self, kind: PurgeKind, targets: Vec<Target>, settle: Duration) -> PurgeRecord {
        PurgeRecord {
            kind,
            targets,
            settle,
            asks: false,
            updates: None,
            relayed: None,
            at: self.clock.now(),
        }
    }

    /// As [`purge`](Self::purge), for a caller that has a client to answer: while the log takes nothing,
    /// at most one in [`RETRY_AFTER`] waits for it, and none once heartbeats are not answered (P3). The others' purges are in force here at once
    /// and appended by the companion.
    ///
    /// Purges that come while a record is on its way go into the next one, together (PROTOCOL 23): a client
    /// that sends unsafe requests by the thousand must not fill the log with as many records (SAFETY 75).
    pub(crate) async fn purge_promptly(self: &Arc<Self>, kind: PurgeKind, targets: Vec<Target>) {
        let mut record = self.record(kind, targets, Duration::ZERO);
        record.asks = true;
        let ticket = self.views.pending.begin(&record);
        let in_log = ticket.in_log();
        let failed = self.prompt_failed.notified();
        // From here on it waits, in force.
        drop(ticket);
        if !self.is_worth_waiting_for() {
            let waiting = self.views.pending.waiting();
            return self.observer.notify(&Notice::PurgePending { waiting });
        }
        self.append_in_a_task();
        tokio::select! {
            biased;
            // It fails if all became one purge of everything, which is told as well.
            in_log = in_log => {
                if let Ok(position) = in_log {
                    let everywhere = self.roll.wait(position, self.log.has_replicas());
                    // A node that hangs slows no client's writes.
                    let _ = timeout(PROMPTLY, everywhere).await;
                }
            }
            () = failed => {}
            // Should the task not get on.
            () = tokio::time::sleep((self.budget + GRACE) * 2) => {}
        }
    }

    fn is_worth_waiting_for(&self) -> bool {
        if self.pulse.is_silent() {
            return false;
        }
        let retry_at = self.retry_at.load(Ordering::Acquire);
        let now = self.now_millis();
        let next = now.saturating_add(millis(RETRY_AFTER));
        let take_turn = || {
            let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
            let turn = self
                .retry_at
                .compare_exchange(retry_at, next, success, failure);
            turn.is_ok()
        };
        retry_at == 0 || now >= retry_at && take_turn()
    }

    fn now_millis(&self) -> u64 {
        millis(self.clock.monotonic())
    }

    /// Appends `record` within the budget, until it is acknowledged in an epoch that is not over: the
    /// epoch that was joined meanwhile may not know it (PROTOCOL 25). What is in the log already is not
    /// appended again, only confirmed (SAFETY 102).
    async fn append(
        &self,
        record: &PurgeRecord,
        tickets: &[Ticket<'_>],
        patience: Patience,
    ) -> Result<Receipt, Error> {
        let begun = Instant::now();
        let set_logged = |position| {
            tickets
                .iter()
                .for_each(|ticket| ticket.set_logged(position))
        };
        let is_late = |_: &Error| patience == Patience::None || begun.elapsed() >= self.budget;
        let appending = async {
            let mut tries = 0;
            while tries < TRIES {
                let joins = self.joins();
                let appended = match tickets.first().and_then(Ticket::logged) {
                    None => {
                        tries += 1;
                        self.log.append(record).await?
                    }
                    Some(position) => match self.log.confirm(position).await {
                        Ok(Some(appended)) => appended,
                        Ok(None) => {
                            set_logged(None);
                            continue;
                        }
                        Err(error) if is_late(&error) => return Err(error),
                        Err(_) => {
                            sleep(CONFIRM_AGAIN).await;
                            continue;
                        }
                    },
                };
                if appended.durable {
                    if self.acknowledged(appended, record, joins) {
                        return Ok(appended);
                    }
                    set_logged(None);
                    continue;
                }
                self.views.apply_own(appended.position, record);
                set_logged(Some(appended.position));
                if patience == Patience::None {
                    let message = "redis: no replica acknowledged the purge in time";
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
            }
            let message = "the purge log acknowledges in an epoch that is over";
            Err(Error::new(ErrorKind::Unavailable, message))
        };
        let most = self.budget + GRACE;
        timeout(most, appending).await.map_err(late)?
    }

    fn pending(&self, cause: Error) -> Error {
        let retry_at = self.now_millis().saturating_add(millis(RETRY_AFTER));
        self.retry_at.store(retry_at, Ordering::Release);
        let waiting = self.views.pending.waiting() + 1;
        self.observer.notify(&Notice::PurgePending { waiting });
        let message = format!(
            "the purge is in force in this process only and waits for the purge log: {cause}"
        );
        Error::new(ErrorKind::Pending, message).with_source(cause)
    }

    /// Whether purges wait to be appended.
    pub(crate) fn any_waiting(&self) -> bool {
        self.views.pending.waiting() > 0
    }

    /// Appends the purges that wait, oldest first.
    ///
    /// # Errors
    /// The log's, at the first that it does not take; the rest go on waiting.
    pub(crate) async fn append_waiting(&self) -> Result<(), Error> {
        while let Some((tickets, record)) = self.views.pending.first_waiting() {
            let appended = self.append(&record, &tickets.0, Patience::None).await?;
            tickets.appended(appended.position);
        }
        Ok(())
    }
}

fn late(_: Elapsed) -> Error {
    let message = "the purge log did not acknowledge in time";
    Error::new(ErrorKind::Timeout, message)
}

const fn durability(appended: Receipt) -> Durability {
    match appended.replicas {
        0 => Durability::Acknowledged,
        replicas => Durability::Replicated(replicas),
    }
}

mod announcing;
mod lasting;
mod prompt;
mod recent;
mod relayed;
#[cfg(test)]
mod tests;
