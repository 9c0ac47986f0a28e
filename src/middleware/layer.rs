//! [`CacheLayer`].

use tower_layer::Layer;

use crate::builder::Cache;
use crate::middleware::CacheService;

/// Wraps a service in the cache. See the [module docs](crate::middleware).
#[derive(Debug, Clone)]
pub struct CacheLayer {
    cache: Cache,
}

impl CacheLayer {
    pub(crate) const fn new(cache: Cache) -> Self {
        Self { cache }
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(self.cache.clone(), inner)
    }
}
