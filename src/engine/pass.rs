//! Requests that a rule matched and that are answered without the cache.

use std::sync::Arc;

use http::{HeaderMap, Request, Response, StatusCode, Uri};
use tower::ServiceExt;

use crate::engine::change::Change;
use crate::engine::own_validators::without_own;
use crate::engine::{CacheBody, Engine, InnerService, ServiceResult};
use crate::outcome::{NotStored, Outcome, Storing, Why};
use crate::rules::{CompiledRule, names_unsafe_method};
use crate::semantics::{self, Conditions};

impl Engine {
    /// The rule says that this request is not for the cache. By a method that stands in a field it may
    /// change what is stored under `target`.
    pub(crate) async fn bypass<S, A>(
        self: Arc<Self>,
        rule: Arc<CompiledRule>,
        why: Why,
        target: Option<Uri>,
        request: Request<A>,
        inner: S,
    ) -> ServiceResult<S, A>
    where
        S: InnerService<A>,
    {
        // It changes things as one in the request line does.
        let target = target.filter(|_| may_change(&request));
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
    pub(super) async fn pass<S, A>(
        &self,
        rule: &CompiledRule,
        mut outcome: Outcome,
        not_stored: NotStored,
        mut request: Request<A>,
        inner: S,
    ) -> ServiceResult<S, A>
    where
        S: InnerService<A>,
    {
        if without_own(&mut request) == Conditions::Failed {
            let (status, body) = (StatusCode::PRECONDITION_FAILED, CacheBody::empty());
            return Ok(self
                .answers
                .finish(rule, status, HeaderMap::new(), body, &outcome));
        }
        let asks_for_304 = semantics::asks_for_304(request.headers());
        request.extensions_mut().insert(self.mark());
        outcome.storing = Some(Storing::NotStored(not_stored));
        let response = inner.oneshot(request).await;
        self.passed(rule, outcome, asks_for_304, response)
    }

    fn passed<B, E>(
        &self,
        rule: &CompiledRule,
        mut outcome: Outcome,
        asks_for_304: bool,
        response: Result<Response<B>, E>,
    ) -> Result<Response<CacheBody<B>>, E> {
        match response {
            // The client has nothing that it could speak of (RFC 9110 §15.4.5).
            Ok(response) if response.status() == StatusCode::NOT_MODIFIED && !asks_for_304 => {
                outcome.forward_status = Some(StatusCode::NOT_MODIFIED);
                let (status, body) = (StatusCode::BAD_GATEWAY, CacheBody::empty());
                Ok(self
                    .answers
                    .finish(rule, status, HeaderMap::new(), body, &outcome))
            }
            Ok(response) => {
                let (parts, body) = CacheBody::forward(response).into_parts();
                Ok(self.answers.finish_parts(rule, parts, body, &outcome))
            }
            Err(error) => {
                self.answers.report(rule.name(), &outcome);
                Err(error)
            }
        }
    }
}

/// Whether a request may change something, by its method or by one that a field puts in its place.
fn may_change<A>(request: &Request<A>) -> bool {
    semantics::is_unsafe(request.method()) || names_unsafe_method(request.headers())
}
