//! Answers of the proxy itself: a status and a line of text.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};

/// Why a request is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `CONNECT` asks for a tunnel to anywhere.
    Connect,
    /// The request target is none that this method may have (RFC 9112 §3.2).
    Target,
    /// `Host` is missing, there twice, malformed, or not the one of the target (RFC 9112 §3.2).
    Host,
    /// A transfer coding other than `chunked` (RFC 9112 §6.1).
    Coding,
    /// `Content-Length` is no number, or several (RFC 9110 §8.6).
    Length,
    /// More field lines than may be (RFC 6585 §5).
    Fields,
    /// A value begins or ends with white space, which HTTP/2 has no place for (RFC 9113 §8.2.1).
    Value,
    /// `100-continue`, which cannot be said over HTTP/2 here (RFC 9110 §10.1.1).
    Expectation,
    /// `Max-Forwards` is used up: this is the recipient of a `TRACE` (RFC 9110 §7.6.2).
    Trace,
    /// `Max-Forwards` is used up: this is the recipient of an `OPTIONS` (RFC 9110 §7.6.2).
    Options,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Connect | Self::Trace => StatusCode::METHOD_NOT_ALLOWED,
            Self::Target | Self::Host | Self::Length | Self::Value => StatusCode::BAD_REQUEST,
            Self::Fields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::Options => StatusCode::OK,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT is not served here\n",
            Self::Target => "the request target is malformed\n",
            Self::Host => "the request needs one Host that is the one of its target\n",
            Self::Coding => "the only transfer coding understood is chunked\n",
            Self::Length => "Content-Length is not one number\n",
            Self::Fields => "the request has too many fields\n",
            Self::Value => "a field value begins or ends with white space\n",
            Self::Expectation => "send the request without Expect\n",
            Self::Trace => "TRACE is not answered here\n",
            Self::Options => "",
        }
    }

    /// After these the rest of the connection may not mean what its sender thinks.
    const fn closes(self) -> bool {
        matches!(
            self,
            Self::Connect | Self::Target | Self::Host | Self::Coding | Self::Length
        )
    }

    pub(super) fn response<B: From<Bytes>>(self, http1: bool) -> Response<B> {
        let mut response = plain(self.status(), self.text());
        if self == Self::Trace {
            let others = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
            response.headers_mut().insert(ALLOW, others);
        }
        if self.closes() && http1 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }
}

/// A plain answer that no cache keeps.
pub(super) fn plain<B: From<Bytes>>(status: StatusCode, text: &'static str) -> Response<B> {
    let mut response = Response::new(B::from(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !text.is_empty() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, plain);
    }
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(HeaderName::from_static("cache-control"), no_store);
    response
}
