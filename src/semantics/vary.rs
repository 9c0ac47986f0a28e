//! `Vary`: which request fields select among the responses of one URI (RFC 9111 §4.1).

use http::header::{
    ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HOST, HeaderMap,
    HeaderName, ORIGIN, REFERER, USER_AGENT, VARY,
};

use super::syntax::{Quotes, is_ows, lines, members, trim_ows};
use crate::key::{KeyBuilder, Part};

/// What the `Vary` of a response nominates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vary {
    /// Nothing: one response for all.
    None,
    /// More than request fields, or something that cannot be read: no other request matches.
    Any,
    /// These fields, sorted, without repeats.
    Fields(Vec<HeaderName>),
}

impl Vary {
    /// Reads every line. A `*` among others is a `*` (RFC 9111 §4.1 speaks of a field that contains
    /// it as a member), and so is what is no field name.
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut fields = Vec::new();
        for member in members(headers, &VARY) {
            match HeaderName::from_bytes(member) {
                // `*` is a token, hence a possible field name.
                Ok(name) if name != "*" => fields.push(name),
                _ => return Self::Any,
            }
        }
        if fields.is_empty() {
            return Self::None;
        }
        fields.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        fields.dedup();
        Self::Fields(fields)
    }
}

/// Adds to a key what `request` says in the nominated `fields`, so that two requests share the key
/// iff they match by RFC 9111 §4.1. A missing field matches only a missing one.
pub(crate) fn append_variant(key: &mut KeyBuilder, fields: &[HeaderName], request: &HeaderMap) {
    for name in fields {
        key.part(Part::Vary, name.as_str().as_bytes());
        let mut values = lines(request, name);
        match (values.next(), values.next()) {
            (None, _) => key.part(Part::Absent, b""),
            (Some(value), None) if is_plain(value) => key.part(Part::Line, trim_ows(value)),
            _ => append_normalised(key, name, request),
        }
    }
}

/// Normalising cannot change it: no separator, no letter with a lower case.
fn is_plain(value: &[u8]) -> bool {
    !value
        .iter()
        .any(|byte| matches!(byte, b',' | b';' | b'A'..=b'Z'))
}

/// RFC 9111 §4.1 allows to combine lines, to fold white space where the field's syntax has none to
/// lose, and to ignore case where the field does. No member is reordered or dropped: their order
/// may count (RFC 9110 §12.5.4), and a needless variant costs less than a wrong answer.
fn append_normalised(key: &mut KeyBuilder, name: &HeaderName, request: &HeaderMap) {
    match combined(name, request) {
        Some(value) => key.part(Part::Line, &value),
        None => lines(request, name).for_each(|value| key.part(Part::Line, trim_ows(value))),
    }
}

/// The normalised lines in one; `None` where they are not to be touched.
fn combined(name: &HeaderName, request: &HeaderMap) -> Option<Vec<u8>> {
    if is_one_value(name) {
        return None;
    }
    let mut combined = Vec::with_capacity(64);
    for (index, value) in lines(request, name).enumerate() {
        if index > 0 {
            combined.push(b',');
        }
        fold_into(&mut combined, trim_ows(value), ignores_case(name))?;
    }
    Some(combined)
}

/// Fields that are no lists: in them a comma is text, and a second line no continuation. Of any
/// other field, known or not, RFC 9110 §5.3 lets every recipient join the lines with a comma and
/// optional white space, so a reader cannot tell `a,b` from `a, b`.
fn is_one_value(name: &HeaderName) -> bool {
    [COOKIE, AUTHORIZATION, USER_AGENT, REFERER, ORIGIN, HOST].contains(name)
}

/// Fields made of nothing but case-insensitive words and `q=`: content codings (RFC 9110 §8.4.1),
/// language ranges (§12.5.4), charsets (§8.3.2).
fn ignores_case(name: &HeaderName) -> bool {
    [ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCEPT_CHARSET].contains(name)
}

/// Copies `value` without the white space around commas outside of quoted-strings; where case does
/// not count also around semicolons, and in lower case. `None` if a quote is left open: joined with
/// the next line it could mean something else.
fn fold_into(out: &mut Vec<u8>, value: &[u8], ignore_case: bool) -> Option<()> {
    let mut quotes = Quotes::default();
    let start = out.len();
    let mut after_separator = false;
    for &byte in value {
        let outside = quotes.outside(byte);
        if outside && after_separator && is_ows(byte) {
            continue;
        }
        after_separator = outside && (byte == b',' || ignore_case && byte == b';');
        if after_separator {
            while out.len() > start && out.last().copied().is_some_and(is_ows) {
                out.pop();
            }
        }
        out.push(if ignore_case {
            byte.to_ascii_lowercase()
        } else {
            byte
        });
    }
    quotes.closed().then_some(())
}

#[cfg(test)]
mod tests;
