use super::*;
use crate::key::CacheKey;
use crate::semantics::tests::headers;
use http::HeaderValue;
use proptest::prelude::*;

type Lines<'a> = &'a [(&'a str, &'a str)];

fn vary(lines: &[&str]) -> Vary {
    let fields: Vec<_> = lines.iter().map(|line| ("vary", *line)).collect();
    Vary::parse(&headers(&fields))
}

fn names(names: &[&'static str]) -> Vec<HeaderName> {
    names
        .iter()
        .map(|name| HeaderName::from_static(name))
        .collect()
}

fn key(fields: &[&'static str], request: Lines<'_>) -> CacheKey {
    let mut key = KeyBuilder::new();
    append_variant(&mut key, &names(fields), &headers(request));
    key.finish()
}

#[test]
fn safety_07_vary_any_in_every_spelling() {
    let rows: &[&[&str]] = &[
        &["*"],
        &[" * "],
        &["*, *"],
        &["foo, *"],
        &["*, foo"],
        &["foo,*,bar"],
        &["foo", "*"],
        &["*", "foo"],
        &[",,*"],
        &["", "*"],
    ];
    for lines in rows {
        assert_eq!(vary(lines), Vary::Any, "{lines:?}");
    }
}

#[test]
fn vary_that_cannot_be_read_matches_nothing() {
    for line in [
        "accept encoding",
        "\"accept\"",
        "accept;q=1",
        "accept: x",
        "(a)",
        "é",
        "a, b c",
    ] {
        assert_eq!(vary(&[line]), Vary::Any, "{line}");
    }
}

#[test]
fn safety_05_nominated_fields_are_sorted_and_counted_once() {
    let rows: &[(&[&str], &[&'static str])] = &[
        (&["Accept"], &["accept"]),
        (&["b, a"], &["a", "b"]),
        (&["b", "A, B"], &["a", "b"]),
        (&[" , a,, b ,"], &["a", "b"]),
        // Tokens may contain a `*`; only a lone one means any.
        (&["x-*"], &["x-*"]),
    ];
    for (lines, expected) in rows {
        assert_eq!(vary(lines), Vary::Fields(names(expected)), "{lines:?}");
    }
    for lines in [&[][..], &[""], &[" , ,"], &["", ""]] {
        assert_eq!(vary(lines), Vary::None, "{lines:?}");
    }
}

#[test]
fn safety_06_every_line_of_a_nominated_field_counts() {
    let first = key(&["foo"], &[("foo", "1"), ("foo", "2")]);
    assert_ne!(first, key(&["foo"], &[("foo", "1"), ("foo", "3")]));
    assert_ne!(first, key(&["foo"], &[("foo", "1")]));
    assert_ne!(first, key(&["foo"], &[("foo", "2"), ("foo", "1")]));
}

/// Rows of one field with its lines in two requests.
type Pairs<'a> = &'a [(&'a str, &'static str, &'a [&'a str], &'a [&'a str])];

fn same(field: &'static str, one: &[&str], other: &[&str]) -> bool {
    let of = |lines: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|line| (field, *line)).collect();
        key(&[field], &lines)
    };
    of(one) == of(other)
}

#[test]
fn safety_20_a_difference_that_could_count_makes_another_variant() {
    let rows: Pairs<'_> = &[
        ("value", "foo", &["1"], &["2"]),
        ("absent", "foo", &[""], &[]),
        ("case", "foo", &["A"], &["a"]),
        ("order", "foo", &["a, b"], &["b, a"]),
        (
            "language order",
            "accept-language",
            &["en, de"],
            &["de, en"],
        ),
        ("empty member", "foo", &["a,,b"], &["a,b"]),
        ("inner space", "foo", &["a  b"], &["a b"]),
        ("quoted comma", "foo", &["x=\"a, b\""], &["x=\"a,b\""]),
        ("escaped quote", "foo", &[r#""\", b""#], &[r#""\",b""#]),
        (
            "quotes over lines",
            "foo",
            &["\"a", "b,c\""],
            &["\"a,b,c\""],
        ),
        ("parameters", "accept", &["a/b;x=A"], &["a/b;x=a"]),
        ("semicolon", "foo", &["a; b"], &["a;b"]),
        ("cookie text", "cookie", &["a=1, 2"], &["a=1,2"]),
        ("cookie lines", "cookie", &["a=1", "b=2"], &["a=1, b=2"]),
        ("comment", "user-agent", &["(x, y)"], &["(x,y)"]),
    ];
    for (name, field, one, other) in rows {
        assert!(!same(field, one, other), "{name}");
    }
    // One field cannot stand for another.
    let fields = ["bar", "foo"];
    assert_ne!(key(&fields, &[("bar", "1")]), key(&fields, &[("foo", "1")]));
}

#[test]
fn safety_67_a_difference_that_the_inner_service_sees_makes_another_variant() {
    let language = "accept-language";
    let rows: Pairs<'_> = &[
        ("lines", "foo", &["a", "b"], &["a, b"]),
        ("space around commas", "foo", &["a,b"], &["a,  b"]),
        ("outer space", "foo", &[" a "], &["a"]),
        ("language case", language, &["en-GB"], &["en-gb"]),
        ("language space", language, &["en,de"], &["en, de"]),
        ("language lines", language, &["en", "de"], &["en, de"]),
        ("charset case", "accept-charset", &["UTF-8"], &["utf-8"]),
    ];
    for (name, field, one, other) in rows {
        assert!(!same(field, one, other), "{name}");
    }
}

#[test]
fn safety_66_another_spelling_of_a_nominated_field_makes_another_variant() {
    let field = "accept-language";
    let plain = [(field, "de")];
    let rows: &[&[(&str, &str)]] = &[
        &[(field, "de"), ("accept_language", "en")],
        &[("accept_language", "en"), (field, "de")],
        &[("accept_language", "de")],
        &[("accept.language", "de")],
    ];
    for (place, row) in rows.iter().enumerate() {
        assert_ne!(key(&[field], row), key(&[field], &plain), "{row:?}");
        assert_ne!(key(&[field], row), key(&[field], &[]), "{row:?}");
        for other in &rows[..place] {
            assert_ne!(
                key(&[field], row),
                key(&[field], other),
                "{row:?} {other:?}"
            );
        }
    }
}

#[test]
fn differences_without_meaning_share_a_variant() {
    let coding = "accept-encoding";
    let rows: Pairs<'_> = &[
        ("both absent", "foo", &[], &[]),
        ("coding case", coding, &["GZip, BR"], &["gzip,br"]),
        ("single coding", coding, &["GZIP"], &["gzip"]),
        (
            "coding space",
            coding,
            &["gzip;q=0.5 ,br"],
            &["gzip ; q=0.5, br"],
        ),
        ("coding lines", coding, &["gzip", "br"], &["gzip, br"]),
        ("coding order", coding, &["gzip, br"], &["br, gzip"]),
        (
            "coding weights",
            coding,
            &["br;q=1.0, gzip;q=0.8"],
            &["gzip;q=0.80, br"],
        ),
        ("old name", coding, &["x-gzip"], &["gzip"]),
    ];
    for (name, field, one, other) in rows {
        assert!(same(field, one, other), "{name}");
    }
    // A field that is not nominated does not count.
    assert_eq!(key(&["foo"], &[("x", "1")]), key(&["foo"], &[("x", "2")]));
}

proptest! {
    /// The shortcut for plain values gives what the long way gives.
    #[test]
    fn plain_values_are_their_own_normal_form(value in "[ -~]{0,24}") {
        let mut request = HeaderMap::new();
        request.insert("accept-encoding", HeaderValue::from_str(&value).unwrap());
        let Some(normal) = canonical(&request) else { return Ok(()) };
        if is_plain(value.as_bytes()) {
            prop_assert_eq!(&normal[..], value.as_bytes());
        }
        // Normalising twice changes nothing more.
        request.insert("accept-encoding", HeaderValue::from_bytes(&normal).unwrap());
        prop_assert_eq!(canonical(&request), Some(normal));
    }
}
