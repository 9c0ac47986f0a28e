//! What goes on beside the reading, whatever that waits for: saying to the server what is worked on,
//! and noticing that nothing was read for too long.
//!
//! Past `away`, nobody knows what the events have said. Everything that they can touch is then in
//! doubt: in this process it counts as purged at every moment, so that none of it is a hit, strict
//! or near, until events are read again (SAFETY 98, PROTOCOL 41). Each node that reads the stream finds that by
//! itself; for those that do not, the scope is purged once as the doubt begins.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::chance::unique_word;
use crate::error::Error;
use crate::invalidation::consumer::Settings;
use crate::invalidation::consumer::held::EntriesInHand;
use crate::invalidation::intake::Applier;
use crate::invalidation::mapping::Plan;
use crate::invalidation::status::StatusBoard;
use crate::invalidation::stream::EventStream;
use crate::log::Doubt;
use crate::redis::Group;

/// The longest time between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// What is in doubt, while something is. Shared by the keeper, which puts it in force, and the
/// consumer, which ends it.
#[derive(Debug, Default)]
pub(super) struct InDoubt(Mutex<Option<Vec<Doubt>>>);

impl InDoubt {
    pub(super) fn is_any(&self) -> bool {
        self.0.lock().is_some()
    }

    pub(super) fn end(&self) {
        *self.0.lock() = None;
    }
}

/// Works beside a consumer.
#[derive(Debug)]
pub(super) struct ClaimKeeper {
    pub(super) stream: Arc<EventStream>,
    pub(super) source: Arc<Group>,
    pub(super) applier: Applier,
    pub(super) settings: Settings,
    pub(super) held: Arc<EntriesInHand>,
    pub(super) status: StatusBoard,
    pub(super) doubt: Arc<InDoubt>,
}

impl ClaimKeeper {
    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        let every = self.settings.renew_every().min(self.settings.away / 8);
        let mut ticks = tokio::time::interval(every.clamp(Duration::from_millis(1), TICK));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Ends with this.
        let mut purging = JoinSet::new();
        loop {
            ticks.tick().await;
            while purging.try_join_next().is_some() {}
            if self.status.silence() > self.settings.away && !self.doubt.is_any() {
                self.begin_doubt(&mut purging);
            }
            if let Err(error) = self.renew().await {
                let stream = &*self.stream.name;
                tracing::debug!(stream, %error, "could not say what is worked on");
            }
        }
    }

    async fn renew(&self) -> Result<(), Error> {
        let ids = self.held.all();
        if ids.is_empty() {
            return Ok(());
        }
        let there = self.source.renew(&ids).await?;
        // What is purged only waits for people to be told: should it be deleted, the log knows that they are owed it.
        let gone = |id: &_| !there.contains(id) && self.held.has_to_purge(*id);
        let gone: Vec<_> = ids.into_iter().filter(gone).collect();
        if gone.is_empty() {
            return Ok(());
        }
        // Deleted from the stream while their purges are under way, or acknowledged by another
        // consumer. Should this one die now, nobody else would find them.
        self.source
            .mark_gap(&unique_word(), "held entries deleted")
            .await?;
        self.held.remove(&gone);
        Ok(())
    }

    fn begin_doubt(&self, purging: &mut JoinSet<()>) {
        let stream = &*self.stream.name;
        let mut plan = Plan::default();
        plan.add_scope(self.stream.scope());
        *self.doubt.0.lock() = Some(self.applier.doubt(&plan));
        let silence = self.status.silence();
        let cause = self.status.trouble();
        let cause = cause.unwrap_or_else(|| "the server does not answer".to_owned());
        let why = format!("no event was read for {}: {cause}", seconds(silence));
        tracing::error!(
            stream,
            why,
            "nothing that these events can touch is served from the cache until they are read again"
        );
        self.applier.report_doubt(stream, true);
        self.status.doubt(Some(cause));
        let (applier, settle) = (self.applier.clone(), self.stream.settings.settle.0);
        purging.spawn(async move {
            // What is not taken now is appended when the log is back.
            let _ = applier.purge(plan, settle, Vec::new()).await;
        });
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64())
}
