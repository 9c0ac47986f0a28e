//! From an entry that was read to its purges, acknowledged; also the way in without a stream.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::error::{Error, ErrorKind};
use crate::invalidation::event::{Fields, Unreadable};
use crate::invalidation::mapping::Plan;
use crate::invalidation::stream::EventStream;
use crate::invalidation::stream::{Exactness, Reading};
use crate::invalidation::tally::Tally;
use crate::log::{Doubt, PurgeKind, PurgeToAnnounce, Purged};
use crate::observe::{Notice, SharedObserver};
use crate::tag::Target;
use crate::update::Update;

/// Where the purges go.
pub(crate) trait PurgeSink: Debug + Send + Sync + 'static {
    /// Purges `targets`; `Ok` only once that is acknowledged (PROTOCOL 23).
    fn purge(
        &self,
        kind: PurgeKind,
        targets: Vec<Target>,
        settle: Duration,
    ) -> BoxFuture<'_, Result<Purged, Error>>;

    /// Purges, and announces that when it is everywhere and has settled; `Ok` once the purge is acknowledged and everywhere.
    fn purge_and_announce(&self, purge: PurgeToAnnounce) -> BoxFuture<'_, Result<Purged, Error>>;

    /// Makes `purges`, says so when all are `logged`, and announces them in order when it is their `turn`, however long that
    /// takes.
    fn purge_until_announced<'a>(
        &'a self,
        purges: Vec<PurgeToAnnounce>,
        logged: Box<dyn FnOnce() + Send + 'a>,
        turn: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, ()>;

    /// Makes `purges` however long that takes: one that the log does not take now is made once.
    fn purge_until_acknowledged(
        &self,
        purges: Vec<(PurgeKind, Vec<Target>)>,
        settle: Duration,
    ) -> BoxFuture<'_, ()>;

    /// Counts everything that `targets` name as purged, at every moment, in this process, until what
    /// this returns is dropped.
    fn doubt(&self, kind: PurgeKind, targets: Vec<Target>) -> Doubt;
}

/// What became of an event that was handed to an [`EventIntake`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventOutcome {
    /// Events that purged something, or that people are told of.
    pub applied: usize,
    /// Events for which nothing is configured, or that name nothing to purge; an entry without
    /// events counts as one.
    pub ignored: usize,
    /// What was purged.
    pub targets: Vec<Target>,
    /// Why everything that the stream can touch was purged, if it was: the publisher said that
    /// events were undone, there were too many, or the entry cannot be understood.
    pub scope_purged: Option<String>,
    /// The purge, if there was something to purge or to tell.
    pub purged: Option<Purged>,
}

/// Takes events that did not come through a Redis stream, from a webhook for example, or from the
/// program itself.
#[derive(Debug, Clone)]
pub struct EventIntake {
    streams: Arc<HashMap<Box<str>, Arc<EventStream>>>,
    applier: Applier,
}

impl EventIntake {
    pub(crate) fn new(streams: &[Arc<EventStream>], applier: Applier) -> Self {
        let named = |stream: &Arc<EventStream>| (stream.name.clone(), stream.clone());
        Self {
            streams: Arc::new(streams.iter().map(named).collect()),
            applier,
        }
    }

    /// Purges what an entry of `stream` names, as if it had arrived there. `id` is the entry's, in log lines and where people
    /// are told of it: one that is handed in again under its id is a repeat.
    ///
    /// An entry that cannot be understood is no error: it purges everything that the stream can
    /// touch, and the outcome says so.
    ///
    /// Where people are told of the event, this returns when that is announced: once no node answers with the old data any
    /// more, at most 5.5 s after the purge (15.5 s where Redis has replicas), plus the stream's settling time (twice that,
    /// where a node did not answer). If the announcement fails, it returns with `announced: None`, and some node announces it
    /// later.
    ///
    /// # Cancel safety
    /// What was begun stays in force, is appended by the companion, and announced later.
    ///
    /// # Errors
    /// No stream of this name is configured ([`ErrorKind::Invalid`]), or the purge could not be
    /// appended to the log ([`ErrorKind::Pending`]; the event may be handed in again).
    pub async fn apply(
        &self,
        stream: &str,
        id: &str,
        fields: Fields,
    ) -> Result<EventOutcome, Error> {
        let Some(stream) = self.streams.get(stream) else {
            let message = format!("no stream {stream:?} is configured");
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        let mut reading = stream.read(id, &fields);
        let plan = std::mem::take(&mut reading.plan);
        let updates = std::mem::take(&mut reading.updates);
        let updates = updates.into_iter().map(Arc::new).collect();
        let targets = plan.targets().cloned().collect();
        let purged = self
            .applier
            .purge(plan, stream.settings.settle.0, updates)
            .await?;
        self.applier.report(&stream.name, id, &reading);
        Ok(EventOutcome {
            applied: reading.applied.len(),
            ignored: reading.ignored.len(),
            targets,
            scope_purged: match &reading.exactness {
                Exactness::Exact => None,
                Exactness::Scope(reason) => Some((*reason).into()),
                Exactness::Unreadable(unreadable) => Some(unreadable.to_string()),
            },
            purged,
        })
    }
}

/// Makes purges of what was read, and tells about it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Applier {
    sink: Arc<dyn PurgeSink>,
    observer: SharedObserver,
    tally: Arc<Tally>,
}

impl Applier {
    pub(crate) fn new(sink: Arc<dyn PurgeSink>, observer: SharedObserver) -> Self {
        Self {
            sink,
            observer,
            tally: Arc::default(),
        }
    }

    /// Purges what `plan` names, and announces `updates`; the last purge, if there was one.
    ///
    /// # Errors
    /// One of them is not acknowledged. All of them were tried, so that all are in force here.
    pub(crate) async fn purge(
        &self,
        plan: Plan,
        settle: Duration,
        updates: Vec<Arc<Update>>,
    ) -> Result<Option<Purged>, Error> {
        if !updates.is_empty() {
            let purge = PurgeToAnnounce {
                purges: plan.purges().collect(),
                settle,
                updates,
            };
            return self.sink.purge_and_announce(purge).await.map(Some);
        }
        let mut last = Ok(None);
        for (kind, targets) in plan.purges() {
            let purged = self.sink.purge(kind, targets, settle).await;
            last = match (last, purged) {
                (Err(error), _) | (_, Err(error)) => Err(error),
                (Ok(_), Ok(purged)) => Ok(Some(purged)),
            };
        }
        last
    }

    /// Purges what `plans` name, and returns when all of it is acknowledged.
    #[cfg(feature = "redis")]
    pub(crate) async fn purge_until_acknowledged(&self, plans: Vec<Plan>, settle: Duration) {
        let purges: Vec<_> = plans.iter().flat_map(Plan::purges).collect();
        if !purges.is_empty() {
            self.sink.purge_until_acknowledged(purges, settle).await;
        }
    }

    /// Purges what the plans of `purges` name, says so when all of that is `logged`, and announces the updates beside them
    /// when it is their `turn`; returns when all of that is done.
    #[cfg(feature = "redis")]
    pub(crate) async fn purge_until_announced(
        &self,
        purges: Vec<(Plan, Vec<Arc<Update>>)>,
        settle: Duration,
        logged: impl FnOnce() + Send,
        turn: impl Future<Output = ()> + Send,
    ) {
        if purges.iter().all(|(_, updates)| updates.is_empty()) {
            let plans = purges.into_iter().map(|(plan, _)| plan).collect();
            self.purge_until_acknowledged(plans, settle).await;
            return logged();
        }
        let to_announce = |(plan, updates): (Plan, _)| PurgeToAnnounce {
            purges: plan.purges().collect(),
            settle,
            updates,
        };
        let purges = purges.into_iter().map(to_announce).collect();
        let (logged, turn) = (Box::new(logged), Box::pin(turn));
        self.sink.purge_until_announced(purges, logged, turn).await;
    }

    /// Puts all that `plan` names in doubt, until what this returns is dropped.
    #[cfg(feature = "redis")]
    pub(crate) fn doubt(&self, plan: &Plan) -> Vec<Doubt> {
        let doubt = |(kind, targets)| self.sink.doubt(kind, targets);
        plan.purges().map(doubt).collect()
    }

    /// Tells that what the events of `stream` can touch is in doubt, or is no more.
    #[cfg(feature = "redis")]
    pub(crate) fn report_doubt(&self, stream: &str, begins: bool) {
        self.observer
            .notify(&Notice::EventsInDoubt { stream, begins });
    }

    /// Tells what an entry said, after its purges are in the log.
    pub(crate) fn report(&self, stream: &str, id: &str, reading: &Reading) {
        for (event, targets) in &reading.applied {
            self.observer.notify(&Notice::EventApplied {
                stream,
                event,
                targets: *targets,
            });
        }
        for reason in &reading.ignored {
            self.observer
                .notify(&Notice::EventIgnored { stream, reason });
        }
        match &reading.exactness {
            Exactness::Exact => {}
            Exactness::Scope(reason) => self.report_gap(stream, reason),
            Exactness::Unreadable(unreadable) => self.report_unreadable(stream, id, unreadable),
        }
    }

    pub(crate) fn report_failure(&self, error: &Error) {
        let operation = "events";
        self.observer
            .notify(&Notice::StoreFailed { operation, error });
    }

    pub(crate) fn report_gap(&self, stream: &str, reason: &'static str) {
        let more = self.tally.tell(stream, reason, Instant::now());
        // So it is on a server that has never seen this cache, where it is no reason to worry.
        if reason == "no group" {
            let told = "first read of this stream, or its group was lost: purged all that its events can \
                        touch, once";
            tracing::info!(stream, "{told}");
        } else if let Some(more) = more {
            let also = also(more);
            tracing::warn!(
                stream,
                reason,
                "events may be missing; purged all that they can touch{also}"
            );
        }
        self.observer.notify(&Notice::EventGap { stream, reason });
    }

    pub(crate) fn report_unreadable(&self, stream: &str, id: &str, unreadable: &Unreadable) {
        let reason = unreadable.reason;
        if let Some(more) = self.tally.tell(stream, reason, Instant::now()) {
            let also = also(more);
            tracing::warn!(stream, id, reason = %unreadable, "event not understood; put aside{also}");
        }
        self.observer
            .notify(&Notice::EventQuarantined { stream, id, reason });
    }

    /// Tells how many lines about `stream` were left out, where no more such came.
    #[cfg(feature = "redis")]
    pub(crate) fn report_rest(&self, stream: &str) {
        for (reason, more) in self.tally.rest(stream, Instant::now()) {
            tracing::warn!(
                stream,
                reason,
                "… and {more} more of these since the last line"
            );
        }
    }
}

/// What a line says about those that were left out before it.
fn also(more: u64) -> String {
    match more {
        0 => String::new(),
        more => format!(" (and {more} more since the last such line)"),
    }
}

#[cfg(test)]
mod tests;
