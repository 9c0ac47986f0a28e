//! Entries in this process, ready to send, bounded by what they weigh.
//!
//! The embedded store is one, with the tip of its log beside it. With a shared store the engine has
//! one too, of what that store answered: the near copy. It decides nothing: each use is judged by
//! the view and its lease (PROTOCOL 18 `near_judge`), so that a purge costs it nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::clock::Clock;
use crate::entry::Entry;
use crate::key::CacheKey;

/// The least that can be kept: less would hold no entry, or next to none.
pub(crate) const LEAST_BYTES: u64 = 64 << 10;
/// No entry can be larger than a shard, so there are few: at the default size 8 MiB each, four times
/// the default body limit.
const SHARDS: usize = 8;
/// What an entry is taken to weigh when places are laid out; only a hint.
const TYPICAL_BYTES: u64 = 8 << 10;
/// Keys whose sightings are counted before they are let in.
const SIGHTINGS: usize = 1 << 16;

/// Entries in this process. Cheap to clone; clones hold the same entries.
#[derive(Debug, Clone)]
pub(crate) struct NearCache {
    clock: Arc<dyn Clock>,
    entries: Arc<Cache<CacheKey, NearEntry, ByBytes>>,
    admission: Arc<Admission>,
    /// The bytes of one shard, which no entry may exceed; nor what is being put together at a time.
    largest: usize,
    /// Bytes that are being put together.
    taken: Arc<AtomicUsize>,
}

/// Room for a large entry that is being put together. It is free again when this is dropped, as the entry is
/// here then, or never will be.
#[derive(Debug)]
pub(crate) struct NearRoom {
    bytes: usize,
    taken: Arc<AtomicUsize>,
}

impl Drop for NearRoom {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone)]
struct NearEntry {
    entry: Entry,
    /// Monotonic: a change of the wall clock neither loses nor prolongs.
    until: Duration,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<CacheKey, NearEntry> for ByBytes {
    fn weight(&self, key: &CacheKey, kept: &NearEntry) -> u64 {
        let entry = match &kept.entry {
            Entry::Response(response) => response.weight(),
            Entry::Variants(index) => {
                let names = index.fields.iter().map(|name| name.as_str().len() + 32);
                index.key.as_bytes().len() + names.sum::<usize>()
            }
        };
        let bytes = size_of::<NearEntry>() + key.as_bytes().len() + entry;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// How often a key must have been seen before it is let in.
#[derive(Debug)]
struct Admission {
    after: u32,
    seen: Cache<CacheKey, u32>,
}

impl Admission {
    fn lets_in(&self, key: &CacheKey) -> bool {
        if self.after <= 1 {
            return true;
        }
        let seen = self.seen.get(key).unwrap_or(0) + 1;
        if seen >= self.after {
            self.seen.remove(key);
            return true;
        }
        self.seen.insert(key.clone(), seen);
        false
    }
}

impl NearCache {
    /// An empty one of at most about `bytes`, for whatever comes.
    pub(crate) fn new(clock: Arc<dyn Clock>, bytes: u64) -> Self {
        Self::admitting(clock, bytes, 1)
    }

    /// An empty one of at most about `bytes`, for what has come `after` times.
    pub(crate) fn admitting(clock: Arc<dyn Clock>, bytes: u64, after: u32) -> Self {
        let places = usize::try_from(bytes / TYPICAL_BYTES).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(places.max(1))
            .weight_capacity(bytes)
            .build()
            .expect("capacities are given");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let counted = if after > 1 { SIGHTINGS } else { 1 };
        Self {
            clock,
            entries: Arc::new(Cache::with_options(options, ByBytes, hasher, lifecycle)),
            largest: usize::try_from(bytes).unwrap_or(usize::MAX) / SHARDS,
            taken: Arc::default(),
            admission: Arc::new(Admission {
                after,
                seen: Cache::new(counted),
            }),
        }
    }

    /// The bytes that it holds now, about.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> u64 {
        self.entries.weight()
    }

    /// The entry of `key`, if it is kept at `now` (monotonic).
    pub(crate) fn get(&self, key: &[u8], now: Duration) -> Option<Entry> {
        let (entry, until) = self.peek(key)?;
        if until > now {
            return Some(entry);
        }
        self.expire(key, now);
        None
    }

    /// The entry of `key`, and until when (monotonic) it is kept, for whoever looks at the clock later.
    pub(crate) fn peek(&self, key: &[u8]) -> Option<(Entry, Duration)> {
        let kept = self.entries.get(key)?;
        Some((kept.entry, kept.until))
    }

    /// Removes the entry of `key` if its time is over at `now`: not what was stored over it meanwhile.
    pub(crate) fn expire(&self, key: &[u8], now: Duration) {
        self.entries.remove_if(key, |present| present.until <= now);
    }

    /// Keeps `entry` under `key` for `keep` at the longest. An entry too large for it is not kept, nor
    /// is what it would have replaced.
    pub(crate) fn put(&self, key: &CacheKey, entry: Entry, keep: Duration) {
        let until = self.clock.monotonic().saturating_add(keep);
        self.entries.insert(key.clone(), NearEntry { entry, until });
    }

    /// Room to put together an entry of so many bytes that is held elsewhere: if its key was seen often enough,
    /// and unless it is too large, or others take the room.
    pub(crate) fn room(&self, key: &CacheKey, bytes: usize) -> Option<NearRoom> {
        let taken = Arc::clone(&self.taken);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let fits = |taken: usize| {
            let taken = taken.saturating_add(bytes);
            (taken <= self.largest).then_some(taken)
        };
        let room = (taken.fetch_update(set, get, fits)).map(|_| NearRoom { bytes, taken });
        room.ok().filter(|_| self.admission.lets_in(key))
    }

    /// Puts a copy of what another store holds there: if it was seen often enough, and
    /// unless what stands there already is as new.
    pub(crate) fn copy(&self, key: &CacheKey, entry: Entry, keep: Duration) {
        if self.present(key).is_some() || self.admission.lets_in(key) {
            self.renew(key, entry, keep);
        }
    }

    /// Puts a copy of what was let in already, unless what stands there is as new.
    pub(crate) fn renew(&self, key: &CacheKey, entry: Entry, keep: Duration) {
        let present = self.present(key);
        if present.is_none_or(|present| !is_as_new(&present, &entry)) {
            self.put(key, entry, keep);
        }
    }

    /// Forgets what stands under `key`.
    pub(crate) fn remove(&self, key: &CacheKey) {
        self.entries.remove(key);
    }

    fn present(&self, key: &CacheKey) -> Option<Entry> {
        let (present, now) = (self.entries.peek(key), self.clock.monotonic());
        Some(present.filter(|kept| kept.until > now)?.entry)
    }
}

/// Whether `present` need not give way to `entry`. The stamp counts before the time: what replaces a
/// purged response may have come in the same instant, or from a node whose clock is behind.
fn is_as_new(present: &Entry, entry: &Entry) -> bool {
    match (present, entry) {
        (Entry::Response(present), Entry::Response(other)) => {
            let (stamp, newer) = (present.stamp.position(), other.stamp.position());
            stamp.epoch == newer.epoch
                && (stamp.ordinal, present.received_at) >= (newer.ordinal, other.received_at)
        }
        (Entry::Variants(present), Entry::Variants(other)) => present == other,
        _ => false,
    }
}
