//! The task that reads one stream: take, decode, purge, acknowledge; claim from the dead; close gaps.
//!
//! A turn is one round trip: what was purged is acknowledged and the next entries are read in one write, and the purges are
//! on their way meanwhile (SAFETY 145). Now and then, in turn with the others of its group, a consumer looks at what else
//! there is to be done (PROTOCOL 45).
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
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chance::unique_word;
use crate::error::Error;
use crate::invalidation::gap::Watch;
use crate::invalidation::intake::Applier;
use crate::invalidation::status::StatusBoard;
use crate::invalidation::stream::EventStream;
use crate::redis::{EntryId, Group};

mod acknowledging;
mod heard;
mod held;
mod keeper;
mod merged;
mod pace;
mod reading;
mod rescue;
mod settings;
mod tidy;
mod turn;
mod work;

use self::held::{AcknowledgedPurge, EntriesInHand};
use self::keeper::{ClaimKeeper, InDoubt};
use self::merged::MergedPurge;
use self::pace::ReadPace;
use self::reading::Next;
pub(crate) use self::settings::Settings;
use self::tidy::Tidy;
use self::turn::Turns;

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
    /// When this consumer looks at the group next; at once, if `None`.
    look_at: Option<Instant>,
    claimed_at: Option<Instant>,
    forgot_at: Option<Instant>,
    heard: heard::ReadReports,
    /// An entry that another consumer does not get applied, and since when.
    stuck: Option<(EntryId, Instant)>,
    /// Whether that was too long when it was looked at last.
    is_stuck: bool,
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
            look_at: None,
            claimed_at: None,
            forgot_at: None,
            heard: heard::ReadReports::default(),
            stuck: None,
            is_stuck: false,
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
                Ok(Next::GoOn) => Ok(()),
                Ok(next) => {
                    self.tell_working();
                    self.wait(next, stop).await
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
            self.look_at = None;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.source.rest(backoff.pause()) => {}
            }
        }
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
