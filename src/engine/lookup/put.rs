//! What is put where lookups find it, and removed from there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::HeaderName;

use crate::engine::lookup::Lookups;
use crate::entry::{Entry, StoredResponse, VariantIndex};
use crate::error::Error;
use crate::key::CacheKey;
use crate::observe::Notice;
use crate::rules::FillRequest;

impl Lookups {
    /// Stores a response, and by which fields the responses of its URI vary.
    pub(crate) async fn put(
        &self,
        wanted: &FillRequest,
        stored: Arc<StoredResponse>,
        vary: &[HeaderName],
        keep: Duration,
    ) {
        if let Some((key, stored)) = self.by_search(wanted, &stored, vary) {
            self.put_under(&key, stored, vary, keep).await;
        }
        self.put_under(&wanted.asked.key, stored, vary, keep).await;
    }

    async fn put_under(
        &self,
        uri: &CacheKey,
        stored: Arc<StoredResponse>,
        vary: &[HeaderName],
        keep: Duration,
    ) {
        let key = stored.key.clone();
        self.copy_near(uri, vary, &stored);
        let mut result = self.store.put(&key, Entry::Response(stored), keep).await;
        if result.is_ok() && !vary.is_empty() {
            self.variants.learn(uri, vary);
            let index = Entry::Variants(Arc::new(VariantIndex {
                key: uri.clone(),
                fields: vary.to_vec(),
            }));
            result = self.store.put(uri, index, keep).await;
        }
        if let Err(error) = result {
            self.observer.notify(&Notice::StoreFailed {
                operation: "put",
                error: &error,
            });
        }
    }

    /// Removes what stands under `keys`, here and in the store.
    pub(crate) async fn remove(&self, keys: &[CacheKey]) -> Result<(), Error> {
        if let Some(near) = &self.near {
            keys.iter().for_each(|key| near.remove(key));
        }
        let removed = join_all(keys.iter().map(|key| self.store.remove(key))).await;
        removed.into_iter().collect()
    }

    pub(crate) fn tell(&self, failed: Option<&Error>) {
        if let Some(error) = failed {
            let operation = "remove";
            self.observer
                .notify(&Notice::StoreFailed { operation, error });
        }
    }
}
