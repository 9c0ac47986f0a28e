//! `No-Vary-Search`: a second look for responses that answer more than their own URL.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode, Uri};

use crate::engine::lookup::{Lookup, Lookups, Usable, variant_key};
use crate::entry::StoredResponse;
use crate::key::CacheKey;
use crate::rules::{CacheRequest, FillRequest, RequestTarget};
use crate::semantics::NoVarySearch;

/// Paths of which this process remembers what their responses say.
const SEARCH_MEMORY: usize = 10_000;

/// What the last response under a path said about its query.
#[derive(Debug)]
pub(crate) struct SearchMemory(quick_cache::sync::Cache<CacheKey, Arc<NoVarySearch>>);

impl SearchMemory {
    pub(crate) fn new() -> Self {
        Self(quick_cache::sync::Cache::new(SEARCH_MEMORY))
    }
}

impl Lookups {
    /// Looks again, for a fresh response of another URL that answers this one too, if `found` is
    /// nothing and the rule hears the field.
    pub(crate) async fn search(
        &self,
        asked: &CacheRequest,
        uri: &Uri,
        request: &HeaderMap,
        found: Lookup,
    ) -> Lookup {
        let nothing = matches!(found.usable, Usable::Nothing);
        if !nothing || !asked.rule.settings.no_vary_search {
            return found;
        }
        let Some(key) = self.searched_key(asked, uri, request) else {
            return found;
        };
        let other = CacheRequest {
            key,
            target: RequestTarget::default(),
            ..asked.clone()
        };
        let second = self.lookup(&other, request).await;
        match second.usable {
            Usable::Fresh(_) => second,
            _ => found,
        }
    }

    fn searched_key(
        &self,
        asked: &CacheRequest,
        uri: &Uri,
        request: &HeaderMap,
    ) -> Option<CacheKey> {
        let added = asked.target.added(&asked.key);
        let whole = (asked.target.whole(uri), request, &*added);
        let base = asked.rule.search_base(whole)?;
        let said = self.searches.0.get(&base)?;
        asked.rule.search_key(whole, &said)
    }

    /// Remembers what a response that is stored says about its query, and returns it as it is stored
    /// for the other URLs that it answers, with their key.
    pub(crate) fn by_search(
        &self,
        wanted: &FillRequest,
        stored: &Arc<StoredResponse>,
        vary: &[HeaderName],
    ) -> Option<(CacheKey, Arc<StoredResponse>)> {
        let (uri, added) = wanted.search.as_deref()?;
        let asked = (uri, &wanted.headers, &**added);
        if stored.status == StatusCode::PARTIAL_CONTENT {
            return None;
        }
        let base = wanted.asked.rule.search_base(asked)?;
        let Some(said) = NoVarySearch::of(&stored.headers) else {
            self.searches.0.remove(&base);
            return None;
        };
        let key = wanted.asked.rule.search_key(asked, &said)?;
        self.searches.0.insert(base, Arc::new(said));
        let mut other = StoredResponse::clone(stored);
        other.key = variant_key(&key, vary, &wanted.headers);
        Some((key, Arc::new(other)))
    }
}
