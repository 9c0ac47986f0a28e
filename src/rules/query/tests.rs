use super::*;
use crate::key::CacheKey;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn key(policy: &Query, query: Option<&str>) -> CacheKey {
    let mut builder = KeyBuilder::new();
    policy.write(query, &mut builder);
    builder.finish()
}

#[test]
fn queries_share_a_key_where_the_rule_lets_them() {
    let allow = || Query::allow(["hours", "page*"]);
    let deny = || Query::deny(["utm_*", "ref"]);
    let rows: &[(Query, &str, &str, bool)] = &[
        (Query::all(), "a=1&b=2", "a=1&b=2", true),
        (Query::all(), "a=1&b=2", "b=2&a=1", false),
        (Query::all(), "a=%31", "a=1", false),
        (Query::sorted(), "a=1&b=2", "b=2&a=1", true),
        (Query::sorted(), "a=1&a=2", "a=2&a=1", false),
        // One name in two spellings: their order counts, as the inner service sees one name.
        (Query::sorted(), "a=1&%61=2", "%61=2&a=1", false),
        (Query::sorted(), "a=1&a[]=2", "a[]=2&a=1", false),
        (Query::sorted(), "a=1&A=2", "A=2&a=1", false),
        // PHP reads both as `a_b`.
        (Query::sorted(), "a.b=1&a_b=2", "a_b=2&a.b=1", false),
        (Query::sorted(), "a", "a=", false),
        (Query::sorted(), "b=1&a=1;b=2", "a=1;b=2&b=1", false),
        (allow(), "hours=1&x=1", "x=2&hours=1", true),
        (allow(), "hours=1", "hours=2", false),
        (allow(), "x=1", "x=2", true),
        (allow(), "page_size=1", "page_size=2", false),
        (allow(), "page=1", "page=2", false),
        (deny(), "a=1&utm_source=x", "a=1&ref=y", true),
        (deny(), "a=1", "a=2", false),
        (deny(), "reference=1", "reference=2", false),
        (deny(), "UTM_source=1", "UTM_source=2", false),
        (Query::ignore(), "a=1", "b=2", true),
    ];
    for (policy, a, b, same) in rows {
        let equal = key(policy, Some(a)) == key(policy, Some(b));
        assert_eq!(equal, *same, "{policy:?}: {a} and {b}");
    }
}

#[test]
fn safety_10_66_a_hidden_spelling_of_an_allowed_name_stays_in_the_key() {
    let allow = Query::allow(["hours", "page_size"]);
    let plain = key(&allow, None);
    for query in [
        "%68ours=5",
        "x=1;hours=5",
        "HOURS=5",
        "hours[]=5",
        "hours[0]=5",
        "+hours=5",
        "hours%00x=5",
        "hours",
        "page.size=5",
        "page+size=5",
        "page%5Bsize=5",
    ] {
        assert_ne!(key(&allow, Some(query)), plain, "{query}");
    }
    for query in ["", "x=hours", "x=1&y", "ours=1", "hoursx=1", "%zz=1", "%"] {
        assert_eq!(key(&allow, Some(query)), plain, "{query}");
    }
    let deny = Query::deny(["ref"]);
    assert_ne!(key(&deny, Some("ref=1;a=2")), key(&deny, Some("ref=1;a=3")));
}

#[test]
fn an_empty_query_is_not_an_absent_one() {
    assert_ne!(key(&Query::all(), Some("")), key(&Query::all(), None));
    assert_eq!(key(&Query::ignore(), Some("")), key(&Query::ignore(), None));
}

#[test]
fn parameters_are_decoded_as_forms_are() {
    let rows: &[(&str, &str, Option<&[&str]>)] = &[
        ("a=1&b=2&a=3", "a", Some(&["1", "3"])),
        ("a=x%20y+z", "a", Some(&["x y z"])),
        ("%61=1", "a", Some(&["1"])),
        ("a", "a", Some(&[""])),
        ("a=%C3%A9", "a", Some(&["é"])),
        ("a=%FF", "a", None),
        ("a=%zz", "a", Some(&["%zz"])),
        ("b=1", "a", None),
    ];
    for (query, name, expected) in rows {
        let got = values(query, name);
        let got = got.as_ref().map(|values| values.to_vec());
        let expected = expected.map(|values| values.to_vec());
        assert_eq!(
            got,
            expected.map(|v| v.into_iter().map(Cow::from).collect()),
            "{query}"
        );
    }
}

#[test]
fn names_that_cannot_match_are_refused() {
    for (query, message) in [
        (
            Query::allow(["a*b"]),
            "query: `*` before the end in \"a*b\" at column 2",
        ),
        (Query::deny([""]), "query: empty name in \"\""),
        (
            Query::allow::<&str>([]),
            "query: no name is allowed (`Query::ignore` leaves out the query) in \"\"",
        ),
    ] {
        let error = query.check().expect_err(message);
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(Query::deny(["utm_*", "*"]).check(), Ok(()));
}

/// The parameters by name, those of one name in their order.
fn by_name(pieces: &[&'static str], keep: fn(&str) -> bool) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::<String, Vec<String>>::new();
    for piece in pieces {
        let name = piece.split(['=', '[']).next().unwrap_or_default();
        let name = name.replace("%61", "a").to_lowercase();
        if keep(&name) {
            names.entry(name).or_default().push((*piece).to_owned());
        }
    }
    names
}

fn some_pieces() -> impl Strategy<Value = Vec<&'static str>> {
    let pieces = vec![
        "a=1", "a=2", "%61=1", "A=1", "a[]=1", "a", "a=", "b=1", "ab=1", "",
    ];
    prop::collection::vec(prop::sample::select(pieces), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn safety_10_queries_share_a_key_only_if_all_that_counts_is_equal(
        one in some_pieces(), other in some_pieces()
    ) {
        let (a, b) = (one.join("&"), other.join("&"));
        type Keep = fn(&str) -> bool;
        let only_a: Keep = |name| name == "a";
        let rows: [(Query, Keep); 2] =
            [(Query::sorted(), |_| true), (Query::allow(["a"]), only_a)];
        for (policy, keep) in rows {
            let equal = key(&policy, Some(&a)) == key(&policy, Some(&b));
            prop_assert_eq!(equal, by_name(&one, keep) == by_name(&other, keep), "{} {}", a, b);
        }
    }
}
