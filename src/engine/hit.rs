//! The short way: a fresh response from a store that need not be waited for. No future, nothing kept
//! of the request.

use std::sync::Arc;

use http::{HeaderMap, Request, Response};

use crate::clock::Timestamp;
use crate::engine::lookup::{Fitness, variant_key};
use crate::engine::{CacheBody, Engine};
use crate::entry::{Entry, StoredResponse};
use crate::outcome::{Outcome, Served};
use crate::rules::Wanted;

impl Engine {
    /// Answers at once if the store does and has a fresh response. Whatever else there is,
    /// [`serve`](Self::serve) finds out, from the beginning.
    pub(crate) fn answer<A, B>(
        &self,
        wanted: &Wanted,
        request: &Request<A>,
    ) -> Option<Response<CacheBody<B>>> {
        let now = self.clock.now();
        let stored = self.at_hand(wanted, request.headers(), now)?;
        let (method, headers) = (request.method(), request.headers());
        let outcome = hit_at(&stored, now);
        Some(self.respond_at(&wanted.rule, method, headers, &stored, outcome, now))
    }

    /// The stored response that answers, by the same rules as in a lookup.
    fn at_hand(
        &self,
        wanted: &Wanted,
        request: &HeaderMap,
        now: Timestamp,
    ) -> Option<Arc<StoredResponse>> {
        let (entry, head) = self.store.get_now(&wanted.key)?;
        let (stored, head) = match entry? {
            Entry::Response(stored) if stored.key == wanted.key => (stored, head),
            Entry::Variants(index) if index.key == wanted.key => {
                let key = variant_key(&wanted.key, &index.fields, request);
                match self.store.get_now(&key)? {
                    (Some(Entry::Response(stored)), head) if stored.key == key => (stored, head),
                    _ => return None,
                }
            }
            _ => return None,
        };
        // With replicas the lease counts too, which is not for here.
        let here = (head.replicas == 0).then_some(head.position)?;
        let view = self.follower.reached(here)?;
        (self.fitness(wanted, &view, &stored, now) == Fitness::Fresh).then_some(stored)
    }

    /// The outcome of a hit on `stored`.
    pub(super) fn hit(&self, stored: &StoredResponse) -> Outcome {
        hit_at(stored, self.clock.now())
    }
}

fn hit_at(stored: &StoredResponse, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::new(Served::Hit);
    let remaining = stored.remaining_millis(now).div_euclid(1000);
    outcome.ttl = i64::try_from(remaining).ok();
    outcome
}
