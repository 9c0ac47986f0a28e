//! A store of entries in memory.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::clock::Clock;
use crate::embedded::EmbeddedLog;
use crate::entry::Entry;
use crate::error::Error;
use crate::key::CacheKey;
use crate::store::{Found, Store};

/// Bytes kept unless told otherwise.
pub(crate) const DEFAULT_BYTES: u64 = 64 << 20;
/// No entry can be larger than a shard, so there are few: at the default size 8 MiB each, four times
/// the default body limit.
const SHARDS: usize = 8;
/// What an entry is taken to weigh when places are laid out; only a hint.
const TYPICAL_BYTES: u64 = 8 << 10;

/// Entries in this process, bounded by their weight. Cheap to clone; clones hold the same entries.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddedStore {
    log: EmbeddedLog,
    clock: Arc<dyn Clock>,
    entries: Arc<Cache<CacheKey, Kept, ByBytes>>,
}

#[derive(Debug, Clone)]
struct Kept {
    entry: Entry,
    /// Monotonic: a change of the wall clock neither loses nor prolongs.
    until: Duration,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<CacheKey, Kept> for ByBytes {
    fn weight(&self, key: &CacheKey, kept: &Kept) -> u64 {
        let entry = match &kept.entry {
            Entry::Response(response) => response.weight(),
            Entry::Variants(index) => {
                let names = index.fields.iter().map(|name| name.as_str().len() + 32);
                index.key.as_bytes().len() + names.sum::<usize>()
            }
        };
        let bytes = size_of::<Kept>() + key.as_bytes().len() + entry;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl EmbeddedStore {
    /// An empty store of at most about `bytes`, whose lookups also read the head of `log`.
    pub(crate) fn new(log: EmbeddedLog, clock: Arc<dyn Clock>, bytes: u64) -> Self {
        let places = usize::try_from(bytes / TYPICAL_BYTES).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(places.max(1))
            .weight_capacity(bytes)
            .build()
            .expect("capacities are given");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self {
            log,
            clock,
            entries: Arc::new(Cache::with_options(options, ByBytes, hasher, lifecycle)),
        }
    }

    /// The bytes that it holds now, about.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> u64 {
        self.entries.weight()
    }

    fn entry(&self, key: &CacheKey, now: Duration) -> Option<Entry> {
        let kept = self.entries.get(key)?;
        if kept.until > now {
            return Some(kept.entry);
        }
        // Not what was stored over it in the meantime.
        self.entries.remove_if(key, |present| present.until <= now);
        None
    }
}

impl Store for EmbeddedStore {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<Found, Error>> {
        async move {
            let now = self.clock.monotonic();
            Ok(Found {
                entries: keys.iter().map(|key| self.entry(key, now)).collect(),
                head: self.log.current(),
            })
        }
        .boxed()
    }

    fn put<'a>(
        &'a self,
        key: &'a CacheKey,
        entry: Entry,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let until = self.clock.monotonic().saturating_add(keep);
            self.entries.insert(key.clone(), Kept { entry, until });
            Ok(())
        }
        .boxed()
    }
}
