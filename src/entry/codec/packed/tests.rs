use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::entry::codec::{checksum, decode, encode};
use crate::entry::{Freshness, Ready};
use crate::key::CacheKey;
use crate::position::{Position, Stamp};
use crate::tag::TagSet;

/// What an API answers: the same names again and again.
fn json(items: usize) -> String {
    let item = |n| {
        format!(
            "{{\"id\":{n},\"seller\":\"0x{:040x}\",\"price\":\"{}\"}}",
            n * n,
            n * 7
        )
    };
    let items: Vec<String> = (0..items).map(item).collect();
    format!("[{}]", items.join(","))
}

fn page(body: &str) -> Entry {
    Entry::Response(Arc::new(StoredResponse {
        stamp: Stamp::at(Position::new(7, 3)),
        key: CacheKey::from_bytes(Bytes::from_static(b"key")),
        path: "/a".into(),
        tags: TagSet::implicit("rule", "/a"),
        received_at: Timestamp::from_millis(1_000),
        initial_age: Duration::ZERO,
        freshness: Freshness::default(),
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        trailers: None,
        ready: Ready::default(),
    }))
}

fn with_field(name: &'static str, value: &'static str) -> Entry {
    let Entry::Response(stored) = page(&json(100)) else {
        unreachable!("a response")
    };
    let mut stored = StoredResponse::clone(&stored);
    stored.headers.insert(name, HeaderValue::from_static(value));
    Entry::Response(Arc::new(stored))
}

/// `content` as a packed frame that says it is `length` long.
fn forged(content: &[u8], length: usize) -> Bytes {
    let small = zstd::compress(content).expect("it can be compressed");
    let mut frame = begun(0);
    frame.push(PACKED);
    frame.count(length);
    frame.extend_from_slice(&small);
    sealed(frame)
}

#[test]
fn an_entry_is_the_same_when_it_is_unpacked_and_takes_less() {
    for items in [20, 500, 20_000] {
        let entry = page(&json(items));
        let frame = encode(&entry);
        let packed = pack(&frame).expect("it helps");
        assert!(
            packed.len() * 2 < frame.len(),
            "{} of {}",
            packed.len(),
            frame.len()
        );
        assert_eq!(unpacked_length(&packed), Some(frame.len() - PREFIX));
        assert_eq!(decode(packed), Ok(entry));
        assert_eq!(unpacked_length(&frame), None);
    }
}

proptest! {
    #[test]
    fn whatever_is_packed_is_the_same_when_it_is_unpacked(
        piece in "[a-z0-9 ]{1,200}", times in 1_usize..200
    ) {
        let entry = page(&piece.repeat(times));
        if let Some(packed) = pack(&encode(&entry)) {
            prop_assert!(packed.len() < encode(&entry).len());
            prop_assert_eq!(decode(packed), Ok(entry));
        }
    }

    #[test]
    fn safety_63_a_damaged_packed_frame_is_no_entry(at in 0_usize..2_000, bits in 1_u8..) {
        let whole = pack(&encode(&page(&json(100)))).expect("it helps");
        let at = at % whole.len();
        let mut damaged = whole.to_vec();
        damaged[at] ^= bits;
        prop_assert!(decode(damaged.clone().into()).is_err());
        // Under a checksum that is right: whatever it says, it neither panics nor is believed beyond its
        // means.
        if at >= PREFIX {
            let sum = checksum(&damaged[PREFIX..]);
            damaged[PREFIX - 8..PREFIX].copy_from_slice(&sum);
            let _ = decode(damaged.into());
        }
    }
}

#[test]
fn safety_63_a_packed_frame_cut_short_is_no_entry() {
    let whole = pack(&encode(&page(&json(100)))).expect("it helps");
    for length in 0..whole.len() {
        assert!(decode(whole.slice(..length)).is_err(), "{length}");
    }
}

#[test]
fn safety_63_a_frame_that_says_more_than_it_can_hold_is_refused_before_memory_is_taken() {
    let content = [0; 1 << 20];
    assert_eq!(decode(forged(&content, content.len())), Err("too long"));
    assert_eq!(decode(forged(&content, usize::MAX)), Err("too long"));
    // Never written either.
    let mut frame = begun(0);
    frame.extend_from_slice(&content);
    assert_eq!(pack(&sealed(frame)), None);
}

#[test]
fn safety_63_a_frame_that_is_longer_or_shorter_than_it_says_is_refused() {
    let frame = encode(&page(&json(100)));
    let content = &frame[PREFIX..];
    for (length, reason) in [
        (content.len() - 1, "not compressed as it says"),
        (content.len() + 1, "not as long as it says"),
    ] {
        assert_eq!(decode(forged(content, length)), Err(reason));
    }
}

#[test]
fn only_a_response_is_unpacked() {
    let packed = pack(&encode(&page(&json(100)))).expect("it helps");
    for content in [&packed[PREFIX..], &[2, 1, b'k', 0], &[3; 20], &[]] {
        assert!(
            decode(forged(content, content.len())).is_err(),
            "{content:?}"
        );
    }
}

#[test]
fn what_is_short_or_compressed_already_stays_as_it_is() {
    assert!(is_worth_packing(&page(&json(100))));
    assert!(is_worth_packing(&with_field(
        "content-type",
        "image/svg+xml; charset=utf-8"
    )));
    assert!(!is_worth_packing(&page("short")));
    for (name, value) in [
        ("content-encoding", "gzip"),
        ("content-type", "Image/PNG"),
        ("content-type", "video/mp4; codecs=avc1"),
        ("content-type", "application/zip"),
    ] {
        assert!(!is_worth_packing(&with_field(name, value)), "{value}");
    }
    let noise: String = (0..4_000).map(|_| fastrand::alphanumeric()).collect();
    let mut hard = encode(&page(&noise)).to_vec();
    for byte in &mut hard[PREFIX..] {
        *byte = fastrand::u8(..);
    }
    assert_eq!(pack(&hard), None, "it saves nothing");
}
