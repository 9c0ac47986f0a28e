//! What the admin listener answers with.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::admin::access::Denial;

/// A whole answer.
pub(super) type Answer = Response<Bytes>;

pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    text(status, "application/json", format!("{value}\n"))
}

pub(super) fn text(status: StatusCode, media_type: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Bytes::from(text));
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, media_type);
    set(&mut answer, CACHE_CONTROL, "no-store");
    answer
}

/// An error that says what is wrong.
pub(super) fn error(status: StatusCode, message: &str) -> Answer {
    json(status, &json!({ "error": message }))
}

pub(super) fn denied(why: Denial) -> Answer {
    match why {
        Denial::Token => {
            let message = "the admin token is missing or wrong";
            let mut answer = error(StatusCode::UNAUTHORIZED, message);
            set(&mut answer, WWW_AUTHENTICATE, "Bearer");
            answer
        }
        Denial::Never(message) => error(StatusCode::FORBIDDEN, message),
    }
}

/// The path is known, but not with this method.
pub(super) fn only(methods: &'static str) -> Answer {
    let message = format!("the method here is {methods}");
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, &message);
    set(&mut answer, ALLOW, methods);
    answer
}

fn set(answer: &mut Answer, name: HeaderName, value: &'static str) {
    let value = HeaderValue::from_static(value);
    answer.headers_mut().insert(name, value);
}
