use super::*;
use crate::semantics::tests::{NOW, headers};
use Selection::{Unsatisfiable, Whole};

type Lines<'a> = &'a [(&'a str, &'a str)];

const STORED: Lines<'_> = &[
    ("etag", "\"a\""),
    ("last-modified", "Sun, 22 Nov 2026 23:00:00 GMT"),
    ("date", "Mon, 23 Nov 2026 00:00:00 GMT"),
];

fn selected(request: Lines<'_>, stored: Lines<'_>, length: u64) -> Selection {
    let (request, stored) = (headers(request), headers(stored));
    select(&Method::GET, &request, StatusCode::OK, &stored, length, NOW)
}

fn of_ten(range: &str) -> Selection {
    selected(&[("range", range)], STORED, 10)
}

#[test]
fn lists_are_several_parts() {
    assert_eq!(
        of_ten("bytes=0-1,4-5"),
        Selection::Parts(vec![0..=1, 4..=5])
    );
    assert_eq!(
        of_ten("bytes=-1 , 0-0"),
        Selection::Parts(vec![9..=9, 0..=0])
    );
    assert_eq!(of_ten("bytes=0-1,"), Selection::Part(0..=1));
    assert_eq!(of_ten("bytes=10-,0-1"), Selection::Part(0..=1));
    assert_eq!(of_ten("bytes=10-,20-"), Unsatisfiable);
}

#[test]
fn safety_24_one_range_of_a_stored_200_selects_these_bytes() {
    let rows = [
        ("first byte", "bytes=0-0", 0..=0),
        ("middle", "bytes=2-5", 2..=5),
        ("open end", "bytes=7-", 7..=9),
        ("all", "bytes=0-", 0..=9),
        ("past the end", "bytes=7-99", 7..=9),
        ("last byte", "bytes=9-9", 9..=9),
        ("suffix", "bytes=-3", 7..=9),
        ("longer suffix", "bytes=-99", 0..=9),
        ("unit in capitals", "BYTES=0-1", 0..=1),
        ("leading zeros", "bytes=002-005", 2..=5),
        ("huge last", "bytes=2-99999999999999999999999", 2..=9),
        ("huge suffix", "bytes=-99999999999999999999999", 0..=9),
    ];
    for (name, range, bytes) in rows {
        assert_eq!(of_ten(range), Selection::Part(bytes), "{name}");
    }
}

#[test]
fn safety_24_a_range_without_a_byte_is_unsatisfiable() {
    for range in [
        "bytes=10-",
        "bytes=10-20",
        "bytes=99999999999999999999999-",
        "bytes=-0",
    ] {
        assert_eq!(of_ten(range), Unsatisfiable, "{range}");
    }
    let of_nothing = |range| selected(&[("range", range)], STORED, 0);
    assert_eq!(of_nothing("bytes=0-"), Unsatisfiable);
    assert_eq!(of_nothing("bytes=-0"), Unsatisfiable);
    // All of nothing; no `Content-Range` can say so.
    assert_eq!(of_nothing("bytes=-5"), Whole);
}

#[test]
fn safety_24_what_is_no_single_range_of_bytes_is_ignored() {
    for range in [
        "bytes=",
        "bytes=-",
        "bytes=5",
        "bytes=5-2",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes= 1-2",
        "bytes =1-2",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes",
        "items=0-1",
        "0-1",
        "",
        // RFC 9110 §14.2: parts that overlap may be refused.
        "bytes=0-4,4-5",
    ] {
        assert_eq!(of_ten(range), Whole, "{range}");
    }
    assert_eq!(selected(&[], STORED, 10), Whole);
    let twice = [("range", "bytes=0-1"), ("range", "bytes=2-3")];
    assert_eq!(selected(&twice, STORED, 10), Whole);
}

#[test]
fn safety_24_only_a_get_of_a_200_has_ranges() {
    let request = headers(&[("range", "bytes=0-1")]);
    let stored = headers(STORED);
    let found = |method, status| {
        let status = StatusCode::from_u16(status).unwrap();
        select(&method, &request, status, &stored, 10, NOW)
    };
    assert_eq!(found(Method::GET, 200), Selection::Part(0..=1));
    assert_eq!(found(Method::HEAD, 200), Whole);
    assert_eq!(found(Method::POST, 200), Whole);
    for status in [203, 204, 301, 404, 500] {
        assert_eq!(found(Method::GET, status), Whole, "{status}");
    }
}

#[test]
fn safety_24_if_range_needs_a_strong_validator_that_matches() {
    let stored_date = "Sun, 22 Nov 2026 23:00:00 GMT";
    let weak = [("etag", "W/\"a\"")];
    let same_second = [("last-modified", stored_date), ("date", stored_date)];
    let rows: &[(&str, &[&str], Lines<'_>, bool)] = &[
        ("tag", &["\"a\""], STORED, true),
        ("other tag", &["\"b\""], STORED, false),
        ("weak asked", &["W/\"a\""], STORED, false),
        ("weak stored", &["\"a\""], &weak, false),
        ("both weak", &["W/\"a\""], &weak, false),
        ("no tag stored", &["\"a\""], &[], false),
        ("list", &["\"a\", \"b\""], STORED, false),
        ("any", &["*"], STORED, false),
        ("repeated", &["\"a\"", "\"a\""], STORED, false),
        ("date", &[stored_date], STORED, true),
        (
            "same date, other format",
            &["Sun Nov 22 23:00:00 2026"],
            STORED,
            true,
        ),
        (
            "later date",
            &["Mon, 23 Nov 2026 00:00:00 GMT"],
            STORED,
            false,
        ),
        ("weak date", &[stored_date], &same_second, false),
        ("no date stored", &[stored_date], &[], false),
        ("garbage", &["a"], STORED, false),
        ("garbage, nothing stored", &["a"], &[], false),
        ("empty", &[""], STORED, false),
    ];
    for (name, if_range, stored, holds) in rows {
        let mut request = vec![("range", "bytes=0-1")];
        request.extend(if_range.iter().map(|value| ("if-range", *value)));
        let expected = if *holds {
            Selection::Part(0..=1)
        } else {
            Whole
        };
        assert_eq!(selected(&request, stored, 10), expected, "{name}");
    }
    // Where it does not hold, not even an unsatisfiable range is refused.
    let request = [("range", "bytes=99-"), ("if-range", "\"b\"")];
    assert_eq!(selected(&request, STORED, 10), Whole);
}

#[test]
fn a_part_says_which_and_a_refusal_says_of_how_much() {
    let stored = [
        ("content-type", "a/b"),
        ("content-length", "10"),
        ("content-digest", "x"),
        ("etag", "\"a\""),
        ("cache-control", "max-age=60"),
        ("vary", "accept"),
    ];
    let mut part = headers(&stored);
    part_fields(&mut part, &(2..=5), 10);
    let expected = [
        ("content-type", "a/b"),
        ("content-length", "4"),
        ("content-range", "bytes 2-5/10"),
        ("etag", "\"a\""),
        ("cache-control", "max-age=60"),
        ("vary", "accept"),
    ];
    assert_eq!(part, headers(&expected));

    let mut refusal = headers(&stored);
    unsatisfiable_fields(&mut refusal, 10);
    let expected = [
        ("vary", "accept"),
        ("accept-ranges", "bytes"),
        ("cache-control", "no-store"),
        ("content-length", "0"),
        ("content-range", "bytes */10"),
    ];
    assert_eq!(refusal, headers(&expected));
}
