//! [`Problem`]: why a request is not answered with updates.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

/// An answer that is no stream, as `application/problem+json` (RFC 9457).
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    field: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            field: None,
        }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.field = Some((name, HeaderValue::from_static(value)));
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
        let detail = "WebSocket is spoken in version 13, over HTTP/1.1 (RFC 6455)";
        let name = HeaderName::from_static("sec-websocket-version");
        Self::new(StatusCode::UPGRADE_REQUIRED, detail).with(name, "13")
    }

    pub(super) fn too_many_of_one() -> Self {
        let detail = "too many connections of this address";
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with(RETRY_AFTER, "10")
    }

    pub(super) fn too_many() -> Self {
        let detail = "as many clients as there may be";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, "10")
    }

    pub(super) fn closing() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "this server ends").with(RETRY_AFTER, "1")
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
        headers.extend(self.field);
        response
    }
}
