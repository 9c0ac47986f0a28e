//! Where responses and the purge log are kept.

use std::sync::Arc;

#[cfg(feature = "activity")]
use crate::activity::{ActivityBounds, ActivityStore};
use crate::builder::CacheBuilder;
#[cfg(feature = "activity")]
use crate::embedded::EmbeddedActivity;
use crate::embedded::{EmbeddedLog, EmbeddedStore};
use crate::error::ConfigError;
use crate::invalidation::{EventStream, StatusBoard};
use crate::log::Log;
#[cfg(feature = "redis")]
use crate::store::Budgets;
use crate::store::{Claims, NearCache, Store};

#[cfg(feature = "redis")]
use crate::builder::cache::Shared;
#[cfg(feature = "redis")]
use crate::invalidation::{Applier, Consumer, Settings, unique_name};
#[cfg(feature = "redis")]
use crate::place::Setting;
#[cfg(feature = "redis")]
use crate::redis::{
    Group, RedisPlaces, Server, StreamKeys, SwitchWatch, Upkeep, connections_needed,
};

#[derive(Debug)]
pub(super) enum Backend {
    Embedded,
    #[cfg(feature = "redis")]
    Redis(String),
    #[cfg(any(test, feature = "test-util"))]
    Given(Arc<dyn Log>, Arc<dyn Store>, Option<Arc<dyn Claims>>),
}

/// What a backend consists of.
pub(super) struct Places {
    pub(super) log: Arc<dyn Log>,
    pub(super) store: Arc<dyn Store>,
    pub(super) near: Option<NearCache>,
    /// None where there are no other nodes.
    pub(super) claims: Option<Arc<dyn Claims>>,
    /// The server that event streams are read from.
    #[cfg(feature = "redis")]
    pub(super) events: Option<Server>,
    /// Follows the master, where Sentinels say who that is.
    #[cfg(feature = "redis")]
    pub(super) switches: Option<SwitchWatch>,
    /// Keeps its connections and credentials young.
    #[cfg(feature = "redis")]
    pub(super) upkeep: Option<Upkeep>,
    #[cfg(all(feature = "activity", feature = "redis"))]
    server: Option<RedisPlaces>,
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

    /// What is kept of activity, beside the log.
    #[cfg(feature = "activity")]
    pub(super) fn activity(&self, bounds: ActivityBounds) -> Arc<dyn ActivityStore> {
        #[cfg(feature = "redis")]
        if let Some(server) = &self.server {
            return Arc::new(server.activity(bounds));
        }
        Arc::new(EmbeddedActivity::new(bounds))
    }

    fn without_events(log: Arc<dyn Log>, store: Arc<dyn Store>) -> Self {
        Self {
            log,
            store,
            near: None,
            claims: None,
            #[cfg(feature = "redis")]
            events: None,
            #[cfg(feature = "redis")]
            switches: None,
            #[cfg(feature = "redis")]
            upkeep: None,
            #[cfg(all(feature = "activity", feature = "redis"))]
            server: None,
        }
    }
}

impl CacheBuilder {
    /// The places of responses and log, for a cache that reads these event streams.
    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_variables, reason = "they are on Redis")
    )]
    pub(super) fn places(&self, streams: &[Arc<EventStream>]) -> Result<Places, ConfigError> {
        match &self.backend {
            Backend::Embedded => {
                let log = EmbeddedLog::new(&*self.clock);
                let clock = Arc::clone(&self.clock);
                let store = EmbeddedStore::new(log.clone(), clock, self.store_bytes);
                Ok(Places::without_events(Arc::new(log), Arc::new(store)))
            }
            #[cfg(feature = "redis")]
            Backend::Redis(url) => self.places_on_redis(url, streams),
            #[cfg(any(test, feature = "test-util"))]
            Backend::Given(log, store, claims) => Ok(Places {
                near: self.near_copy(),
                claims: claims.clone(),
                ..Places::without_events(Arc::clone(log), Arc::clone(store))
            }),
        }
    }

    #[cfg(feature = "redis")]
    fn places_on_redis(
        &self,
        url: &str,
        streams: &[Arc<EventStream>],
    ) -> Result<Places, ConfigError> {
        let needed = connections_needed(streams.len(), self.keeps_activity());
        if let Some(allowed) = self.connections.filter(|allowed| *allowed < needed) {
            let message = format!(
                "fewer than the {needed} needed: four, two for each stream, and one for activity"
            );
            let allowed = allowed.to_string();
            return Err(ConfigError::new(
                Setting::of("redis", "max_connections"),
                message,
                allowed,
            ));
        }
        let server = self.server(url, self.budgets)?;
        for stream in streams.iter().filter(|_| server.is_cluster()) {
            if let Some(why) = StreamKeys::why_not_in_cluster(&stream.name) {
                return Err(ConfigError::new(
                    Setting::of("stream", "name"),
                    why,
                    &*stream.name,
                ));
            }
        }
        let places = RedisPlaces::open(
            server,
            &self.namespace,
            Arc::clone(&self.clock),
            self.observer.clone(),
            self.compress,
        )?;
        Ok(Places {
            switches: Some(places.switches()),
            upkeep: Some(places.upkeep()),
            #[cfg(feature = "activity")]
            server: Some(places.clone()),
            log: places.log,
            store: places.store,
            near: self.near_copy(),
            claims: Some(places.claims),
            events: Some(places.server),
        })
    }

    /// The server at `url`, spoken to as this builder says.
    #[cfg(feature = "redis")]
    pub(super) fn server(&self, url: &str, budgets: Budgets) -> Result<Server, ConfigError> {
        let server = Server::limited(url, budgets, self.connections)?;
        #[cfg(feature = "tls")]
        let server = server.with_tls(&self.tls)?;
        server
            .with_credentials(self.credentials.clone(), &self.sentinel)?
            .with_longest_age(self.connection_age)
    }

    /// The copies in this process of what a shared store holds, if there are to be any.
    #[cfg(any(test, feature = "redis", feature = "test-util"))]
    fn near_copy(&self) -> Option<NearCache> {
        let clock = Arc::clone(&self.clock);
        (self.store_bytes > 0)
            .then(|| NearCache::admitting(clock, self.store_bytes, self.near_after))
    }

    /// One consumer for each stream, all of one name, which read from `server`.
    #[cfg(feature = "redis")]
    pub(super) fn consumers(
        &self,
        server: &Server,
        shared: &Shared,
        applier: &Applier,
    ) -> Vec<Consumer> {
        let (name, namespace) = (unique_name(), &*self.namespace);
        let group = self.group.as_deref().unwrap_or(namespace);
        let consumer = |(stream, status): (&Arc<EventStream>, &StatusBoard)| {
            let mapping = stream.mapping;
            // Whose it is stands in its name, where others that read as this group can see it.
            let name = format!("{namespace}/{:08x}/{name}", mapping & 0xffff_ffff);
            let server = server.clone();
            let source = Group::new(server, namespace, group, &stream.name, &name, mapping);
            Consumer::new(
                Arc::clone(stream),
                source,
                applier.clone(),
                Settings::of(stream, self.claim_events_after),
                status.clone(),
            )
        };
        let streams = shared.streams.iter().zip(&shared.statuses);
        streams.map(consumer).collect()
    }
}

#[cfg(not(feature = "activity"))]
impl CacheBuilder {
    #[cfg(feature = "redis")]
    #[expect(clippy::unused_self, reason = "as where it can be kept")]
    const fn keeps_activity(&self) -> bool {
        false
    }

    #[cfg(feature = "redis")]
    #[expect(clippy::unused_self, reason = "as where it can be kept")]
    pub(super) fn with_activity(&self, needs: crate::redis::Needs) -> crate::redis::Needs {
        needs
    }
}
