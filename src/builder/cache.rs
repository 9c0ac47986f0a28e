//! [`Cache`] and [`Companion`].

use std::future::Future;
use std::sync::Arc;

use crate::builder::CacheBuilder;
use crate::engine::Engine;
use crate::error::Warning;
use crate::invalidation::{EventIntake, Purger};
use crate::log::{Follower, Health, Purges};
use crate::middleware::CacheLayer;

/// A cache: rules, stored responses, and the handles to purge them. A cheap clone; clones are the same
/// cache.
#[derive(Debug, Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

/// Held by every clone of a cache, by its layers, and by its companion.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) purges: Arc<Purges>,
    pub(super) follower: Arc<Follower>,
    pub(super) intake: EventIntake,
    pub(super) warnings: Vec<Warning>,
}

impl Cache {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A builder without rules, on the store in this process.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::new()
    }

    /// The layer that caches the responses of the service that it wraps. See
    /// [`middleware`](crate::middleware).
    #[must_use]
    pub fn layer(&self) -> CacheLayer {
        CacheLayer::new(Arc::clone(&self.shared.engine))
    }

    /// The handle to purge by hand.
    pub fn purger(&self) -> Purger {
        Purger::new(Arc::clone(&self.shared.purges))
    }

    /// The handle to hand in events that did not come through a Redis stream.
    #[must_use]
    pub fn events(&self) -> &EventIntake {
        &self.shared.intake
    }

    /// How well this process knows the purge log.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.engine.views.health()
    }

    /// Settings that work but are probably not what was meant.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.shared.warnings
    }

    #[cfg(test)]
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    #[cfg(test)]
    pub(crate) fn follower(&self) -> &Arc<Follower> {
        &self.shared.follower
    }
}

/// The background task of a cache: follows the purge log, keeps the lease, appends purges that had to
/// wait, trims the log, and reads the event streams.
///
/// The caller spawns it. Forgetting to costs speed, and the event streams are not read; it never
/// costs truth.
#[derive(Debug)]
#[must_use = "the companion does nothing until it is run"]
pub struct Companion {
    pub(super) shared: Arc<Shared>,
    #[cfg(feature = "redis")]
    pub(super) consumers: Vec<crate::invalidation::Consumer>,
}

impl Companion {
    /// Runs until `shutdown` resolves; then finishes the events that it has in hand. What it cannot
    /// finish stays pending in Redis for another node.
    ///
    /// # Cancel safety
    /// Dropping the future instead loses nothing: an event that was not acknowledged is read again.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = tokio::sync::watch::channel(());
        let until_stopped = || {
            let mut stopped = stopped.clone();
            async move {
                // An error means that the sender is gone: stop as well.
                let _ = stopped.changed().await;
            }
        };
        let shutdown = async {
            shutdown.await;
            drop(stop);
        };
        #[cfg(feature = "redis")]
        let events = crate::invalidation::consume(self.consumers, until_stopped());
        #[cfg(not(feature = "redis"))]
        let events = async {};
        tokio::join!(shutdown, self.shared.follower.run(until_stopped()), events);
    }
}
