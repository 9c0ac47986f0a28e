use super::*;
use crate::key::CacheKey;
use crate::semantics::tests::headers;
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

#[test]
fn safety_20_a_difference_that_could_count_makes_another_variant() {
    let rows: &[(&str, &'static str, Lines<'_>, Lines<'_>)] = &[
        ("value", "foo", &[("foo", "1")], &[("foo", "2")]),
        ("absent", "foo", &[("foo", "")], &[]),
        ("case", "foo", &[("foo", "A")], &[("foo", "a")]),
        ("order", "foo", &[("foo", "a, b")], &[("foo", "b, a")]),
        (
            "language order",
            "accept-language",
            &[("accept-language", "en, de")],
            &[("accept-language", "de, en")],
        ),
        ("empty member", "foo", &[("foo", "a,,b")], &[("foo", "a,b")]),
        ("inner space", "foo", &[("foo", "a  b")], &[("foo", "a b")]),
        (
            "quoted comma",
            "foo",
            &[("foo", "x=\"a, b\"")],
            &[("foo", "x=\"a,b\"")],
        ),
        (
            "escaped quote",
            "foo",
            &[("foo", r#""\", b""#)],
            &[("foo", r#""\",b""#)],
        ),
        (
            "quotes over lines",
            "foo",
            &[("foo", "\"a"), ("foo", "b,c\"")],
            &[("foo", "\"a,b,c\"")],
        ),
        (
            "media type parameters",
            "accept",
            &[("accept", "a/b;x=A")],
            &[("accept", "a/b;x=a")],
        ),
        ("semicolon", "foo", &[("foo", "a; b")], &[("foo", "a;b")]),
        (
            "cookie text",
            "cookie",
            &[("cookie", "a=1, 2")],
            &[("cookie", "a=1,2")],
        ),
        (
            "cookie lines",
            "cookie",
            &[("cookie", "a=1"), ("cookie", "b=2")],
            &[("cookie", "a=1, b=2")],
        ),
        (
            "comment",
            "user-agent",
            &[("user-agent", "(x, y)")],
            &[("user-agent", "(x,y)")],
        ),
    ];
    for (name, field, one, other) in rows {
        assert_ne!(key(&[field], one), key(&[field], other), "{name}");
    }
    // One field cannot stand for another.
    let fields = ["bar", "foo"];
    assert_ne!(key(&fields, &[("bar", "1")]), key(&fields, &[("foo", "1")]));
}

#[test]
fn differences_without_meaning_share_a_variant() {
    let rows: &[(&str, &'static str, Lines<'_>, Lines<'_>)] = &[
        ("both absent", "foo", &[("x", "1")], &[("x", "2")]),
        (
            "lines",
            "foo",
            &[("foo", "a"), ("foo", "b")],
            &[("foo", "a, b")],
        ),
        (
            "space around commas",
            "foo",
            &[("foo", "a,b")],
            &[("foo", "a \t,  b")],
        ),
        ("outer space", "foo", &[("foo", " a ")], &[("foo", "a")]),
        (
            "outer space, list",
            "foo",
            &[("foo", " a,b ")],
            &[("foo", "a,b")],
        ),
        (
            "after a quoted-string",
            "foo",
            &[("foo", "\"a\", b")],
            &[("foo", "\"a\",b")],
        ),
        (
            "coding case",
            "accept-encoding",
            &[("accept-encoding", "GZip, BR")],
            &[("accept-encoding", "gzip,br")],
        ),
        (
            "single coding case",
            "accept-encoding",
            &[("accept-encoding", "GZIP")],
            &[("accept-encoding", "gzip")],
        ),
        (
            "language case",
            "accept-language",
            &[("accept-language", "en-GB;q=0.5")],
            &[("accept-language", "en-gb ; Q=0.5")],
        ),
    ];
    for (name, field, one, other) in rows {
        assert_eq!(key(&[field], one), key(&[field], other), "{name}");
    }
}

proptest! {
    /// The shortcut for plain values gives what the long way gives.
    #[test]
    fn plain_values_are_their_own_normal_form(value in "[ -~]{0,24}") {
        let mut folded = Vec::new();
        let closed = fold_into(&mut folded, trim_ows(value.as_bytes()), true);
        if is_plain(value.as_bytes()) {
            prop_assert_eq!(&folded[..], trim_ows(value.as_bytes()));
        }
        // Folding twice changes nothing more.
        let mut again = Vec::new();
        prop_assert_eq!(fold_into(&mut again, &folded, true), closed);
        prop_assert_eq!(folded, again);
    }
}
