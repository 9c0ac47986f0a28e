//! [`CacheLayer`].

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Extensions, HeaderValue, Uri};
use tower_layer::Layer;

use crate::engine::Engine;
use crate::middleware::CacheService;
use crate::middleware::layers::Layers;
use crate::middleware::place::Place;

/// Wraps a service in the cache. See the [module docs](crate::middleware).
#[derive(Debug, Clone)]
pub struct CacheLayer {
    engine: Arc<Engine>,
    place: Arc<Place>,
    tells_passed: bool,
}

impl CacheLayer {
    pub(crate) fn new(
        engine: Arc<Engine>,
        layers: Arc<Layers>,
        at: &'static Location<'static>,
    ) -> Self {
        let place = Arc::new(Place::new(layers, at));
        Self {
            engine,
            place,
            tells_passed: false,
        }
    }

    /// Where a request keeps the URI that the client asked for, if something in front of this layer
    /// changed it, as nested routers do. Rules, keys and purges then go by that one. See
    /// [nested routers](crate::middleware#nested-routers).
    ///
    /// Default: where axum 0.8 keeps it (feature `axum`); without it, the request's own URI is the one
    /// that the client asked for.
    #[must_use]
    pub fn original_uri<F>(mut self, read: F) -> Self
    where
        F: Fn(&Extensions) -> Option<&Uri> + Send + Sync + 'static,
    {
        Arc::make_mut(&mut self.place).read(read);
        self
    }

    /// Adds `Cache-Status` to the answers that the cache has no part in as well: `fwd=bypass; detail=no-rule` where
    /// no rule takes the request, `fwd=method` for methods other than `GET` and `HEAD`. The proxy does.
    ///
    /// Default: such requests and their answers pass untouched, as if there were no cache.
    #[must_use]
    pub const fn tell_passed(mut self) -> Self {
        self.tells_passed = true;
        self
    }

    /// Says that the inner service may read a path otherwise than a rule does: captures then take no path with dot
    /// segments or encoded separators. A router in this process reads it as it was sent.
    ///
    /// Default: captures take what the router takes.
    #[must_use]
    pub fn doubt_paths(self) -> Self {
        self.engine
            .fills
            .doubts_paths
            .store(true, Ordering::Relaxed);
        self
    }

    /// Of each request that is looked up, the inner service is asked for the best of `codings` alone (RFC 9110
    /// §12.5.3).
    ///
    /// Default: as each client asks.
    #[must_use]
    pub fn ask_for_codings(mut self, codings: impl Into<Arc<[HeaderValue]>>) -> Self {
        Arc::make_mut(&mut self.place).ask_for(codings.into());
        self
    }

    /// Names this layer, where a cache has several: what it stores is found by the layers of this name, also
    /// those of other processes on the same Redis, and by no others. See
    /// [several layers](crate::middleware#several-layers).
    ///
    /// Default: none. One layer needs none; several without one each keep what they store to themselves.
    #[must_use]
    pub fn scope(mut self, name: impl AsRef<str>) -> Self {
        Arc::make_mut(&mut self.place).name(name.as_ref());
        self
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        self.place.mount(&self.engine);
        let (engine, place) = (Arc::clone(&self.engine), Arc::clone(&self.place));
        CacheService::new(engine, place, self.tells_passed, inner)
    }
}
