//! What the tables of this module share, and what holds for all its parsers.

use std::time::Duration;

use http::header::{
    AGE, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, DATE, ETAG, EXPIRES, HeaderMap, HeaderName,
    HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, PRAGMA, RANGE, VARY,
};
use http::{Method, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::key::KeyBuilder;

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

const READ: [HeaderName; 16] = [
    AGE,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    ETAG,
    EXPIRES,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    LAST_MODIFIED,
    PRAGMA,
    RANGE,
    VARY,
    HeaderName::from_static("accept-language"),
    HeaderName::from_static("content-type"),
];

/// Bytes that parsers stumble over, more often than chance would have them.
fn any_value() -> impl Strategy<Value = HeaderValue> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6),
        prop::sample::select(vec![
            &b"\""[..],
            b"\\",
            b",",
            b"=",
            b" ",
            b"*",
            b"W/",
            b"bytes=",
            b"-",
            b"0",
            b"9",
            b"max-age",
            b"private",
            b"no-cache",
            b"s-maxage",
            b"99999999999999999999",
            b" GMT",
            b"Sun, ",
            b"06 Nov 1994",
            b" 08:49:37",
            b"Sunday, 06-Nov-94",
            b"Sun Nov  6",
            b";",
            b"vary",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| {
        let mut bytes = pieces.concat();
        bytes.retain(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f);
        HeaderValue::from_bytes(&bytes).unwrap()
    })
}

fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let line = (prop::sample::select(READ.to_vec()), any_value());
    prop::collection::vec(line, 0..8).prop_map(|lines| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    })
}

proptest! {
    #[test]
    fn no_parser_panics_on_any_bytes(
        request in any_headers(),
        response in any_headers(),
        times in (any::<u64>(), any::<u64>()),
        length in prop_oneof![0_u64..20, any::<u64>()],
        status in 100_u16..1000,
    ) {
        let (now, earlier) = (Timestamp::from_millis(times.0), Timestamp::from_millis(times.1));
        let (get, ok) = (&Method::GET, StatusCode::OK);
        let status = StatusCode::from_u16(status).unwrap();
        let told = ResponseDirectives::parse(&response);
        let wishes = RequestDirectives::parse(&request);
        let age = corrected_initial_age(&response, earlier, now);
        let _ = lifetime(status, &response, &told, now);
        let terms = Terms {
            lifetime: Duration::from_millis(length),
            always_validate: told.no_cache.is_whole(),
            stale_forbidden: stale_forbidden(&told),
            immutable: told.immutable,
        };
        let _ = freshness::reuse(&wishes, &terms, age);
        let caution = Caution::default();
        let _ = may_store(get, &request, status, &response, &told, &wishes, caution);
        let mut stored = stored_fields(&response, &told, StoreSetCookie::Keep);
        if let Vary::Fields(fields) = Vary::parse(&response) {
            append_variant(&mut KeyBuilder::new(), &fields, &request);
        }
        let _ = evaluate_conditions(get, &request, ok, &response, now);
        let _ = conditional_fields(&response, now);
        let _ = (is_strong_validator(&response, now), identifies(&request, &response, now));
        let _ = freshen(&stored, &request, now, StoreSetCookie::Keep);
        if let Selection::Part(range) = select(get, &request, ok, &response, length, now) {
            prop_assert!(range.start() <= range.end() && *range.end() < length);
            part_fields(&mut stored, &range, length);
        }
        set_age(&mut stored, age);
    }
}
