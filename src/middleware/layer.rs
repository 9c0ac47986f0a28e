//! [`CacheLayer`].

use std::fmt;
use std::sync::Arc;

use http::{Extensions, Request, Uri};
use tower_layer::Layer;

use crate::engine::Engine;
use crate::key::{KeyBuilder, Part};
use crate::middleware::CacheService;
use crate::rules::Plan;

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
    pub(super) fn changed<A>(&self, engine: &Engine, request: &Request<A>) -> Option<Uri> {
        if !engine.may_change(request) {
            return None;
        }
        let uri = self.read(request).unwrap_or(request.uri());
        engine.rules.load().stored_under(uri.path())?;
        Some(uri.clone())
    }

    /// What is done with a request that a rule takes, by the URI that the client asked for. Its key is
    /// written to `key`.
    pub(super) fn plan<A>(
        &self,
        engine: &Engine,
        request: &Request<A>,
        key: &mut KeyBuilder,
    ) -> Option<Plan> {
        let own = request.uri();
        let Some(original) = self.read(request).filter(|uri| *uri != own) else {
            return engine.plan(request, own, key);
        };
        let mut plan = engine.plan(request, original, key);
        if let Some(Plan::Lookup(asked)) = &mut plan {
            rewritten(key, own, original);
            asked.original = Some(original.clone());
        }
        plan
    }

    fn read<'r, A>(&self, request: &'r Request<A>) -> Option<&'r Uri> {
        self.0.as_ref().and_then(|read| read(request.extensions()))
    }
}

/// The inner service reads `own`, in which a layer in front may have put more than it took away, so it
/// counts beside the `original` (P5).
fn rewritten(key: &mut KeyBuilder, own: &Uri, original: &Uri) {
    key.part(Part::Path, own.path().as_bytes());
    if own.query() != original.query() {
        key.part(Part::Query, own.query().unwrap_or_default().as_bytes());
    }
    if own.authority() != original.authority() {
        let host = own.authority().map_or("", |authority| authority.as_str());
        key.part(Part::Host, host.as_bytes());
    }
}

impl fmt::Debug for OriginalUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(_) => f.write_str("OriginalUri(read)"),
            None => f.write_str("OriginalUri(none)"),
        }
    }
}
