//! Purges that nobody gives up: for events.

use std::sync::Arc;
use std::time::Duration;

use crate::log::purges::{Patience, Purges};
use crate::log::{Doubt, PurgeRecord};
use crate::position::Position;
use crate::tag::{PurgeKind, Target};

impl Purges {
    /// As [`purge`](Self::purge), and returns when it is acknowledged, however long that takes: what
    /// the log does not take now is appended by the companion.
    ///
    /// # Cancel safety
    /// As of [`purge`](Self::purge).
    pub(crate) async fn purge_until_acknowledged(
        &self,
        kind: PurgeKind,
        targets: Vec<Target>,
        settle: Duration,
    ) {
        let record = self.record(kind, targets, settle);
        self.append_until_acknowledged(&record).await;
    }

    pub(super) async fn append_until_acknowledged(&self, record: &PurgeRecord) -> Position {
        loop {
            let ticket = self.views.pending.begin(record);
            let in_log = ticket.in_log();
            match self
                .append(record, std::slice::from_ref(&ticket), Patience::None)
                .await
            {
                Ok(appended) => {
                    ticket.appended(appended.position);
                    return appended.position;
                }
                Err(error) => drop(self.pending(error)),
            }
            drop(ticket);
            // An error would mean that it was forgotten: it is made again.
            if let Ok(position) = in_log.await {
                return position;
            }
        }
    }

    /// Counts `targets` as purged at every moment, here, until the answer is dropped.
    pub(crate) fn doubt(&self, kind: PurgeKind, targets: Vec<Target>) -> Doubt {
        let record = self.record(kind, targets, Duration::ZERO);
        let number = self.views.pending.doubt(&record);
        let views = Arc::clone(&self.views);
        Doubt::new(Box::new(move || views.pending.trust(number)))
    }
}
