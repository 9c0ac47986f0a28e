//! `No-Vary-Search`: a second look for responses that answer more than their own URL.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode, Uri};

use crate::engine::Engine;
use crate::engine::lookup::{Lookup, Usable, variant_key};
use crate::entry::StoredResponse;
use crate::key::CacheKey;
use crate::rules::{Place, Planned, Wanted};
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

impl Engine {
    /// Looks again, for a fresh response of another URL that answers this one too, if `found` is
    /// nothing and the rule hears the field.
    pub(crate) async fn search(
        &self,
        wanted: &Wanted,
        uri: &Uri,
        request: &HeaderMap,
        found: Lookup,
    ) -> Lookup {
        let nothing = matches!(found.usable, Usable::Nothing);
        if !nothing || !wanted.rule.no_vary_search() {
            return found;
        }
        let Some(key) = self.searched_key(wanted, uri, request) else {
            return found;
        };
        let other = Wanted {
            rule: Arc::clone(&wanted.rule),
            key,
            has_authorization: wanted.has_authorization,
            asks_for_less: wanted.asks_for_less,
            elected: wanted.elected,
            wishes: wanted.wishes,
            place: Place::default(),
        };
        let second = self.lookup(&other, request).await;
        match second.usable {
            Usable::Fresh(_) => second,
            Usable::Stale(_) | Usable::Cut(_) | Usable::Nothing => found,
        }
    }

    fn searched_key(&self, wanted: &Wanted, uri: &Uri, request: &HeaderMap) -> Option<CacheKey> {
        let added = wanted.place.added(&wanted.key);
        let asked = (wanted.place.whole(uri), request, &*added);
        let base = wanted.rule.search_base(asked)?;
        let said = self.searches.0.get(&base)?;
        wanted.rule.search_key(asked, &said)
    }

    /// Remembers what a response that is stored says about its query, and returns it as it is stored
    /// for the other URLs that it answers, with their key.
    pub(crate) fn by_search(
        &self,
        planned: &Planned,
        stored: &Arc<StoredResponse>,
        vary: &[HeaderName],
    ) -> Option<(CacheKey, Arc<StoredResponse>)> {
        let (uri, request, added) = planned.search.as_deref()?;
        let asked = (uri, request, &**added);
        if stored.status == StatusCode::PARTIAL_CONTENT {
            return None;
        }
        let base = planned.rule.search_base(asked)?;
        let Some(said) = NoVarySearch::of(&stored.headers) else {
            self.searches.0.remove(&base);
            return None;
        };
        let key = planned.rule.search_key(asked, &said)?;
        self.searches.0.insert(base, Arc::new(said));
        let mut other = StoredResponse::clone(stored);
        other.key = variant_key(&key, vary, request);
        Some((key, Arc::new(other)))
    }
}
