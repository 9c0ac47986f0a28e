//! `Vary`: which request fields select among the responses of one URI (RFC 9111 §4.1).

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, VARY};

use super::encoding::canonical;
use super::syntax::{lines, members};
use crate::alias;
use crate::key::{Component, KeyBuilder};

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

/// Adds to a key what `request` says in the nominated `fields`, so that two requests share the key only
/// if they match by RFC 9111 §4.1. A missing field matches only a missing one.
///
/// The lines count as they were sent. §4.1 would let them be joined and their white space be folded, but
/// the inner service sees the difference, and may say something about it (SAFETY 67). The one exception
/// is `Accept-Encoding`, in which letter case, white space and order say nothing (RFC 9110 §12.5.3).
pub(crate) fn append_variant(key: &mut KeyBuilder, fields: &[HeaderName], request: &HeaderMap) {
    for name in fields {
        key.component(Component::Vary, name.as_str().as_bytes());
        if alias::others(request, name.as_str()).next().is_some() {
            append_spellings(key, name, request);
            continue;
        }
        let mut values = lines(request, name);
        match (values.next(), values.next()) {
            (None, _) => key.component(Component::Absent, b""),
            (Some(value), None) if name != ACCEPT_ENCODING || is_plain(value) => {
                key.component(Component::Line, value);
            }
            _ => append_lines(key, name, request),
        }
    }
}

/// What may be taken for a nominated field (SAFETY 66), each line with its name and in its place.
fn append_spellings(key: &mut KeyBuilder, name: &HeaderName, request: &HeaderMap) {
    for (found, line) in request {
        if found == name || alias::spells(found.as_str(), name.as_str()) {
            key.component(Component::Header, found.as_str().as_bytes());
            key.component(Component::Line, line.as_bytes());
        }
    }
}

/// Normalising cannot change it: no separator, no letter with a lower case, no old name.
fn is_plain(value: &[u8]) -> bool {
    !value.starts_with(b"x-")
        && !value
            .iter()
            .any(|byte| matches!(byte, b',' | b';' | b'A'..=b'Z' | b' ' | b'\t'))
}

fn append_lines(key: &mut KeyBuilder, name: &HeaderName, request: &HeaderMap) {
    match (name == ACCEPT_ENCODING)
        .then(|| canonical(request))
        .flatten()
    {
        Some(value) => key.component(Component::Line, &value),
        None => lines(request, name).for_each(|value| key.component(Component::Line, value)),
    }
}

#[cfg(test)]
mod tests;
