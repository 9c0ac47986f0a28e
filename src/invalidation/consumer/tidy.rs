//! Trimming a stream behind its slowest group (SAFETY 99).

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::invalidation::consumer::Consumer;

/// So many entries are acknowledged before the stream is trimmed again, or so much time passes.
const ENTRIES: usize = 512;
const EVERY: Duration = Duration::from_secs(1);
/// A group of somebody else that has so many unread is told: what it does not read stays.
const MANY_UNREAD: u64 = 100_000;

/// What was done about the length of the stream.
#[derive(Debug, Default)]
pub(super) struct Tidy {
    /// Entries acknowledged since.
    acknowledged: usize,
    at: Option<Instant>,
    /// The group that was told to be slow.
    slow: Option<String>,
    /// The last try failed.
    failing: bool,
    /// Who was told to read as this group as well.
    strangers: Option<String>,
}

impl Tidy {
    pub(super) const fn acknowledged(&mut self, entries: usize) {
        self.acknowledged += entries;
    }

    fn is_due(&self) -> bool {
        self.acknowledged >= ENTRIES
            || self.acknowledged > 0 && self.at.is_none_or(|at| at.elapsed() >= EVERY)
    }
}

impl Consumer {
    /// Says, once, who else reads as this group: entries were delivered that no consumer of this cache and
    /// mapping took (SAFETY 104).
    pub(super) async fn tell_strangers(&mut self) -> Result<(), Error> {
        let names = self.source.strangers(self.settings.away).await?;
        let who = if names.is_empty() {
            "nobody is listed, so its position was moved (XGROUP SETID), or another program read and left"
                .to_owned()
        } else {
            format!("they are called {}", names.join(", "))
        };
        let why = format!(
            "entries of its consumer group went to others, or were skipped: {who}; give each cache a group of its \
             own (consumer_group)"
        );
        self.status.shared(why.clone());
        if self.tidy.strangers.as_ref() != Some(&who) {
            let stream = &*self.stream.name;
            tracing::error!(
                stream,
                "{why}; all that its events can touch is purged each time"
            );
            self.tidy.strangers = Some(who);
        }
        Ok(())
    }

    /// Trims the stream, if it is to be trimmed and that is worth it by now. That it fails is told and
    /// stops nothing: events are read all the same.
    pub(super) async fn tidy(&mut self) -> Result<(), Error> {
        self.applier.report_rest(&self.stream.name);
        if !self.stream.settings.trim || !self.tidy.is_due() {
            return Ok(());
        }
        self.tidy.acknowledged = 0;
        self.tidy.at = Some(Instant::now());
        let stream = &*self.stream.name;
        let slowest = match self.source.trim().await {
            Ok(slowest) => slowest,
            Err(error) => {
                if !std::mem::replace(&mut self.tidy.failing, true) {
                    tracing::warn!(stream, %error, "the stream is not trimmed, and grows");
                }
                return Ok(());
            }
        };
        if std::mem::replace(&mut self.tidy.failing, false) {
            tracing::info!(stream, "the stream is trimmed again");
        }
        let slow = slowest.filter(|slowest| slowest.unread >= MANY_UNREAD);
        let name = slow.as_ref().map(|slowest| slowest.group.clone());
        if let Some(slowest) = slow.filter(|_| name != self.tidy.slow) {
            let (group, unread) = (slowest.group, slowest.unread);
            tracing::warn!(
                stream,
                group,
                unread,
                "another group does not read this stream, so nothing of it can be trimmed; if nobody needs \
                 that group any more: XGROUP DESTROY"
            );
        }
        self.tidy.slow = name;
        Ok(())
    }
}
