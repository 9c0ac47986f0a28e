//! What the tables of this module share.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::Timestamp;

/// 2026-11-23 00:00:00 UTC, a Monday.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_392_000_000);

/// A header section with these lines.
pub(super) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}
