//! What templates and paths give for an event.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::invalidation::event::{ChangeEvent, Unreadable};
use crate::invalidation::format::Decoder;
use crate::invalidation::node::Node;
use crate::invalidation::path::Path;
use crate::rules::template::{Template, TemplateError};
use crate::tag::Tag;

/// The tags that `template` gives for `event`; `None` if they are too many. Where there is no value to fill it with, the
/// event is unreadable for `reason`, or as a `placeholder` if something only stands for the value.
pub(super) fn expand(
    template: &Template<Path>,
    reason: &'static str,
    event: &ChangeEvent<'_>,
    whole: &Node<'_>,
    decoder: &Decoder,
) -> Result<Option<SmallVec<[Tag; 1]>>, Unreadable> {
    let mut problem = None;
    let tags = template.expand(|path| match path.values(event.start(path, whole)) {
        Ok(values) => {
            problem = values.iter().find_map(|value| decoder.problem(value));
            problem.is_none().then_some(values)
        }
        Err(unfound) => {
            problem = unfound.problem();
            None
        }
    });
    match (tags, problem) {
        (Ok(tags), _) => Ok(Some(tags)),
        (Err(TemplateError::TooMany), _) => Ok(None),
        (Err(unfilled), None) => {
            let detail = format!("in `{}`: {unfilled}", template.text());
            Err(Unreadable::new(reason, detail))
        }
        (Err(unfilled), Some(why)) => {
            let detail = format!("in `{}`: {unfilled}: {why}", template.text());
            Err(Unreadable::new("placeholder", detail))
        }
    }
}

/// The one value at `path` for `event`; `None` if it finds none and may find none. Otherwise the event is unreadable, as
/// where a template is not filled.
pub(super) fn single<'a>(
    path: &Path,
    reason: &'static str,
    event: &'a ChangeEvent<'a>,
    whole: &'a Node<'a>,
    decoder: &Decoder,
) -> Result<Option<Cow<'a, str>>, Unreadable> {
    let at = |why: &str| format!("at `{}`: {why}", path.text());
    let found = path.values(event.start(path, whole));
    let mut values = found.map_err(|unfound| match unfound.problem() {
        Some(why) => Unreadable::new("placeholder", at(why)),
        None => Unreadable::new(reason, at("no value")),
    })?;
    if let Some(why) = values.iter().find_map(|value| decoder.problem(value)) {
        return Err(Unreadable::new("placeholder", at(why)));
    }
    match values.len() {
        0 if path.is_optional() => Ok(None),
        0 => Err(Unreadable::new(reason, at("no value"))),
        1 => Ok(values.pop()),
        several => {
            let why = format!("{several} values, where one is told");
            Err(Unreadable::new(reason, at(&why)))
        }
    }
}
