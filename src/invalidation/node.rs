//! The JSON and the fields that paths lead into.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::invalidation::placeholder;
use crate::invalidation::step::Step;
use crate::rules::template::{Normaliser, Values};
use crate::tag::MAX_TAGS;

/// The most lists and objects within each other. Real events have about four.
const MAX_NESTING: usize = 64;

/// An event, or the whole entry: what paths start from.
///
/// JSON is kept as its text and read where a path leads. So numbers keep all their digits (a
/// `uint256` does not fit any number type of JSON libraries) and an entry costs no more memory than
/// its text.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    /// A JSON object, its members not yet read.
    Object(BTreeMap<String, &'a RawValue>),
    /// Any other JSON value.
    Other(&'a RawValue),
    /// The fields of a stream entry.
    Fields {
        named: Vec<(&'a str, &'a str)>,
        /// Their values are JSON where they look like it.
        json: bool,
    },
}

/// Why a path finds no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfound {
    /// There is none, or one that cannot be part of a tag: null, an object, a fraction.
    Missing,
    /// The publisher wrote that it does not know the value.
    Unavailable,
    /// A text in JSON quotes where plain text is expected.
    Quoted,
}

impl Unfound {
    /// What is particular about it, for people.
    pub(crate) const fn problem(self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            Self::Unavailable => Some("the publisher did not read the value"),
            Self::Quoted => {
                Some("a text in JSON quotes; a format of kind \"json\" reads it without them")
            }
        }
    }
}

/// Texts of JSON that stood in strings of an entry, kept for as long as the entry is read.
#[derive(Debug, Default)]
pub(crate) struct Texts([OnceCell<Box<str>>; 8]);

impl Texts {
    /// Keeps `text`; `None` if that is one too many.
    pub(super) fn keep(&self, text: String) -> Option<&str> {
        let free = self.0.iter().find(|slot| slot.get().is_none())?;
        Some(free.get_or_init(|| text.into()))
    }
}

impl<'a> Node<'a> {
    /// The node of `raw`.
    pub(crate) fn new(raw: &'a RawValue) -> Self {
        object(raw).map_or(Self::Other(raw), Self::Object)
    }

    /// Whether it has no member `name` that is not null.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        self.member(name).is_none_or(is_null)
    }

    /// The JSON value that `steps` lead to.
    pub(super) fn raw(&self, steps: &[Step], texts: &'a Texts) -> Option<&'a RawValue> {
        let (mut raw, steps) = match self {
            Self::Other(raw) => (*raw, steps),
            Self::Object(_) | Self::Fields { .. } => {
                let (first, rest) = steps.split_first()?;
                (self.member(first.name()?)?, rest)
            }
        };
        for step in steps {
            if let Some(inner) = string(raw) {
                raw = parse(texts.keep(inner)?).ok()?;
            }
            if let Some(name) = step.name() {
                raw = object(raw)?.get(name).copied()?;
            }
        }
        Some(raw)
    }

    /// Adds the values that `steps` lead to, of which the first `optional` may lead to nothing.
    pub(super) fn collect(
        &self,
        steps: &[Step],
        optional: usize,
        found: &mut Values<'a>,
    ) -> Result<(), Unfound> {
        let Self::Fields { named, json } = self else {
            return match self {
                Self::Other(raw) => collect(raw, steps, optional, found),
                _ => {
                    let (first, rest) = steps.split_first().ok_or(Unfound::Missing)?;
                    let raw = first.name().and_then(|name| self.member(name));
                    collect_member(raw, rest, optional, found)
                }
            };
        };
        let (first, rest) = steps.split_first().ok_or(Unfound::Missing)?;
        let name = first.name().ok_or(Unfound::Missing)?;
        let Some(text) = field(named, name) else {
            // A field given twice is there.
            let absent = !named.iter().any(|(field, _)| *field == name);
            return unless(absent && optional > 0);
        };
        if optional > 0 && matches!(text, "" | "null" | "NULL") {
            return Ok(());
        }
        if !rest.is_empty() {
            return collect_member(parse(text).ok(), rest, optional, found);
        }
        leaf(text, *json, found)
    }

    fn member(&self, name: &str) -> Option<&'a RawValue> {
        match self {
            Self::Object(members) => members.get(name).copied(),
            Self::Other(_) => None,
            Self::Fields { named, .. } => parse(field(named, name)?).ok(),
        }
    }
}

/// The value of a field: its text, or what its JSON says where a publisher writes values so.
fn leaf<'a>(text: &'a str, json: bool, found: &mut Values<'a>) -> Result<(), Unfound> {
    if placeholder::is_unavailable(text) {
        return Err(Unfound::Unavailable);
    }
    if json && (text.starts_with(['"', '[', '{']) || text == "null") {
        let raw = parse(text).map_err(|_| Unfound::Missing)?;
        return collect(raw, &[], 0, found);
    }
    // `"7"` makes a tag that no response has, if the publisher wrote JSON after all.
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        return Err(Unfound::Quoted);
    }
    found.push(text.into());
    Ok(())
}

/// Nothing at all, if that `may` be; an error otherwise.
const fn unless(may: bool) -> Result<(), Unfound> {
    if may { Ok(()) } else { Err(Unfound::Missing) }
}

fn field<'a>(fields: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    let mut named = fields.iter().filter(|(field, _)| *field == name);
    // A field given twice is ambiguous: no value, rather than the wrong one.
    let (_, value) = named.next()?;
    named.next().is_none().then_some(value)
}

/// Why a text is not JSON that can be used.
#[derive(Debug)]
pub(crate) enum NotJson {
    Syntax(serde_json::Error),
    TooDeep,
}

/// Reads `text` as one JSON value of bounded nesting.
pub(crate) fn parse(text: &str) -> Result<&RawValue, NotJson> {
    if nesting(text) > MAX_NESTING {
        return Err(NotJson::TooDeep);
    }
    serde_json::from_str(text).map_err(NotJson::Syntax)
}

/// The elements of a JSON list, or `None` if it is none.
pub(crate) fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    if !raw.get().starts_with('[') {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}

/// The members of a JSON object, or `None` if it is none. Of a name given twice the last counts.
fn object(raw: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    if !raw.get().starts_with('{') {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}

/// The text of a JSON string, or `None` if it is none.
pub(super) fn string(raw: &RawValue) -> Option<String> {
    if !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// Goes on from the member that a step led to.
fn collect_member<'a>(
    raw: Option<&'a RawValue>,
    rest: &[Step],
    optional: usize,
    found: &mut Values<'a>,
) -> Result<(), Unfound> {
    match raw {
        Some(raw) if !(optional > 0 && is_null(raw)) => {
            collect(raw, rest, optional.saturating_sub(1), found)
        }
        _ => unless(optional > 0),
    }
}

/// Recursion is bounded by the steps and by [`MAX_NESTING`].
fn collect<'a>(
    raw: &'a RawValue,
    steps: &[Step],
    optional: usize,
    found: &mut Values<'a>,
) -> Result<(), Unfound> {
    let text = raw.get();
    let first = text.as_bytes().first().ok_or(Unfound::Missing)?;
    if *first == b'"' {
        return collect_string(raw, steps, optional, found);
    }
    match (first, steps.split_first()) {
        (b'n', Some(_)) => unless(optional > 0),
        // What is JSON already needs no reading.
        (_, Some((Step::Json, rest))) => collect(raw, rest, optional.saturating_sub(1), found),
        (b'{', Some((step, rest))) => {
            let members = object(raw).ok_or(Unfound::Missing)?;
            if members.keys().any(|name| placeholder::is_unavailable(name)) {
                return Err(Unfound::Unavailable);
            }
            let member = step.name().and_then(|name| members.get(name).copied());
            collect_member(member, rest, optional, found)
        }
        (b'[', step) => {
            let elements = elements(raw).ok_or(Unfound::Missing)?;
            if placeholder::is_unavailable_list(&elements) {
                return Err(Unfound::Unavailable);
            }
            if let Some((step, rest)) = step
                && let Some(place) = step.place()
            {
                return collect_member(elements.get(place).copied(), rest, optional, found);
            }
            // One more than can be used shows the caller that there are too many.
            for element in elements.into_iter().take(MAX_TAGS + 1) {
                collect(element, steps, optional, found)?;
            }
            Ok(())
        }
        (b't' | b'f', None) => {
            found.push(text.into());
            Ok(())
        }
        // One value, one form: `1`, `"1"` and `-0` must not be several tags. A fraction or an
        // exponent has many spellings, so it has no value here.
        (b'-' | b'0'..=b'9', None) => {
            let number = Normaliser::Int.apply(text.into());
            found.push(number.ok_or(Unfound::Missing)?);
            Ok(())
        }
        _ => Err(Unfound::Missing),
    }
}

/// A string: a value at the end of a path, JSON before it.
fn collect_string<'a>(
    raw: &'a RawValue,
    steps: &[Step],
    optional: usize,
    found: &mut Values<'a>,
) -> Result<(), Unfound> {
    let text = string(raw).ok_or(Unfound::Missing)?;
    if placeholder::is_unavailable(&text) {
        return Err(Unfound::Unavailable);
    }
    let Some((first, rest)) = steps.split_first() else {
        found.push(text.into());
        return Ok(());
    };
    let (steps, optional) = match first {
        Step::Json => (rest, optional.saturating_sub(1)),
        Step::Plain(_) | Step::Quoted(_) => (steps, optional),
    };
    let inner = parse(&text).map_err(|_| Unfound::Missing)?;
    // A string in a string is none that goes on.
    if inner.get().starts_with('"') && !steps.is_empty() {
        return Err(Unfound::Missing);
    }
    let mut values = Values::new();
    collect(inner, steps, optional, &mut values)?;
    let owned = |value: std::borrow::Cow<'_, str>| value.into_owned().into();
    found.extend(values.into_iter().map(owned));
    Ok(())
}

/// How deep lists and objects stand within each other in `text`, found without recursion.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(parse(&deep(MAX_NESTING)).is_ok());
        assert!(matches!(
            parse(&deep(MAX_NESTING + 1)),
            Err(NotJson::TooDeep)
        ));
        assert!(matches!(parse(&deep(1_000_000)), Err(NotJson::TooDeep)));
        // Brackets in a string are text.
        let text = format!("\"\\\"{}\"", "[".repeat(100));
        assert!(parse(&text).is_ok());
    }
}
