use super::*;
use crate::semantics::tests::headers;

fn max_age(lines: &[(&str, &str)]) -> Option<u64> {
    let found = ResponseDirectives::effective(&headers(lines));
    found.max_age.map(|age| age.as_secs())
}

type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<u64>,
);

const ROWS: &[Row] = &[
    ("none", &[("cache-control", "max-age=1")], Some(1)),
    (
        "cdn",
        &[
            ("cache-control", "max-age=1"),
            ("cdn-cache-control", "max-age=2"),
        ],
        Some(2),
    ),
    (
        "ours first",
        &[
            ("cdn-cache-control", "max-age=2"),
            ("tagcache-cache-control", "max-age=3"),
        ],
        Some(3),
    ),
    (
        "wholly",
        &[
            ("cache-control", "max-age=1"),
            ("cdn-cache-control", "must-revalidate"),
        ],
        None,
    ),
    (
        "another's",
        &[
            ("cache-control", "max-age=1"),
            ("acme-cache-control", "max-age=9"),
        ],
        Some(1),
    ),
    (
        "empty",
        &[("cache-control", "max-age=1"), ("cdn-cache-control", "")],
        Some(1),
    ),
    (
        "no dictionary",
        &[
            ("cache-control", "max-age=1"),
            ("cdn-cache-control", "max-age=2, &"),
        ],
        Some(1),
    ),
    (
        "ours is invalid",
        &[
            ("tagcache-cache-control", "max-age=\"3"),
            ("cdn-cache-control", "max-age=2"),
        ],
        Some(2),
    ),
    (
        "two lines, the last counts",
        &[
            ("cdn-cache-control", "max-age=2"),
            ("cdn-cache-control", "max-age=3"),
        ],
        Some(3),
    ),
    (
        "parameters",
        &[("cdn-cache-control", "max-age=2;a=b")],
        Some(2),
    ),
    (
        "a string",
        &[("cdn-cache-control", "max-age=\"2\"")],
        Some(0),
    ),
    ("negative", &[("cdn-cache-control", "max-age=-2")], Some(0)),
    (
        "a fraction",
        &[("cdn-cache-control", "max-age=2.5")],
        Some(0),
    ),
    (
        "case",
        &[
            ("cdn-cache-control", "Max-Age=2"),
            ("cache-control", "max-age=1"),
        ],
        Some(1),
    ),
    (
        "a surrogate's",
        &[
            ("surrogate-control", "max-age=4+60"),
            ("cache-control", "max-age=1"),
        ],
        Some(4),
    ),
    (
        "another device's",
        &[
            ("surrogate-control", "max-age=4;x"),
            ("cache-control", "max-age=1"),
        ],
        Some(1),
    ),
];

#[test]
fn the_first_valid_target_stands_in_place_of_all_others() {
    for (name, lines, expected) in ROWS {
        assert_eq!(max_age(lines), *expected, "{name}");
    }
}

#[test]
fn what_forbids_is_heard_whatever_its_value() {
    for value in ["no-store", "no-store=1", "no-store=\"x\"", "no-store=()"] {
        let found = ResponseDirectives::effective(&headers(&[("cdn-cache-control", value)]));
        assert!(found.no_store, "{value}");
    }
    let off = ResponseDirectives::effective(&headers(&[("cdn-cache-control", "no-store=?0")]));
    assert!(!off.no_store);
    let allows = ResponseDirectives::effective(&headers(&[("cdn-cache-control", "public=1")]));
    assert!(!allows.public);
}
