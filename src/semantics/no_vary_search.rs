//! `No-Vary-Search` (draft-ietf-httpbis-no-vary-search): which differences of the query make no
//! difference to the response.

use std::fmt::Write;

use http::header::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser};

use super::syntax::lines;

const NO_VARY_SEARCH: HeaderName = HeaderName::from_static("no-vary-search");

/// More names than this are not heard.
const MAX_NAMES: usize = 64;

/// What a response says about the query of its URI.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NoVarySearch {
    /// The order of parameters with different names makes no difference.
    key_order: bool,
    params: Params,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Params {
    /// These make no difference.
    Ignored(Vec<String>),
    /// All others make none.
    Kept(Vec<String>),
}

impl Default for Params {
    fn default() -> Self {
        Self::Ignored(Vec::new())
    }
}

impl NoVarySearch {
    /// What the field says; `None` if it is missing, cannot be read, or permits nothing.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        if !headers.contains_key(NO_VARY_SEARCH) {
            return None;
        }
        let text: Vec<&[u8]> = lines(headers, &NO_VARY_SEARCH).collect();
        let dictionary: Dictionary = Parser::new(&text.join(&b", "[..])).parse().ok()?;
        let key_order = match dictionary.get("key-order") {
            None => false,
            Some(ListEntry::Item(item)) => item.bare_item.as_boolean()?,
            Some(ListEntry::InnerList(_)) => return None,
        };
        let all = match dictionary.get("params") {
            None => None,
            Some(ListEntry::Item(item)) => Some(item.bare_item.as_boolean()?),
            Some(ListEntry::InnerList(_)) => None,
        };
        let params = match (dictionary.get("params"), dictionary.get("except")) {
            (Some(ListEntry::InnerList(list)), None) => Params::Ignored(names(list)?),
            // `except` makes sense only where all the others are ignored.
            (_, Some(ListEntry::InnerList(list))) if all == Some(true) => {
                Params::Kept(names(list)?)
            }
            (_, Some(_)) => return None,
            (_, None) if all == Some(true) => Params::Kept(Vec::new()),
            (_, None) => Params::default(),
        };
        let found = Self { key_order, params };
        (found != Self::default()).then_some(found)
    }

    /// The query without what makes no difference. Two queries that it holds to be the same become the
    /// same text.
    pub(crate) fn normalise(&self, query: &str) -> String {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        };
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = pairs.map(pair).collect();
        pairs.retain(|(name, _)| self.counts(name));
        if self.key_order {
            // Stable: the order of equal names counts.
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
        }
        let mut text = String::with_capacity(query.len());
        for (name, value) in &pairs {
            encode(&mut text, name);
            text.push('=');
            encode(&mut text, value);
            text.push('&');
        }
        text
    }

    fn counts(&self, name: &[u8]) -> bool {
        let among = |names: &[String]| names.iter().any(|other| other.as_bytes() == name);
        match &self.params {
            Params::Ignored(names) => !among(names),
            Params::Kept(names) => among(names),
        }
    }
}

fn names(list: &InnerList) -> Option<Vec<String>> {
    if list.items.len() > MAX_NAMES {
        return None;
    }
    let name = |item: &sfv::Item| {
        let BareItem::String(name) = &item.bare_item else {
            return None;
        };
        String::from_utf8(decode(name.as_str())).ok()
    };
    list.items.iter().map(name).collect()
}

/// As `application/x-www-form-urlencoded` has it.
fn decode(text: &str) -> Vec<u8> {
    percent_decode(text.replace('+', " ").as_bytes()).collect()
}

fn encode(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::tests::headers;

    fn same(field: &str, one: &str, other: &str) -> bool {
        NoVarySearch::of(&headers(&[("no-vary-search", field)]))
            .is_some_and(|found| found.normalise(one) == found.normalise(other))
    }

    #[test]
    fn queries_are_the_same_but_for_what_makes_no_difference() {
        let rows: &[(&str, &str, &str, bool)] = &[
            ("key-order", "a=1&b=2", "b=2&a=1", true),
            ("key-order", "a=1&a=2", "a=2&a=1", false),
            ("key-order", "a=1", "a=2", false),
            ("params", "a=1", "b=2&c", true),
            ("params=?0", "a=1", "", false),
            ("params=(\"a\")", "a=1&b=2", "b=2&a=3", true),
            ("params=(\"a\")", "b=1", "b=2", false),
            ("params=(\"a\")", "b=1&c=1", "c=1&b=1", false),
            ("params=(\"a b\")", "a+b=1", "a%20b=2", true),
            ("params, except=(\"a\")", "a=1&b=2", "a=1&c=3", true),
            ("params, except=(\"a\")", "a=1", "a=2", false),
            ("except=(\"a\")", "b=1", "b=2", false),
            ("params=(\"a\"), except=(\"b\")", "a=1", "a=2", false),
            ("params=(a)", "a=1", "a=2", false),
            ("params=\"a\"", "a=1", "a=2", false),
            ("params=(\"a\"), &", "a=1", "a=2", false),
            ("unknown", "a=1", "a=2", false),
            ("params=(\"a\"), key-order", "c=1&b=2&a=3", "b=2&c=1", true),
            ("params=(\"a\")", "b=%61", "b=a", true),
        ];
        for (field, one, other, expected) in rows {
            assert_eq!(same(field, one, other), *expected, "{field}: {one} {other}");
        }
    }

    #[test]
    fn no_value_can_spell_another_parameter() {
        assert!(!same("key-order", "a=1%26b%3D2", "a=1&b=2"));
    }
}
