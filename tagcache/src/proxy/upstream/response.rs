//! A response as the cache gets it: without what belongs to the upstream connection, with `Date` and
//! `Via`.

use std::time::SystemTime;

use http::header::{CONTENT_LENGTH, DATE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderValue, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};

use crate::proxy::fields::{
    Removal, has_outer_space, is_hop_by_hop, remove_hop_by_hop, settle_length, understood,
};
use crate::proxy::forwarded::{append_via, widen_vary};
use crate::proxy::upstream::failure::FailureKind;

/// Whether it is clear where the body ends and what it is: not with another coding than `chunked`, for
/// which nobody asked, and not with a length beside it (RFC 9112 §6.1, §6.3: to be handled as an error).
fn is_framed(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    if response.body().is_end_stream() || !headers.contains_key(TRANSFER_ENCODING) {
        return true;
    }
    understood(headers) && !headers.contains_key(CONTENT_LENGTH)
}

/// What is wrong with a head that the client library has accepted.
pub(super) fn check(response: &mut Response<Incoming>, fields: usize) -> Result<(), FailureKind> {
    if !is_framed(response) {
        return Err(FailureKind::Malformed);
    }
    // Over HTTP/1.1 the parser has seen to both; over HTTP/2 nobody has (RFC 9113 §8.2.1).
    if response.version() == Version::HTTP_2
        && (response.headers().len() > fields || has_outer_space(response.headers()))
    {
        return Err(FailureKind::Malformed);
    }
    let bodiless = response.status() == StatusCode::NO_CONTENT;
    if bodiless || response.status().is_informational() {
        // It must have none (RFC 9110 §8.6), and would be taken for a body that did not come.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    let settled = settle_length(response.headers_mut());
    settled.map_err(|_| FailureKind::Malformed)
}

/// Makes the head fit to be kept and passed on, stamped with `now` if upstream has no clock (RFC 9110
/// §6.6.1). What was removed of it; the protocol that was switched to only if it was.
pub(super) fn settle(response: &mut Response<Incoming>, name: &str, now: SystemTime) -> Removal {
    let version = response.version();
    *response.version_mut() = Version::HTTP_11;
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    let mut removed = Removal::default();
    if headers.keys().any(is_hop_by_hop) {
        removed = remove_hop_by_hop(headers);
    }
    if !headers.contains_key(DATE) {
        let date = httpdate::fmt_http_date(now);
        if let Ok(date) = HeaderValue::from_str(&date) {
            headers.insert(DATE, date);
        }
    }
    widen_vary(headers);
    append_via(headers, version, name);
    if !switched {
        removed.upgrade = None;
    }
    // Our side of the connection switches too (RFC 9110 §7.8).
    if let Some(protocol) = &removed.upgrade {
        headers.insert(UPGRADE, protocol.clone());
        let named = HeaderValue::from_static("upgrade");
        headers.insert(http::header::CONNECTION, named);
    }
    removed
}
