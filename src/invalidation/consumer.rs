//! The task that reads one stream: take, decode, purge, acknowledge; claim from the dead; close gaps.
//!
//! An entry is acknowledged only after its purges are (PROTOCOL 29). Until then it is pending in
//! Redis, and another consumer claims it should this one die. Everything here may therefore happen
//! twice, and nothing twice does harm: a purge that is repeated purges what is newer as well.

use std::collections::HashSet;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::invalidation::event::Unreadable;
use crate::invalidation::gap::Watch;
use crate::invalidation::intake::Applier;
use crate::invalidation::mapping::{Plan, Verdict};
use crate::invalidation::quarantine;
use crate::invalidation::source::EventSource;
use crate::invalidation::stream::{EventStream, Start};
use crate::redis::{Entry, EntryId};

/// The most pages of other consumers' entries that are claimed in one turn.
const MAX_PAGES: usize = 100;

/// How a consumer behaves.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Entries taken at once.
    pub(crate) count: usize,
    /// How long to wait for new entries before looking at the group again.
    pub(crate) wait: Duration,
    /// After which time without an acknowledgement a consumer counts as dead. It must be far longer
    /// than a turn takes, or the living take each other's work (which costs work, not truth).
    pub(crate) min_idle: Duration,
    /// If no consumer heard from the server for so long, events may be missing: rindexer drops an
    /// event after about 90 s without Redis.
    pub(crate) away: Duration,
    /// An entry that was delivered more often has killed its consumers, and is put aside unread.
    pub(crate) max_deliveries: u64,
    /// After which time an idle consumer with nothing pending is removed.
    pub(crate) forget: Duration,
    /// The first and the longest pause after a failure.
    pub(crate) backoff: (Duration, Duration),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            count: 32,
            wait: Duration::from_secs(5),
            min_idle: Duration::from_secs(30),
            away: Duration::from_secs(60),
            max_deliveries: 5,
            forget: Duration::from_secs(3600),
            backoff: (Duration::from_millis(100), Duration::from_secs(5)),
        }
    }
}

/// A name that no other consumer has: host, process, and a random number.
pub(crate) fn unique_name() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "host".into());
    format!("{host}-{}-{:016x}", std::process::id(), random())
}

/// Runs `consumers` until `shutdown`, and lets them finish what they have in hand.
pub(crate) async fn consume(consumers: Vec<Consumer>, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(false);
    let run = |consumer: Consumer| consumer.run(stopped.clone());
    let mut all = pin!(join_all(consumers.into_iter().map(run)));
    tokio::select! {
        _ = &mut all => {}
        () = shutdown => {
            // They all hold a receiver, so it cannot fail.
            let _ = stop.send(true);
            all.await;
        }
    }
}

/// Reads one stream.
#[derive(Debug)]
pub(crate) struct Consumer {
    stream: Arc<EventStream>,
    source: Box<dyn EventSource>,
    applier: Applier,
    settings: Settings,
    watch: Watch,
    /// Taken from the stream and not acknowledged.
    held: Vec<Entry>,
    /// Those of them that were delivered too often.
    hopeless: HashSet<EntryId>,
    /// A gap that is not closed yet: its name and its reason.
    gap: Option<(String, &'static str)>,
    /// Entries may have been delivered to us in an answer that never came.
    recover: bool,
    claimed_at: Option<Instant>,
    /// The last state that was told.
    working: Option<bool>,
}

impl Consumer {
    pub(crate) fn new(
        stream: Arc<EventStream>,
        source: impl EventSource,
        applier: Applier,
        settings: Settings,
    ) -> Self {
        Self {
            stream,
            source: Box::new(source),
            applier,
            settings,
            watch: Watch::default(),
            held: Vec::new(),
            hopeless: HashSet::new(),
            gap: None,
            recover: true,
            claimed_at: None,
            working: None,
        }
    }

    /// Reads until told to stop. Between the steps of a turn it does not stop, and each step has its
    /// time budget; what could not be purged stays pending for another consumer.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(self.settings.backoff);
        while !*stop.borrow_and_update() {
            let result = match self.turn().await {
                Ok(None) => Ok(()),
                Ok(Some(after)) => {
                    self.tell_working();
                    let wait = self.source.wait(after, self.settings.wait);
                    tokio::select! {
                        biased;
                        _ = stop.changed() => break,
                        waited = wait => waited,
                    }
                }
                Err(error) => Err(error),
            };
            let Err(error) = result else {
                backoff.reset();
                continue;
            };
            self.tell_failing(&error);
            self.source.disconnect();
            self.recover = true;
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                () = self.source.rest(backoff.pause()) => {}
            }
        }
        if self.working == Some(true)
            && let Err(error) = self.source.leave().await
        {
            tracing::debug!(stream = %self.stream.name, %error, "could not leave the group");
        }
    }

    /// One round. `Some` if there is nothing to do until there is an entry behind that id.
    async fn turn(&mut self) -> Result<Option<EntryId>, Error> {
        self.apply().await?;
        let look = self.source.look().await?;
        let reason = self.watch.judge(look.state.as_ref());
        let reason = reason.or((!look.heard).then_some("server away too long"));
        self.note_gap(reason);
        self.close_gaps(look.gaps).await?;
        if self.recover {
            self.take_own().await?;
            self.recover = false;
        }
        self.take_from_the_dead().await?;
        let read = self
            .source
            .read(self.settings.count, self.settings.away)
            .await?;
        self.held = read.entries;
        let reason = self.watch.judge(read.state.as_ref());
        self.note_gap(reason);
        self.close_gaps(Vec::new()).await?;
        let idle = self.held.is_empty();
        self.apply().await?;
        Ok(read.state.filter(|_| idle).map(|state| state.last))
    }

    /// Purges what the entries in hand name, and acknowledges them. If that fails they stay in hand.
    async fn apply(&mut self) -> Result<(), Error> {
        if self.held.is_empty() {
            return Ok(());
        }
        let mut plan = Plan::default();
        let mut readings = Vec::new();
        for entry in &self.held {
            let mut reading = if self.hopeless.contains(&entry.id) {
                let detail = "its consumers died or gave up";
                self.stream
                    .give_up(Unreadable::new("too-many-deliveries", detail))
            } else {
                self.stream.read(&entry.fields)
            };
            plan.merge(std::mem::take(&mut reading.plan));
            readings.push(reading);
        }
        self.applier.purge(plan, self.stream.settle).await?;
        for (entry, reading) in self.held.iter().zip(&readings) {
            if let Verdict::Unreadable(unreadable) = &reading.verdict {
                self.put_aside(entry, unreadable).await?;
            }
        }
        let ids: Vec<EntryId> = self.held.iter().map(|entry| entry.id).collect();
        self.source.acknowledge(&ids).await?;
        for (id, reading) in ids.iter().zip(&readings) {
            self.applier
                .report(&self.stream.name, &id.to_string(), reading);
        }
        self.held.clear();
        self.hopeless.clear();
        Ok(())
    }

    async fn put_aside(&self, entry: &Entry, unreadable: &Unreadable) -> Result<(), Error> {
        let record = quarantine::record(entry, &unreadable.to_string());
        match self.source.quarantine(&record).await {
            // The record is for people; what the entry may have meant is purged. If the server is
            // there and refuses it (another type at the key), it must not block the events behind it.
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Protocol) => {
                let stream = &*self.stream.name;
                tracing::error!(stream, id = %entry.id, %error, "entry could not be put aside");
                Ok(())
            }
            other => other,
        }
    }

    /// What was delivered to us and did not arrive.
    async fn take_own(&mut self) -> Result<(), Error> {
        let mut after = EntryId::default();
        loop {
            let pending = self.source.pending(after, self.settings.count).await?;
            let ids = pending.entries.iter().map(|entry| entry.id);
            let Some(last) = ids.chain(pending.deleted.iter().copied()).max() else {
                return Ok(());
            };
            after = last;
            self.held = pending.entries;
            self.lose(&pending.deleted).await?;
            self.apply().await?;
        }
    }

    /// What others took and have not acknowledged for long, now and then.
    async fn take_from_the_dead(&mut self) -> Result<(), Error> {
        let every = self.settings.min_idle / 3;
        if self.claimed_at.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        let (idle, count) = (self.settings.min_idle, self.settings.count);
        let mut from = EntryId::default();
        for _ in 0..MAX_PAGES {
            let claimed = match self.source.claim(idle, from, count).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    // Redis names an entry that was trimmed before its purge once, and that answer
                    // may be the one that was lost.
                    self.note_gap(Some("a claim was not answered"));
                    return Err(error);
                }
            };
            let too_often = |(_, times): &(&EntryId, &u64)| **times > self.settings.max_deliveries;
            let hopeless = claimed.deliveries.iter().filter(too_often);
            self.hopeless = hopeless.map(|(id, _)| *id).collect();
            self.held = claimed.entries;
            self.lose(&claimed.deleted).await?;
            self.apply().await?;
            from = claimed.next;
            if from == EntryId::default() {
                break;
            }
        }
        if self.source.forget_idle(self.settings.forget).await? {
            self.note_gap(Some("a consumer was removed with entries"));
            self.close_gaps(Vec::new()).await?;
        }
        self.claimed_at = Some(Instant::now());
        Ok(())
    }

    /// Entries that were trimmed after they were delivered.
    async fn lose(&mut self, deleted: &[EntryId]) -> Result<(), Error> {
        if deleted.is_empty() {
            return Ok(());
        }
        self.note_gap(Some("pending entries deleted"));
        self.close_gaps(Vec::new()).await?;
        self.source.acknowledge(deleted).await
    }

    fn note_gap(&mut self, reason: Option<&'static str>) {
        if let Some(reason) = reason
            && self.gap.is_none()
        {
            self.gap = Some((format!("{:016x}", random()), reason));
        }
    }

    /// Closes the gap that was noted and those that were `found`, in PROTOCOL 30's order: an event
    /// that is published while the group is being made is in the group, or before the purge.
    async fn close_gaps(&mut self, mut found: Vec<String>) -> Result<(), Error> {
        let mut reason = "found by another consumer";
        if let Some((gap, own)) = &self.gap {
            reason = own;
            self.source.mark_gap(gap, own).await?;
            self.source
                .create(self.stream.start == Start::Beginning)
                .await?;
            if !found.contains(gap) {
                found.push(gap.clone());
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let mut plan = Plan::default();
        plan.add_scope(self.stream.scope());
        self.applier.purge(plan, self.stream.settle).await?;
        self.source.clear_gaps(&found).await?;
        self.applier.report_gap(&self.stream.name, reason);
        self.gap = None;
        Ok(())
    }

    fn tell_working(&mut self) {
        if self.working.replace(true) != Some(true) {
            tracing::info!(stream = %self.stream.name, "events are being consumed");
        }
    }

    fn tell_failing(&mut self, error: &Error) {
        self.applier.report_failure(error);
        if self.working.replace(false) != Some(false) {
            let stream = &*self.stream.name;
            tracing::warn!(stream, %error, "events cannot be consumed; trying again");
        }
    }
}

/// Pauses that double up to a bound, each shortened by up to half at random, so that a fleet does not
/// come back all at once.
#[derive(Debug)]
struct Backoff {
    first: Duration,
    longest: Duration,
    coming: Duration,
}

impl Backoff {
    const fn new((first, longest): (Duration, Duration)) -> Self {
        Self {
            first,
            longest,
            coming: first,
        }
    }

    const fn reset(&mut self) {
        self.coming = self.first;
    }

    fn pause(&mut self) -> Duration {
        let pause = self.coming;
        self.coming = (pause * 2).min(self.longest);
        let part = u32::try_from(random() % 1000).unwrap_or(0);
        pause / 2 + pause / 2 * part / 1000
    }
}

/// From what the standard library seeds its hash maps with; for jitter and names, not for secrets.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
