//! The tags of a response, by one rule: implicit ones, templates at the stage at which their sources
//! are known, and response headers that list tags.

use std::borrow::Cow;

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde_json::Value;

use super::options::Separator;
use super::pattern::Captures;
use super::query;
use super::template::{Template, Values, json_text};
use crate::alias;
use crate::error::ConfigError;
use crate::outcome::NotStored;
use crate::tag::{MAX_TAGS, Tag, TagSet};

/// Values that differ before they are normalised: more are not collected.
const MAX_RAW_VALUES: usize = 4 * MAX_TAGS;

/// Where a placeholder's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueSource {
    /// The route's capture at this place.
    Capture(usize),
    Query(Box<str>),
    RequestHeader(HeaderName),
    ResponseHeader(HeaderName),
    /// The reference tokens of a JSON pointer, unescaped; `None` is `*`.
    Body(Box<[Option<Box<str>>]>),
}

/// When a source is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Request,
    ResponseHead,
    Body,
}

impl ValueSource {
    /// Reads a placeholder's source, for a route with these `captures`.
    fn parse(text: &str, captures: &[Box<str>]) -> Result<Self, String> {
        let header = |name: &str| {
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`{name}` is no header name"))
        };
        if let Some(pointer) = text.strip_prefix('/') {
            return Ok(Self::Body(pointer.split('/').map(pointer_token).collect()));
        }
        match text.split_once('.') {
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.into())),
            Some(("request", name)) => header(name).map(Self::RequestHeader),
            Some(("response", name)) => header(name).map(Self::ResponseHeader),
            _ => match captures.iter().position(|capture| **capture == *text) {
                Some(place) => Ok(Self::Capture(place)),
                None => Err(unknown_capture(text, captures)),
            },
        }
    }

    fn stage(&self) -> Stage {
        match self {
            Self::Capture(_) | Self::Query(_) | Self::RequestHeader(_) => Stage::Request,
            Self::ResponseHeader(_) => Stage::ResponseHead,
            Self::Body(_) => Stage::Body,
        }
    }
}

fn unknown_capture(text: &str, captures: &[Box<str>]) -> String {
    if captures.is_empty() {
        return format!("unknown capture `{text}` (the route has none)");
    }
    format!(
        "unknown capture `{text}` (the route has `{}`)",
        captures.join("`, `")
    )
}

/// RFC 6901 §4: `~1` first, so that `~01` stays `~1`.
fn pointer_token(token: &str) -> Option<Box<str>> {
    (token != "*").then(|| token.replace("~1", "/").replace("~0", "~").into())
}

/// All that a rule says about tags.
#[derive(Debug, Default)]
pub(super) struct TagRules {
    templates: Vec<(Stage, Template<ValueSource>)>,
    /// The sources known from the request that later templates read as well.
    kept: Vec<ValueSource>,
    pub(super) headers: Box<[(HeaderName, Separator)]>,
}

/// Values of a request for the templates that wait for its response.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestValues(Vec<Option<Vec<String>>>);

impl TagRules {
    /// Adds the template `text`, for a route with these `captures`.
    ///
    /// # Errors
    /// A [`ConfigError`] that quotes the template and marks the place.
    pub(super) fn add(&mut self, text: &str, captures: &[Box<str>]) -> Result<(), ConfigError> {
        let template = Template::parse(text, |source| ValueSource::parse(source, captures))?;
        let stage = template.sources().map(ValueSource::stage).max();
        let stage = stage.unwrap_or(Stage::Request);
        if stage > Stage::Request {
            for source in template.sources() {
                if source.stage() == Stage::Request && !self.kept.contains(source) {
                    self.kept.push(source.clone());
                }
            }
        }
        self.templates.push((stage, template));
        Ok(())
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &ValueSource> {
        self.templates
            .iter()
            .flat_map(|(_, template)| template.sources())
    }

    pub(super) fn templates(&self) -> impl Iterator<Item = &Template<ValueSource>> {
        self.templates.iter().map(|(_, template)| template)
    }

    pub(super) fn has(&self, stage: Stage) -> bool {
        self.templates.iter().any(|(other, _)| *other == stage)
    }

    /// Adds the tags that the request gives.
    pub(super) fn of_request(
        &self,
        request: &Request<'_>,
        tags: &mut TagSet,
    ) -> Result<(), NotStored> {
        self.fill(Stage::Request, |source| request.values(source), tags)
    }

    /// The tags that the request gives, as text.
    ///
    /// # Errors
    /// Why not, and the template that is to blame.
    pub(super) fn named_by(
        &self,
        request: &Request<'_>,
    ) -> Result<Vec<String>, (NotStored, String)> {
        let mut named = Vec::new();
        for (_, template) in self.templates.iter().filter(|(s, _)| *s == Stage::Request) {
            let tags = template.expand(|source| request.values(source));
            let tags = tags.map_err(|why| (why.into(), template.text().to_owned()))?;
            named.extend(tags.iter().map(|tag| tag.as_str().to_owned()));
        }
        Ok(named)
    }

    /// The templates that are not known at `stage` yet.
    pub(super) fn after(&self, stage: Stage) -> impl Iterator<Item = &str> {
        let waiting = self
            .templates
            .iter()
            .filter(move |(other, _)| *other > stage);
        waiting.map(|(_, template)| template.text())
    }

    /// What later stages will want of the request.
    pub(super) fn keep(&self, request: &Request<'_>) -> RequestValues {
        let owned = |values: Values<'_>| values.into_iter().map(Cow::into_owned).collect();
        let kept = self
            .kept
            .iter()
            .map(|source| request.values(source).map(owned));
        RequestValues(kept.collect())
    }

    /// Adds the tags that the response's fields give.
    pub(super) fn of_head(
        &self,
        kept: &RequestValues,
        headers: &HeaderMap,
        tags: &mut TagSet,
    ) -> Result<(), NotStored> {
        self.fill(
            Stage::ResponseHead,
            |source| self.later(kept, headers, source),
            tags,
        )?;
        for (name, separator) in &self.headers {
            for line in headers.get_all(name) {
                add_listed(line.as_bytes(), *separator, tags)?;
            }
        }
        Ok(())
    }

    /// Adds the tags that the response's body gives.
    pub(super) fn of_body(
        &self,
        kept: &RequestValues,
        headers: &HeaderMap,
        body: &[u8],
        tags: &mut TagSet,
    ) -> Result<(), NotStored> {
        if !self.has(Stage::Body) {
            return Ok(());
        }
        if headers.contains_key(CONTENT_ENCODING) {
            return Err(NotStored::TagMissing);
        }
        let json: Value = serde_json::from_slice(body).map_err(|_| NotStored::TagMissing)?;
        let mut too_many = false;
        let values = |source: &ValueSource| match source {
            ValueSource::Body(pointer) => {
                let mut values = Values::new();
                let complete = point(&json, pointer, &mut values);
                too_many |= values.len() > MAX_RAW_VALUES;
                complete.then_some(values)
            }
            source => self.later(kept, headers, source),
        };
        let filled = self.fill(Stage::Body, values, tags);
        // Then some were left out, although those collected may be few once normalised.
        if too_many {
            return Err(NotStored::TagLimit);
        }
        filled
    }

    fn fill<'v>(
        &self,
        stage: Stage,
        mut values: impl FnMut(&ValueSource) -> Option<Values<'v>>,
        tags: &mut TagSet,
    ) -> Result<(), NotStored> {
        for (_, template) in self.templates.iter().filter(|(other, _)| *other == stage) {
            let found = template.expand(&mut values)?;
            if let (true, Some(family)) = (found.is_empty(), template.family()) {
                // A list without members: it must go when its first member comes.
                tags.add_family(family);
            }
            for tag in &found {
                tags.add(tag).map_err(|_| NotStored::TagLimit)?;
            }
        }
        Ok(())
    }

    fn later<'v>(
        &self,
        kept: &'v RequestValues,
        headers: &'v HeaderMap,
        source: &ValueSource,
    ) -> Option<Values<'v>> {
        match source {
            ValueSource::ResponseHeader(name) => lines(headers, name),
            source => {
                let place = self.kept.iter().position(|kept| kept == source)?;
                let values = kept.0.get(place)?.as_ref()?;
                Some(values.iter().map(|value| value.as_str().into()).collect())
            }
        }
    }
}

/// The request as templates see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) captures: &'a Captures<'a, 'a>,
}

impl<'a> Request<'a> {
    fn values(&self, source: &ValueSource) -> Option<Values<'a>> {
        match source {
            ValueSource::Capture(place) => self.captures.get(*place).map(|value| [value].into()),
            ValueSource::Query(name) => query::values(self.uri.query()?, name),
            ValueSource::RequestHeader(name) => all_lines(self.headers, name),
            ValueSource::ResponseHeader(_) | ValueSource::Body(_) => None,
        }
    }
}

/// The values of a request's field, with the lines that the inner service may take for its own (SAFETY 66).
fn all_lines<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Values<'h>> {
    let lines = headers.get_all(name).into_iter();
    let others = alias::others(headers, name.as_str()).map(|(_, line)| line);
    text_values(lines.chain(others))
}

/// A value for each line of the field; `None` if it is absent or not text.
fn lines<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Values<'h>> {
    text_values(headers.get_all(name).into_iter())
}

fn text_values<'h>(lines: impl Iterator<Item = &'h HeaderValue>) -> Option<Values<'h>> {
    let text = |line: &'h HeaderValue| std::str::from_utf8(line.as_bytes()).ok();
    let values: Option<Values<'h>> = lines.map(|line| text(line).map(Cow::Borrowed)).collect();
    values.filter(|values| !values.is_empty())
}

/// Adds the values at `pointer`, without repeats; `false` if there is a member without one. Stops
/// when there are more than could be tags.
fn point<'v>(value: &'v Value, pointer: &[Option<Box<str>>], values: &mut Values<'v>) -> bool {
    let Some((token, rest)) = pointer.split_first() else {
        return match json_text(value) {
            Some(text) => {
                if !values.contains(&text) && values.len() <= MAX_RAW_VALUES {
                    values.push(text);
                }
                true
            }
            None => false,
        };
    };
    match (value, token) {
        (Value::Array(items), None) => items.iter().all(|item| point(item, rest, values)),
        (Value::Object(members), None) => members.values().all(|item| point(item, rest, values)),
        (Value::Array(items), Some(token)) => {
            let item = index(token).and_then(|index| items.get(index));
            item.is_some_and(|item| point(item, rest, values))
        }
        (Value::Object(members), Some(token)) => {
            let member = members.get(&**token);
            member.is_some_and(|member| point(member, rest, values))
        }
        _ => false,
    }
}

/// RFC 6901 §4: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    let leading = token.len() > 1 && token.starts_with('0');
    token.parse().ok().filter(|_| digits && !leading)
}

fn add_listed(line: &[u8], separator: Separator, tags: &mut TagSet) -> Result<(), NotStored> {
    let text = std::str::from_utf8(line).map_err(|_| NotStored::TagLimit)?;
    let separates = |c: char| match separator {
        Separator::Space => c.is_ascii_whitespace(),
        Separator::Comma => c == ',',
    };
    for tag in text
        .split(separates)
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
    {
        let tag = Tag::new(tag).map_err(|_| NotStored::TagLimit)?;
        tags.add(&tag).map_err(|_| NotStored::TagLimit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
