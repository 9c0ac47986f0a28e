//! What templates and paths give for an event.

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
