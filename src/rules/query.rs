//! [`Query`]: how the query is part of the key, and its parameters as tags read them.

use std::borrow::Cow;
use std::cmp::Ordering;

use smallvec::SmallVec;

use super::names::{Names, Prefix};
use super::template::Values;
use crate::error::ConfigError;
use crate::key::{KeyBuilder, Part};

/// How the query is part of the key.
///
/// A parameter that is left out must not change the response. What the inner service may read in
/// another way than it looks (an encoded name, `name[]`, `;` as a separator, repeated names in
/// their order) stays in the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query(Policy);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Policy {
    #[default]
    All,
    Sorted,
    Allow(Names),
    Deny(Names),
    Ignore,
}

impl Query {
    /// The whole query exactly as it was sent.
    #[must_use]
    pub fn all() -> Self {
        Self(Policy::All)
    }

    /// All parameters, whatever the order of their names; values of one name keep theirs.
    #[must_use]
    pub fn sorted() -> Self {
        Self(Policy::Sorted)
    }

    /// Only the parameters with these names, which may end in `*`, sorted.
    pub fn allow<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(Policy::Allow(Names::new(names)))
    }

    /// All but the parameters with these names, which may end in `*`, sorted.
    pub fn deny<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(Policy::Deny(Names::new(names)))
    }

    /// Nothing of the query.
    #[must_use]
    pub fn ignore() -> Self {
        Self(Policy::Ignore)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match &self.0 {
            Policy::Allow(names) if names.is_empty() => {
                let message = "no name is allowed (`Query::ignore` leaves out the query)";
                Err(ConfigError::new("query", message, ""))
            }
            Policy::Allow(names) | Policy::Deny(names) => names.check("query"),
            _ => Ok(()),
        }
    }

    /// Whether two requests that differ in the parameter `name` have different keys.
    pub(super) fn keys(&self, name: &str) -> bool {
        match &self.0 {
            Policy::Ignore => false,
            Policy::Allow(names) => names.contain(name.as_bytes()),
            Policy::Deny(names) => !names.contain(name.as_bytes()),
            Policy::All | Policy::Sorted => true,
        }
    }

    /// Adds to `key` what counts of `query`.
    pub(super) fn write(&self, query: Option<&str>, key: &mut KeyBuilder) {
        let Some(query) = query else { return };
        match &self.0 {
            Policy::All => key.part(Part::Query, query.as_bytes()),
            Policy::Ignore => {}
            Policy::Sorted => write_pieces(query, |_| true, key),
            Policy::Allow(names) => write_pieces(query, |piece| may_be_allowed(names, piece), key),
            Policy::Deny(names) => write_pieces(query, |piece| !is_denied(names, piece), key),
        }
    }
}

/// The values of the parameter `name`, decoded as forms are; `None` if there is none, or one that
/// is not UTF-8.
pub(super) fn values<'q>(query: &'q str, name: &str) -> Option<Values<'q>> {
    let mut values = Values::new();
    for piece in query.split('&') {
        let (raw_name, value) = piece.split_once('=').unwrap_or((piece, ""));
        if decoded(raw_name.as_bytes()).eq(name.bytes()) {
            values.push(decode_text(value)?);
        }
    }
    (!values.is_empty()).then_some(values)
}

fn decode_text(raw: &str) -> Option<Cow<'_, str>> {
    if raw.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        let bytes = decoded(raw.as_bytes()).collect();
        return String::from_utf8(bytes).ok().map(Cow::Owned);
    }
    Some(raw.into())
}

fn write_pieces(query: &str, keep: impl Fn(&str) -> bool, key: &mut KeyBuilder) {
    // The usual one, or none: nothing to sort.
    if !query.as_bytes().contains(&b'&') {
        if keep(query) {
            write_piece(query, key);
        }
        return;
    }
    let pieces = query.split('&').filter(|piece| keep(piece));
    let mut pieces: SmallVec<[&str; 16]> = pieces.collect();
    // Where `;` may separate parameters, their order cannot be known: it stays as it was sent.
    if pieces.len() > 1 && !pieces.iter().any(|piece| piece.contains(';')) {
        // Stable, so that repeats of a name keep their order: which one counts is not ours to say.
        pieces.sort_by(|a, b| compare_names(a, b));
    }
    for piece in pieces {
        write_piece(piece, key);
    }
}

fn write_piece(piece: &str, key: &mut KeyBuilder) {
    let bytes = piece.as_bytes();
    let (name, value) = bytes.split_at(name_length(piece));
    key.part(Part::QueryName, name);
    match value.split_first() {
        Some((_equals, value)) => key.part(Part::QueryValue, value),
        None => key.part(Part::Absent, b""),
    }
}

/// How long the name in `piece` is, up to a `=` if there is one. Names are short, so a plain search is
/// the fastest.
fn name_length(piece: &str) -> usize {
    let equals = piece.bytes().position(|byte| byte == b'=');
    equals.unwrap_or(piece.len())
}

fn compare_names(a: &str, b: &str) -> Ordering {
    base_name(a).cmp(base_name(b))
}

/// Left out only what surely has another name: a part of `piece` that reads as an allowed name in
/// any usual way is kept (SAFETY 10, parameter cloaking).
fn may_be_allowed(names: &Names, piece: &str) -> bool {
    // The usual spelling, which all readers agree on.
    if names.contain(&piece.as_bytes()[..name_length(piece)]) {
        return true;
    }
    piece.split(';').any(|part| {
        names.any(|known, prefix| {
            let is = |name: &mut dyn Iterator<Item = u8>| {
                let begins = base_name(known).all(|byte| name.next() == Some(byte));
                begins && (prefix == Prefix::Yes || name.next().is_none())
            };
            // PHP reads `a[b` without its end as `a_b`.
            is(&mut base_name(part)) || is(&mut lenient_name(part))
        })
    })
}

/// Left out only what surely has that name.
fn is_denied(names: &Names, piece: &str) -> bool {
    let name = piece.split_once('=').map_or(piece, |(name, _)| name);
    !piece.contains(';')
        && names.any(|known, prefix| {
            let mut name = decoded(name.as_bytes());
            let begins = known.bytes().all(|byte| name.next() == Some(byte));
            begins && (prefix == Prefix::Yes || name.next().is_none())
        })
}

/// The name of `piece` as the most lenient reader takes it: decoded, without spaces before it, up to
/// a `[` or NUL, case folded, with `_` for what is in no name of a PHP variable.
fn base_name(piece: &str) -> impl Iterator<Item = u8> + '_ {
    let name = piece.split_once('=').map_or(piece, |(name, _)| name);
    decoded(name.as_bytes())
        .skip_while(u8::is_ascii_whitespace)
        .take_while(|byte| !matches!(byte, b'[' | 0))
        .map(variable)
}

/// The same with a `[` as a part of it.
fn lenient_name(piece: &str) -> impl Iterator<Item = u8> + '_ {
    let name = piece.split_once('=').map_or(piece, |(name, _)| name);
    decoded(name.as_bytes())
        .skip_while(u8::is_ascii_whitespace)
        .take_while(|byte| *byte != 0)
        .map(variable)
}

fn variable(byte: u8) -> u8 {
    match byte {
        b'.' | b' ' | b'[' => b'_',
        byte => byte.to_ascii_lowercase(),
    }
}

/// The bytes of form-encoded text; a broken `%` stands for itself.
pub(super) fn decoded(raw: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = raw.iter().copied();
    std::iter::from_fn(move || match rest.next()? {
        b'+' => Some(b' '),
        b'%' => {
            let mut ahead = rest.clone();
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(ahead.next()), digit(ahead.next()));
            let Some((high, low)) = high.zip(low) else {
                return Some(b'%');
            };
            rest = ahead;
            u8::try_from(high * 16 + low).ok()
        }
        byte => Some(byte),
    })
}

#[cfg(test)]
mod tests {
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
}
