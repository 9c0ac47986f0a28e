//! Where responses and the purge log are kept.

use std::sync::Arc;
#[cfg(feature = "redis")]
use std::time::Duration;

use crate::clock::Clock;
use crate::embedded::{EmbeddedLog, EmbeddedStore};
use crate::error::ConfigError;
use crate::log::Log;
use crate::observe::SharedObserver;
use crate::store::{Budgets, Claims, NearCache, Store};

#[cfg(feature = "redis")]
use crate::invalidation::{Applier, Consumer, Settings, unique_name};
use crate::invalidation::{EventStream, StatusBoard};
#[cfg(feature = "redis")]
use crate::place::Setting;

#[derive(Debug, Clone)]
pub(super) enum Backend {
    Embedded,
    #[cfg(feature = "redis")]
    Redis(String),
    #[cfg(any(test, feature = "test-util"))]
    Given(Arc<dyn Log>, Arc<dyn Store>, Option<Arc<dyn Claims>>),
}

/// What every backend is given.
pub(super) struct Surroundings<'a> {
    pub(super) namespace: &'a str,
    pub(super) budgets: Budgets,
    pub(super) clock: &'a Arc<dyn Clock>,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "hears of Redis"))]
    pub(super) observer: &'a SharedObserver,
    pub(super) store_bytes: u64,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "of Redis"))]
    pub(super) connections: Option<usize>,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "need connections"))]
    pub(super) streams: usize,
    pub(super) near_after: u32,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "of Redis"))]
    pub(super) compress: bool,
}

impl Surroundings<'_> {
    /// The copies in this process of what a shared store holds, if there are to be any.
    fn near_copy(&self) -> Option<NearCache> {
        let clock = Arc::clone(self.clock);
        (self.store_bytes > 0)
            .then(|| NearCache::admitting(clock, self.store_bytes, self.near_after))
    }
}

/// What a backend consists of.
pub(super) struct Places {
    pub(super) log: Arc<dyn Log>,
    pub(super) store: Arc<dyn Store>,
    pub(super) near: Option<NearCache>,
    /// None where there are no other nodes.
    pub(super) claims: Option<Arc<dyn Claims>>,
    #[cfg(feature = "redis")]
    pub(super) events: Option<Events>,
}

impl Places {
    /// How well each of `streams` is read, where they are read from a server.
    pub(super) fn statuses(&self, streams: &[Arc<EventStream>]) -> Vec<StatusBoard> {
        #[cfg(feature = "redis")]
        let are_read = self.events.is_some();
        #[cfg(not(feature = "redis"))]
        let are_read = false;
        let read = streams.iter().filter(|_| are_read);
        read.map(|stream| StatusBoard::new(&stream.name)).collect()
    }

    fn without_events(log: Arc<dyn Log>, store: Arc<dyn Store>) -> Self {
        Self {
            log,
            store,
            near: None,
            claims: None,
            #[cfg(feature = "redis")]
            events: None,
        }
    }
}

impl Backend {
    pub(super) fn open(self, with: &Surroundings<'_>) -> Result<Places, ConfigError> {
        match self {
            Self::Embedded => {
                let log = EmbeddedLog::new(&**with.clock);
                let store =
                    EmbeddedStore::new(log.clone(), Arc::clone(with.clock), with.store_bytes);
                Ok(Places::without_events(Arc::new(log), Arc::new(store)))
            }
            #[cfg(feature = "redis")]
            Self::Redis(url) => open_redis(&url, with),
            #[cfg(any(test, feature = "test-util"))]
            Self::Given(log, store, claims) => {
                let mut places = Places::without_events(log, store);
                places.near = with.near_copy();
                places.claims = claims;
                Ok(places)
            }
        }
    }
}

#[cfg(feature = "redis")]
fn open_redis(url: &str, with: &Surroundings<'_>) -> Result<Places, ConfigError> {
    let needed = crate::redis::connections_needed(with.streams);
    if let Some(allowed) = with.connections.filter(|allowed| *allowed < needed) {
        let message = format!("fewer than the {needed} needed: four, and two for each stream");
        let allowed = allowed.to_string();
        return Err(ConfigError::new(
            Setting::of("redis", "max_connections"),
            message,
            allowed,
        ));
    }
    let places = crate::redis::RedisPlaces::open(
        url,
        with.namespace,
        with.budgets,
        Arc::clone(with.clock),
        with.observer.clone(),
        with.connections,
        with.compress,
    )?;
    let namespace = with.namespace.to_owned();
    Ok(Places {
        log: places.log,
        store: places.store,
        near: with.near_copy(),
        claims: Some(places.claims),
        events: Some(Events {
            server: places.server,
            namespace,
        }),
    })
}

/// The server that event streams are read from.
#[cfg(feature = "redis")]
pub(super) struct Events {
    server: crate::redis::Server,
    namespace: String,
}

#[cfg(feature = "redis")]
impl Events {
    /// One consumer for each stream, all of one name.
    pub(super) fn consumers(
        self,
        group: Option<&str>,
        streams: &[Arc<EventStream>],
        statuses: &[StatusBoard],
        applier: &Applier,
        claim_after: Option<Duration>,
    ) -> Vec<Consumer> {
        let name = unique_name();
        let group = group.unwrap_or(&self.namespace);
        let consumer = |(stream, status): (&Arc<EventStream>, &StatusBoard)| {
            let source = crate::redis::Group::new(
                self.server.clone(),
                &self.namespace,
                group,
                &stream.name,
                // Whose it is stands in its name, where others that read as this group can see it.
                &format!(
                    "{}/{:08x}/{name}",
                    self.namespace,
                    stream.mapping & 0xffff_ffff
                ),
            )
            .bound_to(&self.namespace, stream.mapping);
            Consumer::new(
                Arc::clone(stream),
                source,
                applier.clone(),
                Settings::of(stream, claim_after),
                status.clone(),
            )
        };
        streams.iter().zip(statuses).map(consumer).collect()
    }
}
