//! [`Keeper`]: tells the store of activity what the purge log announces.
//!
//! Each node has one, and at a time one of them is *the* keeper: it reads the log behind what the store was told, and tells it.
//! Two that believe to be it do no harm, as the store takes a batch only behind the last one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::changes::ChangeMaker;
use super::store::{ActivityBatch, ActivityChange, ActivityStore, Applied, KEEPER_FOR, Keeping};
use crate::backoff::Backoff;
use crate::chance::unique_word;
use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::log::{Log, NumberedRecord, Purges, Views};
use crate::position::Position;
use crate::telling::Telling;

/// How often it is said that somebody is the keeper, or tried to become it.
const RENEW: Duration = Duration::from_millis(1_500);
/// The pauses after the store or the log failed.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(50), RENEW);
/// The most changes of a batch, beside those of its last record: a server does nothing else meanwhile.
const MAX_CHANGES: usize = 50;
/// A store that was told nothing for so many records is told how far it is: they are not read again then.
const TOLD_EVERY: u64 = 1_000;
/// What was announced so long before a store is told the first time raises no alert any more.
const OLD: Duration = Duration::from_secs(300);

/// Tells the store of activity what the purge log announces.
#[derive(Debug)]
pub(crate) struct Keeper {
    name: String,
    store: Arc<dyn ActivityStore>,
    log: Arc<dyn Log>,
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    changes: ChangeMaker,
    state: watch::Sender<KeeperState>,
}

/// Whether this node is the keeper, for those who send alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeeperState {
    /// Its name, if it is.
    pub(crate) keeper: Option<Box<str>>,
    /// How many batches it has told that may have raised alerts.
    pub(crate) alerting: u64,
    /// Announcements that were gone from the log when they were to be told: so many records.
    pub(crate) missed: u64,
}

/// How far the keeper is.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// The store was told up to here.
    told: Option<Position>,
    /// The log was read up to here.
    read: Option<Position>,
    /// The store was never told anything: alerts for what is past are not raised.
    is_first: bool,
    /// When the store last took this node for the keeper.
    heard: Instant,
    /// The store failed since.
    is_doubted: bool,
}

impl Keeper {
    pub(crate) fn new(
        store: Arc<dyn ActivityStore>,
        purges: &Purges,
        clock: Arc<dyn Clock>,
        changes: ChangeMaker,
    ) -> Self {
        Self {
            name: unique_word(),
            store,
            log: Arc::clone(&purges.log),
            views: Arc::clone(&purges.views),
            clock,
            changes,
            state: watch::Sender::default(),
        }
    }

    /// Whether this node is the keeper, and what it did.
    pub(crate) fn state(&self) -> watch::Receiver<KeeperState> {
        self.state.subscribe()
    }

    /// The alert rules, and what they cannot judge.
    pub(crate) fn changes(&self) -> &ChangeMaker {
        &self.changes
    }

    /// Tells the store, while this node is the keeper, until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut announced = self.views.updates.announced();
        let (mut progress, mut pauses) = (None, PAUSES);
        let mut telling = Telling::of_well();
        loop {
            announced.mark_unchanged();
            let pause = match self.tell(&mut progress).await {
                Ok(()) => {
                    if telling.well().is_some() {
                        tracing::info!("the activity feed is kept again");
                    }
                    pauses.reset();
                    RENEW
                }
                Err(error) => {
                    if telling.failing(error.kind() as u64).is_some() {
                        tracing::warn!("the activity feed waits for its store: {error:#}");
                    }
                    progress = progress.filter(|own| own.heard.elapsed() < KEEPER_FOR);
                    // The store says anew how far it is.
                    if let Some(own) = &mut progress {
                        own.is_doubted = true;
                    }
                    pauses.pause()
                }
            };
            self.note(progress.is_some());
            let is_well = pauses.failures() == 0 && progress.is_some();
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
                Ok(()) = announced.changed(), if is_well => {}
            }
        }
        self.note(false);
        // Nobody waits for long: another one becomes it by time.
        if progress.is_some() {
            let _ = timeout(KEEPER_FOR, self.store.resign(&self.name)).await;
        }
    }

    fn note(&self, is_keeper: bool) {
        self.state.send_if_modified(|state| {
            let changes = state.keeper.is_some() != is_keeper;
            state.keeper = is_keeper.then(|| self.name.as_str().into());
            changes
        });
    }

    /// Tells the store all that was announced, if this node is the keeper. `None` in `progress`: it is not known to be.
    async fn tell(&self, progress: &mut Option<Progress>) -> Result<(), Error> {
        let known = progress.filter(|known| known.heard.elapsed() < RENEW && !known.is_doubted);
        let Some(mut own) = (match known {
            Some(known) => Some(known),
            None => self.become_keeper(*progress).await?,
        }) else {
            *progress = None;
            return Ok(());
        };
        *progress = Some(own);
        self.note(true);
        while let Some(records) = self.records_behind(&own).await? {
            if !self.tell_of(&records, &mut own).await? {
                *progress = None;
                return Ok(());
            }
            *progress = Some(own);
        }
        own.is_first = false;
        *progress = Some(own);
        Ok(())
    }

    /// `None`: somebody else is the keeper.
    async fn become_keeper(&self, before: Option<Progress>) -> Result<Option<Progress>, Error> {
        let heard = Instant::now();
        let Keeping::Own(told) = self.store.keep(&self.name).await? else {
            return Ok(None);
        };
        let known = before.filter(|known| known.told == told);
        Ok(Some(match known {
            Some(known) => Progress {
                heard,
                is_doubted: false,
                ..known
            },
            None => Progress {
                told,
                read: told,
                is_first: told.is_none(),
                heard,
                is_doubted: false,
            },
        }))
    }

    /// Records that were not read yet; `None` if there are none.
    async fn records_behind(&self, own: &Progress) -> Result<Option<Vec<NumberedRecord>>, Error> {
        let Some(here) = self.views.current().map(|view| view.position()) else {
            return Ok(None);
        };
        let begin = Position { ordinal: 0, ..here };
        let behind = own.read.unwrap_or(begin);
        if behind.reaches(here) {
            return Ok(None);
        }
        let mut records = self.log.read_page(behind).await?;
        if records.is_empty() && behind.epoch != here.epoch {
            // Nothing follows there any more: the log is another one.
            records = self.log.read_page(begin).await?;
        }
        Ok((!records.is_empty()).then_some(records))
    }

    /// Tells the store what `records` announce; `false` if this node is not the keeper.
    async fn tell_of(&self, records: &[NumberedRecord], own: &mut Progress) -> Result<bool, Error> {
        let old = match own.is_first {
            true => self.clock.now().before(OLD),
            false => Timestamp::default(),
        };
        let mut changes = Vec::new();
        for (place, numbered) in records.iter().enumerate() {
            let NumberedRecord { position, record } = numbered;
            self.look_for_gap(own.read, *position);
            own.read = Some(*position);
            changes.extend(self.changes_of(numbered, record.at >= old));
            let is_last = place + 1 == records.len();
            let told = own.told.filter(|told| told.epoch == position.epoch);
            let is_far = told.is_none_or(|told| position.ordinal - told.ordinal >= TOLD_EVERY);
            let is_due = !changes.is_empty() && (is_last || changes.len() >= MAX_CHANGES);
            if !(is_due || is_last && is_far) {
                continue;
            }
            let changes = std::mem::take(&mut changes);
            match self.apply(changes, *position, own).await? {
                Applied::Done { .. } => {}
                Applied::Held => return Ok(false),
                // Somebody else told it; what it has taken is not told again.
                Applied::Elsewhere(told) => {
                    (own.told, own.read) = (told, told);
                    break;
                }
            }
        }
        Ok(true)
    }

    /// A node whose clock is ahead puts nothing in front of all that comes, and ends no counters.
    fn changes_of(&self, numbered: &NumberedRecord, may_alert: bool) -> Vec<ActivityChange> {
        let now = self.clock.now();
        let mut numbered = numbered.clone();
        numbered.record.at = numbered.record.at.min(now);
        self.changes.changes(&numbered, now, may_alert)
    }

    async fn apply(
        &self,
        changes: Vec<ActivityChange>,
        through: Position,
        own: &mut Progress,
    ) -> Result<Applied, Error> {
        let batch = ActivityBatch {
            behind: own.told,
            through,
            changes,
        };
        let may_alert = batch.changes.iter().any(ActivityChange::may_alert);
        let sent = Instant::now();
        let applied = self.store.apply(&self.name, &batch).await?;
        if let Applied::Done { .. } = applied {
            own.told = Some(through);
            own.heard = sent;
            if may_alert {
                self.state.send_modify(|state| state.alerting += 1);
            }
        }
        Ok(applied)
    }

    /// Whether records are gone that were not read.
    fn look_for_gap(&self, read: Option<Position>, next: Position) {
        let Some(read) = read.filter(|read| read.epoch == next.epoch) else {
            return;
        };
        let missed = next.ordinal.saturating_sub(read.ordinal + 1);
        if missed > 0 {
            tracing::warn!(
                missed,
                "records are gone from the purge log that the activity feed was not told"
            );
            self.state.send_modify(|state| state.missed += missed);
        }
    }
}

#[cfg(test)]
mod tests;
