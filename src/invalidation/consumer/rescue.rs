//! What a consumer takes over, and what it does where events may be missing.

use std::future::ready;
use std::sync::Arc;

use tokio::time::Instant;

use crate::chance::unique_word;
use crate::error::Error;
use crate::invalidation::consumer::Consumer;
use crate::invalidation::consumer::held::AcknowledgedPurge;
use crate::invalidation::mapping::Plan;
use crate::redis::{EntryId, TAKEN};

/// The most pages of other consumers' entries that are claimed in one turn.
const MAX_PAGES: usize = 100;
/// The most closed gaps that are remembered.
const MAX_CLOSED: usize = 1_000;

impl Consumer {
    /// What was delivered to us and did not arrive, or was claimed, as far as there is room.
    pub(super) async fn take_own(&mut self) -> Result<(), Error> {
        while let Some(after) = self.recover
            && self.held.len() < self.settings.held
        {
            let pending = self.source.pending(after, self.pace.portion()).await?;
            self.pace.arrived(pending.entries.len());
            let ids = pending.entries.iter().map(|entry| entry.id);
            self.recover = ids.chain(pending.deleted.iter().copied()).max();
            self.lose(pending.deleted, "pending entries deleted")
                .await?;
            self.begin(pending.entries);
        }
        Ok(())
    }

    /// What others took and do not work on any more, now and then.
    pub(super) async fn take_from_the_dead(&mut self) -> Result<(), Error> {
        let every = self.settings.claim_every();
        if self.claimed_at.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        let mut from = EntryId::default();
        for _ in 0..MAX_PAGES {
            let room = self.settings.held.saturating_sub(self.held.len());
            let count = self.settings.count.min(room);
            if count == 0 {
                break;
            }
            let idle = self.settings.claim_after;
            let claimed = match self.source.claim(idle, from, count).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    // Redis names an entry that was trimmed before its purge once, and that answer
                    // may be the one that was lost.
                    self.note_gap(Some("a claim was not answered"));
                    return Err(error);
                }
            };
            // To be read is one delivery more.
            let most = self.settings.max_deliveries;
            let too_often = |(_, times): &(&EntryId, &u64)| **times >= most;
            let hopeless = claimed.deliveries.iter().filter(too_often);
            self.hopeless.extend(hopeless.map(|(id, _)| *id));
            self.lose(claimed.deleted, "pending entries deleted")
                .await?;
            self.lose(claimed.out_of_reach, "events cannot be claimed")
                .await?;
            if !claimed.ids.is_empty() {
                self.recover = Some(EntryId::default());
                self.take_own().await?;
            }
            from = claimed.next;
            if from == EntryId::default() {
                break;
            }
        }
        self.claimed_at = Some(Instant::now());
        self.forget_the_dead().await
    }

    async fn forget_the_dead(&mut self) -> Result<(), Error> {
        let every = self.settings.forget / 60;
        if self.forgot_at.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        if self.source.forget_idle(self.settings.forget).await? {
            self.note_gap(Some("a consumer was removed with entries"));
            self.close_gaps(Vec::new()).await?;
        }
        self.forgot_at = Some(Instant::now());
        Ok(())
    }

    /// Entries that nobody can be given: they count as a gap.
    async fn lose(&mut self, mut lost: Vec<EntryId>, reason: &'static str) -> Result<(), Error> {
        // What is in our hands and purged only waits for people to be told, which needs no entry.
        lost.retain(|id| !self.held.is_logged(*id));
        if lost.is_empty() {
            return Ok(());
        }
        self.note_gap(Some(reason));
        // From here on the gap is marked, and the entries need not be.
        self.close_gaps(Vec::new()).await?;
        self.source.acknowledge(&lost).await
    }

    /// Whether nothing was read here for too long, as far as this process knows.
    pub(super) fn was_away(&self) -> bool {
        // A gap that was closed covers what was missed until then.
        let covered = self.closed_at.map(|at| at.elapsed());
        let silence = self.status.heard().map(|at| at.elapsed());
        let known = match (covered, silence) {
            (Some(covered), Some(silence)) => Some(covered.min(silence)),
            (covered, silence) => covered.or(silence),
        };
        known.is_none_or(|known| known > self.settings.away)
    }

    /// If nothing was read here for too long, and nobody else read either, publishers may have given
    /// up. What this process knows itself, it need not ask (SAFETY 106).
    pub(super) async fn judge_silence(&mut self) -> Result<(), Error> {
        let being_closed = self.gap.is_some() || !self.closing.is_empty();
        if self.was_away() && !being_closed && !self.source.was_heard(self.settings.away).await? {
            self.note_gap(Some("server away too long"));
        }
        Ok(())
    }

    pub(super) fn note_gap(&mut self, reason: Option<&'static str>) {
        if let Some(reason) = reason
            && self.gap.is_none()
        {
            self.gap = Some((unique_word(), reason));
        }
    }

    /// Begins to close the gap that was noted and those that were `found`, in PROTOCOL 30's order: an
    /// event that is published while the group is being made is in the group, or before the purge.
    pub(super) async fn close_gaps(&mut self, mut found: Vec<String>) -> Result<(), Error> {
        found.retain(|gap| !self.closing.contains(gap) && !self.closed.contains(gap));
        let mut reason = "found by another consumer";
        if let Some((gap, own)) = &self.gap {
            reason = own;
            self.source.mark_gap(gap, own).await?;
            if *own != "held entries deleted" {
                let at_beginning = self.stream.settings.replay;
                self.source.create(at_beginning).await?;
            }
            found.push(gap.clone());
        }
        if found.iter().any(|gap| gap.starts_with(TAKEN)) {
            reason = "events were taken by others";
            self.tell_strangers().await?;
        }
        if found.is_empty() {
            return Ok(());
        }
        self.gap = None;
        self.closing.extend(found.iter().cloned());
        let mut plan = Plan::default();
        plan.add_scope(self.stream.scope());
        // The gap's name is the identity, so that consumers that find the same gap tell of it once.
        let resync = |gap: &String| self.stream.resync_of_gap(gap, reason).map(Arc::new);
        let resyncs: Vec<_> = found.iter().filter_map(resync).collect();
        let (applier, settle) = (self.applier.clone(), self.stream.settings.settle.0);
        self.purging.spawn(async move {
            let (logged, at_once) = (|| {}, ready(()));
            applier
                .purge_until_announced(vec![(plan, resyncs)], settle, logged, at_once)
                .await;
            AcknowledgedPurge::Gap(found, reason)
        });
        Ok(())
    }

    /// Gaps that were closed.
    pub(super) fn forget_gaps(&mut self, gaps: &[String], reason: &'static str) {
        self.closed_at = Some(Instant::now());
        self.applier.report_gap(&self.stream.name, reason);
        if self.closed.len() > MAX_CLOSED {
            self.closed.clear();
        }
        for gap in gaps {
            self.closing.remove(gap);
            self.closed.insert(gap.clone());
        }
    }

    /// Whether some other consumer has an entry in hand for long, and does not get it applied: the
    /// purge log takes nothing, for example. This process then knows no more than if nothing was read.
    pub(super) fn is_stuck(&mut self, waiting: &[EntryId]) -> bool {
        let first = waiting.iter().find(|id| !self.held.has(**id)).copied();
        let now = Instant::now();
        self.stuck = match (first, self.stuck) {
            (Some(first), Some((id, since))) if id == first => Some((id, since)),
            (first, _) => first.map(|first| (first, now)),
        };
        self.stuck
            .is_some_and(|(_, since)| since.elapsed() > self.settings.stuck_after())
    }

    /// Events were read, or there were none. What was in doubt is so no more, once the gap that the
    /// doubt was about is closed.
    pub(super) async fn succeeded(&mut self) -> Result<(), Error> {
        let said = self.say_heard().await;
        if matches!(said, Ok(false)) {
            return Ok(());
        }
        self.status.succeeded();
        said?;
        if self.doubt.is_any() && self.gap.is_none() && self.closing.is_empty() {
            self.doubt.end();
            self.status.doubt(None);
            let stream = &*self.stream.name;
            tracing::info!(
                stream,
                "events are read again; their responses are served from the cache"
            );
            self.applier.report_doubt(stream, false);
        }
        Ok(())
    }
}
