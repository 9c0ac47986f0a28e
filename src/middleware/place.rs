//! [`Place`]: where a layer stands, and what a request is there.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, OnceLock};

use http::{Extensions, HeaderValue, Request, Uri};

use crate::engine::Engine;
use crate::key::{Component, KeyBuilder};
use crate::middleware::layers::{Layers, Mount};
use crate::rules::{Bypass, CacheRequest};
use crate::semantics;

/// Where a layer stands: how it finds the URI that the client asked for, and what keeps its stored
/// responses apart from those of other layers. Shared by the layer's clones and their services.
#[derive(Debug, Clone)]
pub(super) struct Place {
    original: OriginalUri,
    name: Name,
    layers: Arc<Layers>,
    /// The content codings that the inner service is asked for, in this order; none: as clients ask.
    codings: Arc<[HeaderValue]>,
}

/// How to find the URI that the client asked for.
#[derive(Clone)]
enum OriginalUri {
    /// As the framework keeps it, if we know how.
    Framework,
    /// As the program says.
    Read(Arc<Read>),
}

type Read = dyn Fn(&Extensions) -> Option<&Uri> + Send + Sync;

/// Which layer it is.
#[derive(Debug, Clone)]
enum Name {
    Given(Arc<str>),
    /// Made at this line, and mounted when it wraps its first service.
    Made(&'static Location<'static>, Arc<OnceLock<Mount>>),
}

impl Place {
    pub(super) fn new(layers: Arc<Layers>, at: &'static Location<'static>) -> Self {
        Self {
            original: OriginalUri::Framework,
            name: Name::Made(at, Arc::default()),
            layers,
            codings: Arc::default(),
        }
    }

    pub(super) fn read<F>(&mut self, read: F)
    where
        F: Fn(&Extensions) -> Option<&Uri> + Send + Sync + 'static,
    {
        self.original = OriginalUri::Read(Arc::new(read));
    }

    pub(super) fn ask_for(&mut self, codings: Arc<[HeaderValue]>) {
        self.codings = codings;
    }

    /// Makes one of the ways in which clients ask for a content coding, before the request is looked up: they
    /// then share a stored response, and have asked for it in the same words (SAFETY 67).
    pub(super) fn settle_codings<A>(&self, request: &mut Request<A>) {
        if !self.codings.is_empty() {
            semantics::reduce_encodings(request.headers_mut(), &self.codings);
        }
    }

    pub(super) fn name(&mut self, name: &str) {
        self.name = Name::Given(name.into());
    }

    /// The layer wraps a service.
    pub(super) fn mount(&self, engine: &Engine) {
        let Name::Made(at, mounted) = &self.name else {
            return;
        };
        mounted.get_or_init(|| {
            let (mounted, several) = Arc::clone(&self.layers).mount(at);
            // Within one process it costs next to nothing.
            if several && engine.lookups.near.is_some() {
                tracing::warn!(
                    made = %at,
                    "this cache has several layers without a name: each keeps what it stores to itself, \
                     and other processes do not find it. Make one layer and clone it, or name each with \
                     `scope`"
                );
            }
            mounted
        });
    }

    /// The URI that a request may change, if its stored responses are ours.
    pub(super) fn changed<A>(&self, engine: &Engine, request: &Request<A>) -> Option<Uri> {
        if !engine.may_change(request) {
            return None;
        }
        let (whole, own) = (self.whole(request), request.uri());
        let rules = engine.rules.load();
        let stored = rules.stored_under(whole.path());
        stored.or_else(|| rules.stored_under(own.path()))?;
        Some(whole.clone())
    }

    /// The URI that the client asked for, as far as is known.
    pub(super) fn whole<'r, A>(&self, request: &'r Request<A>) -> &'r Uri {
        let told = self.original.told(request.extensions());
        told.unwrap_or(request.uri())
    }

    /// The request if a rule takes it, or why it bypasses the cache, by the URI that the client asked for. Its
    /// key is written to `key`.
    pub(super) fn request<A>(
        &self,
        engine: &Engine,
        request: &Request<A>,
        key: &mut KeyBuilder,
    ) -> Option<Result<CacheRequest, Bypass>> {
        let own = request.uri();
        let told = self.original.told(request.extensions());
        if let Some(original) = told.filter(|told| *told != own) {
            return self.request_below(engine, request, original, key);
        }
        let mut found = engine.request(request, own.path(), own, key);
        if let Some(Ok(asked)) = &mut found {
            self.layers.note_asked();
            let sure = told.is_some() && matches!(self.original, OriginalUri::Read(_));
            if let Some(name) = self.apart(sure) {
                let before = key.as_bytes().len();
                key.component(Component::Layer, name);
                asked.target.added = key.as_bytes().len() - before;
            }
        }
        found
    }

    /// A request whose URI something in front has changed. Rules may say what the client
    /// sees, or what this layer sees; the key has both.
    fn request_below<A>(
        &self,
        engine: &Engine,
        request: &Request<A>,
        original: &Uri,
        key: &mut KeyBuilder,
    ) -> Option<Result<CacheRequest, Bypass>> {
        let own = request.uri();
        let by_whole = engine.request(request, original.path(), original, key);
        let by_own_path = by_whole.is_none();
        let mut found = by_whole.or_else(|| engine.request(request, own.path(), original, key));
        if let Some(Ok(asked)) = &mut found {
            self.layers.note_asked();
            let before = key.as_bytes().len();
            if let Some(name) = self.apart(true) {
                key.component(Component::Layer, name);
            }
            rewritten(key, own, original);
            asked.target.original = Some(original.clone());
            asked.target.by_own_path = by_own_path;
            asked.target.added = key.as_bytes().len() - before;
        }
        found
    }

    /// What tells this layer's keys from others'. Where the URI is for `sure` the whole one, that does.
    fn apart(&self, sure: bool) -> Option<&[u8]> {
        match &self.name {
            Name::Given(name) => Some(name.as_bytes()),
            Name::Made(..) if sure => None,
            Name::Made(_, mounted) => mounted.get()?.apart(),
        }
    }
}

impl OriginalUri {
    fn told<'r>(&self, extensions: &'r Extensions) -> Option<&'r Uri> {
        match self {
            Self::Framework => framework(extensions),
            Self::Read(read) => read(extensions),
        }
    }
}

/// Where axum keeps the URI that came to the outermost router.
#[cfg(feature = "axum")]
fn framework(extensions: &Extensions) -> Option<&Uri> {
    let original = extensions.get::<axum::extract::OriginalUri>()?;
    Some(&original.0)
}

#[cfg(not(feature = "axum"))]
const fn framework(_: &Extensions) -> Option<&Uri> {
    None
}

/// The inner service reads `own`, in which a layer in front may have put more than it took away, so it
/// counts beside the `original` (P5).
fn rewritten(key: &mut KeyBuilder, own: &Uri, original: &Uri) {
    key.component(Component::Path, own.path().as_bytes());
    if own.query() != original.query() {
        key.component(Component::Query, own.query().unwrap_or_default().as_bytes());
    }
    if own.authority() != original.authority() {
        let host = own.authority().map_or("", |authority| authority.as_str());
        key.component(Component::Host, host.as_bytes());
    }
}

impl fmt::Debug for OriginalUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => f.write_str("OriginalUri(read)"),
            Self::Framework => f.write_str("OriginalUri(framework)"),
        }
    }
}
