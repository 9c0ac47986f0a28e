//! [`CacheLayer`].

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, Uri};
use tower_layer::Layer;

use crate::engine::Engine;
use crate::key::{CacheKey, Part};
use crate::middleware::CacheService;
use crate::rules::{CompiledRule, Plan};

/// Wraps a service in the cache. See the [module docs](crate::middleware).
#[derive(Debug, Clone)]
pub struct CacheLayer {
    engine: Arc<Engine>,
    original: OriginalUri,
}

impl CacheLayer {
    pub(crate) const fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            original: OriginalUri(None),
        }
    }

    /// Where a request keeps the URI that the client asked for, if something in front of this layer
    /// changed it, as nested routers do. Rules, keys and purges then go by that one. See
    /// [nested routers](crate::middleware#nested-routers).
    ///
    /// Default: nowhere, the request's own URI is the one that the client asked for.
    #[must_use]
    pub fn original_uri<F>(mut self, read: F) -> Self
    where
        F: Fn(&Extensions) -> Option<&Uri> + Send + Sync + 'static,
    {
        self.original = OriginalUri(Some(Arc::new(read)));
        self
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(Arc::clone(&self.engine), self.original.clone(), inner)
    }
}

type Read = dyn Fn(&Extensions) -> Option<&Uri> + Send + Sync;

/// How to find the URI that the client asked for.
#[derive(Clone)]
pub(super) struct OriginalUri(Option<Arc<Read>>);

impl OriginalUri {
    /// The URI that a request may change, if its stored responses are ours.
    pub(super) fn changed(&self, engine: &Engine, parts: &Parts) -> Option<Uri> {
        if !engine.may_change(parts) {
            return None;
        }
        let original = self.0.as_ref().and_then(|read| read(&parts.extensions));
        let uri = original.unwrap_or(&parts.uri);
        engine.rules.load().stored_under(uri.path())?;
        Some(uri.clone())
    }

    /// The rule for a request and what is done with it, by the URI that the client asked for.
    pub(super) fn plan(
        &self,
        engine: &Engine,
        parts: &mut Parts,
    ) -> Option<(Arc<CompiledRule>, Plan)> {
        let original = self.0.as_ref().and_then(|read| read(&parts.extensions));
        let Some(original) = original.filter(|uri| **uri != parts.uri).cloned() else {
            return engine.plan(parts);
        };
        let own = std::mem::replace(&mut parts.uri, original);
        let mut planned = engine.plan(parts);
        let original = std::mem::replace(&mut parts.uri, own);
        if let Some((_, Plan::Lookup(wanted))) = &mut planned {
            wanted.key = rewritten(&wanted.key, &parts.uri, &original);
            wanted.original = Some(original);
        }
        planned
    }
}

/// The inner service reads `own`, in which a layer in front may have put more than it took away, so it
/// counts beside the `original` (P5).
fn rewritten(key: &CacheKey, own: &Uri, original: &Uri) -> CacheKey {
    let mut builder = key.extend();
    builder.part(Part::Path, own.path().as_bytes());
    if own.query() != original.query() {
        builder.part(Part::Query, own.query().unwrap_or_default().as_bytes());
    }
    if own.authority() != original.authority() {
        let host = own.authority().map_or("", |authority| authority.as_str());
        builder.part(Part::Host, host.as_bytes());
    }
    builder.finish()
}

impl fmt::Debug for OriginalUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(_) => f.write_str("OriginalUri(read)"),
            None => f.write_str("OriginalUri(none)"),
        }
    }
}
