//! From the log to the view: in the background, and on behalf of a lookup that found the log ahead.
//!
//! The background task only makes lookups faster, keeps the lease, and appends what waits. Without it
//! every strict lookup reads the records that it misses by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Timestamp, millis};
use crate::error::Error;
#[cfg(test)]
use crate::error::ErrorKind;
use crate::log::retries::Retries;
use crate::log::{ApplyResult, Keep, Log, Pulse, Purges, Registrar, Tip, View, Views};
use crate::observe::{Notice, SharedObserver};
use crate::outcome::Detail;
use crate::patience::answered_by;
use crate::position::Position;
use crate::sync::OnDrop;
use crate::weaken::{ProtocolRule, weakened};

/// Records that a lookup reads to join an epoch; the background task reads as many as there are marks.
const TAIL_ON_REQUEST: usize = 1_000;
/// How long one read of the background task waits for a record.
const BLOCK: Duration = Duration::from_secs(1);
/// So often in a row it could not be followed before that is told: a server that is away heartbeats tell.
const TOLD_AFTER: u32 = 4;
/// How often old records are trimmed, unless the log grows fast.
const TRIM_EVERY: Duration = Duration::from_secs(60);
/// How often the roll is looked at, so that nodes that have died leave it.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How often it is seen to that it does not.
const LOOK_AT_SIZE_EVERY: Duration = Duration::from_secs(1);

/// How often overdue announcements are looked for.
const LOOK_AT_OVERDUE_EVERY: Duration = Duration::from_millis(250);

mod beat;

/// How long the log keeps records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// The longest that a stored response may be used, stale windows included.
    pub(crate) age: Duration,
    /// The most records.
    pub(crate) records: usize,
    /// The most bytes of records, about.
    pub(crate) bytes: u64,
}

/// Moves the view along the log. Shared by the engine (lookups) and the companion (background).
#[derive(Debug)]
pub(crate) struct Follower {
    log: Arc<dyn Log>,
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    observer: SharedObserver,
    purges: Arc<Purges>,
    pulse: Arc<Pulse>,
    /// How long a lookup waits for the view to reach the tip that it saw.
    budget: Duration,
    retention: Retention,
    /// Held while reading on behalf of a lookup, so that a burst of them reads once.
    step: Mutex<()>,
    registrar: Registrar,
    /// Whether the background task runs.
    in_background: AtomicBool,
}

impl Follower {
    /// Along the log that `purges` appends to.
    pub(crate) fn new(purges: Arc<Purges>, budget: Duration, retention: Retention) -> Self {
        let views = &purges.views;
        let registrar = Registrar::new(views.lease(), views.longest_lease(), views.wait_time());
        Self {
            pulse: Arc::clone(&purges.pulse),
            log: Arc::clone(&purges.log),
            views: Arc::clone(&purges.views),
            clock: Arc::clone(&purges.clock),
            observer: purges.observer.clone(),
            purges,
            budget,
            retention,
            step: Mutex::new(()),
            registrar,
            in_background: AtomicBool::new(false),
        }
    }

    /// A view that has reached `tip`, which was read after the request arrived (PROTOCOL 19).
    ///
    /// # Errors
    /// Why there is none within the budget; the request is then a miss.
    pub(crate) async fn reach(&self, tip: Tip) -> Result<Arc<View>, Detail> {
        if let Some(view) = self.reached(tip.position) {
            return Ok(view);
        }
        let deadline = Instant::now() + self.budget;
        let reached = answered_by(deadline, self.read_up_to(tip.position)).await;
        reached.unwrap_or(Err(Detail::Behind))
    }

    /// Whether what fails is in doubt, and will be known to be away or not by the next heartbeat.
    pub(crate) fn is_answered(&self) -> bool {
        self.pulse.is_good()
    }

    /// The log that is followed.
    pub(crate) fn log(&self) -> &dyn Log {
        &*self.log
    }

    /// The view that [`reach`](Self::reach) gives, if it need not be waited for.
    pub(crate) fn reached(&self, tip: Position) -> Option<Arc<View>> {
        let view = self.views.current()?;
        let epoch_agrees = view.position().epoch == tip.epoch || weakened(ProtocolRule::TipEpoch);
        let caught_up = view.position().ordinal >= tip.ordinal || weakened(ProtocolRule::WaitTip);
        (epoch_agrees && caught_up).then_some(view)
    }

    async fn read_up_to(&self, tip: Position) -> Result<Arc<View>, Detail> {
        let _step = self.step.lock().await;
        loop {
            if let Some(view) = self.reached(tip) {
                return Ok(view);
            }
            let of_epoch = self
                .views
                .current()
                .filter(|view| view.position().epoch == tip.epoch);
            let Some(view) = of_epoch else {
                let view = self
                    .join(TAIL_ON_REQUEST)
                    .await
                    .map_err(|_| Detail::Behind)?;
                if view.position().epoch != tip.epoch {
                    return Err(Detail::OtherEpoch);
                }
                if !self.in_background.load(Ordering::Acquire) {
                    // Nobody else repeats what this process purged shortly before. What is not taken
                    // stays in force.
                    let _ = self.purges.append_waiting().await;
                }
                continue;
            };
            self.read_once(&view, tip)
                .await
                .map_err(|_| Detail::Behind)?;
        }
    }

    /// Reads what stands behind `view`, without waiting, as far as `tip` at least.
    async fn read_once(&self, view: &View, tip: Position) -> Result<(), Error> {
        let records = self.log.read_after(view.position(), Duration::ZERO).await?;
        let applied = self.views.apply(view, &records);
        if let ApplyResult::Gap(_) = applied {
            self.tell_gap(view);
        }
        if (records.is_empty() || applied == ApplyResult::OtherEpoch)
            && !view.position().reaches(tip)
        {
            // A tip that reading cannot reach (PROTOCOL 11 [gap]).
            self.views.skip_to(view, tip.ordinal);
            self.tell_gap(view);
        }
        Ok(())
    }

    fn tell_gap(&self, view: &View) {
        let position = view.position();
        tracing::warn!(%position, "purges were trimmed before they were read: all older responses are dropped");
        self.observer.notify(&Notice::LogGap { position });
    }

    /// Joins the log's epoch, if this process is not in it already.
    async fn join(&self, limit: usize) -> Result<Arc<View>, Error> {
        let tail = self.log.tail(limit).await?;
        let (view, new) = self.views.join(&tail);
        if new {
            tracing::info!(position = %view.position(), floor = view.floor(), "joined the purge log");
            self.observer.notify(&Notice::EpochJoined {
                position: view.position(),
            });
            self.purges.repeat_recent(view.position().epoch);
        }
        Ok(view)
    }

    /// The test takes the steps of the background task.
    #[cfg(test)]
    pub(crate) fn steered(&self) {
        self.in_background.store(true, Ordering::Release);
    }

    /// Reads what there is now, as the background task would, without waiting.
    #[cfg(test)]
    pub(crate) async fn read_available(&self) {
        let view = match self.views.current() {
            Some(view) => Ok(view),
            None => self.join(self.views.tail_limit()).await,
        };
        if let Ok(view) = view
            && let Ok(records) = self.log.read_after(view.position(), Duration::ZERO).await
            && self.views.apply(&view, &records) == ApplyResult::OtherEpoch
        {
            let _ = self.join(self.views.tail_limit()).await;
        }
    }

    /// Says what is applied, as the background task would, if somebody asked for it since the last time.
    #[cfg(test)]
    pub(crate) async fn acknowledge_once(&self) {
        let asked = *self.views.asked().borrow();
        if let Some(roll) = self.log.roll().filter(|_| asked) {
            let _ = self.say_applied(roll).await;
        }
    }

    /// Announces what is overdue, as the background task would.
    #[cfg(test)]
    pub(crate) async fn announce_overdue_once(&self) {
        self.purges.announce_overdue().await;
    }

    /// The name of this node on the roll.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &str {
        self.registrar.name()
    }

    /// One heartbeat, as the background task's.
    #[cfg(test)]
    pub(crate) async fn beat_once(&self) {
        if let Err(error) = self.beat(self.views.lease() / 3).await
            && error.kind() == ErrorKind::Unavailable
        {
            self.views.end_lease();
        }
    }

    /// Follows until it is to `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        self.in_background.store(true, Ordering::Release);
        let _running = OnDrop::new(|| self.in_background.store(false, Ordering::Release));
        let _kept = self.pulse.keep();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.follow() => {}
            () = self.keep_lease() => {}
            () = self.append_waiting() => {}
            () = self.acknowledge() => {}
            () = self.trim() => {}
            () = self.tidy_roll() => {}
            () = self.announce_overdue() => {}
        }
    }

    async fn follow(&self) {
        let mut retries = Retries::new();
        loop {
            let followed = tokio::select! {
                biased;
                followed = self.follow_once() => followed,
                // What was asked before the server was away may never be answered.
                () = self.pulse.revived() => continue,
            };
            let Err(error) = followed else {
                retries.reset("the purge log is being followed again");
                continue;
            };
            let wait = retries.failed();
            self.pulse.alarm();
            if retries.failures() >= TOLD_AFTER && !self.pulse.is_silent() {
                let failed =
                    "the purge log cannot be followed: lookups read what is new in it themselves";
                retries.tell(failed, &error);
            }
            self.pulse.rest(wait).await;
        }
    }

    async fn follow_once(&self) -> Result<(), Error> {
        let view = match self.views.current() {
            Some(view) => view,
            None => self.join(self.views.tail_limit()).await?,
        };
        let records = self.log.read_after(view.position(), BLOCK).await?;
        match self.views.apply(&view, &records) {
            ApplyResult::All => {}
            ApplyResult::Gap(_) => self.tell_gap(&view),
            ApplyResult::OtherEpoch => {
                self.join(self.views.tail_limit()).await?;
            }
        }
        Ok(())
    }

    async fn append_waiting(&self) {
        let mut retries = Retries::new();
        loop {
            while self.purges.any_waiting() {
                let appended = tokio::select! {
                    biased;
                    appended = self.purges.append_waiting() => appended,
                    // As in `follow`. A record that is appended twice is harmless (PROTOCOL 23).
                    () = self.pulse.revived() => continue,
                };
                match appended {
                    Ok(()) => retries.reset("the waiting purges are in the purge log"),
                    Err(error) => {
                        let wait = retries.failed();
                        let failed = "purges wait for the purge log: in force in this process, not yet in others";
                        retries.tell(failed, &error);
                        self.pulse.rest(wait).await;
                    }
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn trim(&self) {
        loop {
            let due = Instant::now() + TRIM_EVERY;
            while Instant::now() < due && !self.log.is_over(self.keep()) {
                sleep(LOOK_AT_SIZE_EVERY).await;
            }
            if let Err(error) = self.log.trim(self.keep()).await {
                tracing::debug!(%error, "the purge log was not trimmed");
                sleep(LOOK_AT_SIZE_EVERY).await;
            }
        }
    }

    async fn tidy_roll(&self) {
        loop {
            sleep(TIDY_EVERY).await;
            self.purges.roll.tidy().await;
        }
    }

    async fn announce_overdue(&self) {
        loop {
            sleep(LOOK_AT_OVERDUE_EVERY).await;
            self.purges.announce_overdue().await;
        }
    }

    /// What stays of the log if it is trimmed now.
    fn keep(&self) -> Keep {
        let now = self.clock.now().as_millis();
        let age = millis(self.retention.age);
        Keep {
            since: Timestamp::from_millis(now.saturating_sub(age)),
            records: self.retention.records,
            bytes: self.retention.bytes,
        }
    }
}

#[cfg(test)]
mod tests;
