//! Our own validators, which the inner service knows nothing of (SAFETY 77).

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

use crate::engine::CacheBody;
use crate::rules::names_unsafe_method;
use crate::semantics::{self, Conditions};

/// Takes our own validators out of a request that is forwarded as the client sent it.
pub(super) fn without_own<A>(request: &mut Request<A>) -> Conditions {
    let unsafe_method = semantics::is_unsafe(request.method());
    let changes = |fields: &HeaderMap| unsafe_method || names_unsafe_method(fields);
    semantics::drop_own(changes, request.headers_mut())
}

/// Takes our own validators out of a request that no rule takes; an answer, where it is not to be forwarded.
pub(crate) fn settle_conditions<A, B>(request: &mut Request<A>) -> Option<Response<CacheBody<B>>> {
    (without_own(request) == Conditions::Failed).then(precondition_failed)
}

/// 412, as only this cache knows the validators that the request depends on.
pub(super) fn precondition_failed<B>() -> Response<CacheBody<B>> {
    let mut response = Response::new(CacheBody::empty());
    *response.status_mut() = StatusCode::PRECONDITION_FAILED;
    let status = HeaderValue::from_static("tagcache; fwd=method; detail=own-validator");
    response.headers_mut().insert("cache-status", status);
    response
}
