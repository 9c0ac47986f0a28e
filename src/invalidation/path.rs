//! Paths into an event, and the values found there.
//!
//! A path names members by dots (`transaction_information.address`). It starts at the event; `$.`
//! in front starts at the whole entry instead (`$.network`), which differs where one entry carries
//! several events. A number names a place in a list; any other name stands for that member of each
//! element, so that a path may find several values.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::error::ConfigError;
use crate::rules::template::{Normaliser, Values};
use crate::tag::MAX_TAGS;

/// The most lists and objects within each other. Real events have about four.
const MAX_NESTING: usize = 64;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    text: Box<str>,
    whole: bool,
    steps: Box<[Box<str>]>,
}

impl Path {
    /// Reads `text`, or says in words what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (whole, names) = match text.strip_prefix('$') {
            None => (false, text),
            Some("") => {
                return Err("`$` alone names no value (a member of it is `$.name`)".into());
            }
            Some(rest) => match rest.strip_prefix('.') {
                Some(names) => (true, names),
                None => return Err(format!("`$` must be followed by a dot in `{text}`")),
            },
        };
        let steps: Box<[Box<str>]> = names.split('.').map(Into::into).collect();
        if steps.iter().any(|step| step.is_empty()) {
            return Err(format!("empty name in the path `{text}`"));
        }
        if steps.iter().any(|step| step.trim() != &**step) {
            return Err(format!("space around a name in the path `{text}`"));
        }
        Ok(Self {
            text: text.into(),
            whole,
            steps,
        })
    }

    /// Reads `text`, which stands at `place` of a configuration.
    pub(crate) fn parse_at(text: &str, place: &str) -> Result<Self, ConfigError> {
        Self::parse(text).map_err(|message| ConfigError::new(place, message, text))
    }

    /// The path as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it starts at the whole entry.
    pub(crate) const fn is_whole(&self) -> bool {
        self.whole
    }

    /// The values at the end of this path in `node`: `None` if there is no value, none if there is a
    /// list without members.
    pub(crate) fn values<'a>(&self, node: &Node<'a>) -> Option<Values<'a>> {
        let mut found = Values::new();
        node.collect(&self.steps, &mut found)?;
        Some(found)
    }

    /// The one value at the end of this path.
    pub(crate) fn value<'a>(&self, node: &Node<'a>) -> Option<std::borrow::Cow<'a, str>> {
        let mut found = self.values(node)?;
        (found.len() == 1).then(|| found.remove(0))
    }

    /// The JSON value at the end of this path, whatever it is.
    pub(crate) fn raw<'a>(&self, node: &Node<'a>) -> Option<&'a RawValue> {
        let (first, rest) = self.steps.split_first()?;
        let mut raw = node.member(first)?;
        for step in rest {
            raw = object(raw)?.get(&**step).copied()?;
        }
        Some(raw)
    }
}

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
    Fields(Vec<(&'a str, &'a str)>),
}

impl<'a> Node<'a> {
    /// The node of `raw`.
    pub(crate) fn new(raw: &'a RawValue) -> Self {
        object(raw).map_or(Self::Other(raw), Self::Object)
    }

    fn member(&self, name: &str) -> Option<&'a RawValue> {
        match self {
            Self::Object(members) => members.get(name).copied(),
            Self::Other(_) => None,
            Self::Fields(fields) => parse(field(fields, name)?).ok(),
        }
    }

    fn collect(&self, steps: &[Box<str>], found: &mut Values<'a>) -> Option<()> {
        match self {
            Self::Other(raw) => collect(raw, steps, found),
            Self::Object(_) => {
                let (first, rest) = steps.split_first()?;
                collect(self.member(first)?, rest, found)
            }
            Self::Fields(fields) => {
                let (first, rest) = steps.split_first()?;
                if !rest.is_empty() {
                    return collect(self.member(first)?, rest, found);
                }
                found.push(field(fields, first)?.into());
                Some(())
            }
        }
    }
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

/// Recursion is bounded by the steps and by [`MAX_NESTING`].
fn collect<'a>(raw: &'a RawValue, steps: &[Box<str>], found: &mut Values<'a>) -> Option<()> {
    let text = raw.get();
    match (text.as_bytes().first()?, steps.split_first()) {
        (b'{', Some((first, rest))) => collect(object(raw)?.get(&**first)?, rest, found),
        (b'[', step) => {
            let elements = elements(raw)?;
            if let Some((first, rest)) = step
                && let Ok(place) = first.parse::<usize>()
            {
                return collect(elements.get(place)?, rest, found);
            }
            // One more than can be used shows the caller that there are too many.
            for element in elements.into_iter().take(MAX_TAGS + 1) {
                collect(element, steps, found)?;
            }
            Some(())
        }
        (b'"', None) => {
            found.push(serde_json::from_str::<String>(text).ok()?.into());
            Some(())
        }
        (b't' | b'f', None) => {
            found.push(text.into());
            Some(())
        }
        // One value, one form: `1`, `"1"` and `-0` must not be several tags. A fraction or an
        // exponent has many spellings, so it has no value here.
        (b'-' | b'0'..=b'9', None) => {
            found.push(Normaliser::Int.apply(text.into())?);
            Some(())
        }
        _ => None,
    }
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

    fn found(path: &str, json: &str) -> Option<Vec<String>> {
        let node = Node::new(parse(json).unwrap());
        let values = Path::parse(path).unwrap().values(&node)?;
        Some(values.into_iter().map(Into::into).collect())
    }

    #[test]
    fn values_are_found_by_path() {
        let one = |text: &str| Some(vec![text.to_owned()]);
        for (name, path, json, expected) in [
            ("member", "a", r#"{"a":"x"}"#, one("x")),
            ("nested", "a.b", r#"{"a":{"b":"x"}}"#, one("x")),
            ("escapes", "a", r#"{"a":"x\u0041"}"#, one("xA")),
            ("boolean", "a", r#"{"a":true}"#, one("true")),
            ("number", "a", r#"{"a":1}"#, one("1")),
            ("number as string", "a", r#"{"a":"1"}"#, one("1")),
            (
                "number past 64 bits keeps its digits",
                "a",
                r#"{"a":100000000000000000000000000001}"#,
                one("100000000000000000000000000001"),
            ),
            ("minus zero", "a", r#"{"a":-0}"#, one("0")),
            ("fraction", "a", r#"{"a":1.0}"#, None),
            ("exponent", "a", r#"{"a":1e3}"#, None),
            ("null", "a", r#"{"a":null}"#, None),
            ("object", "a", r#"{"a":{}}"#, None),
            ("absent", "b", r#"{"a":1}"#, None),
            ("below a string", "a.b", r#"{"a":"x"}"#, None),
            ("place in a list", "a.1", r#"{"a":[1,2]}"#, one("2")),
            ("place past the end", "a.2", r#"{"a":[1,2]}"#, None),
            ("empty list", "a", r#"{"a":[]}"#, Some(vec![])),
            ("not an object", "a", "[1]", None),
        ] {
            assert_eq!(found(path, json), expected, "{name}");
        }
    }

    #[test]
    fn path_through_a_list_finds_each_element() {
        let json = r#"{"fills":[{"taker":"a"},{"taker":"b"}],"all":["c","d"]}"#;
        let both = |a: &str, b: &str| Some(vec![a.to_owned(), b.to_owned()]);
        assert_eq!(found("fills.taker", json), both("a", "b"));
        assert_eq!(found("all", json), both("c", "d"));
        // One element without it: no value at all, rather than some of them.
        assert_eq!(found("f.t", r#"{"f":[{"t":"a"},{}]}"#), None);
    }

    #[test]
    fn fields_hold_text_or_json() {
        let fields = vec![("id", "7"), ("value", r#"{"a":{"b":9}}"#), ("x", "1")];
        let node = Node::Fields(fields);
        let value = |path: &str| Path::parse(path).unwrap().value(&node);
        assert_eq!(value("id").as_deref(), Some("7"));
        assert_eq!(value("value.a.b").as_deref(), Some("9"));
        assert_eq!(value("id.b"), None);
        let twice = Node::Fields(vec![("id", "7"), ("id", "8")]);
        assert_eq!(Path::parse("id").unwrap().value(&twice), None);
    }

    #[test]
    fn bad_paths_are_refused() {
        for path in ["", "a..b", ".a", "a.", "$", "$a", "$.", " a", "a. b"] {
            assert!(Path::parse(path).is_err(), "{path:?}");
        }
    }

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
