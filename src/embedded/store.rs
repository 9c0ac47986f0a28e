//! A store of entries in memory.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::clock::Clock;
use crate::embedded::EmbeddedLog;
use crate::entry::Entry;
use crate::error::Error;
use crate::key::CacheKey;
use crate::log::Tip;
use crate::store::{Holding, NearCache, Store, StoreReply};

/// Entries in this process, and the log whose tip comes with each read. Cheap to clone; clones hold
/// the same entries.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddedStore {
    log: EmbeddedLog,
    clock: Arc<dyn Clock>,
    entries: NearCache,
}

impl EmbeddedStore {
    /// An empty store of at most about `bytes`, whose lookups also read the tip of `log`.
    pub(crate) fn new(log: EmbeddedLog, clock: Arc<dyn Clock>, bytes: u64) -> Self {
        Self {
            log,
            entries: NearCache::new(Arc::clone(&clock), bytes),
            clock,
        }
    }

    /// The bytes that it holds now, about.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> u64 {
        self.entries.weight()
    }
}

impl Store for EmbeddedStore {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<StoreReply, Error>> {
        async move {
            let now = self.clock.monotonic();
            let entries = keys.iter().map(|key| self.entries.get(key.as_bytes(), now));
            Ok(StoreReply {
                entries: entries.map(|entry| entry.map(Holding::Entry)).collect(),
                tip: self.log.current(),
            })
        }
        .boxed()
    }

    fn get_now(&self, key: &[u8]) -> Option<(Option<Entry>, Tip)> {
        let entry = self.entries.get(key, self.clock.monotonic());
        Some((entry, self.log.current()))
    }

    fn put<'a>(
        &'a self,
        key: &'a CacheKey,
        entry: Entry,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.entries.put(key, entry, keep);
            Ok(())
        }
        .boxed()
    }

    fn remove<'a>(&'a self, key: &'a CacheKey) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.entries.remove(key);
            Ok(())
        }
        .boxed()
    }
}
