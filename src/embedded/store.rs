//! Stored responses in the process.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::clock::{Clock, Timestamp};
use crate::embedded::EmbeddedLog;
use crate::entry::Entry;
use crate::error::Error;
use crate::key::CacheKey;
use crate::store::{Found, Store};

/// What an entry costs in the cache's own structures, roughly.
const OVERHEAD: u64 = 128;
/// The size that decides how many slots are set aside at the start.
const TYPICAL_ENTRY: u64 = 4 * 1024;

/// Entries up to a number of bytes; past it, those least worth keeping are evicted. A cheap clone;
/// clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddedStore {
    entries: Arc<Cache<CacheKey, Kept, Weigh>>,
    log: EmbeddedLog,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone)]
struct Kept {
    entry: Entry,
    until: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Weigh;

impl Weighter<CacheKey, Kept> for Weigh {
    fn weight(&self, key: &CacheKey, kept: &Kept) -> u64 {
        let entry = match &kept.entry {
            Entry::Response(stored) => stored.weight(),
            Entry::Variants(index) => 64 * (1 + index.fields.len()),
        };
        OVERHEAD + (key.as_bytes().len() + entry) as u64
    }
}

impl EmbeddedStore {
    /// A store of at most `bytes`, whose reads see the head of `log`.
    pub(crate) fn new(bytes: u64, log: EmbeddedLog, clock: Arc<dyn Clock>) -> Self {
        let typical = usize::try_from(bytes / TYPICAL_ENTRY).unwrap_or(usize::MAX);
        let entries = Cache::with_weighter(typical.clamp(64, 1 << 20), bytes, Weigh);
        Self {
            entries: Arc::new(entries),
            log,
            clock,
        }
    }

    fn read(&self, key: &CacheKey, now: Timestamp) -> Option<Entry> {
        let kept = self.entries.get(key)?;
        (now < kept.until).then_some(kept.entry)
    }
}

impl Store for EmbeddedStore {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<Found, Error>> {
        async move {
            let now = self.clock.now();
            let entries = keys.iter().map(|key| self.read(key, now)).collect();
            Ok(Found {
                entries,
                head: self.log.head_now(),
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
            let until = self.clock.now().plus(keep);
            self.entries.insert(key.clone(), Kept { entry, until });
            Ok(())
        }
        .boxed()
    }
}
