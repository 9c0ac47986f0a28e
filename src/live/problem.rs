//! [`Problem`]: why a request is not answered with updates.

use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
    WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

/// An answer that is no stream, as `application/problem+json` (RFC 9457).
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            fields: Vec::new(),
        }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.fields.push((name, HeaderValue::from_static(value)));
        self
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail).with(WWW_AUTHENTICATE, "Bearer")
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no live updates here")
    }

    pub(super) fn method(allowed: &'static str) -> Self {
        let detail = format!("the methods here are {allowed}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail).with(ALLOW, allowed)
    }

    pub(super) fn websocket_version() -> Self {
        let detail = "WebSocket needs HTTP/1.1 and version 13 (RFC 6455)";
        // RFC 9110 §15.5.22: what is to be upgraded to.
        Self::new(StatusCode::UPGRADE_REQUIRED, detail)
            .with(SEC_WEBSOCKET_VERSION, "13")
            .with(UPGRADE, "websocket")
            .with(CONNECTION, "upgrade")
    }

    pub(super) fn no_upgrade() -> Self {
        let detail =
            "this server does not hand connections over: hyper's upgrade is not in the request";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    pub(super) fn too_many_of_one() -> Self {
        let detail =
            "too many connections from this address; close some, or try again in 10 seconds";
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with(RETRY_AFTER, "10")
    }

    pub(super) fn too_many() -> Self {
        let detail = "all places are taken; try again in 10 seconds";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, "10")
    }

    pub(super) fn closing() -> Self {
        let detail = "the server is shutting down; connect again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, "1")
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn response(self) -> Response<String> {
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = Response::new(body.to_string());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, problem);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.fields);
        response
    }
}
