use super::*;
use crate::semantics::tests::headers;

type Lines<'a> = &'a [(&'a str, &'a str)];

fn response(lines: &[&str]) -> ResponseDirectives {
    let fields: Vec<_> = lines.iter().map(|line| ("cache-control", *line)).collect();
    ResponseDirectives::parse(&headers(&fields))
}

fn request(lines: &[&str]) -> RequestDirectives {
    let fields: Vec<_> = lines.iter().map(|line| ("cache-control", *line)).collect();
    RequestDirectives::parse(&headers(&fields))
}

const fn secs(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn fields(names: &[&'static str]) -> DirectiveScope {
    DirectiveScope::Fields(names.iter().map(|n| HeaderName::from_static(n)).collect())
}

#[test]
fn lifetimes_are_read_strictly_and_the_shorter_wins() {
    let rows: &[(&str, &[&str], Option<Duration>, bool)] = &[
        ("absent", &["public"], None, false),
        ("plain", &["max-age=60"], secs(60), false),
        ("case", &["MaX-aGe=60"], secs(60), false),
        ("quoted", &["max-age=\"60\""], secs(60), false),
        ("leading zero", &["max-age=0060"], secs(60), false),
        ("second line", &["public", "max-age=60"], secs(60), false),
        ("empty members", &[", ,max-age=60,,"], secs(60), false),
        ("2^31", &["max-age=2147483648"], secs(1 << 31), false),
        (
            "overflow",
            &["max-age=99999999999999999999"],
            secs(1 << 31),
            false,
        ),
        ("shorter last", &["max-age=60, max-age=1"], secs(1), false),
        (
            "shorter first",
            &["max-age=1", "max-age=60"],
            secs(1),
            false,
        ),
        // RFC 9111 §4.2.1: invalid freshness information is stale.
        ("negative", &["max-age=-60"], secs(0), true),
        ("float", &["max-age=60.0"], secs(0), true),
        ("letters", &["max-age=a60"], secs(0), true),
        ("suffix", &["max-age=60s"], secs(0), true),
        ("single quotes", &["max-age='60'"], secs(0), true),
        ("no argument", &["max-age"], secs(0), true),
        ("empty argument", &["max-age="], secs(0), true),
        ("space before =", &["max-age =60"], secs(0), true),
        ("space after =", &["max-age= 60"], secs(0), true),
        ("semicolon", &["max-age=60; public"], secs(0), true),
        (
            "invalid beside valid",
            &["max-age=60, max-age=x"],
            secs(0),
            true,
        ),
        // What stands in another directive's argument is not ours.
        ("in a quoted-string", &["x=\"max-age=60\""], None, false),
        ("after a comma in it", &["x=\"1, max-age=60\""], None, false),
        (
            "after an escaped quote",
            &[r#"x="\", max-age=60""#],
            None,
            false,
        ),
        ("longer name", &["x-max-age=60, max-age-x=60"], None, false),
    ];
    for (name, lines, max_age, malformed) in rows {
        let found = response(lines);
        assert_eq!(found.max_age, *max_age, "{name}");
        assert_eq!(found.malformed, *malformed, "{name}");
        assert!(!found.unreadable, "{name}");
    }
}

#[test]
fn every_response_directive_is_known() {
    let found = response(&[
        "no-store, private, no-cache, max-age=1, s-maxage=2, must-revalidate, proxy-revalidate",
        "public, must-understand, immutable, stale-while-revalidate=3, stale-if-error=4, x, y=z",
    ]);
    let expected = ResponseDirectives {
        targeted: false,
        no_store: true,
        private: DirectiveScope::Whole,
        no_cache: DirectiveScope::Whole,
        max_age: secs(1),
        s_maxage: secs(2),
        must_revalidate: true,
        proxy_revalidate: true,
        public: true,
        must_understand: true,
        immutable: true,
        stale_while_revalidate: secs(3),
        stale_if_error: secs(4),
        malformed: false,
        unreadable: false,
    };
    assert_eq!(found, expected);
    assert_eq!(response(&[]), ResponseDirectives::default());
}

#[test]
fn qualified_directives_name_fields_or_hold_for_the_whole() {
    let rows: &[(&str, &[&str], DirectiveScope)] = &[
        ("bare", &["private"], DirectiveScope::Whole),
        ("one field", &["private=\"X-A\""], fields(&["x-a"])),
        ("list", &["private=\"x-a , ,X-B\""], fields(&["x-a", "x-b"])),
        ("token form", &["private=x-a"], fields(&["x-a"])),
        (
            "two",
            &["private=\"x-a\", private=\"x-b\""],
            fields(&["x-a", "x-b"]),
        ),
        (
            "bare after list",
            &["private=\"x-a\", private"],
            DirectiveScope::Whole,
        ),
        (
            "list after bare",
            &["private", "private=\"x-a\""],
            DirectiveScope::Whole,
        ),
        ("empty list", &["private=\"\""], DirectiveScope::Whole),
        ("no argument after =", &["private="], DirectiveScope::Whole),
        ("no field name", &["private=\"x a\""], DirectiveScope::Whole),
        (
            "one of two no field name",
            &["private=\"x-a, é\""],
            DirectiveScope::Whole,
        ),
        ("spaces", &["private = \"x-a\""], DirectiveScope::Whole),
        ("absent", &["public"], DirectiveScope::No),
    ];
    for (name, lines, expected) in rows {
        assert_eq!(response(lines).private, *expected, "{name}");
        let lines: Vec<_> = lines
            .iter()
            .map(|l| l.replace("private", "no-cache"))
            .collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        assert_eq!(response(&lines).no_cache, *expected, "no-cache, {name}");
    }
}

#[test]
fn an_argument_nobody_defined_silences_only_what_permits() {
    let found = response(&["no-store=1, must-revalidate=1, proxy-revalidate=\"\""]);
    assert!(found.no_store && found.must_revalidate && found.proxy_revalidate);
    let found = response(&["public=1, must-understand=1, immutable=\"\""]);
    assert!(!found.public && !found.must_understand && !found.immutable);
}

#[test]
fn a_member_that_is_no_directive_makes_the_field_unreadable() {
    let rows: &[(&str, &[&str])] = &[
        ("unclosed quote", &["x=\"1, no-store"]),
        ("quote over two lines", &["x=\"1", "max-age=60\""]),
        ("quote in a token", &["x=a\"b, no-store, c\""]),
        ("text after a quote", &["x=\"a\"b"]),
        ("semicolon for comma", &["private; max-age=60"]),
        ("space in a name", &["no store"]),
        ("obs-text name", &["nö-store"]),
    ];
    for (name, lines) in rows {
        assert!(response(lines).unreadable, "{name}");
    }
}

#[test]
fn every_request_directive_is_known() {
    let found = request(&[
        "no-store, No-Cache, max-age=1, max-stale=2",
        "min-fresh=3, only-if-cached, stale-if-error=4, public",
    ]);
    let expected = RequestDirectives {
        no_store: true,
        no_cache: true,
        max_age: secs(1),
        max_stale: secs(2),
        min_fresh: secs(3),
        only_if_cached: true,
        stale_if_error: secs(4),
    };
    assert_eq!(found, expected);
}

#[test]
fn request_arguments_that_contradict_or_are_malformed_ask_for_more_freshness() {
    type Read = fn(&RequestDirectives) -> Option<Duration>;
    let rows: &[(&str, &str, Read, Option<Duration>)] = &[
        (
            "any staleness",
            "max-stale",
            |r| r.max_stale,
            Some(Duration::MAX),
        ),
        (
            "any and some",
            "max-stale, max-stale=5",
            |r| r.max_stale,
            secs(5),
        ),
        (
            "some and any",
            "max-stale=5, max-stale",
            |r| r.max_stale,
            secs(5),
        ),
        (
            "max-stale malformed",
            "max-stale=x",
            |r| r.max_stale,
            secs(0),
        ),
        ("max-stale empty", "max-stale=", |r| r.max_stale, secs(0)),
        ("max-age malformed", "max-age=-1", |r| r.max_age, secs(0)),
        (
            "min-fresh twice",
            "min-fresh=1, min-fresh=9",
            |r| r.min_fresh,
            secs(9),
        ),
        (
            "min-fresh malformed",
            "min-fresh=1.5",
            |r| r.min_fresh,
            secs(0),
        ),
        (
            "stale-if-error malformed",
            "stale-if-error",
            |r| r.stale_if_error,
            secs(0),
        ),
    ];
    for (name, line, read, expected) in rows {
        assert_eq!(read(&request(&[line])), *expected, "{name}");
    }
}

#[test]
fn pragma_counts_only_where_cache_control_is_absent() {
    let rows: &[(&str, Lines<'_>, bool)] = &[
        ("alone", &[("pragma", "no-cache")], true),
        ("case, list", &[("pragma", "x, No-Cache")], true),
        ("other", &[("pragma", "no-cached")], false),
        (
            "beside",
            &[("pragma", "no-cache"), ("cache-control", "max-age=5")],
            false,
        ),
        (
            "beside empty",
            &[("pragma", "no-cache"), ("cache-control", "")],
            false,
        ),
    ];
    for (name, fields, expected) in rows {
        let found = RequestDirectives::parse(&headers(fields));
        assert_eq!(found.no_cache, *expected, "{name}");
    }
}
