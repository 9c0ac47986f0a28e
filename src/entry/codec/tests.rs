use http::header::{CONTENT_TYPE, ETAG, LINK, SET_COOKIE};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::tag::Tag;

/// A small response that uses every part of the layout.
fn sample() -> StoredResponse {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.append(LINK, HeaderValue::from_static("</a>"));
    headers.append(LINK, HeaderValue::from_bytes(b"</\xE9>").unwrap());
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    StoredResponse {
        stamp: Stamp::at(Position::new(0x0102_0304_0506_0708, 300)),
        key: CacheKey::from_bytes(Bytes::from_static(b"\x01\x03\x00\x00\x00GET")),
        path: "/a/\u{e9}".into(),
        tags: TagSet::from_ids([TagId::ALL, TagId::from_raw(u64::MAX)]),
        received_at: Timestamp::from_millis(1_795_392_000_000),
        initial_age: Duration::from_millis(1_500),
        freshness: Freshness {
            lifetime: Duration::from_secs(60),
            stale_while_revalidate: Duration::from_secs(5),
            stale_if_error: Duration::from_secs(86_400),
            always_validate: true,
            authorized: true,
            stale_forbidden: false,
            immutable: false,
            eagerness: Duration::ZERO,
        },
        status: StatusCode::OK,
        headers,
        body: Bytes::from_static(b"body"),
        trailers: Some(trailers),
        ready: Ready::default(),
    }
}

fn response(response: StoredResponse) -> Entry {
    Entry::Response(Arc::new(response))
}

fn variants() -> Entry {
    Entry::Variants(Arc::new(VariantIndex {
        key: CacheKey::from_bytes(Bytes::from_static(b"key")),
        fields: vec![http::header::ACCEPT, HeaderName::from_static("x-plan")],
    }))
}

/// A frame of this version with a true checksum over `content`, whatever that is.
fn framed(content: &[u8]) -> Bytes {
    let mut frame = MAGIC.to_vec();
    frame.push(VERSION);
    frame.extend_from_slice(&checksum(content));
    frame.extend_from_slice(content);
    frame.into()
}

/// Names, values and sensitivity, in the map's order: what `==` on maps does not compare.
fn lines(fields: &HeaderMap) -> Vec<(String, Vec<u8>, bool)> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        (
            name.to_string(),
            value.as_bytes().to_vec(),
            value.is_sensitive(),
        )
    };
    fields.iter().map(line).collect()
}

fn arbitrary_fields() -> impl Strategy<Value = HeaderMap> {
    let name = prop_oneof![
        Just(SET_COOKIE),
        Just(ETAG),
        Just(LINK),
        "[!#$%&'*+.^_`|~a-z0-9-]{1,70}".prop_map(|name| name.parse().unwrap()),
    ];
    // What a field value may hold: tab, visible ASCII, space, and obs-text (RFC 9110 §5.5).
    let byte = prop_oneof![Just(b'\t'), 0x20..=0x7E_u8, 0x80..=0xFF_u8];
    let value = (vec(byte, 0..40), any::<bool>()).prop_map(|(bytes, sensitive)| {
        let mut value = HeaderValue::from_bytes(&bytes).unwrap();
        value.set_sensitive(sensitive);
        value
    });
    vec((name, value), 0..12).prop_map(|lines| {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(name, value);
        }
        fields
    })
}

fn arbitrary_freshness() -> impl Strategy<Value = Freshness> {
    let flags = any::<(bool, bool, bool, bool)>();
    let times = any::<(u64, u64, u64, u64)>();
    (times, flags).prop_map(|((lifetime, swr, sie, eagerness), flags)| Freshness {
        lifetime: Duration::from_millis(lifetime),
        stale_while_revalidate: Duration::from_millis(swr),
        stale_if_error: Duration::from_millis(sie),
        always_validate: flags.0,
        authorized: flags.1,
        stale_forbidden: flags.2,
        immutable: flags.3,
        // None in half of them.
        eagerness: Duration::from_millis(eagerness.saturating_sub(u64::MAX / 2)),
    })
}

prop_compose! {
    fn arbitrary_response()(
        (epoch, ordinal, received_at, initial_age) in any::<(u64, u64, u64, u64)>(),
        key in vec(any::<u8>(), 0..200),
        path in any::<String>(),
        tags in btree_set(any::<u64>(), 0..140),
        freshness in arbitrary_freshness(),
        status in 100..=999_u16,
        headers in arbitrary_fields(),
        trailers in proptest::option::of(arbitrary_fields()),
        body in vec(any::<u8>(), 0..400),
    ) -> StoredResponse {
        StoredResponse {
            stamp: Stamp::at(Position::new(epoch, ordinal)),
            key: CacheKey::from_bytes(key.into()),
            path: path.into(),
            tags: TagSet::from_ids(tags.into_iter().map(TagId::from_raw)),
            received_at: Timestamp::from_millis(received_at),
            initial_age: Duration::from_millis(initial_age),
            freshness,
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.into(),
            trailers,
            ready: Ready::default(),
        }
    }
}

proptest! {
    #[test]
    fn safety_28_36_a_response_reads_back_exactly(written in arbitrary_response()) {
        let entry = response(written.clone());
        let Ok(Entry::Response(read)) = decode(encode(&entry)) else {
            return Err(TestCaseError::fail("not a response"));
        };
        prop_assert_eq!(lines(&read.headers), lines(&written.headers));
        prop_assert_eq!(read.trailers.as_ref().map(lines), written.trailers.as_ref().map(lines));
        prop_assert_eq!(&*read, &written);
    }

    #[test]
    fn a_variant_index_reads_back_exactly(
        key: Vec<u8>, names in vec("[a-z][a-z0-9-]{0,80}", 0..20)
    ) {
        let fields = names.iter().map(|name| name.parse().unwrap()).collect();
        let entry = Entry::Variants(Arc::new(VariantIndex { key: CacheKey::from_bytes(key.into()), fields }));
        prop_assert_eq!(decode(encode(&entry)), Ok(entry));
    }

    #[test]
    fn safety_63_arbitrary_bytes_are_no_entry(bytes: Vec<u8>) {
        prop_assert!(decode(bytes.into()).is_err());
    }

    /// The checksum hides the parser from random bytes; here it does not.
    #[test]
    fn safety_63_arbitrary_content_under_a_true_checksum_never_panics(
        kind in 1..=4_u8, flags in 0..=KNOWN_FLAGS, rest: Vec<u8>
    ) {
        let _ = decode(framed(&[&[kind, flags], rest.as_slice()].concat()));
    }

    #[test]
    fn safety_63_a_forged_byte_never_panics(at in 0..400_usize, byte: u8, cut in 0..400_usize) {
        for entry in [response(sample()), variants()] {
            let mut content = encode(&entry)[PREFIX..].to_vec();
            content.truncate(cut.max(1));
            let at = at % content.len();
            content[at] = byte;
            let _ = decode(framed(&content));
        }
    }
}

#[test]
fn every_status_reads_back() {
    for status in 100..=999 {
        let status = StatusCode::from_u16(status).unwrap();
        let entry = response(StoredResponse { status, ..sample() });
        assert_eq!(decode(encode(&entry)), Ok(entry), "{status}");
    }
}

#[test]
fn explicit_tags_read_back_as_the_same_set() {
    let mut tags = TagSet::implicit("rule", "/path");
    tags.add(&Tag::new("auction:0x1").unwrap()).unwrap();
    let entry = response(StoredResponse { tags, ..sample() });
    assert_eq!(decode(encode(&entry)), Ok(entry));
}

#[test]
fn a_fraction_of_a_millisecond_makes_it_older_and_its_lifetime_shorter() {
    let mut written = sample();
    written.initial_age = Duration::from_nanos(1_000_001);
    written.freshness.lifetime = Duration::from_nanos(1_999_999);
    let Ok(Entry::Response(read)) = decode(encode(&response(written))) else {
        panic!("not a response");
    };
    assert_eq!(read.initial_age, Duration::from_millis(2));
    assert_eq!(read.freshness.lifetime, Duration::from_millis(1));
}

#[test]
fn a_duration_beyond_64_bits_of_milliseconds_saturates() {
    let mut written = sample();
    written.initial_age = Duration::MAX;
    written.freshness.stale_if_error = Duration::MAX;
    let Ok(Entry::Response(read)) = decode(encode(&response(written))) else {
        panic!("not a response");
    };
    assert_eq!(read.initial_age, Duration::from_millis(u64::MAX));
    assert_eq!(
        read.freshness.stale_if_error,
        Duration::from_millis(u64::MAX)
    );
}

#[test]
fn no_trailers_and_empty_trailers_differ() {
    for trailers in [None, Some(HeaderMap::new())] {
        let written = StoredResponse {
            trailers,
            ..sample()
        };
        let entry = response(written);
        assert_eq!(decode(encode(&entry)), Ok(entry));
    }
}

#[test]
fn safety_63_every_truncation_and_every_extension_is_an_error() {
    for entry in [response(sample()), variants()] {
        let frame = encode(&entry);
        for length in 0..frame.len() {
            assert!(decode(frame.slice(..length)).is_err(), "{length} bytes");
        }
        for byte in [0, 1, 0x80, 0xFF] {
            let longer = [&frame[..], &[byte]].concat();
            assert!(decode(longer.into()).is_err(), "{byte} behind the end");
        }
    }
}

#[test]
fn safety_63_every_flipped_bit_is_an_error() {
    for entry in [response(sample()), variants()] {
        let frame = encode(&entry);
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(damaged.into()).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn safety_63_foreign_bytes_are_no_entry() {
    let newer = {
        let mut frame = encode(&variants()).to_vec();
        frame[MAGIC.len()] = 2;
        frame
    };
    for (name, bytes, reason) in [
        ("nothing", Vec::new(), "truncated"),
        ("JSON", br#"{"status":200}"#.to_vec(), "not an entry"),
        ("a word", b"OK".to_vec(), "truncated"),
        ("a number", b"1795392000".to_vec(), "not an entry"),
        ("gzip", b"\x1F\x8B\x08\0\0\0\0\0".to_vec(), "not an entry"),
        ("a pickle", b"\x80\x05\x95\x10".to_vec(), "not an entry"),
        ("HTTP", b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), "not an entry"),
        ("zeros", vec![0; 64], "not an entry"),
        ("version 2", newer, "another version"),
    ] {
        assert_eq!(decode(bytes.into()), Err(reason), "{name}");
    }
}

/// Content that the checksum vouches for, and that still makes no entry.
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn safety_63_lying_lengths_and_impossible_values_are_errors() {
    const HUGE: &[u8] = b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01";
    let head = |tags: &[u8]| [&[RESPONSE, 0], &[0; 14][..], &[200, 0], tags].concat();
    // No tags, an empty key, an empty path, then `fields`.
    let fields = |fields: &[u8]| [&head(b"\0\0\0"), fields].concat();
    let two_tags = [1_u64, 1].map(u64::to_le_bytes).concat();
    for (name, content, reason) in [
        ("no kind", vec![], "truncated"),
        ("kind 5", vec![5], "unknown kind"),
        ("a flag to come", vec![RESPONSE, 1 << 7], "unknown flag"),
        (
            "an ordinal of 70 bits",
            [&[RESPONSE, 0], &[0; 8][..], &[0xFF; 10]].concat(),
            "number over 64 bits",
        ),
        (
            "an ordinal without end",
            [&[RESPONSE, 0], &[0; 8][..], &[0x80; 40]].concat(),
            "number over 64 bits",
        ),
        (
            "status 99",
            [&[RESPONSE, 0], &[0; 14][..], &[99, 0, 0, 0, 0, 0]].concat(),
            "no status code",
        ),
        ("2^64 - 1 tags", head(HUGE), "truncated"),
        ("one tag, no bytes", head(b"\x01"), "truncated"),
        (
            "a tag twice",
            head(&[&[2], two_tags.as_slice()].concat()),
            "tags out of order",
        ),
        (
            "a key of 2^64 - 1 bytes",
            head(&[b"\0", HUGE].concat()),
            "truncated",
        ),
        (
            "a path that is no text",
            head(b"\0\0\x01\xFF"),
            "path is not UTF-8",
        ),
        ("2^64 - 1 fields", fields(HUGE), "truncated"),
        (
            "more fields than bytes",
            fields(b"\x02\x01a\0"),
            "truncated",
        ),
        (
            "more lines than allowed",
            fields(&[b"\x81\x80\x02\x01a\0", vec![0; 1 << 17].as_slice()].concat()),
            "too many fields",
        ),
        (
            "no first name",
            fields(b"\x01\0\x02a"),
            "field without a name",
        ),
        (
            "a name with a space",
            fields(b"\x01\x01 \x02a"),
            "bad field name",
        ),
        (
            "a value with a newline",
            fields(b"\x01\x01a\x02\n"),
            "bad field value",
        ),
        (
            "a value of 2^63 - 1 bytes",
            fields(&[b"\x01\x01a", HUGE].concat()),
            "truncated",
        ),
        (
            "2^64 - 1 names",
            [&[VARIANTS, 0], HUGE].concat(),
            "truncated",
        ),
        (
            "a name that is none",
            vec![VARIANTS, 0, 1, 0],
            "bad field name",
        ),
        (
            "bytes behind the names",
            vec![VARIANTS, 0, 0, 0],
            "trailing bytes",
        ),
    ] {
        assert_eq!(decode(framed(&content)), Err(reason), "{name}");
    }
}

#[test]
fn key_values_and_body_are_slices_of_the_frame() {
    let frame = encode(&response(sample()));
    let span = frame.as_ptr_range();
    let Ok(Entry::Response(read)) = decode(frame.clone()) else {
        panic!("not a response");
    };
    let within = |bytes: &[u8]| span.contains(&bytes.as_ptr());
    assert!(within(&read.body), "body");
    assert!(within(read.key.as_bytes()), "key");
    for (name, value) in &read.headers {
        assert!(within(value.as_bytes()), "{name}");
    }
}

/// A change here is a change of the format: raise `VERSION`.
#[test]
fn the_format_of_version_1_does_not_change() {
    let hex = |entry| encode(&entry).iter().map(|b| format!("{b:02x}")).collect();
    let written: [String; 2] = [hex(response(sample())), hex(variants())];
    let expected = [
        concat!(
            "d754430104ef51a9462d96e2010d0807060504030201ac0280a0cfada034dc0be0d403882780",
            "b89929c800020000000000000000ffffffffffffffff080103000000474554052f612fc3a903",
            "0c636f6e74656e742d7479706514746578742f706c61696e046c696e6b083c2f613e00083c2f",
            "e93e0105782d73756d0237626f6479",
        ),
        "d754430174cbce9d1ba409b002036b6579020661636365707406782d706c616e",
    ];
    assert_eq!(written, expected);
}

#[test]
fn beside_fields_key_and_body_a_response_takes_at_most_200_bytes() {
    let path = "/auctions/0x5fbdb2315678afecb367f032d93f642f64180aa3/price-history";
    let mut tags = TagSet::implicit("price_history", path);
    for tag in ["auction:0x5f", "history:0x5f", "auctions"] {
        tags.add(&Tag::new(tag).unwrap()).unwrap();
    }
    let mut headers = HeaderMap::new();
    for name in [
        "content-type",
        "content-length",
        "content-encoding",
        "date",
        "etag",
        "cache-control",
        "vary",
        "x-request-id",
    ] {
        headers.insert(name, HeaderValue::from_static("0123456789"));
    }
    let written = StoredResponse {
        stamp: Stamp::at(Position::new(u64::MAX, 1 << 40)),
        path: path.into(),
        tags,
        headers,
        trailers: None,
        ..sample()
    };
    let fields: usize = lines(&written.headers)
        .iter()
        .map(|(name, value, _)| name.len() + value.len())
        .sum();
    let counted = fields + written.key.as_bytes().len() + written.body.len();
    let beside = encode(&response(written)).len() - counted;
    assert!(beside <= 200, "{beside} bytes");
}

const CHUNKS: Chunks = Chunks {
    number: u128::MAX - 5,
    length: 2 * 1024 * 1024,
};

#[test]
fn a_cut_response_is_read_back_without_its_body_and_is_no_entry() {
    let frame = chunks::encode_cut(&sample(), &CHUNKS);
    let mut head = sample();
    head.body = Bytes::new();
    let more = frame.len() - encode(&response(head.clone())).len();
    assert_eq!(more, 16 + 4, "number and length");
    assert_eq!(chunks::of_beginning(&frame[..64]), Some(CHUNKS));
    assert_eq!(decode(frame.clone()).unwrap_err(), "cut into chunks");
    match open(frame) {
        Ok(Frame::Cut(read, of)) => assert_eq!((read, *of), (CHUNKS, head)),
        other => panic!("{other:?}"),
    }
    let whole = encode(&response(sample()));
    assert_eq!(chunks::of_beginning(&whole), None);
    let whole = open(whole).unwrap();
    assert!(matches!(whole, Frame::Entry(entry) if entry == response(sample())));
}

#[test]
fn a_part_is_read_back_where_it_stands_and_nowhere_else() {
    let numbers: String = (0..20_000).map(|n| n.to_string()).collect();
    let mut bytes = numbers.into_bytes();
    bytes.truncate(65_536);
    for compress in [false, true] {
        let frame = chunks::encode_chunk(&CHUNKS, 7, &bytes, compress);
        let small = compress && packed::AVAILABLE;
        assert_eq!(frame.len() < 50_000, small, "{}", frame.len());
        let read = chunks::open_chunk(frame.clone(), &CHUNKS, 7, 65_536).unwrap();
        assert_eq!(read, bytes);
        let other = Chunks {
            number: 1,
            ..CHUNKS
        };
        for (chunks, place) in [(CHUNKS, 8), (other, 7)] {
            let error = chunks::open_chunk(frame.clone(), &chunks, place, 65_536).unwrap_err();
            assert_eq!(error, "another chunk");
        }
        for expected in [0, 65_535, 65_537] {
            let error = chunks::open_chunk(frame.clone(), &CHUNKS, 7, expected).unwrap_err();
            assert_eq!(error, "a chunk is of another length");
        }
        let mut damaged = frame.to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        let error = chunks::open_chunk(damaged.into(), &CHUNKS, 7, 65_536).unwrap_err();
        assert_eq!(error, "damaged");
        assert!(open(frame).is_err(), "no entry");
    }
    // What does not get smaller stays as it is.
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    let frame = chunks::encode_chunk(&CHUNKS, 0, &bytes, true);
    assert!(frame.len() > bytes.len());
    assert_eq!(
        chunks::open_chunk(frame, &CHUNKS, 0, 65_536).unwrap(),
        bytes
    );
}

#[test]
fn safety_63_a_lying_cut_response_is_an_error() {
    let head = encode(&response(StoredResponse {
        body: Bytes::new(),
        ..sample()
    }));
    let head = &head[PREFIX + 1..];
    let content = |length: &[u8], head: &[u8]| {
        let number = [7_u8; 16];
        [&[CUT], &number[..], length, head].concat()
    };
    let with_body = [head, b"more"].concat();
    for (content, why) in [
        (content(&[], &[]), "truncated"),
        (content(&[5], &[]), "truncated"),
        (content(&[0], head), "nothing was cut"),
        (content(&[5], &with_body), "trailing bytes"),
        // 1 GiB and one byte more.
        (content(&[0x80, 0x80, 0x80, 0x80, 0x04], head), ""),
        (content(&[0x81, 0x80, 0x80, 0x80, 0x04], head), "too long"),
        (
            content(&[&[0xFF; 9][..], &[0x01]].concat(), head),
            "too long",
        ),
        (
            content(&[&[0xFF; 9][..], &[0x7F]].concat(), head),
            "number over 64 bits",
        ),
    ] {
        match open(framed(&content)) {
            Ok(read) => assert_eq!(why, "", "{read:?}"),
            Err(error) => assert_eq!(error, why),
        }
    }
}
