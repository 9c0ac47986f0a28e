//! Requests and responses, as a test writes them.

use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

pub type Body = UnsyncBoxBody<Bytes, Failure>;

/// How an inner service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure(pub &'static str);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Failure {}

impl From<Infallible> for Failure {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

pub fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::new(empty());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
    *request.uri_mut() = target.parse().expect("a target");
    append(request.headers_mut(), fields);
    request
}

pub fn get(target: &str, fields: &[(&str, &str)]) -> Request<Body> {
    request("GET", target, fields)
}

pub fn append(headers: &mut HeaderMap, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
    }
}

pub fn empty() -> Body {
    body(Bytes::new())
}

pub fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A 200 with these fields.
pub fn ok(fields: &[(&str, &str)], text: impl Into<Bytes>) -> Response<Body> {
    response(200, fields, body(text))
}

pub fn response(status: u16, fields: &[(&str, &str)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    append(response.headers_mut(), fields);
    response
}
