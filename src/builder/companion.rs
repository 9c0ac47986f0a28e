//! [`Companion`]: what a cache does in the background.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::builder::cache::Shared;

/// The background task of a cache: follows the purge log, keeps the lease, appends purges that had to
/// wait, trims the log, reads the event streams, tells of updates, and announces what a dead process left unannounced; renews
/// connections and credentials of Redis in time.
///
/// The caller spawns it. Forgetting to costs speed, the event streams are not read, and no updates come; it never
/// costs truth.
#[derive(Debug)]
#[must_use = "the companion does nothing until it is run"]
pub struct Companion {
    pub(super) shared: Arc<Shared>,
    #[cfg(feature = "redis")]
    pub(super) consumers: Vec<crate::invalidation::Consumer>,
    #[cfg(feature = "redis")]
    pub(super) switches: Option<crate::redis::SwitchWatch>,
    #[cfg(feature = "redis")]
    pub(super) upkeep: Option<crate::redis::Upkeep>,
}

impl Companion {
    /// Runs until `shutdown` resolves; then finishes the events that it has in hand. What it cannot
    /// finish stays pending in Redis for another node.
    ///
    /// # Cancel safety
    /// Dropping the future instead loses nothing: an event that was not acknowledged is read again.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let shutdown = async {
            shutdown.await;
            stop.cancel();
        };
        #[cfg(feature = "redis")]
        let events = crate::invalidation::consume(self.consumers, &stop);
        #[cfg(not(feature = "redis"))]
        let events = async {};
        #[cfg(feature = "redis")]
        let switches = async {
            if let Some(switches) = self.switches {
                switches.run(&stop).await;
            }
        };
        #[cfg(feature = "redis")]
        let upkeep = async {
            if let Some(upkeep) = self.upkeep {
                upkeep.run(&stop).await;
            }
        };
        #[cfg(not(feature = "redis"))]
        let upkeep = async {};
        #[cfg(not(feature = "redis"))]
        let switches = async {};
        #[cfg(feature = "activity")]
        let activity = async {
            if let Some(activity) = &self.shared.activity {
                activity.run(&stop).await;
            }
        };
        #[cfg(not(feature = "activity"))]
        let activity = async {};
        let follower = self.shared.follower.run(&stop);
        tokio::join!(shutdown, follower, events, switches, upkeep, activity);
    }
}
