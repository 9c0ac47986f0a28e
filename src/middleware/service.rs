//! [`CacheService`].

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, Version};
use http_body::Body;
use tower_service::Service;

use crate::engine::{Engine, settle_conditions};
use crate::error::BoxError;
use crate::key::KeyBuilder;
use crate::middleware::place::Place;
use crate::middleware::{CacheBody, ResponseFuture};
use crate::outcome::{Detail, ForwardReason, Why};
use crate::rules::Bypass;
use crate::semantics::{self, Passed};

/// A service behind the cache. See the [module docs](crate::middleware).
#[derive(Debug, Clone)]
pub struct CacheService<S> {
    engine: Arc<Engine>,
    place: Arc<Place>,
    tells_passed: bool,
    inner: S,
}

impl<S> CacheService<S> {
    pub(super) const fn new(
        engine: Arc<Engine>,
        place: Arc<Place>,
        tells_passed: bool,
        inner: S,
    ) -> Self {
        Self {
            engine,
            place,
            tells_passed,
            inner,
        }
    }

    /// What is told of a request that no rule takes, if anything is.
    fn passed(&self, method: &Method) -> Option<Passed> {
        let passed = if looked_up(method) {
            Passed::NoRule
        } else {
            Passed::Method
        };
        self.tells_passed.then_some(passed)
    }
}

/// Whether there are stored responses for the method.
fn looked_up(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
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

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let engine = &self.engine;
        // Before anything looks at them: HTTP/2 may send each cookie on its own (SAFETY 69).
        if request.version() >= Version::HTTP_2 {
            semantics::join_cookies(request.headers_mut());
        }
        if let Some(target) = self.place.changed(engine, &request) {
            let (engine, inner) = (Arc::clone(engine), self.inner.clone());
            let changing = ResponseFuture::engine(engine.change(target, request, inner));
            let changing = changing.because(ForwardReason::Method);
            return changing.telling(self.tells_passed.then_some(Passed::Method));
        }
        let mut key = KeyBuilder::new();
        let Some(asked) = self.place.request(engine, &request, &mut key) else {
            if let Some(refused) = settle_conditions(&mut request) {
                return ResponseFuture::ready(refused);
            }
            let passed = self.passed(request.method());
            let reason = match looked_up(request.method()) {
                true => ForwardReason::Bypass,
                false => ForwardReason::Method,
            };
            let forwarded = ResponseFuture::forward(self.inner.clone(), request);
            return forwarded.because(reason).telling(passed);
        };
        let has_body = !request.body().is_end_stream();
        let bypass = |rule, detail| Bypass {
            rule,
            why: Why::new(ForwardReason::Bypass, detail),
        };
        let Bypass { rule, why } = match asked {
            // It may change something, with a body or without.
            Err(refused) if refused.why.detail == Some(Detail::MethodOverride) => refused,
            // What a body asks for is in no key.
            Err(Bypass { rule, .. }) if has_body => bypass(rule, Detail::Body),
            Ok(asked) if has_body => bypass(asked.rule, Detail::Body),
            Err(refused) => refused,
            Ok(asked) if engine.fills.doubts(&asked.rule, request.uri().path()) => {
                bypass(asked.rule, Detail::OddPath)
            }
            Ok(mut asked) => {
                self.place.settle_codings(&mut request);
                if let Some(response) = engine.answer(&mut asked, key.as_bytes(), &request) {
                    return ResponseFuture::ready(response);
                }
                let (engine, inner) = (Arc::clone(engine), self.inner.clone());
                asked.key = key.finish();
                return ResponseFuture::engine(engine.serve(asked, request, inner));
            }
        };
        let overridden = why.detail == Some(Detail::MethodOverride);
        let target = overridden.then(|| self.place.whole(&request).clone());
        let (engine, inner) = (Arc::clone(engine), self.inner.clone());
        ResponseFuture::engine(engine.bypass(rule, why, target, request, inner)).because(why.reason)
    }
}
