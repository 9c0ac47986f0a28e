//! Requests that a rule matched and that are answered without the cache.

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use std::sync::Arc;
use tower::ServiceExt;
use tower_service::Service;

use crate::engine::invalidate::Change;
use crate::engine::{CacheBody, Engine, Why};
use crate::error::BoxError;
use crate::outcome::{NotStored, Outcome, Storing};
use crate::rules::CompiledRule;

impl Engine {
    /// The rule says that this request is not for the cache. By a method that stands in a field it may
    /// change what is stored under `target`.
    pub(crate) async fn bypass<S, A, B>(
        self: Arc<Self>,
        rule: Arc<CompiledRule>,
        why: Why,
        target: Option<Uri>,
        request: Request<A>,
        inner: S,
    ) -> Result<Response<CacheBody<B>>, S::Error>
    where
        S: Service<Request<A>, Response = Response<B>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        // It changes things as one in the request line does.
        let change = target.map(|target| Change::new(target, request.uri(), request.headers()));
        let passed = self.pass(&rule, why.outcome(), why.not_stored(), request, inner);
        let response = passed.await?;
        if let Some(change) = change {
            self.invalidate(&change, response.status(), response.headers())
                .await;
        }
        Ok(response)
    }

    /// Forwards without sharing or storing.
    pub(super) async fn pass<S, A, B>(
        &self,
        rule: &CompiledRule,
        mut outcome: Outcome,
        not_stored: NotStored,
        mut request: Request<A>,
        inner: S,
    ) -> Result<Response<CacheBody<B>>, S::Error>
    where
        S: Service<Request<A>, Response = Response<B>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        request.extensions_mut().insert(self.mark());
        outcome.storing = Some(Storing::NotStored(not_stored));
        let response = inner.oneshot(request).await;
        self.passed(rule, outcome, response)
    }

    fn passed<B, E>(
        &self,
        rule: &CompiledRule,
        outcome: Outcome,
        response: Result<Response<B>, E>,
    ) -> Result<Response<CacheBody<B>>, E> {
        match response {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                Ok(self.finish_parts(rule, parts, CacheBody::forwarded(body), &outcome))
            }
            Err(error) => {
                self.report(rule.name(), &outcome);
                Err(error)
            }
        }
    }
}
