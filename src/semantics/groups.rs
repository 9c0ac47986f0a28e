//! Cache groups (RFC 9875): a list of strings that names what a response belongs to, and one that
//! names what an unsafe request has changed.

use http::header::{HeaderMap, HeaderName};
use sfv::{List, ListEntry, Parser};

use super::syntax::lines;

const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// RFC 9875 §2 asks for at least 32 members of 32 characters. A list with more than these, or a
/// longer member, is not heard at all.
const MAX_GROUPS: usize = 64;
const MAX_GROUP_BYTES: usize = 128;

/// The groups that a response belongs to. A field that cannot be read names none (RFC 9651 §4.2).
pub(crate) fn groups(headers: &HeaderMap) -> Vec<String> {
    strings(headers, &CACHE_GROUPS)
}

/// The groups that the response to an unsafe request has changed (RFC 9875 §3).
pub(crate) fn invalidated_groups(headers: &HeaderMap) -> Vec<String> {
    strings(headers, &CACHE_GROUP_INVALIDATION)
}

fn strings(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    if !headers.contains_key(name) {
        return Vec::new();
    }
    let text: Vec<&[u8]> = lines(headers, name).collect();
    let Ok(list) = Parser::new(&text.join(&b", "[..])).parse::<List>() else {
        return Vec::new();
    };
    let text = |entry: &ListEntry| match entry {
        ListEntry::Item(item) => item
            .bare_item
            .as_string()
            .map(|text| text.as_str().to_owned()),
        ListEntry::InnerList(_) => None,
    };
    // RFC 9875 §2: a list of strings; another type makes the whole field invalid.
    let groups: Option<Vec<String>> = list.iter().map(text).collect();
    groups
        .filter(|groups| groups.len() <= MAX_GROUPS)
        .filter(|groups| groups.iter().all(|group| group.len() <= MAX_GROUP_BYTES))
        .unwrap_or_default()
}
