//! Tag templates: `auction:{address:address}` and the values that fill it.
//!
//! A template is literal text with placeholders, `{source}` or `{source:normaliser}`; `{{` and `}}`
//! stand for braces. What a source may be is the caller's: rules read requests and responses, event
//! mappings read events. A source that itself has a colon needs a normaliser behind it
//! (`{/a:b:text}`), because the last colon decides.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use crate::error::ConfigError;
use crate::outcome::NotStored;
use crate::tag::{MAX_TAGS, Tag};

mod normaliser;
mod number;
mod shape;

pub(crate) use self::normaliser::Normaliser;
pub(crate) use self::number::WholeNumber;
pub(crate) use self::shape::{Apart, Shape};
pub(crate) use crate::tag::fold_addresses;

/// The values found for one placeholder; none at all is a statement too (a list without members).
pub(crate) type Values<'v> = SmallVec<[Cow<'v, str>; 1]>;

/// A parsed template whose placeholders read from sources of type `S`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template<S> {
    text: Box<str>,
    segments: Box<[Segment<S>]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment<S> {
    Literal(Box<str>),
    Placeholder {
        text: Box<str>,
        source: S,
        normaliser: Normaliser,
    },
}

/// Why a template gave no tags. The text is the placeholder's, without its braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// Nothing, or an empty text, was found for it.
    Missing(Box<str>),
    /// Its normaliser does not accept the value.
    Refused(Box<str>),
    /// The tag would be too long, or has a control character or a space at one end.
    Malformed(Box<str>),
    /// More tags than [`MAX_TAGS`].
    TooMany,
}

impl From<TemplateError> for NotStored {
    /// A response with a tag missing could not be purged, so it is not stored.
    fn from(unfilled: TemplateError) -> Self {
        match unfilled {
            TemplateError::Missing(_) | TemplateError::Refused(_) => Self::TagMissing,
            TemplateError::Malformed(_) | TemplateError::TooMany => Self::TagLimit,
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(text) => write!(f, "nothing fills {{{text}}}"),
            Self::Refused(text) => write!(f, "the value for {{{text}}} has another form"),
            Self::Malformed(text) => {
                write!(f, "`{text}` gives a tag that is too long or malformed")
            }
            Self::TooMany => write!(f, "more than {MAX_TAGS} tags"),
        }
    }
}

impl<S> Template<S> {
    /// Reads `text`; `source` reads what stands in a placeholder before its normaliser, and says in
    /// words what is wrong with it otherwise.
    ///
    /// # Errors
    /// A [`ConfigError`] that quotes the template and marks the place.
    pub(crate) fn parse(
        text: &str,
        mut source: impl FnMut(&str) -> Result<S, String>,
    ) -> Result<Self, ConfigError> {
        let error = |at: usize, message: String| ConfigError::new("tag", message, text).at(at);
        let mut segments = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while at < text.len() {
            let (piece, length) =
                Piece::first_of(&text[at..]).map_err(|why| error(at, why.into()))?;
            match piece {
                Piece::Text(piece) => literal.push_str(piece),
                Piece::Placeholder(inner) => {
                    segments.extend(Segment::literal(std::mem::take(&mut literal)));
                    let placeholder = Segment::placeholder(inner, &mut source);
                    segments
                        .push(placeholder.map_err(|(offset, why)| error(at + 1 + offset, why))?);
                }
            }
            at += length;
        }
        segments.extend(Segment::literal(literal));
        check_literals(text, &segments)?;
        Ok(Self {
            text: text.into(),
            segments: segments.into(),
        })
    }

    /// The template as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The family of all its tags, if it is the same for all of them.
    pub(crate) fn family(&self) -> Option<&str> {
        match self.segments.first() {
            Some(Segment::Literal(text)) => text.split_once(':').map(|(family, _)| family),
            _ => None,
        }
    }

    /// Whether a value decides about the family of its tags.
    pub(crate) fn begins_with_value(&self) -> bool {
        matches!(self.segments.first(), Some(Segment::Placeholder { .. }))
    }

    /// Whether there are values with which it gives `tag`, as far as literals and normalisers tell.
    pub(crate) fn can_give(&self, tag: &str) -> bool {
        can_give(&self.segments, tag)
    }

    /// The sources of its placeholders, in order.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &S> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Placeholder { source, .. } => Some(source),
            Segment::Literal(_) => None,
        })
    }

    /// The tags that it gives with `values`: one for each combination, without repeats.
    ///
    /// `values` answers `None` for a source that has no value, and no values for one that is there
    /// and empty (then there are no tags).
    ///
    /// # Errors
    /// [`TemplateError`] if a value is missing, refused by its normaliser, or gives too many tags.
    pub(crate) fn expand<'v>(
        &self,
        mut values: impl FnMut(&S) -> Option<Values<'v>>,
    ) -> Result<SmallVec<[Tag; 1]>, TemplateError> {
        let mut texts: SmallVec<[String; 1]> = SmallVec::from_iter([String::with_capacity(64)]);
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => texts.iter_mut().for_each(|tag| tag.push_str(text)),
                Segment::Placeholder {
                    text,
                    source,
                    normaliser,
                } => {
                    let found =
                        values(source).ok_or_else(|| TemplateError::Missing(text.clone()))?;
                    texts = combine(texts, &normalise_all(found, *normaliser, text)?)?;
                }
            }
        }
        let malformed = |_| TemplateError::Malformed(self.text.clone());
        let tag = |text: &String| Tag::new(text).map_err(malformed);
        texts.iter().map(tag).collect()
    }
}

/// See [`Template::can_give`]: the places in `tag` up to which the segments so far can reach.
fn can_give<S>(segments: &[Segment<S>], tag: &str) -> bool {
    let mut places = vec![0];
    for segment in segments {
        places = match segment {
            Segment::Literal(text) => {
                let fits = places
                    .into_iter()
                    .filter(|at| tag[*at..].starts_with(&**text));
                fits.map(|at| at + text.len()).collect()
            }
            Segment::Placeholder { normaliser, .. } => {
                let gives = |value: &str| {
                    let applied = normaliser.apply(value.into());
                    applied.is_some_and(|applied| applied == value)
                };
                let ends = tag.char_indices().map(|(at, c)| at + c.len_utf8());
                let reached = |end: &usize| {
                    let mut starts = places.iter().filter(|at| *at < end);
                    starts.any(|at| gives(&tag[*at..*end]))
                };
                ends.filter(reached).collect()
            }
        };
    }
    places.contains(&tag.len())
}

impl<S> Segment<S> {
    /// Addresses are folded here as well, so that a tag may be written out in either spelling.
    fn literal(text: String) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Literal(fold_addresses(text.into()).into()))
    }

    /// The placeholder `inner`; an error is the byte offset in it and what is wrong.
    fn placeholder(
        inner: &str,
        source: &mut impl FnMut(&str) -> Result<S, String>,
    ) -> Result<Self, (usize, String)> {
        // A colon in a quoted name is the name's.
        let colon = inner
            .rfind(':')
            .filter(|at| inner[..*at].matches('"').count().is_multiple_of(2));
        let (name, normaliser) = match colon.map(|at| (&inner[..at], &inner[at + 1..])) {
            None => (inner, Normaliser::default()),
            Some((name, word)) => match Normaliser::parse(word) {
                Some(normaliser) => (name, normaliser),
                None => {
                    let known = Normaliser::names().collect::<Vec<_>>().join("`, `");
                    let message = format!("unknown normaliser `{word}` (known are `{known}`)");
                    return Err((name.len() + 1, message));
                }
            },
        };
        if name.is_empty() {
            return Err((0, "empty placeholder".into()));
        }
        Ok(Self::Placeholder {
            text: inner.into(),
            source: source(name).map_err(|message| (0, message))?,
            normaliser,
        })
    }
}

/// What a template's text is made of.
pub(crate) enum Piece<'t> {
    Text(&'t str),
    /// What stands between the braces.
    Placeholder(&'t str),
}

impl<'t> Piece<'t> {
    /// The first piece of `text`, which is not empty, and the bytes that it takes.
    pub(crate) fn first_of(text: &'t str) -> Result<(Self, usize), &'static str> {
        if text.starts_with("{{") || text.starts_with("}}") {
            return Ok((Self::Text(&text[..1]), 2));
        }
        let Some(inner) = text.strip_prefix('{') else {
            return match text.find(['{', '}']).unwrap_or(text.len()) {
                0 => Err("unopened `}` (a literal one is written `}}`)"),
                end => Ok((Self::Text(&text[..end]), end)),
            };
        };
        match inner.find(['{', '}']) {
            Some(end) if inner[end..].starts_with('}') => {
                Ok((Self::Placeholder(&inner[..end]), end + 2))
            }
            _ => Err("unclosed `{` (a literal one is written `{{`)"),
        }
    }
}

/// Refuses at build time what would give a malformed tag on each request.
fn check_literals<S>(text: &str, segments: &[Segment<S>]) -> Result<(), ConfigError> {
    let mut sample = String::new();
    for segment in segments {
        match segment {
            Segment::Literal(literal) => sample.push_str(literal),
            Segment::Placeholder { .. } => sample.push('x'),
        }
    }
    Tag::new(&sample)
        .map(drop)
        .map_err(|error| ConfigError::new("tag", error.to_string(), text))
}

fn normalise_all<'v>(
    found: Values<'v>,
    normaliser: Normaliser,
    text: &str,
) -> Result<Values<'v>, TemplateError> {
    let mut values = Values::new();
    for value in found {
        if value.is_empty() {
            return Err(TemplateError::Missing(text.into()));
        }
        let value = normaliser
            .apply(value)
            .ok_or_else(|| TemplateError::Refused(text.into()))?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(values)
}

fn combine(
    texts: SmallVec<[String; 1]>,
    values: &[Cow<'_, str>],
) -> Result<SmallVec<[String; 1]>, TemplateError> {
    if texts.len().saturating_mul(values.len()) > MAX_TAGS {
        return Err(TemplateError::TooMany);
    }
    if let [value] = values {
        let append = |text: String| text + value;
        return Ok(texts.into_iter().map(append).collect());
    }
    let each = |text: &String| {
        values
            .iter()
            .map(|value| format!("{text}{value}"))
            .collect()
    };
    Ok(texts.iter().flat_map::<Vec<_>, _>(each).collect())
}

/// The text of a JSON value that can fill a placeholder: a string, a boolean, or a whole number of
/// 64 bits. `None` for the rest: a larger number or a fraction has lost digits by the time it is
/// read, and a tag made from it would not be the one that is purged.
pub(crate) fn json_text(value: &serde_json::Value) -> Option<Cow<'_, str>> {
    match value {
        serde_json::Value::String(text) => Some(text.as_str().into()),
        serde_json::Value::Bool(truth) => Some(if *truth { "true" } else { "false" }.into()),
        serde_json::Value::Number(number) if !number.is_f64() => Some(number.to_string().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
