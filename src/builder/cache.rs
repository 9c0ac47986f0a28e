//! [`Cache`]: all that a running cache can be asked for.

use std::panic::Location;
use std::sync::Arc;

use crate::builder::{CacheBuilder, warnings};
use crate::engine::Engine;
use crate::error::{ConfigError, Error, Warning};
use crate::invalidation::{EventIntake, EventStream, Purger, StatusBoard, StreamHealth};
use crate::log::{Follower, Health, Purges, Updates};
use crate::middleware::{CacheLayer, Layers};
#[cfg(feature = "activity")]
use crate::place::Setting;
use crate::position::Position;
use crate::rules::{Defaults, Explanation, Reach, Rule, RuleSet};
use crate::tag::Target;

#[cfg(feature = "config")]
mod from_config;

/// A cache: rules, stored responses, and the handles to purge them. A cheap clone; clones are the same
/// cache.
#[derive(Debug, Clone)]
pub struct Cache {
    shared: Arc<Shared>,
    layers: Arc<Layers>,
}

/// Held by every clone of a cache, by its layers, and by its companion.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) purges: Arc<Purges>,
    pub(super) follower: Arc<Follower>,
    pub(super) intake: EventIntake,
    pub(super) warnings: Vec<Warning>,
    /// What rules do not say themselves, also those that come later.
    pub(super) defaults: Defaults,
    pub(super) streams: Vec<Arc<EventStream>>,
    /// How well those are read that are read from Redis.
    pub(super) statuses: Vec<StatusBoard>,
    #[cfg(feature = "activity")]
    pub(super) activity: Option<crate::builder::activity::Activity>,
}

impl Cache {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            layers: Arc::default(),
        }
    }

    /// A builder without rules, on the store in this process.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::new()
    }

    /// The layer that caches the responses of the service that it wraps. See
    /// [`middleware`](crate::middleware).
    ///
    /// One layer, made once and cloned, is enough for a program. Several of one cache keep what they
    /// store to themselves, unless they are [named](CacheLayer::scope): see
    /// [several layers](crate::middleware#several-layers).
    #[must_use]
    #[track_caller]
    pub fn layer(&self) -> CacheLayer {
        let (engine, layers) = (&self.shared.engine, &self.layers);
        CacheLayer::new(Arc::clone(engine), Arc::clone(layers), Location::caller())
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

    /// Receives updates from now on: those that a stream's [`Announce`](crate::Announce) or [`Purger::announcing`]
    /// announced, each once no node answers with the old data any more. Every node receives all of them, in the order of the
    /// purge log, while its [`Companion`](crate::Companion) runs. The first message is a [resync](crate::UpdateMessage::Resync) if the
    /// companion starts later. An update with the type, subject and identity of one of the last 65,536 is not told again.
    ///
    /// ```
    /// use tower_tagcache::{Cache, Update, UpdateMessage};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_tagcache::BoxError> {
    /// let (cache, companion) = Cache::builder().build()?;
    /// let mut updates = cache.updates();
    /// tokio::spawn(companion.run(std::future::pending()));
    /// // It has joined the log: whoever shows something loads it once.
    /// assert!(matches!(updates.recv().await, Some(UpdateMessage::Resync(_))));
    ///
    /// let sale = Update::new("sale", "auction:7")?;
    /// cache.purger().announcing(sale).tag("auction:7").await?;
    /// let Some(UpdateMessage::Update(told)) = updates.recv().await else {
    ///     panic!("people are told");
    /// };
    /// assert_eq!(told.update.subject(), "auction:7");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn updates(&self) -> Updates {
        self.shared.engine.lookups.views.updates.subscribe()
    }

    /// The service that tells clients of [updates](Self::updates), as server-sent events and by WebSocket. See
    /// [`live`](crate::live).
    ///
    /// # Errors
    /// A setting cannot be used, or nobody could listen.
    #[cfg(feature = "live")]
    pub fn live(
        &self,
        settings: &crate::live::LiveSettings,
    ) -> Result<crate::live::LiveService, ConfigError> {
        let engine = &self.shared.engine;
        let (views, clock) = (&engine.lookups.views, &engine.answers.clock);
        crate::live::LiveService::new(Arc::clone(views), Arc::clone(clock), settings)
    }

    /// Reads the activity feed and its counters; `None` if [nothing is kept](CacheBuilder::activity).
    ///
    /// ```
    /// use tower_tagcache::{ActivityQuery, ActivitySettings, Cache, Update};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_tagcache::BoxError> {
    /// let (cache, companion) = Cache::builder().activity(ActivitySettings::new()).build()?;
    /// tokio::spawn(companion.run(std::future::pending()));
    /// let sale = Update::new("sale", "auction:7")?.with_field("amount", "1500")?;
    /// cache.purger().announcing(sale).tag("auction:7").await?;
    ///
    /// let activity = cache.activity().expect("it is kept");
    /// # let mut page = activity.read(&ActivityQuery::new()).await?;
    /// # while page.entries.is_empty() {
    /// #     tokio::task::yield_now().await;
    /// #     page = activity.read(&ActivityQuery::new()).await?;
    /// # }
    /// # /*
    /// let page = activity.read(&ActivityQuery::new()).await?;
    /// # */
    /// assert!(page.entries[0].json.contains(r#""amount":"1500""#));
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "activity")]
    #[must_use]
    pub fn activity(&self) -> Option<&crate::activity::ActivityFeed> {
        self.shared.activity.as_ref().map(|activity| &activity.feed)
    }

    /// The [rules of alerts](CacheBuilder::alert) in words, in their order.
    ///
    /// ```
    /// use tower_tagcache::{AlertRule, Cache};
    ///
    /// # fn main() -> Result<(), tower_tagcache::ConfigError> {
    /// let rule = AlertRule::new("big-sales").types(["sale"]).when("amount >= 1000");
    /// let (cache, companion) = Cache::builder().alert(rule).build()?;
    /// let text = "updates of the type sale, amount >= 1000, to the live channel alone";
    /// assert_eq!(cache.explain_alerts()[0].text, text);
    /// # let _ = companion;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "activity")]
    #[must_use]
    pub fn explain_alerts(&self) -> Vec<crate::alerts::AlertExplanation> {
        let activity = self.shared.activity.as_ref();
        activity.map_or_else(Vec::new, |activity| activity.alerts().explain())
    }

    /// What alert rules could not judge up to now, each problem once, with its count: a field that is missing, or is no whole
    /// number.
    #[cfg(feature = "activity")]
    #[must_use]
    pub fn alert_problems(&self) -> Vec<crate::alerts::AlertProblem> {
        let activity = self.shared.activity.as_ref();
        activity.map_or_else(Vec::new, |activity| activity.alerts().problems())
    }

    /// The service by which browsers subscribe to alerts. See [`outgoing::push`](crate::outgoing::push).
    ///
    /// # Errors
    /// Nothing says [who pushes](CacheBuilder::push), a setting cannot be used, or nobody could subscribe.
    #[cfg(feature = "push")]
    pub fn push_service(
        &self,
        settings: &crate::outgoing::push::PushServiceSettings,
    ) -> Result<crate::outgoing::push::PushService, ConfigError> {
        let activity = self.shared.activity.as_ref();
        let subscribers = activity.and_then(crate::builder::activity::Activity::subscribers);
        let subscribers = subscribers.ok_or_else(|| {
            let why = "nothing says who pushes: the table `push` does, or `CacheBuilder::push`";
            ConfigError::new(
                Setting::of("push_service", "open").called("push service"),
                why,
                "-",
            )
        })?;
        crate::outgoing::push::PushService::new(Arc::clone(subscribers), settings)
    }

    /// The service that answers `/activity` and `/analytics`. See [`feed`](crate::feed).
    ///
    /// # Errors
    /// A setting cannot be used, nobody could ask, or [nothing is kept](CacheBuilder::activity).
    #[cfg(feature = "activity")]
    pub fn activity_service(
        &self,
        settings: &crate::feed::ActivityServiceSettings,
    ) -> Result<crate::feed::ActivityService, ConfigError> {
        let feed = self.activity().ok_or_else(|| {
            let why = "nothing is kept that could be read: see the table `activity`, or `CacheBuilder::activity`";
            ConfigError::new(Setting::of("feed", "open").called("feed"), why, "-")
        })?;
        crate::feed::ActivityService::new(feed.clone(), settings)
    }

    /// How well this process knows the purge log.
    #[must_use]
    pub fn health(&self) -> Health {
        let log = self.shared.follower.log();
        let mut health = self.shared.engine.lookups.views.health();
        health.troubles = log.troubles();
        let views = &self.shared.engine.lookups.views;
        health.troubles.extend(views.region_troubles());
        health.server = log.server();
        let budget = &self.shared.engine.fills.flights.budget;
        health.fill_bytes = budget.taken();
        health.fills_unstored = budget.unstored();
        health
    }

    /// How well this process reads its event streams; none where they are not read from Redis.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamHealth> {
        self.shared
            .statuses
            .iter()
            .map(StatusBoard::health)
            .collect()
    }

    /// Asks the server of responses and purge log for the log's tip now, as the companion's heartbeat does, and
    /// says who it is in [`health`](Self::health). For programs that want to know at their start; nothing
    /// depends on it, and no request waits for it.
    ///
    /// # Errors
    /// Why it cannot be used: not reached, refused, too old, a node of a Cluster …
    pub async fn connect(&self) -> Result<Position, Error> {
        let tip = self.shared.follower.log().tip().await?;
        Ok(tip.position)
    }

    /// Ends the oldest call of an inner service that was begun for a client and that nobody waits for any more, if
    /// there is one; returns whether there was. Such a call goes on for some seconds, in case somebody asks again:
    /// for who has a limited number of places for calls, all of them taken, and a new one that wants one.
    #[must_use]
    pub fn end_orphan(&self) -> bool {
        self.shared.engine.fills.flights.orphans.end_oldest()
    }

    /// How far this process has read the purge log: none before it was first reached.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let view = self.shared.engine.lookups.views.current()?;
        Some(view.position())
    }

    /// Settings that work but are probably not what was meant.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.shared.warnings
    }

    /// Replaces all rules, for requests that come from now on; those under way end by the old ones.
    /// Returns what works but is probably not meant.
    ///
    /// Stored responses stay, with the lifetime that they have. Those of a rule that has changed in
    /// its name, route, key, tags, or in what it permits to store are not found any more; purge a
    /// rule whose TTL was shortened if that is to count at once. No lock is taken on the way of a
    /// request, and rules that did not change keep what was made ready for them.
    ///
    /// # Errors
    /// The first rule that cannot be used; the old ones then stay.
    pub fn replace_rules(&self, rules: Vec<Rule>) -> Result<Vec<Warning>, ConfigError> {
        let Shared {
            engine,
            defaults,
            streams,
            ..
        } = &*self.shared;
        let (rules, mut warnings) = RuleSet::compile(rules, defaults)?;
        warnings.extend(warnings::of(&rules, streams));
        let rules = rules.keeping(&engine.rules.load());
        engine.rules.store(Arc::new(rules));
        Ok(warnings)
    }

    /// What the rules make of a request: which rule takes it, its key, tags and lifetime, or why it is
    /// not cached. Nothing is asked of a store or the inner service.
    #[must_use]
    pub fn explain(&self, request: &http::request::Parts) -> Explanation {
        self.explained(request, None)
    }

    /// What the rules make of a request, and of `response` to it as far as its head tells.
    #[must_use]
    pub fn explain_response(
        &self,
        request: &http::request::Parts,
        response: &http::response::Parts,
    ) -> Explanation {
        self.explained(request, Some(response))
    }

    fn explained(
        &self,
        request: &http::request::Parts,
        response: Option<&http::response::Parts>,
    ) -> Explanation {
        let ceiling = self.shared.defaults.lifetime_ceiling;
        let engine = &self.shared.engine;
        let now = engine.answers.clock.now();
        engine.rules.load().explain(request, response, ceiling, now)
    }

    /// What a purge of `target` can take, as far as this cache's rules tell. Nothing is purged, and nothing is
    /// asked of a store or the log.
    #[must_use]
    pub fn reach(&self, target: &Target) -> Reach {
        self.shared.engine.rules.load().reach(target)
    }

    /// Records of the log that were gone when the activity feed was to be told of them.
    #[cfg(all(test, feature = "activity"))]
    pub(crate) fn missed_activity(&self) -> u64 {
        let activity = self.shared.activity.as_ref();
        activity.map_or(0, crate::builder::activity::Activity::missed)
    }

    /// Whether a purge waits to be in the log.
    #[cfg(test)]
    pub(crate) fn owes(&self) -> bool {
        self.shared.purges.any_waiting()
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
