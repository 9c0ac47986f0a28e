use super::*;
use crate::rules::{ClientPolicy, CompiledRule, Defaults, Rule, RuleSet};
use std::sync::Arc;

type Named = &'static [(&'static str, &'static str)];

fn compile(rule: Rule) -> Arc<CompiledRule> {
    let (set, _) = RuleSet::compile(vec![rule], &Defaults::default()).expect("a good rule");
    Arc::clone(set.iter().next().expect("one rule"))
}

fn prepared(rule: &CompiledRule, sent: Sharing, fields: Named) -> Vec<(String, String)> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    client_fields(rule, sent, &mut headers);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fields = headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)));
    fields.collect()
}

fn cache_control(rule: &CompiledRule, sent: Sharing, fields: Named) -> Option<String> {
    let prepared = prepared(rule, sent, fields);
    let found = prepared
        .into_iter()
        .find(|(name, _)| name == "cache-control");
    found.map(|(_, value)| value)
}

#[test]
fn clients_of_a_response_with_tags_must_ask_each_time() {
    let tagged = compile(Rule::new("r", "/").tag("t"));
    let plain = compile(Rule::new("r", "/"));
    let rows: &[(&CompiledRule, Named, Option<&str>)] = &[
        (&tagged, &[], Some("no-cache")),
        (
            &tagged,
            &[("cache-control", "public, max-age=60")],
            Some("no-cache"),
        ),
        (
            &plain,
            &[("cache-control", "max-age=60")],
            Some("max-age=60"),
        ),
        (&plain, &[], None),
        // Tags that the response lists count as well.
        (
            &plain,
            &[("cache-control", "max-age=60"), ("cache-tag", "t")],
            Some("no-cache"),
        ),
        // Nothing is permitted that was forbidden.
        (&tagged, &[("cache-control", "no-store")], Some("no-store")),
        (
            &tagged,
            &[("cache-control", "max-age=1, No-Store")],
            Some("max-age=1, No-Store"),
        ),
        (
            &tagged,
            &[("cache-control", "Private, max-age=60")],
            Some("private, no-cache"),
        ),
        (
            &tagged,
            &[("cache-control", "private=\"x\"")],
            Some("private, no-cache"),
        ),
        (
            &tagged,
            &[("cache-control", "no-transform")],
            Some("no-cache, no-transform"),
        ),
        (
            &tagged,
            &[("cache-control", "a"), ("cache-control", "private")],
            Some("private, no-cache"),
        ),
    ];
    for (rule, fields, expected) in rows {
        for sent in [Sharing::Stored, Sharing::NotStored] {
            assert_eq!(
                cache_control(rule, sent, fields).as_deref(),
                *expected,
                "{fields:?}"
            );
        }
    }
}

#[test]
fn a_rules_own_field_goes_out_on_shared_responses_only() {
    let set = |rule: Rule| compile(rule.tag("t").client(ClientPolicy::Set("max-age=5".into())));
    let rule = set(Rule::new("r", "/"));
    let opted_in = set(Rule::new("r", "/").ignore_private().ignore_no_store());
    let rows: &[(&CompiledRule, Sharing, Named, Option<&str>)] = &[
        (
            &rule,
            Sharing::Stored,
            &[("expires", "0"), ("pragma", "x")],
            Some("max-age=5"),
        ),
        (
            &rule,
            Sharing::NotStored,
            &[("cache-control", "max-age=1")],
            Some("max-age=1"),
        ),
        (
            &rule,
            Sharing::Stored,
            &[("cache-control", "private")],
            Some("private"),
        ),
        (
            &rule,
            Sharing::Stored,
            &[("cache-control", "no-store")],
            Some("no-store"),
        ),
        (&rule, Sharing::Stored, &[("set-cookie", "a=b")], None),
        (
            &opted_in,
            Sharing::Stored,
            &[("cache-control", "private, no-store")],
            Some("max-age=5"),
        ),
    ];
    for (rule, sent, fields, expected) in rows {
        assert_eq!(
            cache_control(rule, *sent, fields).as_deref(),
            *expected,
            "{fields:?}"
        );
    }
}

#[test]
fn fields_that_contradict_the_new_one_are_removed() {
    let tagged = compile(Rule::new("r", "/").tag("t"));
    let fields: Named = &[
        ("expires", "Thu, 01 Jan 2032 00:00:00 GMT"),
        ("pragma", "x"),
    ];
    let left = prepared(&tagged, Sharing::Stored, fields);
    assert_eq!(left, [("cache-control".to_owned(), "no-cache".to_owned())]);
}

#[test]
fn a_rule_may_pass_the_inner_services_fields_through() {
    let rule = compile(Rule::new("r", "/").tag("t").client(ClientPolicy::Pass));
    let fields: Named = &[("cache-control", "max-age=60"), ("expires", "0")];
    assert_eq!(prepared(&rule, Sharing::Stored, fields).len(), 2);
}

#[test]
fn fields_addressed_to_us_do_not_reach_clients() {
    const FIELDS: Named = &[
        ("surrogate-key", "a"),
        ("cache-tag", "b"),
        ("edge-cache-tag", "c"),
        ("surrogate-control", "max-age=60"),
        ("cdn-cache-control", "max-age=60"),
        ("x-tags", "d"),
    ];
    let pass = || Rule::new("r", "/").client(ClientPolicy::Pass);
    let rows: [(Rule, &[&str]); 3] = [
        (pass(), &["cdn-cache-control", "x-tags"]),
        (
            pass().tag_headers(["X-Tags"]),
            &[
                "surrogate-key",
                "cache-tag",
                "edge-cache-tag",
                "cdn-cache-control",
            ],
        ),
        (
            pass().keep_tag_headers(),
            &[
                "surrogate-key",
                "cache-tag",
                "edge-cache-tag",
                "cdn-cache-control",
                "x-tags",
            ],
        ),
    ];
    for (rule, expected) in rows {
        let rule = compile(rule);
        let mut left: Vec<String> = prepared(&rule, Sharing::Stored, FIELDS)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        left.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
