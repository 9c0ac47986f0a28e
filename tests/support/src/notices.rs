//! What a node's observer was told.

use tokio::sync::watch;
use tower_tagcache::{ErrorKind, Notice, Observer, Outcome, Position};

use crate::ends;

/// A notice, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Answered(Outcome),
    EntryRejected(&'static str),
    StoreFailed(&'static str, ErrorKind),
    BreakerOpened,
    BreakerClosed,
    Purged(Position),
    PurgePending,
    EpochJoined(Position),
    LogGap(Position),
}

/// The notices of one node, in order; events left out. Clones share them.
#[derive(Debug, Clone)]
pub struct Notices(watch::Sender<Vec<Said>>);

impl Notices {
    pub fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    pub fn all(&self) -> Vec<Said> {
        self.0.borrow().clone()
    }

    pub fn count(&self, wanted: impl Fn(&Said) -> bool) -> usize {
        self.0.borrow().iter().filter(|said| wanted(said)).count()
    }

    /// Waits until `count` of the wanted ones were said since the node was built.
    pub async fn heard(&self, count: usize, wanted: impl Fn(&Said) -> bool) {
        let mut said = self.0.subscribe();
        let enough = said.wait_for(|all| all.iter().filter(|said| wanted(said)).count() >= count);
        ends("a notice", enough).await.expect("we hold the sender");
    }
}

impl Observer for Notices {
    fn observe(&self, notice: &Notice<'_>) {
        let said = match notice {
            Notice::Request { outcome, .. } => Said::Answered((*outcome).clone()),
            Notice::EntryRejected { reason } => Said::EntryRejected(reason),
            Notice::StoreFailed { operation, error } => Said::StoreFailed(operation, error.kind()),
            Notice::BreakerOpened => Said::BreakerOpened,
            Notice::BreakerClosed => Said::BreakerClosed,
            Notice::Purged { position, .. } => Said::Purged(*position),
            Notice::PurgePending { .. } => Said::PurgePending,
            Notice::EpochJoined { position } => Said::EpochJoined(*position),
            Notice::LogGap { position } => Said::LogGap(*position),
            _ => return,
        };
        self.0.send_modify(|all| all.push(said));
    }
}
