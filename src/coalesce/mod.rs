//! Identical misses share one forward.
//!
//! A [`Flight`] is one call of the inner service and the response that it brings. It belongs to no
//! client: the fill task holds the [`Lead`], and clients, the one whose request began it included,
//! only read. A leader that goes away neither aborts the fill nor strands the others; a fill that
//! dies tells everybody at once.
//!
//! What a flight brings may be used by a request that joined it only if it is valid for that request, or if
//! the flight began after the request had come (PROTOCOL 20): the engine asks, not this module.

mod budget;
mod buffer;
mod flight;
mod orphans;
mod permits;

pub(crate) use self::budget::Budget;
pub(crate) use self::buffer::{FlightReader, Room};
pub(crate) use self::flight::{Expectation, Flight, FlightHead, Landing, Lead};
pub(crate) use self::orphans::Orphans;
pub(crate) use self::permits::Permits;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::key::CacheKey;
use crate::sync::{AtomicU64, Mutex};
use crate::weaken::{ProtocolRule, weakened};

/// How long a key is remembered as not storable, so that its requests do not queue (SAFETY 53).
pub(crate) const UNCACHEABLE_FOR: Duration = Duration::from_secs(10);
/// How long a stale response is served, where it may be, after a refresh that brought nothing, before the next
/// one is begun: so that a failing inner service has one call a key in that time, and not one a request.
const REFRESH_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How many such keys are remembered.
const UNCACHEABLE_KEYS: usize = 10_000;
/// Among how many counters the URIs are divided ([`Flights::landings`]).
const LANDING_COUNTERS: usize = 256;

/// The flights under way in this process, by key. Shared by every service of one cache.
#[derive(Debug)]
pub(crate) struct Flights {
    by_key: Mutex<HashMap<CacheKey, Arc<Flight>>>,
    limit: usize,
    /// Key digest -> until when (monotonic).
    uncacheable: Cache<u64, Duration>,
    /// Key digest -> until when (monotonic) no other refresh is begun.
    refreshes: Cache<u64, Duration>,
    /// By key digest: responses that flights have handed to the store.
    landings: [AtomicU64; LANDING_COUNTERS],
    /// How many have begun, and so the number of the next one.
    begun: AtomicU64,
    /// What all of them may hold, those included that nobody joins.
    pub(crate) budget: Arc<Budget>,
    /// Those that nobody waits for any more.
    pub(crate) orphans: Orphans,
}

/// A moment among the beginnings of flights ([`Flights::moment`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// How many flights have landed ([`Flights::landings`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Landings(u64);

/// What to do about a miss.
#[derive(Debug)]
pub(crate) enum Join {
    /// Fly: nobody else does.
    Lead(Lead),
    /// Wait for this one.
    Follow(Arc<Flight>),
    /// Too many are under way: forward without sharing or storing.
    Full,
}

impl Flights {
    pub(crate) fn new(limit: usize, bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            by_key: Mutex::default(),
            limit,
            uncacheable: Cache::new(UNCACHEABLE_KEYS),
            refreshes: Cache::new(UNCACHEABLE_KEYS),
            landings: [const { AtomicU64::new(0) }; LANDING_COUNTERS],
            begun: AtomicU64::new(0),
            budget: Budget::new(bytes),
            orphans: Orphans::default(),
        })
    }

    /// Joins the flight of `key`, or begins one.
    pub(crate) fn join(self: &Arc<Self>, key: &CacheKey) -> Join {
        self.join_unless(key, None)
    }

    /// Begins a flight in the place of `old`, which cannot be used; later comers join the new one.
    /// If somebody else replaced it already, joins theirs.
    pub(crate) fn replace(self: &Arc<Self>, key: &CacheKey, old: &Arc<Flight>) -> Join {
        self.join_unless(key, Some(old))
    }

    fn join_unless(self: &Arc<Self>, key: &CacheKey, unusable: Option<&Arc<Flight>>) -> Join {
        let mut by_key = self.by_key.lock();
        match by_key.get(key) {
            Some(flight) if !is_unusable(flight, unusable) => {
                return Join::Follow(Arc::clone(flight));
            }
            None if by_key.len() >= self.limit && !weakened(ProtocolRule::Places) => {
                return Join::Full;
            }
            _ => {}
        }
        let flight = Arc::new(Flight::new(self.next(), &self.budget));
        by_key.insert(key.clone(), Arc::clone(&flight));
        Join::Lead(Lead {
            flight,
            registration: Some((key.clone(), Arc::clone(self))),
            alone: false,
        })
    }

    /// A flight that nobody joins: its response is stored and read like any other.
    pub(crate) fn alone(&self) -> Lead {
        Lead {
            flight: Arc::new(Flight::new(Moment(0), &self.budget)),
            registration: None,
            alone: true,
        }
    }

    /// Now: a flight that [began after](Flight::began_after) it began after this was called.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.begun.load(Ordering::SeqCst))
    }

    fn next(&self) -> Moment {
        Moment(self.begun.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// Ends the registration of `flight`, unless it was replaced.
    fn land(&self, key: &CacheKey, flight: &Arc<Flight>) {
        let mut by_key = self.by_key.lock();
        if by_key
            .get(key)
            .is_some_and(|current| Arc::ptr_eq(current, flight) || weakened(ProtocolRule::OwnPlace))
        {
            by_key.remove(key);
        }
    }

    /// How many responses of the URI with this key, and of those that share its counter, flights have
    /// handed to the store. For [`have_landed`](Self::have_landed).
    pub(crate) fn landings(&self, uri: &CacheKey) -> Landings {
        Landings(self.counter(uri).load(Ordering::Acquire))
    }

    /// Whether there may be more than `before`. Asked by whoever looked in vain after that and then leads:
    /// the response may have been stored, and its flight have ended, in between.
    pub(crate) fn have_landed(&self, uri: &CacheKey, before: Landings) -> bool {
        self.landings(uri) != before && !weakened(ProtocolRule::Overtaken)
    }

    /// The store has it; said before the flight ends, so that who finds none to join knows.
    pub(crate) fn note_landing(&self, uri: &CacheKey) {
        self.counter(uri).fetch_add(1, Ordering::Release);
    }

    #[allow(clippy::cast_possible_truncation, reason = "any part of a digest does")]
    fn counter(&self, uri: &CacheKey) -> &AtomicU64 {
        &self.landings[short(uri) as usize % LANDING_COUNTERS]
    }

    /// How many are under way.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_key.lock().len()
    }

    /// Remembers for a while that responses under `key` are not storable.
    pub(crate) fn mark_uncacheable(&self, key: &CacheKey, now: Duration) {
        self.uncacheable.insert(short(key), now + UNCACHEABLE_FOR);
    }

    /// A response under `key` was storable after all.
    pub(crate) fn mark_cacheable(&self, key: &CacheKey) {
        self.uncacheable.remove(&short(key));
    }

    /// A refresh of the response under `key` begins. Until it ends it is a flight, and so the only one.
    pub(crate) fn begin_refresh(&self, key: &CacheKey) {
        self.refreshes.insert(short(key), Duration::ZERO);
    }

    /// It brought a response to store, or the end of the stored one.
    pub(crate) fn note_refreshed(&self, key: &CacheKey) {
        self.refreshes.remove(&short(key));
    }

    /// It has ended. Remembers for a while if it brought nothing.
    pub(crate) fn end_refresh(&self, key: &CacheKey, now: Duration) {
        if self.refreshes.get(&short(key)).is_some() {
            self.refreshes.insert(short(key), now + REFRESH_AGAIN_AFTER);
        }
    }

    /// Whether a refresh of the response under `key` brought nothing lately.
    pub(crate) fn has_failed_to_refresh(&self, key: &CacheKey, now: Duration) -> bool {
        lasts(&self.refreshes, key, now)
    }

    /// Whether responses under `key` were not storable lately.
    pub(crate) fn is_uncacheable(&self, key: &CacheKey, now: Duration) -> bool {
        lasts(&self.uncacheable, key, now)
    }
}

/// Whether the time of `key` in `times` is not over at `now`.
fn lasts(times: &Cache<u64, Duration>, key: &CacheKey, now: Duration) -> bool {
    times.get(&short(key)).is_some_and(|until| now < until)
}

/// Whether `flight` is the one that is of no use to the one who asks.
fn is_unusable(flight: &Arc<Flight>, unusable: Option<&Arc<Flight>>) -> bool {
    unusable.is_some_and(|old| Arc::ptr_eq(old, flight) || weakened(ProtocolRule::OneLeads))
}

/// Two keys that share it only share a hint.
fn short(key: &CacheKey) -> u64 {
    rapidhash::v3::rapidhash_v3(key.as_bytes())
}

#[cfg(test)]
mod tests;
