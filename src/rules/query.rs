//! [`Query`]: how the query is part of the key, and its parameters as tags read them.

use std::borrow::Cow;
use std::cmp::Ordering;

use smallvec::SmallVec;

use super::names::{Names, Prefix};
use super::options::Forward;
use super::template::Values;
use crate::error::ConfigError;
use crate::key::{Component, KeyBuilder};

/// How the query is part of the key.
///
/// A parameter that is left out must not change the response; it is forwarded all the same, unless the rule
/// says [`Forward::Keyed`]. Where the order of names does not count, the inner service gets one order. What the inner service may read in
/// another way than it looks (an encoded name, `name[]`, `;` as a separator, repeated names in
/// their order) stays in the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(transparent)
)]
pub struct Query(Policy);

/// How the query is part of the key: a word, or `{ allow = [...] }`, `{ deny = [...] }`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase"),
    schemars(inline)
)]
enum Policy {
    /// Exactly as it was sent.
    #[default]
    All,
    /// All parameters, whatever their order.
    Sorted,
    /// Nothing of it.
    Ignore,
    /// Only these parameters; a name may end in `*`.
    Allow(Names),
    /// All but these parameters; a name may end in `*`.
    Deny(Names),
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
            Policy::All => key.component(Component::Query, query.as_bytes()),
            Policy::Ignore => {}
            Policy::Sorted => write_pieces(query, |_| true, key),
            Policy::Allow(names) => write_pieces(query, |piece| may_be_allowed(names, piece), key),
            Policy::Deny(names) => write_pieces(query, |piece| !is_denied(names, piece), key),
        }
    }
}

impl Query {
    /// The query as it is forwarded, if not as it was sent: what counts in the order in which it is in the
    /// key, since requests that differ in it share a response (SAFETY 67); then what does not count, unless
    /// it is to stay away.
    pub(super) fn forwarded(&self, query: &str, forward: Forward) -> Option<Option<String>> {
        let keep = |piece: &str| match &self.0 {
            Policy::All | Policy::Sorted => true,
            Policy::Allow(names) => may_be_allowed(names, piece),
            Policy::Deny(names) => !is_denied(names, piece),
            Policy::Ignore => false,
        };
        if self.0 == Policy::All {
            return None;
        }
        let mut pieces = counted(query, keep);
        let none = pieces.is_empty();
        if forward == Forward::Whole {
            pieces.extend(query.split('&').filter(|piece| !keep(piece)));
        }
        let whole = pieces.join("&");
        match none && forward == Forward::Keyed {
            true => Some(None),
            false => (whole != query).then_some(Some(whole)),
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
    for piece in counted(query, keep) {
        write_piece(piece, key);
    }
}

/// The pieces that count, in the order in which they do.
fn counted(query: &str, keep: impl Fn(&str) -> bool) -> SmallVec<[&str; 16]> {
    let pieces = query.split('&').filter(|piece| keep(piece));
    let mut pieces: SmallVec<[&str; 16]> = pieces.collect();
    // Where `;` may separate parameters, their order cannot be known: it stays as it was sent.
    if pieces.len() > 1 && !pieces.iter().any(|piece| piece.contains(';')) {
        // Stable, so that repeats of a name keep their order: which one counts is not ours to say.
        pieces.sort_by(|a, b| compare_names(a, b));
    }
    pieces
}

fn write_piece(piece: &str, key: &mut KeyBuilder) {
    let bytes = piece.as_bytes();
    let (name, value) = bytes.split_at(name_length(piece));
    key.component(Component::QueryName, name);
    match value.split_first() {
        Some((_equals, value)) => key.component(Component::QueryValue, value),
        None => key.component(Component::Absent, b""),
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

/// The name of `piece` as [`base_name`] reads it, but with a `[` in it.
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
mod tests;
