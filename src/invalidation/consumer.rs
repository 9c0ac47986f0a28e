//! The task that reads one stream: take, decode, purge, acknowledge; claim from the dead; close gaps.
//!
//! An entry is acknowledged only after its purges are (PROTOCOL 29), and, where people are told of it, only after the
//! announcement is in the log (PROTOCOL 38). Until then it is pending in
//! Redis and [held] here; the reading goes on meanwhile, up to a bound, so that a purge that takes long
//! (a replica that is away) holds up no other (SAFETY 102). Should this consumer die, it does not say
//! any more that it [works](keeper) on what it holds, and another claims it (SAFETY 93). Everything here
//! may therefore happen twice, and nothing twice does harm: a purge that is repeated purges what is
//! newer as well.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chance::unique_word;
use crate::error::Error;
use crate::invalidation::event::Unreadable;
use crate::invalidation::gap::{Watch, unaligned};
use crate::invalidation::intake::Applier;
use crate::invalidation::status::StatusBoard;
use crate::invalidation::stream::EventStream;
use crate::redis::{EntryId, Group, GroupState, Read, StreamEntry};

mod heard;
mod held;
mod keeper;
mod merged;
mod pace;
mod rescue;
mod settings;
mod tidy;
mod turn;
mod work;

use self::held::{AcknowledgedPurge, Batch, EntriesInHand};
use self::keeper::{ClaimKeeper, InDoubt};
use self::merged::MergedPurge;
use self::pace::ReadPace;
pub(crate) use self::settings::Settings;
use self::tidy::Tidy;
use self::turn::Turns;
use self::work::{BatchWays, BatchWork};

/// A name that no other consumer has: host, process, and a random number.
pub(crate) fn unique_name() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "host".into());
    format!("{host}-{}-{}", std::process::id(), unique_word())
}

/// Runs `consumers` until they are to `stop`, and lets them finish what they have in hand.
pub(crate) async fn consume(consumers: Vec<Consumer>, stop: &CancellationToken) {
    let run = |consumer: Consumer| consumer.run(stop.clone());
    join_all(consumers.into_iter().map(run)).await;
}

/// Reads one stream.
#[derive(Debug)]
pub(crate) struct Consumer {
    stream: Arc<EventStream>,
    source: Arc<Group>,
    applier: Applier,
    settings: Settings,
    watch: Watch,
    pace: ReadPace,
    held: Arc<EntriesInHand>,
    /// The purges under way, at most as many as entries may be held, and one for a gap. Dropping
    /// the consumer ends them.
    purging: JoinSet<AcknowledgedPurge>,
    /// What was purged and is not acknowledged to the server yet.
    purged: VecDeque<AcknowledgedPurge>,
    /// Entries that were delivered too often.
    hopeless: HashSet<EntryId>,
    /// A gap that is not being closed yet: its name and its reason.
    gap: Option<(String, &'static str)>,
    /// Gaps that are being closed.
    closing: HashSet<String>,
    /// The order of announcements.
    turns: Turns,
    /// Gaps that were closed, should the server not forget their markers.
    closed: HashSet<String>,
    closed_at: Option<Instant>,
    /// Behind which id there may be entries that were delivered to us in an answer that never came.
    recover: Option<EntryId>,
    claimed_at: Option<Instant>,
    forgot_at: Option<Instant>,
    heard: heard::ReadReports,
    /// An entry that another consumer does not get applied, and since when.
    stuck: Option<(EntryId, Instant)>,
    status: StatusBoard,
    doubt: Arc<InDoubt>,
    tidy: Tidy,
    /// Purges of the scope for entries that cannot be understood.
    merged: Arc<MergedPurge>,
    /// And what people are told of those.
    merged_resync: Arc<MergedPurge>,
    /// The last state that was told.
    working: Option<bool>,
}

impl Consumer {
    pub(crate) fn new(
        stream: Arc<EventStream>,
        source: Group,
        applier: Applier,
        settings: Settings,
        status: StatusBoard,
    ) -> Self {
        let pace = ReadPace::new(settings.count, settings.bytes, source.budget());
        Self {
            stream,
            source: Arc::new(source),
            applier,
            settings,
            watch: Watch::default(),
            pace,
            held: Arc::default(),
            purging: JoinSet::new(),
            purged: VecDeque::new(),
            hopeless: HashSet::new(),
            gap: None,
            closing: HashSet::new(),
            turns: Turns::default(),
            closed: HashSet::new(),
            closed_at: None,
            recover: Some(EntryId::default()),
            claimed_at: None,
            forgot_at: None,
            heard: heard::ReadReports::default(),
            stuck: None,
            status,
            doubt: Arc::default(),
            tidy: Tidy::default(),
            merged: Arc::default(),
            merged_resync: Arc::default(),
            working: None,
        }
    }

    /// Reads until told to stop. Between the steps of a turn it does not stop, and each step has its
    /// time budget; what could not be purged stays pending for another consumer.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        self.status.begin();
        let keeper = self.keeper();
        tokio::select! {
            // Never ends by itself.
            () = keeper.run() => {}
            () = async {
                self.read_until(&stop).await;
                self.finish().await;
            } => {}
        }
    }

    async fn read_until(&mut self, stop: &CancellationToken) {
        let mut backoff = self.settings.backoff;
        while !stop.is_cancelled() {
            let result = match self.turn().await {
                Ok(None) => Ok(()),
                Ok(Some(after)) => {
                    self.tell_working();
                    let wait = self.source.wait(after, self.settings.waits());
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => break,
                        Some(ended) = self.purging.join_next() => { self.ended(ended); Ok(()) }
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
            self.pace.failed(error.kind());
            self.source.disconnect();
            self.recover = Some(EntryId::default());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.source.rest(backoff.pause()) => {}
            }
        }
    }

    /// One round. `Some` if there is nothing to do until there is an entry behind that id.
    async fn turn(&mut self) -> Result<Option<EntryId>, Error> {
        self.acknowledge().await?;
        self.tidy().await?;
        let look = self.source.look().await?;
        let reason = self.watch.judge(look.state.as_ref());
        self.note_gap(reason);
        self.judge_silence().await?;
        self.close_gaps(look.gaps).await?;
        // As soon as the gap is marked: a read moves the group on, and what it has read is not known then.
        self.align(look.state.as_ref(), false).await?;
        self.take_from_the_dead().await?;
        self.take_own().await?;
        let stuck = self.is_stuck(&look.waiting);
        if self.held.len() >= self.settings.held {
            // Reading on must wait for a purge.
            self.merged.hurry();
            self.merged_resync.hurry();
            let last = look.state.map(|state| state.last);
            return Ok(Some(last.unwrap_or_default()));
        }
        let read = self.source.read(self.pace.portion()).await?;
        self.pace.arrived(read.entries.len());
        let reason = self.watch.judge(read.state.as_ref());
        self.note_gap(reason);
        let idle = read.entries.is_empty();
        self.look_back(&read).await?;
        self.close_gaps(Vec::new()).await?;
        self.begin(read.entries);
        if !stuck {
            self.succeeded().await?;
        }
        Ok(read.state.filter(|_| idle).map(|state| state.last))
    }

    /// What the state before a read says about losses, and to the server about what was read.
    async fn look_back(&mut self, read: &Read) -> Result<(), Error> {
        let Some(state) = &read.state else {
            return Ok(());
        };
        self.status.counted(state.lag, state.pending);
        let nothing_left = read.entries.is_empty();
        if nothing_left {
            let reason = self.watch.judge_read(state);
            self.note_gap(reason);
        }
        // Not before the gap is marked: the server forgets it here.
        self.close_gaps(Vec::new()).await?;
        self.align(Some(state), nothing_left).await
    }

    /// Says to the server what was read, where it does not know.
    async fn align(&self, state: Option<&GroupState>, nothing_left: bool) -> Result<(), Error> {
        let unaligned = state.and_then(|state| Some((state, unaligned(state, nothing_left)?)));
        match unaligned {
            Some((state, (to, read))) => self.source.align(state, to, read).await,
            None => Ok(()),
        }
    }

    /// Purges what `entries` name, in a task of its own.
    fn begin(&mut self, mut entries: Vec<StreamEntry>) {
        entries.retain(|entry| !self.held.has(entry.id));
        if entries.is_empty() {
            return;
        }
        let mut work = BatchWork::default();
        for entry in &entries {
            let id = entry.id.to_string();
            let reading = if self.hopeless.remove(&entry.id) {
                let detail = "its consumers died or gave up";
                self.stream
                    .give_up(&id, Unreadable::new("too-many-deliveries", detail))
            } else {
                self.stream.read(&id, &entry.fields)
            };
            work.add(entry, reading);
        }
        self.held.add(work.batch.ids.iter().copied());
        let turn = (!work.updates.is_empty()).then(|| self.turns.next());
        let ways = BatchWays {
            applier: self.applier.clone(),
            settle: self.stream.settings.settle.0,
            held: Arc::clone(&self.held),
            merged: Arc::clone(&self.merged),
            merged_resync: Arc::clone(&self.merged_resync),
        };
        self.purging.spawn(ways.purge(work, turn));
    }

    fn ended(&mut self, purged: Result<AcknowledgedPurge, JoinError>) {
        match purged {
            Ok(purged) => self.purged.push_back(purged),
            Err(error) => {
                // What it held is pending in Redis, and read again.
                tracing::error!(stream = %self.stream.name, %error, "a purge ended early");
                self.held.remove(&self.held.all());
                self.closing.clear();
                self.recover = Some(EntryId::default());
            }
        }
    }

    /// Acknowledges what was purged. What fails is tried again in the next turn.
    async fn acknowledge(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.purging.try_join_next() {
            self.ended(ended);
        }
        while let Some(mut purged) = self.purged.pop_front() {
            let done = match &mut purged {
                AcknowledgedPurge::Batch(batch) => self.acknowledge_batch(batch).await,
                AcknowledgedPurge::Gap(gaps, reason) => self.forget_gaps(gaps, reason).await,
            };
            if let Err(error) = done {
                self.purged.push_front(purged);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn acknowledge_batch(&mut self, batch: &mut Batch) -> Result<(), Error> {
        while let Some(record) = batch.aside.last() {
            self.source.quarantine(record).await?;
            batch.aside.pop();
        }
        // What the server has acknowledged is in nobody's hands: the keeper must not miss it there.
        self.held.remove(&batch.ids);
        if let Err(error) = self.source.acknowledge(&batch.ids).await {
            self.held.add(batch.ids.iter().copied());
            return Err(error);
        }
        self.tidy.acknowledged(batch.ids.len());
        for (id, reading) in batch.ids.iter().zip(&batch.readings) {
            self.applier
                .report(&self.stream.name, &id.to_string(), reading);
        }
        Ok(())
    }

    /// Waits for the purges under way, for a while, and leaves the group if nothing is left behind.
    async fn finish(&mut self) {
        let most = self.settings.finish;
        self.merged.hurry();
        self.merged_resync.hurry();
        let ending = async {
            while let Some(ended) = self.purging.join_next().await {
                self.ended(ended);
            }
        };
        // What does not end in time stays pending, for another consumer.
        let _ = tokio::time::timeout(most, ending).await;
        let left = async {
            self.acknowledge().await?;
            if self.working == Some(true) {
                self.source.leave().await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = left.await {
            tracing::debug!(stream = %self.stream.name, %error, "could not leave the group");
        }
    }

    fn keeper(&self) -> ClaimKeeper {
        ClaimKeeper {
            stream: Arc::clone(&self.stream),
            source: Arc::clone(&self.source),
            applier: self.applier.clone(),
            settings: self.settings.clone(),
            held: Arc::clone(&self.held),
            status: self.status.clone(),
            doubt: Arc::clone(&self.doubt),
        }
    }

    fn tell_working(&mut self) {
        if self.working.replace(true) != Some(true) {
            tracing::info!(stream = %self.stream.name, "events are being consumed");
        }
    }

    fn tell_failing(&mut self, error: &Error) {
        self.applier.report_failure(error);
        self.status.failed(error.to_string());
        if self.working.replace(false) != Some(false) {
            let stream = &*self.stream.name;
            tracing::warn!(stream, %error, "events cannot be consumed; trying again");
        }
    }
}

#[cfg(test)]
mod tests;
