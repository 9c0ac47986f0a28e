//! Assembles the parts: the only file that knows them all.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::coalesce::Flights;
use crate::embedded::{DEFAULT_BYTES, EmbeddedLog, EmbeddedStore};
use crate::engine::{Engine, Limits, VariantMemory};
use crate::error::{ConfigError, Warning};
use crate::invalidation::Purger;
use crate::log::{Follower, Log, Purges, Retention, Views};
use crate::middleware::CacheLayer;
use crate::observe::{Observer, SharedObserver};
use crate::rules::{Defaults, Rule, RuleSet};
use crate::store::Store;
use crate::validity::Bounds;

/// Builds a [`Cache`]. See [`Cache::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CacheBuilder {
    rules: Vec<Rule>,
    clock: Arc<dyn Clock>,
    observer: SharedObserver,
    bounds: Bounds,
    limits: Limits,
    lease: Duration,
    settle: Duration,
    store_bytes: u64,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Embedded,
    #[cfg(test)]
    Given(Arc<dyn Log>, Arc<dyn Store>),
}

impl CacheBuilder {
    fn new() -> Self {
        Self {
            rules: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            observer: SharedObserver::new(()),
            bounds: Bounds::default(),
            limits: Limits::default(),
            lease: Duration::from_secs(1),
            settle: Duration::ZERO,
            store_bytes: DEFAULT_BYTES,
            backend: Backend::Embedded,
        }
    }

    /// Adds a rule. Default: none; a request that no rule matches goes straight through.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Where the time comes from. Default: the operating system.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Who is told what happens. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = SharedObserver::new(observer);
        self
    }

    #[cfg(test)]
    pub(crate) fn backend(mut self, log: Arc<dyn Log>, store: Arc<dyn Store>) -> Self {
        self.backend = Backend::Given(log, store);
        self
    }

    #[cfg(test)]
    pub(crate) const fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    #[cfg(test)]
    pub(crate) const fn expect_settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Checks everything and builds the cache, and the companion task for the caller to spawn.
    ///
    /// # Errors
    /// The first setting that cannot be used, with the input quoted and the place marked.
    pub fn build(self) -> Result<(Cache, Companion), ConfigError> {
        let defaults = Defaults {
            lifetime_ceiling: self.limits.lifetime,
            ..Defaults::default()
        };
        let (rules, warnings) = RuleSet::compile(self.rules, &defaults)?;
        let clock = self.clock;
        let (log, store): (Arc<dyn Log>, Arc<dyn Store>) = match self.backend {
            Backend::Embedded => {
                let log = EmbeddedLog::new(Arc::clone(&clock));
                let store = EmbeddedStore::new(log.clone(), Arc::clone(&clock), self.store_bytes);
                (Arc::new(log), Arc::new(store))
            }
            #[cfg(test)]
            Backend::Given(log, store) => (log, store),
        };
        let views = Arc::new(Views::new(self.bounds, self.lease, Arc::clone(&clock)));
        views.expect_settle(self.settle);
        let purges = Arc::new(Purges::new(
            Arc::clone(&log),
            Arc::clone(&views),
            Arc::clone(&clock),
            self.observer.clone(),
            Duration::from_secs(2),
            Duration::from_secs(60),
        ));
        let follower = Arc::new(Follower::new(
            Arc::clone(&purges),
            log,
            Arc::clone(&views),
            Arc::clone(&clock),
            self.observer.clone(),
            Duration::from_millis(25),
            Retention {
                age: self.limits.lifetime * 2,
                records: 1_000_000,
            },
        ));
        let engine = Arc::new(Engine {
            rules,
            store,
            views,
            follower: Arc::clone(&follower),
            flights: Flights::new(self.limits.flights),
            clock,
            observer: self.observer,
            limits: self.limits,
            variants: VariantMemory::new(),
        });
        let shared = Arc::new(Shared {
            engine,
            purges,
            follower,
            warnings,
        });
        Ok((
            Cache {
                shared: Arc::clone(&shared),
            },
            Companion { shared },
        ))
    }
}

/// A cache: rules, stored responses, and the handle to purge them. A cheap clone.
#[derive(Debug, Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

/// Held by every clone of a cache, its layers, and its companion.
#[derive(Debug)]
struct Shared {
    engine: Arc<Engine>,
    purges: Arc<Purges>,
    follower: Arc<Follower>,
    warnings: Vec<Warning>,
}

impl Cache {
    /// A builder without rules, on the embedded store.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::new()
    }

    /// The layer that caches the responses of the service that it wraps.
    #[must_use]
    pub fn layer(&self) -> CacheLayer {
        CacheLayer::new(self.clone())
    }

    /// The handle to purge by hand.
    pub fn purger(&self) -> Purger {
        Purger::new(Arc::clone(&self.shared.purges))
    }

    /// Settings that work but are probably not what was meant.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.shared.warnings
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    #[cfg(test)]
    pub(crate) fn follower(&self) -> &Arc<Follower> {
        &self.shared.follower
    }
}

/// The background task of a cache.
#[derive(Debug)]
#[must_use = "the companion does nothing until it is run"]
pub struct Companion {
    shared: Arc<Shared>,
}

impl Companion {
    /// Follows the purge log, until `shutdown` resolves.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        self.shared.follower.run(shutdown).await;
    }
}
