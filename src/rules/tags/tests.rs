use super::*;
use crate::rules::{Defaults, FillRequest, Rule, RuleSet};
use crate::tag::TagId;
use http::HeaderValue;
use std::collections::BTreeSet;

const CHECKSUMMED: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn rule(tags: &[&str]) -> Rule {
    Rule::new("r", "/a/{address}").tags(tags.iter().copied())
}

fn filled(rule: Rule, uri: &str, fields: &[(&str, &str)]) -> FillRequest {
    let (set, _) = RuleSet::compile(vec![rule], &Defaults::default()).expect("a good rule");
    let mut request = http::Request::get(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).expect("a good request").into_parts();
    let found = set.find(&parts.method, parts.uri.path()).expect("a match");
    let mut key = crate::key::KeyBuilder::new();
    let mut asked = found
        .request(&parts.uri, &parts.headers, &mut key)
        .expect("no bypass");
    asked.key = key.finish();
    set.fill_request(asked, &parts.method, &parts.uri, &parts.headers)
}

/// The ids of `tags` and their families, and of what each response carries.
fn ids(path: &str, tags: &[&str]) -> BTreeSet<TagId> {
    let mut set = TagSet::implicit("r", path);
    for tag in tags {
        set.add(&Tag::new(tag).expect("a good tag")).expect("few");
    }
    set.iter().collect()
}

fn all(
    filled: &FillRequest,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<BTreeSet<TagId>, NotStored> {
    let mut tags = filled.tags.clone()?;
    filled.response_tags(headers, &mut tags)?;
    filled.body_tags(headers, body, &mut tags)?;
    Ok(tags.iter().collect())
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn safety_48_a_url_in_any_spelling_gives_the_tag_that_an_event_names() {
    let lower = CHECKSUMMED.to_lowercase();
    let tag = format!("auction:{lower}");
    for spelled in [
        CHECKSUMMED.to_owned(),
        lower.clone(),
        CHECKSUMMED.to_uppercase(),
        lower.replace('5', "%35"),
    ] {
        for template in ["auction:{address}", "auction:{address:address}"] {
            let path = format!("/a/{spelled}");
            let filled = filled(rule(&[template]), &path, &[]);
            let got = all(&filled, &HeaderMap::new(), b"");
            assert_eq!(got, Ok(ids(&path, &[&tag])), "{spelled}");
        }
    }
}

#[test]
fn tags_come_from_the_request() {
    let uri = "/a/1?b=x&b=y&c=";
    let rows: &[(&str, Result<&[&str], NotStored>)] = &[
        ("auctions", Ok(&["auctions"])),
        ("a:{address}", Ok(&["a:1"])),
        ("b:{query.b}", Ok(&["b:x", "b:y"])),
        ("c:{query.c}", Err(NotStored::TagMissing)),
        ("d:{query.d}", Err(NotStored::TagMissing)),
        ("e:{request.x-one}", Ok(&["e:z"])),
        ("f:{request.x-two}", Err(NotStored::TagMissing)),
        ("g:{address:address}", Err(NotStored::TagMissing)),
    ];
    for (template, expected) in rows {
        let filled = filled(rule(&[template]), uri, &[("x-one", "z")]);
        let got = filled.tags.as_ref().map(|tags| tags.iter().collect());
        let expected = expected.map(|tags| ids("/a/1", tags));
        assert_eq!(got.map_err(|reason| *reason), expected, "{template}");
    }
}

#[test]
fn a_capture_that_is_not_text_leaves_the_response_unstored() {
    let tags = |uri| filled(rule(&["a:{address}"]), uri, &[]).tags.map(|_| ());
    assert_eq!(tags("/a/%FF"), Err(NotStored::TagMissing));
    assert_eq!(tags("/a/x%00"), Err(NotStored::TagLimit));
    assert_eq!(tags("/a/x"), Ok(()));
}

#[test]
fn a_header_that_names_a_tag_is_part_of_the_key() {
    let key = |value| {
        filled(rule(&["t:{request.x-one}"]), "/a/1", &[("x-one", value)])
            .asked
            .key
    };
    assert_ne!(key("a"), key("b"));
}

#[test]
fn tags_come_from_the_responses_fields() {
    let response = &[
        ("x-id", "7"),
        ("x-id", "0x8"),
        ("surrogate-key", "s1  s2"),
        ("cache-tag", "c1, c 2,,"),
        (
            "cache-tag",
            "auction:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        ),
        ("edge-cache-tag", "e1"),
    ];
    let listed = format!("auction:{}", CHECKSUMMED.to_lowercase());
    let mut expected = vec!["s1", "s2", "c1", "c 2", &listed, "e1"];
    let filled = |tags| filled(rule(tags), "/a/1", &[]);
    let got = all(&filled(&[]), &headers(response), b"");
    assert_eq!(got, Ok(ids("/a/1", &expected)));

    expected.extend(["1-7", "1-8"]);
    let got = all(
        &filled(&["{address}-{response.x-id:int}"]),
        &headers(response),
        b"",
    );
    assert_eq!(got, Ok(ids("/a/1", &expected)));
    let got = all(&filled(&["{response.x-none}"]), &headers(response), b"");
    assert_eq!(got, Err(NotStored::TagMissing));
}

#[test]
fn listed_tags_over_a_limit_leave_the_response_unstored() {
    let many: &'static str = (0..65).map(|n| format!("t{n} ")).collect::<String>().leak();
    let long: &'static str = "x".repeat(257).leak();
    let filled = filled(rule(&[]), "/a/1", &[]);
    for value in [many, long] {
        let got = all(&filled, &headers(&[("surrogate-key", value)]), b"");
        assert_eq!(got, Err(NotStored::TagLimit));
    }
    let mut odd = HeaderMap::new();
    odd.insert(
        "cache-tag",
        HeaderValue::from_bytes(b"a\xff").expect("obs-text"),
    );
    assert_eq!(all(&filled, &odd, b""), Err(NotStored::TagLimit));
}

#[test]
fn only_the_named_headers_list_tags() {
    let rule = rule(&[]).tag_headers(["X-Tags"]);
    let filled = filled(rule, "/a/1", &[]);
    let got = all(
        &filled,
        &headers(&[("x-tags", "a,b"), ("cache-tag", "c")]),
        b"",
    );
    assert_eq!(got, Ok(ids("/a/1", &["a", "b"])));
}

#[test]
fn tags_come_from_a_json_body() {
    let body = br#"{
        "id": 7, "big": 123456789012345678901234567890, "ok": true, "none": null,
        "a/b": "slash", "m~n": "tilde", "": "empty",
        "list": [{"id": "x"}, {"id": "y"}, {"id": "x"}], "nothing": [],
        "mixed": [{"id": "x"}, {}], "by_name": {"one": {"n": 1}, "two": {"n": "1"}}
    }"#;
    let rows: &[(&str, Result<&[&str], NotStored>)] = &[
        ("t:{/id}", Ok(&["t:7"])),
        ("t:{/ok}", Ok(&["t:true"])),
        ("t:{/a~1b}", Ok(&["t:slash"])),
        ("t:{/m~0n}", Ok(&["t:tilde"])),
        ("t:{/}", Ok(&["t:empty"])),
        ("t:{/list/*/id}", Ok(&["t:x", "t:y"])),
        ("t:{/list/1/id}", Ok(&["t:y"])),
        ("t:{/by_name/*/n}", Ok(&["t:1"])),
        ("{address}:{/list/0/id}", Ok(&["1:x"])),
        ("t:{/list/01/id}", Err(NotStored::TagMissing)),
        ("t:{/list/-/id}", Err(NotStored::TagMissing)),
        ("t:{/list/9/id}", Err(NotStored::TagMissing)),
        ("t:{/mixed/*/id}", Err(NotStored::TagMissing)),
        ("t:{/none}", Err(NotStored::TagMissing)),
        ("t:{/list}", Err(NotStored::TagMissing)),
        ("t:{/id/x}", Err(NotStored::TagMissing)),
        // The digits are lost, so the tag would be another than the one that is purged.
        ("t:{/big}", Err(NotStored::TagMissing)),
    ];
    for (template, expected) in rows {
        let filled = filled(rule(&[template]), "/a/1", &[]);
        assert!(filled.asked.rule.has_body_tags());
        let expected = expected.map(|tags| ids("/a/1", tags));
        assert_eq!(
            all(&filled, &HeaderMap::new(), body),
            expected,
            "{template}"
        );
    }
}

#[test]
fn a_list_without_members_still_has_their_family() {
    let filled = filled(rule(&["auction:{/list/*/id}"]), "/a/1", &[]);
    let mut expected = ids("/a/1", &[]);
    expected.insert(TagId::family("auction"));
    assert_eq!(
        all(&filled, &HeaderMap::new(), b"{\"list\":[]}"),
        Ok(expected)
    );
}

#[test]
fn a_body_that_cannot_be_read_leaves_the_response_unstored() {
    let filled = filled(rule(&["t:{/id}"]), "/a/1", &[]);
    let encoded = headers(&[("content-encoding", "gzip")]);
    for (headers, body) in [
        (HeaderMap::new(), &b"<html>"[..]),
        (HeaderMap::new(), b""),
        (encoded, b"{\"id\":1}"),
    ] {
        assert_eq!(all(&filled, &headers, body), Err(NotStored::TagMissing));
    }
}

#[test]
fn a_body_with_more_members_than_tags_leaves_the_response_unstored() {
    let list = |values: &mut dyn Iterator<Item = String>| -> Vec<u8> {
        let members: Vec<String> = values.map(|value| format!("\"{value}\"")).collect();
        format!("[{}]", members.join(",")).into()
    };
    let filled = filled(rule(&["t:{/*:lower}"]), "/a/1", &[]);
    let body = list(&mut (0..65).map(|n| n.to_string()));
    assert_eq!(
        all(&filled, &HeaderMap::new(), &body),
        Err(NotStored::TagLimit)
    );

    // Many spellings of few values, and one value more where the collecting has stopped.
    let spelling = |n: u32| (0..10).map(move |bit| if n >> bit & 1 == 1 { 'A' } else { 'a' });
    let spellings = (0..400).map(|n| spelling(n).collect::<String>());
    let body = list(&mut spellings.chain(["other".to_owned()]));
    assert_eq!(
        all(&filled, &HeaderMap::new(), &body),
        Err(NotStored::TagLimit)
    );
}
