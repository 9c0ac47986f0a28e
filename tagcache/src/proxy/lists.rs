//! What is equivalent in a request is made one before anything looks at it, and is sent on so: then all
//! who share a stored response have asked upstream in the same words (RFC 9111 §4.1, SAFETY 67).
//!
//! Only what is known to mean the same is folded: lines into one (RFC 9110 §5.3), and in the lists that
//! nearly all clients send white space and the letter case of language tags. Of a field that nobody knows
//! even the white space may mean something, and many read the order of languages as one of preference
//! (§12.5.4).

use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::proxy::fields::is_claim;

/// May not be there twice, or are made one elsewhere.
const SINGLE: [&str; 18] = [
    "authorization",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "from",
    "host",
    "if-modified-since",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "range",
    "referer",
    "user-agent",
];

type FoldedValue = SmallVec<[u8; 128]>;

/// Whether the values of `name` are folded.
pub(super) fn is_folded(name: &HeaderName) -> bool {
    *name == ACCEPT || *name == ACCEPT_LANGUAGE
}

/// Folds what is equivalent.
pub(super) fn fold(headers: &mut HeaderMap) {
    if headers.len() > headers.keys_len() {
        join_lines(headers);
    }
    fold_value(headers, &ACCEPT, Some);
    fold_value(headers, &ACCEPT_LANGUAGE, language);
}

/// Several lines of one field as one.
fn join_lines(headers: &mut HeaderMap) {
    let several = |name: &&HeaderName| {
        headers.get_all(*name).iter().nth(1).is_some()
            && !SINGLE.contains(&name.as_str())
            && !is_claim(name)
    };
    let several: SmallVec<[HeaderName; 4]> = headers.keys().filter(several).cloned().collect();
    for name in &several {
        let lines: Vec<_> = headers.get_all(name).iter().collect();
        let quotes =
            |line: &&HeaderValue| line.as_bytes().iter().filter(|byte| **byte == b'"').count();
        // An open quote would take in the next line.
        if lines.iter().any(|line| quotes(line) % 2 == 1) {
            continue;
        }
        let lines = lines.iter().map(|line| line.as_bytes());
        let joined = lines.collect::<Vec<_>>().join(&b", "[..]);
        if let Ok(joined) = HeaderValue::from_bytes(&joined) {
            headers.insert(name, joined);
        }
    }
}

/// Writes the list in `name` without white space, each member through `member`; not if that is none.
fn fold_value(
    headers: &mut HeaderMap,
    name: &HeaderName,
    member: impl Fn(FoldedValue) -> Option<FoldedValue>,
) {
    let mut lines = headers.get_all(name).iter();
    let (Some(value), None) = (lines.next(), lines.next()) else {
        return;
    };
    let Some(folded) = folded(value.as_bytes(), member) else {
        return;
    };
    if *folded != *value.as_bytes()
        && let Ok(folded) = HeaderValue::from_bytes(&folded)
    {
        headers.insert(name, folded);
    }
}

fn folded(
    value: &[u8],
    member: impl Fn(FoldedValue) -> Option<FoldedValue>,
) -> Option<FoldedValue> {
    // Separators in quoted text are none.
    if value.contains(&b'"') {
        return None;
    }
    let mut all = FoldedValue::new();
    for text in value.split(|byte| *byte == b',') {
        let mut one = FoldedValue::new();
        for (place, part) in text.split(|byte| *byte == b';').enumerate() {
            if place > 0 {
                one.push(b';');
            }
            one.extend_from_slice(part.trim_ascii());
        }
        if one.is_empty() {
            continue;
        }
        if !all.is_empty() {
            all.push(b',');
        }
        all.extend_from_slice(&member(one)?);
    }
    Some(all)
}

/// A language range with its weight, in the letter case that RFC 5646 §2.1.1 recommends, which is also
/// what clients send: letter case says nothing, but not every server knows.
fn language(mut member: FoldedValue) -> Option<FoldedValue> {
    let end = member.iter().position(|byte| *byte == b';');
    let end = end.unwrap_or(member.len());
    member.make_ascii_lowercase();
    let tag = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'*');
    if !member[..end].iter().all(tag) {
        return None;
    }
    let mut extension = false;
    for (place, subtag) in member[..end].split_mut(|byte| *byte == b'-').enumerate() {
        match subtag {
            [_] => extension = true,
            [_, _] if place > 0 && !extension => subtag.make_ascii_uppercase(),
            [first, _, _, _] if place > 0 && !extension => first.make_ascii_uppercase(),
            _ => {}
        }
    }
    Some(member)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        fold(&mut headers);
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        headers.iter().map(line).collect()
    }

    #[test]
    fn safety_67_lists_are_written_in_one_way() {
        for (name, sent, expected) in [
            ("accept-language", "en, de", "en,de"),
            ("accept-language", "eN , , De", "en,de"),
            ("accept-language", "en-us;Q=0.5 ,\tDE", "en-US;q=0.5,de"),
            (
                "accept-language",
                "ZH-hant-tw, *; q=0.1",
                "zh-Hant-TW,*;q=0.1",
            ),
            ("accept-language", "de-CH-X-AB-abcd", "de-CH-x-ab-abcd"),
            ("accept-language", "en-US,en;q=0.9", "en-US,en;q=0.9"),
            // Order may say what is preferred, and what is no list is left alone.
            ("accept-language", "de,en", "de,en"),
            ("accept-language", "en us, DE", "en us, DE"),
            ("accept-language", "\"a , b\"", "\"a , b\""),
            ("accept", "text/html, */* ; q=0.1", "text/html,*/*;q=0.1"),
            ("accept", "Text/HTML;Level=1", "Text/HTML;Level=1"),
            ("accept", "a/b; c=\"x , y\"", "a/b; c=\"x , y\""),
            ("x-any", "a , b", "a , b"),
            ("user-agent", "A (B, like  C)", "A (B, like  C)"),
        ] {
            let name: &'static str = name;
            assert_eq!(after(&[(name, sent)]), [format!("{name}: {expected}")]);
        }
    }

    #[test]
    fn safety_67_lines_of_a_list_are_one() {
        type Lines = &'static [(&'static str, &'static str)];
        let rows: [(Lines, &[&str]); 5] = [
            (
                &[("x-any", "1"), ("x-b", "3"), ("x-any", "2")],
                &["x-any: 1, 2", "x-b: 3"],
            ),
            (
                &[("accept", "a/a"), ("accept", "b/b")],
                &["accept: a/a,b/b"],
            ),
            (
                &[("x-any", "\"a"), ("x-any", "b\"")],
                &["x-any: \"a", "x-any: b\""],
            ),
            (
                &[("authorization", "a"), ("authorization", "b")],
                &["authorization: a", "authorization: b"],
            ),
            (
                &[
                    ("x-forwarded-proto", "http"),
                    ("x-forwarded-proto", "https"),
                ],
                &["x-forwarded-proto: http", "x-forwarded-proto: https"],
            ),
        ];
        for (lines, expected) in rows {
            assert_eq!(after(lines), expected, "{lines:?}");
        }
    }
}
