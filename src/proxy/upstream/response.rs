//! A response as the cache gets it: without what belongs to the upstream connection, with `Date` and
//! `Via`.

use std::time::SystemTime;

use http::header::{CONTENT_LENGTH, DATE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderValue, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};

use crate::proxy::fields::{is_hop_by_hop, remove_hop_by_hop, settle_length, understood};
use crate::proxy::forwarded::{append_via, widen_vary};

/// Whether it is clear where the body ends and what it is: not with another coding than `chunked`, for
/// which nobody asked, and not with a length beside it (RFC 9112 §6.1, §6.3: to be handled as an error).
pub(super) fn is_framed(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    if response.body().is_end_stream() || !headers.contains_key(TRANSFER_ENCODING) {
        return true;
    }
    understood(headers) && !headers.contains_key(CONTENT_LENGTH)
}

/// Makes the head fit to be kept and passed on, stamped with `now` if upstream has no clock (RFC 9110
/// §6.6.1). The protocol that was switched to, if it was.
pub(super) fn settle(
    response: &mut Response<Incoming>,
    name: &str,
    now: SystemTime,
) -> Option<HeaderValue> {
    let version = response.version();
    *response.version_mut() = Version::HTTP_11;
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    let mut upgrade = None;
    if headers.keys().any(is_hop_by_hop) {
        upgrade = remove_hop_by_hop(headers).upgrade;
    }
    settle_length(headers);
    if !headers.contains_key(DATE) {
        let date = httpdate::fmt_http_date(now);
        if let Ok(date) = HeaderValue::from_str(&date) {
            headers.insert(DATE, date);
        }
    }
    widen_vary(headers);
    append_via(headers, version, name);
    if !switched {
        return None;
    }
    // Our side of the connection switches too (RFC 9110 §7.8).
    if let Some(protocol) = &upgrade {
        headers.insert(UPGRADE, protocol.clone());
        let named = HeaderValue::from_static("upgrade");
        headers.insert(http::header::CONNECTION, named);
    }
    upgrade
}
