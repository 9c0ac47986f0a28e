//! [`CacheService`].

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::ServiceExt;
use tower_service::Service;

use crate::builder::Cache;
use crate::error::BoxError;
use crate::middleware::{CacheBody, ResponseFuture};
use crate::rules::Plan;

/// A service behind the cache. See the [module docs](crate::middleware).
#[derive(Debug, Clone)]
pub struct CacheService<S> {
    cache: Cache,
    inner: S,
}

impl<S> CacheService<S> {
    pub(crate) const fn new(cache: Cache, inner: S) -> Self {
        Self { cache, inner }
    }
}

impl<S, A, B> Service<Request<A>> for CacheService<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    A: Body + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<CacheBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, A, B>;

    /// Always ready: a hit must neither wait for the inner service nor hold its permit. Each forward
    /// readies a clone of its own.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let engine = self.cache.engine();
        let Some(matched) = engine.matching(&request) else {
            return ResponseFuture::forward(self.inner.clone().oneshot(request));
        };
        let plan = matched.plan(&request);
        let (engine, inner) = (engine.clone(), self.inner.clone());
        match plan {
            Plan::Bypass(bypass) => ResponseFuture::engine(engine.bypass(bypass, request, inner)),
            Plan::Lookup(planned) => ResponseFuture::engine(engine.serve(planned, request, inner)),
        }
    }
}
