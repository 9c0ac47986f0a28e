//! Paths into an event, and the values found there.
//!
//! A path names members by dots (`transaction_information.address`). It starts at the event; `$.`
//! in front starts at the whole entry instead (`$.network`), which differs where one entry carries
//! several events. A number names a place in a list; any other name stands for that member of each
//! element, so that a path may find several values. Beside plain names there are:
//!
//! - `"a.b".c`: a name in quotes is taken as it is, dots and all;
//! - `before?.id`: what stands before the `?` may be missing or null, and the path then finds
//!   nothing, which is no error;
//! - `ids.@json`: a string is read as JSON. Where more names follow that needs no word: `data.id`
//!   goes on into the JSON text of `data`.

use crate::error::ConfigError;
use crate::invalidation::node::{Node, Texts, Unfound};
use crate::invalidation::step::Step;
use crate::rules::template::Values;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    text: Box<str>,
    whole: bool,
    steps: Box<[Step]>,
    /// How many of the steps, from the first, may lead to nothing.
    optional: usize,
}

impl Path {
    /// Reads `text`, or says in words what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (whole, mut names) = match text.strip_prefix('$') {
            None => (false, text),
            Some("") => {
                return Err("`$` alone names no value (a member of it is `$.name`)".into());
            }
            Some(rest) => match rest.strip_prefix('.') {
                Some(names) => (true, names),
                None => return Err(format!("`$` must be followed by a dot in `{text}`")),
            },
        };
        let (mut steps, mut optional) = (Vec::new(), 0);
        loop {
            let (step, may_lack, rest) =
                first_step(names).map_err(|why| format!("{why} in the path `{text}`"))?;
            steps.push(step);
            if may_lack {
                optional = steps.len();
            }
            match rest {
                Some(rest) => names = rest,
                None => break,
            }
        }
        Ok(Self {
            text: text.into(),
            whole,
            steps: steps.into(),
            optional,
        })
    }

    /// Reads `text`, which stands at `place` of a configuration and must find something.
    pub(crate) fn parse_at(text: &str, place: &'static str) -> Result<Self, ConfigError> {
        let refuse = |message: String| ConfigError::new(place, message, text);
        let path = Self::parse(text).map_err(refuse)?;
        if path.is_optional() {
            return Err(refuse("every event has it: without `?`".into()));
        }
        Ok(path)
    }

    /// The path as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it starts at the whole entry.
    pub(crate) const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether it may find nothing without that being an error.
    pub(crate) const fn is_optional(&self) -> bool {
        self.optional > 0
    }

    /// The name that it begins with.
    pub(crate) fn first_name(&self) -> Option<&str> {
        self.steps.first().and_then(Step::name)
    }

    /// The values at the end of this path in `node`: none if there is a list without members, or
    /// nothing where the path may find nothing.
    ///
    /// # Errors
    /// Why there is no value.
    pub(crate) fn values<'a>(&self, node: &Node<'a>) -> Result<Values<'a>, Unfound> {
        let mut found = Values::new();
        node.collect(&self.steps, self.optional, &mut found)?;
        Ok(found)
    }

    /// The one value at the end of this path.
    pub(crate) fn value<'a>(&self, node: &Node<'a>) -> Option<std::borrow::Cow<'a, str>> {
        let mut found = self.values(node).ok()?;
        (found.len() == 1).then(|| found.remove(0))
    }

    /// The JSON value at the end of this path, whatever it is; the text of JSON in a string is kept
    /// in `texts`.
    pub(crate) fn raw<'a>(
        &self,
        node: &Node<'a>,
        texts: &'a Texts,
    ) -> Option<&'a serde_json::value::RawValue> {
        node.raw(&self.steps, texts)
    }
}

/// The first step of `names`, whether what leads there may be missing, and what follows.
fn first_step(names: &str) -> Result<(Step, bool, Option<&str>), String> {
    if let Some(quoted) = names.strip_prefix('"') {
        let (name, rest) = quoted_name(quoted).ok_or("unclosed `\"`")?;
        let (may_lack, rest) = match rest.strip_prefix('?') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let rest = match rest.strip_prefix('.') {
            Some(rest) => Some(rest),
            None if rest.is_empty() => None,
            None => return Err("neither a dot nor the end after a name in quotes".into()),
        };
        return match name.is_empty() {
            true => Err("empty name".into()),
            false => Ok((Step::Quoted(name.into()), may_lack, rest)),
        };
    }
    let (name, rest) = match names.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (names, None),
    };
    let (name, may_lack) = match name.strip_suffix('?') {
        Some(name) => (name, true),
        None => (name, false),
    };
    if name.is_empty() {
        return Err("empty name".into());
    }
    if name.trim() != name {
        return Err("space around a name".into());
    }
    let step = match name.strip_prefix('@') {
        Some("json") => Step::Json,
        _ => Step::Plain(name.into()),
    };
    Ok((step, may_lack, rest))
}

/// What stands up to the closing quote of `text`, in which a backslash takes the next character as
/// it is, and what follows.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((name, &text[at + 1..])),
            '\\' => name.push(chars.next()?.1),
            char => name.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests;
