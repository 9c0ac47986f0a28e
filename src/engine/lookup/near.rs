//! The near copy: what was found in the shared store, answered from this process. A near rule asks nobody
//! whether it still holds, a strict one the purge log.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::clock::Timestamp;
use crate::engine::lookup::fitness::Fitness;
use crate::engine::lookup::{Lookup, Lookups, Usable, variant_key};
use crate::entry::{Cut, Entry, StoredResponse, VariantIndex};
use crate::key::CacheKey;
use crate::rules::{CacheRequest, Consistency};
use crate::store::{NearCache, NearRoom};
use crate::weaken::{ProtocolRule, weakened};

impl Lookups {
    /// The stored response that answers without a wait, by the rules of every lookup.
    #[inline]
    pub(crate) fn at_hand(
        &self,
        asked: &CacheRequest,
        key: &[u8],
        request: &HeaderMap,
        now: Timestamp,
    ) -> Option<Arc<StoredResponse>> {
        match &self.near {
            Some(near) if asked.rule.consistency == Consistency::Near => {
                self.in_near_copy(near, asked, key, request, now)
            }
            _ => self.in_store_at_hand(asked, key, request, now),
        }
    }

    /// A strict lookup in a store that need not be waited for.
    #[inline]
    fn in_store_at_hand(
        &self,
        asked: &CacheRequest,
        key: &[u8],
        request: &HeaderMap,
        now: Timestamp,
    ) -> Option<Arc<StoredResponse>> {
        let mut tip = None;
        let stored = selected(key, request, |key| {
            let (entry, seen) = self.store.get_now(key)?;
            tip = Some(seen);
            entry
        })?;
        // With replicas the lease counts too, which is not for here.
        let tip = tip.filter(|tip| tip.replicas == 0)?;
        let view = self.follower.reached(tip.position)?;
        (self.fitness(asked, &view, &stored, now) == Fitness::Fresh).then_some(stored)
    }

    /// A near lookup: nothing is asked of anybody. Judged now, not when the copy was made (PROTOCOL 18
    /// `near_judge`), by a view that has heard from the log within the lease (PROTOCOL 21).
    #[inline]
    pub(crate) fn in_near_copy(
        &self,
        near: &NearCache,
        asked: &CacheRequest,
        key: &[u8],
        request: &HeaderMap,
        now: Timestamp,
    ) -> Option<Arc<StoredResponse>> {
        let view = self.views.borrow();
        let view = view.as_ref()?;
        let mut until = Duration::MAX;
        let stored = selected(key, request, |key| {
            let (entry, its_end) = near.peek(key)?;
            until = until.min(its_end);
            Some(entry)
        })?;
        // Before the marks: a lease that is extended behind them says nothing of them. [lease_first]
        let lease_end = view.lease_end();
        if self.fitness(asked, view, &stored, now) != Fitness::Fresh {
            return None;
        }
        // Last, so that nothing is served on a lease that ended meanwhile.
        let monotonic = self.clock.monotonic();
        if monotonic >= until {
            near.expire(key, monotonic);
            return None;
        }
        let lease_end = match weakened(ProtocolRule::LeaseFirst) {
            true => view.lease_end(),
            false => lease_end,
        };
        let leased = monotonic.as_millis() < u128::from(lease_end);
        (leased || weakened(ProtocolRule::Lease)).then_some(stored)
    }

    /// A strict lookup in the copy: of the shared store, only the tip of the log is asked, after the request
    /// arrived (PROTOCOL 19). `None`: there is no copy that may be used as fresh, as far as is known without
    /// asking; or there turned out to be none.
    pub(crate) async fn lookup_copy(
        &self,
        asked: &CacheRequest,
        request: &HeaderMap,
    ) -> Option<Lookup> {
        let stored = self.worth_asking(asked, request)?;
        let mut lookup = self.begun(&asked.key, stored.key.clone());
        match self.tips.read().await {
            Ok((tip, view)) => {
                let fitness = self.fitness(asked, &view, &stored, self.clock.now());
                if fitness != Fitness::Fresh {
                    return None;
                }
                lookup.usable = Usable::Fresh(stored);
                lookup.view = Some(Arc::clone(&view));
                if let Err(detail) = self.check_lease(&mut lookup, tip, &view) {
                    lookup.fail(detail);
                }
            }
            Err(detail) => lookup.fail(detail),
        }
        Some(lookup)
    }

    fn worth_asking(
        &self,
        asked: &CacheRequest,
        request: &HeaderMap,
    ) -> Option<Arc<StoredResponse>> {
        let (near, view) = (self.near.as_ref()?, self.views.borrow());
        let view = view.as_ref()?;
        let monotonic = self.clock.monotonic();
        let stored = selected(asked.key.as_bytes(), request, |key| {
            near.get(key, monotonic)
        })?;
        let fitness = self.fitness(asked, view, &stored, self.clock.now());
        (fitness == Fitness::Fresh).then_some(stored)
    }

    /// Keeps a copy of what the shared store holds, if it has come often enough, with the stamp that it has
    /// there (PROTOCOL 18 `near_stamp`). `uri` is the key of its URI, and `vary` selects it among the variants.
    pub(crate) fn copy_near(
        &self,
        uri: &CacheKey,
        vary: &[HeaderName],
        stored: &Arc<StoredResponse>,
    ) {
        self.copy_by(NearCache::copy, uri, vary, stored);
    }

    /// Keeps a copy of what there is [room](Self::room_for) for, however often it has come.
    pub(crate) fn keep_near(
        &self,
        uri: &CacheKey,
        vary: &[HeaderName],
        stored: &Arc<StoredResponse>,
    ) {
        self.copy_by(NearCache::renew, uri, vary, stored);
    }

    /// Room to put a response together and keep a copy of it, if one is to be kept.
    pub(crate) fn room_for(&self, cut: &Cut) -> Option<NearRoom> {
        let (near, head) = (self.near.as_ref()?, cut.head());
        near.room(&head.key, head.weight() + cut.length())
    }

    fn copy_by(
        &self,
        put: impl Fn(&NearCache, &CacheKey, Entry, Duration),
        uri: &CacheKey,
        vary: &[HeaderName],
        stored: &Arc<StoredResponse>,
    ) {
        let Some(near) = &self.near else {
            return;
        };
        let remaining = stored.remaining_millis(self.clock.now());
        let is_part = stored.status == StatusCode::PARTIAL_CONTENT;
        if remaining <= 0 || stored.freshness.always_validate || is_part {
            // Nor is the copy of what it replaces (RFC 9111 §4.3.3).
            near.remove(&stored.key);
            return;
        }
        let keep = Duration::from_millis(u64::try_from(remaining).unwrap_or(u64::MAX));
        if stored.key != *uri {
            let index = VariantIndex {
                key: uri.clone(),
                fields: vary.to_vec(),
            };
            put(near, uri, Entry::Variants(Arc::new(index)), keep);
        }
        let copied = if weakened(ProtocolRule::NearStamp) {
            self.stamped_anew(stored)
        } else {
            Arc::clone(stored)
        };
        put(near, &stored.key, Entry::Response(copied), keep);
    }

    /// What must not be done: a copy that is stamped when it is made.
    fn stamped_anew(&self, stored: &Arc<StoredResponse>) -> Arc<StoredResponse> {
        let mut copy = StoredResponse::clone(stored);
        if let Some(view) = self.views.current() {
            copy.stamp = view.stamp();
        }
        Arc::new(copy)
    }
}

/// The response for a request with the key `uri`, or its variant, of the entries that `get` gives.
pub(crate) fn selected(
    uri: &[u8],
    request: &HeaderMap,
    mut get: impl FnMut(&[u8]) -> Option<Entry>,
) -> Option<Arc<StoredResponse>> {
    match get(uri)? {
        Entry::Response(stored) => (*stored.key.as_bytes() == uri).then_some(stored),
        Entry::Variants(index) if *index.key.as_bytes() == uri => {
            let key = variant_key(&index.key, &index.fields, request);
            match get(key.as_bytes())? {
                Entry::Response(stored) => (stored.key == key).then_some(stored),
                Entry::Variants(_) => None,
            }
        }
        Entry::Variants(_) => None,
    }
}

#[cfg(test)]
mod interleaved;
