//! The engine of a cache, from its three parts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

use super::CacheBuilder;
use crate::coalesce::{Flights, Permits};
use crate::engine::{
    Answers, Engine, Fills, ForcedMisses, Lookups, SearchMemory, Tips, VariantMemory,
};
use crate::log::{Follower, Purges, Views};
use crate::rules::RuleSet;
use crate::store::{Claims, NearCache, Store};

impl CacheBuilder {
    /// The engine over these places, which judges by what the follower has read of the log.
    pub(super) fn engine(
        &self,
        rules: RuleSet,
        store: Arc<dyn Store>,
        near: Option<NearCache>,
        claims: Option<Arc<dyn Claims>>,
        (views, purges, follower): (Arc<Views>, &Arc<Purges>, &Arc<Follower>),
    ) -> Engine {
        let flights = Flights::new(self.limits.flights, self.limits.fill_bytes);
        Engine {
            rules: ArcSwap::from_pointee(rules),
            lookups: Lookups {
                tips: Tips::new(&store, follower, &self.observer),
                store,
                near,
                views,
                follower: Arc::clone(follower),
                flights: Arc::clone(&flights),
                variants: VariantMemory::new(),
                searches: SearchMemory::new(),
                forced: ForcedMisses::default(),
                clock: Arc::clone(&self.clock),
                chance: self.chance.clone(),
                observer: self.observer.clone(),
            },
            fills: Fills {
                flights,
                claims,
                permits: Permits::default(),
                purges: Arc::clone(purges),
                limits: self.limits,
                chance: self.chance.clone(),
                clock: Arc::clone(&self.clock),
                doubts_paths: AtomicBool::new(false),
            },
            answers: Answers {
                clock: Arc::clone(&self.clock),
                observer: self.observer.clone(),
            },
        }
    }
}
