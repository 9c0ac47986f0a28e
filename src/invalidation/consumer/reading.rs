//! A turn: look at the group if that is due, read what there is, begin to purge it. And waiting for the next.

use std::sync::Arc;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::work::{ReadWays, ReadWork};
use crate::error::Error;
use crate::invalidation::consumer::Consumer;
use crate::invalidation::event::Unreadable;
use crate::invalidation::gap::unaligned;
use crate::redis::{EntryId, GroupState, Read, StreamEntry, Waited};

/// What there is to be done after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another turn: there may be more to read.
    GoOn,
    /// Nothing, until there is an entry behind this one.
    Entry(EntryId),
    /// Nothing, until a purge has ended: no more may be in hand.
    Room,
}

impl Consumer {
    /// One round.
    pub(super) async fn turn(&mut self) -> Result<Next, Error> {
        self.collect();
        self.tidy().await?;
        if self.is_look_due() {
            let state = self.look().await?;
            // Where all is read, reading has nothing to tell that the look has not.
            let all_read = state.filter(|state| state.last == state.delivered);
            if let Some(state) = all_read.filter(|_| self.source.sees_state()) {
                self.look_back(&state, true).await?;
                self.read_well().await?;
                return Ok(self.next(state.last));
            }
        } else {
            self.take_own().await?;
        }
        self.read().await
    }

    /// Waits until there is something to do as `next` says, or until it is time to look. What was purged is acknowledged
    /// meanwhile.
    pub(super) async fn wait(&mut self, next: Next, stop: &CancellationToken) -> Result<(), Error> {
        while !self.is_time_to_look() {
            let until_look = self.look_at.map(|at| at - Instant::now());
            let mut at_most = until_look.unwrap_or_default();
            if !self.held.is_empty() {
                // The keeper says over the same connection what is in hand.
                at_most = at_most.min(self.settings.waits());
            }
            let source = Arc::clone(&self.source);
            let waiting = async move {
                match next {
                    Next::GoOn => Ok(Waited::Entry),
                    Next::Entry(after) => source.wait(after, at_most).await,
                    Next::Room => {
                        sleep(at_most).await;
                        Ok(Waited::Nothing)
                    }
                }
            };
            // Kept while purges end: the server tells of an entry once.
            let mut waiting = std::pin::pin!(waiting);
            let waited = loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    waited = &mut waiting => break waited?,
                    Some(ended) = self.purging.join_next() => {
                        self.ended(ended);
                        self.acknowledge().await?;
                        if next == Next::Room {
                            return Ok(());
                        }
                    }
                }
            };
            match waited {
                Waited::Entry => return Ok(()),
                Waited::Gone => self.look_at = None,
                Waited::Nothing => {}
            }
        }
        Ok(())
    }

    fn is_time_to_look(&self) -> bool {
        self.look_at.is_none_or(|at| Instant::now() >= at)
    }

    /// Whether nothing may be read before a look: what is lost, or how long nobody read, cannot be told afterwards.
    fn is_look_due(&self) -> bool {
        self.is_time_to_look() || !self.source.stops_at_losses() || self.was_away()
    }

    /// What is done now and then, beside reading: gaps, and what others left.
    async fn look(&mut self) -> Result<Option<GroupState>, Error> {
        let (sent, pace) = (Instant::now(), self.settings.looks());
        let mut purged = self.take_purged();
        let (done, look) = tokio::join!(purged.send(&self.source), self.source.look(pace));
        self.told_server(purged, done)?;
        let look = look?;
        self.look_at = Some(sent + look.next.unwrap_or(pace.every));
        let reason = self.watch.judge(look.state.as_ref());
        self.note_gap(reason);
        self.judge_silence().await?;
        self.close_gaps(look.gaps).await?;
        // As soon as the gap is marked: a read moves the group on, and what it has read is not known then.
        self.align(look.state.as_ref(), false).await?;
        self.take_from_the_dead().await?;
        self.take_own().await?;
        self.is_stuck = self.is_stuck(&look.waiting);
        Ok(look.state)
    }

    async fn read(&mut self) -> Result<Next, Error> {
        let room = self.settings.held.saturating_sub(self.held.len());
        if room == 0 {
            // Reading on must wait for a purge.
            self.merged.hurry();
            self.merged_resync.hurry();
            self.acknowledge().await?;
            return Ok(Next::Room);
        }
        let (portion, mut times) = self.pace.portions(room);
        let mut purged = self.take_purged();
        let told = Some(self.watch.told());
        let reading = self.source.read(portion, times, told);
        let (done, reads) = tokio::join!(purged.send(&self.source), reading);
        self.told_server(purged, done)?;
        let mut reads = reads?;
        if let [read, ..] = &*reads
            && read.is_stopped()
        {
            self.judge(std::slice::from_ref(read)).await?;
            self.align(read.state.as_ref(), false).await?;
            // From here on the gap is marked, if there is one.
            times = 1;
            reads = self.source.read(portion, times, None).await?;
        }
        self.begin_reads(reads, portion.count, times).await
    }

    /// Sees to what was read as `times` portions of at most `count` entries.
    async fn begin_reads(
        &mut self,
        reads: Vec<Read>,
        count: usize,
        times: usize,
    ) -> Result<Next, Error> {
        let entries = reads.iter().map(|read| read.entries.len()).sum();
        self.pace.arrived_of(entries, count, times);
        self.judge(&reads).await?;
        let last = reads.last();
        let end = last.and_then(Read::end);
        if let Some(read) = last
            && let Some(state) = read.state
        {
            self.look_back(&state, read.entries.is_empty()).await?;
        }
        self.begin(reads.into_iter().flat_map(|read| read.entries));
        self.read_well().await?;
        Ok(end.map_or(Next::GoOn, |end| self.next(end)))
    }

    /// What is to be done once all up to `end` was read.
    fn next(&self, end: EntryId) -> Next {
        match self.recover.is_some() && self.held.len() >= self.settings.held {
            true => Next::Room,
            false => Next::Entry(end),
        }
    }

    /// Marks the gaps that the states of `reads` tell of.
    async fn judge(&mut self, reads: &[Read]) -> Result<(), Error> {
        for read in reads {
            let reason = self.watch.judge(read.state.as_ref());
            self.note_gap(reason);
        }
        self.close_gaps(Vec::new()).await
    }

    async fn read_well(&mut self) -> Result<(), Error> {
        match self.is_stuck {
            true => Ok(()),
            false => self.succeeded().await,
        }
    }

    /// What the state before a read says about losses, and to the server about what was read.
    async fn look_back(&mut self, state: &GroupState, nothing_left: bool) -> Result<(), Error> {
        self.status.counted(state.lag, state.pending);
        if nothing_left && !state.stopped {
            let reason = self.watch.judge_read(state);
            self.note_gap(reason);
        }
        // Not before the gap is marked: the server forgets it here.
        self.close_gaps(Vec::new()).await?;
        self.align(Some(state), nothing_left && !state.stopped)
            .await
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
    pub(super) fn begin(&mut self, entries: impl IntoIterator<Item = StreamEntry>) {
        let mut work = ReadWork::new(self.settings.count);
        for entry in entries {
            if self.held.has(entry.id) {
                continue;
            }
            let id = entry.id.to_string();
            let reading = if self.hopeless.remove(&entry.id) {
                let detail = "its consumers died or gave up";
                self.stream
                    .give_up(&id, Unreadable::new("too-many-deliveries", detail))
            } else {
                self.stream.read(&id, &entry.fields)
            };
            self.held.add([entry.id]);
            work.add(&entry, reading);
        }
        let ways = ReadWays {
            applier: self.applier.clone(),
            settle: self.stream.settings.settle.0,
            held: Arc::clone(&self.held),
            merged: Arc::clone(&self.merged),
            merged_resync: Arc::clone(&self.merged_resync),
        };
        let ReadWork {
            named, doubtful, ..
        } = work;
        if !doubtful.batch.ids.is_empty() {
            self.purging.spawn(ways.clone().doubtful(doubtful));
        }
        if !named.batch.ids.is_empty() {
            let turn = named.is_told().then(|| self.turns.next());
            self.purging.spawn(ways.purge(named, turn));
        }
    }
}
