//! Saying that events were read, and what it proves that there were none.

use tokio::time::Instant;

use crate::error::Error;
use crate::invalidation::consumer::Consumer;

/// What was said, and what the server answered.
#[derive(Debug, Default)]
pub(super) struct ReadReports {
    said: Option<Instant>,
    /// Since when the server is known to be full.
    full: Option<Instant>,
}

impl Consumer {
    /// Says now and then that events were read. `false` while the server is full: it can still be read,
    /// but publishers cannot write to it, so that an empty stream proves nothing (PROTOCOL 41). Past `away`
    /// they may have given up, and what they had to say is lost.
    pub(super) async fn say_heard(&mut self) -> Result<bool, Error> {
        let away = self.settings.away;
        // It may have been full since it was asked last.
        let every = away / 4;
        if self.heard.said.is_some_and(|at| at.elapsed() <= every) {
            return Ok(true);
        }
        if let Some(full) = self.source.say_heard(away).await? {
            self.heard.full.get_or_insert_with(Instant::now);
            self.status.failed(full.to_string());
            return Ok(false);
        }
        self.heard.said = Some(Instant::now());
        let was_full = self.heard.full.take();
        if was_full.is_some_and(|since| since.elapsed() + every > away) {
            self.note_gap(Some("server full too long"));
        }
        Ok(true)
    }
}
