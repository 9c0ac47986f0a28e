//! Assembles the parts: the only place that knows them all.

#[cfg(feature = "activity")]
mod activity;
mod backend;
mod cache;
mod checks;
mod companion;
mod engine;
mod events;
mod redis;
mod refill;
mod regions;
#[cfg(feature = "redis")]
mod relay;
mod warnings;

pub use self::cache::Cache;
pub use self::companion::Companion;
#[cfg(feature = "redis")]
pub use self::relay::RelayBuilder;

use std::sync::Arc;
use std::time::Duration;

use self::backend::Backend;
use self::cache::Shared;
use crate::chance::Chance;
use crate::clock::{Clock, SystemClock};
use crate::defaults;
use crate::engine::Limits;
use crate::error::ConfigError;
use crate::invalidation::{Applier, EventIntake, Stream, compile, longest_settle};
use crate::log::{Follower, Log, Purges, Regions, Retention, Views};
use crate::observe::{Observer, SharedObserver};
use crate::place::{ConfigPlace, Setting};
use crate::rules::{Consistency, Defaults, Profile, Rule, RuleSet};
#[cfg(any(test, feature = "test-util"))]
use crate::store::Store;
use crate::store::{Budgets, LEAST_BYTES};
use crate::validity::Bounds;

/// The most records that the purge log keeps, whatever their age: as many as a node that joins can
/// remember. About 20 MB in Redis, if each names a few tags.
const LOG_RECORDS: usize = 100_000;
/// The most bytes of records that the purge log keeps: one record may name a thousand long tags. An
/// eighth of the smallest Redis that the documents ask for.
const LOG_BYTES: u64 = 32 * 1024 * 1024;
/// How long an acknowledged purge is repeated when an epoch opens (PROTOCOL 25): failover detection,
/// `min-replicas-max-lag` and lease together.
const REPEAT_PURGES_FOR: Duration = Duration::from_secs(60);

/// Builds a [`Cache`] and its [`Companion`]. Made by [`Cache::builder`].
///
/// ```
/// # use std::time::Duration;
/// # use tower_tagcache::{Cache, Rule};
/// # fn main() -> Result<(), tower_tagcache::ConfigError> {
/// let (cache, companion) = Cache::builder()
///     .rule(Rule::new("auction", "/auctions/{id}").ttl(Duration::from_secs(10)).tag("auction:{id}"))
///     .build()?;
/// # let _ = (cache, companion);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CacheBuilder {
    rules: Vec<Rule>,
    streams: Vec<Stream>,
    clock: Arc<dyn Clock>,
    chance: Chance,
    observer: SharedObserver,
    bounds: Bounds,
    limits: Limits,
    consistency: Consistency,
    profile: Profile,
    upstream: bool,
    lease: Duration,
    longest_lease: Duration,
    regions: Option<regions::HeardRegions>,
    #[cfg(test)]
    waits_by_clock: bool,
    /// Settling times that are known beforehand, beside those of the streams.
    settle: Duration,
    store_bytes: u64,
    near_after: u32,
    compress: bool,
    budgets: Budgets,
    namespace: String,
    #[cfg(feature = "redis")]
    connections: Option<usize>,
    #[cfg(feature = "redis")]
    connection_age: Duration,
    #[cfg(feature = "redis")]
    credentials: crate::redis::CredentialSource,
    #[cfg(feature = "redis")]
    sentinel: crate::RedisLogin,
    #[cfg(feature = "tls")]
    tls: crate::RedisTls,
    #[cfg(feature = "redis")]
    group: Option<String>,
    #[cfg(feature = "redis")]
    claim_events_after: Option<Duration>,
    backend: Backend,
    #[cfg(feature = "activity")]
    activity: activity::ActivityPlan,
}

impl CacheBuilder {
    pub(super) fn new() -> Self {
        Self {
            rules: Vec::new(),
            streams: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            chance: Chance::default(),
            observer: SharedObserver::new(()),
            bounds: Bounds::default(),
            limits: Limits::default(),
            consistency: Consistency::default(),
            profile: Profile::default(),
            upstream: false,
            lease: defaults::LEASE,
            longest_lease: defaults::LONGEST_LEASE,
            regions: None,
            #[cfg(test)]
            waits_by_clock: false,
            settle: Duration::ZERO,
            store_bytes: defaults::STORE_BYTES,
            near_after: defaults::NEAR_AFTER,
            compress: false,
            budgets: Budgets::default(),
            namespace: defaults::NAMESPACE.to_owned(),
            #[cfg(feature = "redis")]
            connections: None,
            #[cfg(feature = "redis")]
            connection_age: defaults::CONNECTION_AGE,
            #[cfg(feature = "redis")]
            credentials: crate::redis::CredentialSource::default(),
            #[cfg(feature = "redis")]
            sentinel: crate::RedisLogin::new(),
            #[cfg(feature = "tls")]
            tls: crate::RedisTls::new(),
            #[cfg(feature = "redis")]
            group: None,
            #[cfg(feature = "redis")]
            claim_events_after: None,
            backend: Backend::Embedded,
            #[cfg(feature = "activity")]
            activity: activity::ActivityPlan::default(),
        }
    }

    /// Adds a rule. Default: none; a request that no rule matches goes straight through.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds the implicit rule `upstream`: it takes each `GET` and `HEAD` that no other rule takes,
    /// whatever path and host. The responses decide about their lifetime, by a guess where they do
    /// not say (RFC 9111 §4.2.2), and [request directives are
    /// honoured](Rule::honor_request_directives): an RFC 9111 shared cache for all the rest. A rule
    /// that is disabled still keeps its route from it. Default: no such rule.
    pub const fn upstream_rule(mut self) -> Self {
        self.upstream = true;
        self
    }

    /// How careful the rules are that do not say themselves. Default: [`Profile::Careful`].
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// For how long what was heard from Redis counts as still true: how far a near rule may lag behind a purge that is
    /// in the log only (see [`Purger::in_log`](crate::Purger::in_log)) while Redis cannot be reached. For strict rules
    /// it counts where Redis has replicas, so that this process may be cut off together with an old master (PROTOCOL 22). From 30 ms
    /// to 5 s, as a purge waits so long for a node that has stopped. Time in which the machine sleeps counts on Linux;
    /// elsewhere, and where a host stops a virtual machine, it may not. Default: 1 s.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Makes every rule strict that does not say otherwise. Default: near.
    pub const fn strict(mut self) -> Self {
        self.consistency = Consistency::Strict;
        self
    }

    /// The longest freshness lifetime: the last net under an event that never came. Longer ones of
    /// responses are cut; a rule's longer one is refused by [`build`](Self::build). Default: 24 h.
    pub const fn lifetime_ceiling(mut self, ceiling: Duration) -> Self {
        self.limits.lifetime = ceiling;
        self
    }

    /// How much may be held in this process, in bytes, keys and fields included: the responses
    /// themselves without Redis, with it copies: near rules answer from them, strict ones once the purge log
    /// was asked. Zero, with Redis: no copies, so that each hit reads the response from Redis. A response of
    /// more than about an eighth is not held.
    /// Default: 64 MiB.
    pub const fn store_bytes(mut self, bytes: u64) -> Self {
        self.store_bytes = bytes;
        self
    }

    /// Where the time comes from. Default: the operating system.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Who is told what happens: a closure over [`Notice`](crate::Notice), for metrics or a log.
    /// Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = SharedObserver::new(observer);
        self
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn backend(mut self, log: Arc<dyn Log>, store: Arc<dyn Store>) -> Self {
        self.backend = Backend::Given(log, store, None);
        self
    }

    #[cfg(test)]
    pub(crate) const fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// The longest lease that a node of this log may have, for tests that do not wait for one of five seconds: all nodes
    /// say the same. Default: 5 s.
    #[cfg(any(test, feature = "test-util"))]
    pub const fn longest_lease(mut self, longest: Duration) -> Self {
        self.longest_lease = longest;
        self
    }

    /// Purges wait by the clock that is given, not by the time of the process.
    #[cfg(test)]
    pub(crate) const fn waiting_by_clock(mut self) -> Self {
        self.waits_by_clock = true;
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
    /// The first setting that cannot be used, with the input quoted and the place marked. What works
    /// but is probably not meant is in [`Cache::warnings`], and logged.
    pub fn build(mut self) -> Result<(Cache, Companion), ConfigError> {
        checks::settings(
            (self.lease, self.longest_lease),
            self.compress,
            self.limits.fill_bytes,
        )?;
        let regions = self.regions.take().map(regions::HeardRegions::check);
        let regions = regions.transpose()?;
        let defaults = self.defaults();
        let (rules, mut warnings) = RuleSet::compile(std::mem::take(&mut self.rules), &defaults)?;
        self.check_bytes(&rules)?;
        let streams = compile(std::mem::take(&mut self.streams))?;
        warnings.extend(warnings::of(&rules, &streams));
        warnings::log(&warnings);
        #[cfg(feature = "activity")]
        let plan = self.activity.check()?;
        let places = self.places(&streams)?;
        let statuses = places.statuses(&streams);
        let (views, purges, follower) = self.log_parts(&places.log, regions);
        views.expect_settle(self.settle.max(longest_settle(&streams)));
        #[cfg(feature = "activity")]
        let activity = plan.map(|plan| {
            let store = plan.given_store();
            let store = store.unwrap_or_else(|| places.activity(plan.bounds()));
            plan.build(store, &purges, &self.clock)
        });
        let applier = Applier::new(Arc::clone(&purges) as _, self.observer.clone());
        let (store, near, claims) = (places.store, places.near, places.claims);
        let follows = (views, &purges, &follower);
        let engine = Arc::new(self.engine(rules, store, near, claims, follows));
        let shared = Arc::new(Shared {
            engine,
            purges,
            follower,
            intake: EventIntake::new(&streams, applier.clone()),
            warnings,
            defaults,
            streams,
            statuses,
            #[cfg(feature = "activity")]
            activity,
        });
        #[cfg(feature = "redis")]
        let consumers = places.events.map_or_else(Vec::new, |server| {
            self.consumers(&server, &shared, &applier)
        });
        let companion = Companion {
            shared: Arc::clone(&shared),
            #[cfg(feature = "redis")]
            consumers,
            #[cfg(feature = "redis")]
            switches: places.switches,
            #[cfg(feature = "redis")]
            upkeep: places.upkeep,
        };
        Ok((Cache::new(shared), companion))
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            lifetime_ceiling: self.limits.lifetime,
            claim: self.limits.claim,
            coalesce: self.limits.follow,
            consistency: self.consistency,
            profile: self.profile,
            upstream: self.upstream,
            ..Defaults::default()
        }
    }

    /// Whether there is room for an entry, where entries are held in this process.
    fn check_bytes(&self, rules: &RuleSet) -> Result<(), ConfigError> {
        let is_needed = matches!(self.backend, Backend::Embedded);
        if self.store_bytes >= LEAST_BYTES || (self.store_bytes == 0 && !is_needed) {
            return Ok(());
        }
        let Some(rule) = rules.iter().next() else {
            return Ok(());
        };
        let problem = format!("fewer than {LEAST_BYTES} bytes hold no response");
        let error = ConfigError::new(
            Setting::of("cache", "store_bytes").called("store bytes"),
            problem,
            self.store_bytes.to_string(),
        );
        Err(error.within(ConfigPlace::rule(&**rule.name())))
    }

    /// What this process knows of the log, what it appends, and what it reads.
    fn log_parts(
        &self,
        log: &Arc<dyn Log>,
        regions: Option<Regions>,
    ) -> (Arc<Views>, Arc<Purges>, Arc<Follower>) {
        let views = Views::new(self.bounds, self.lease, Arc::clone(&self.clock));
        let views = views.with_regions(regions);
        #[cfg(any(test, feature = "test-util"))]
        let views = views.with_longest_lease(self.longest_lease);
        #[cfg(test)]
        let views = match self.waits_by_clock {
            true => views.waiting_by_clock(),
            false => views,
        };
        let views = Arc::new(views);
        let purges = Arc::new(Purges::new(
            Arc::clone(log),
            Arc::clone(&views),
            Arc::clone(&self.clock),
            self.observer.clone(),
            self.budgets.purge,
            REPEAT_PURGES_FOR,
        ));
        let follower = Arc::new(Follower::new(
            Arc::clone(&purges),
            self.budgets.read,
            // The longest lifetime, and the longest window after it.
            Retention {
                age: self.limits.lifetime * 2,
                records: LOG_RECORDS,
                bytes: LOG_BYTES,
            },
        ));
        (views, purges, follower)
    }
}
