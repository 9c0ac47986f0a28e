//! Settings that each work and together probably do not do what was meant.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::Warning;
use crate::invalidation::{EventStream, Mapping};
use crate::place::ConfigPlace;
use crate::rules::RuleSet;
use crate::rules::template::{Apart, Shape};

mod streams;

/// Writes each to the log.
pub(super) fn log(warnings: &[Warning]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// Tags of one side that the other side does not know, where events are configured at all.
pub(super) fn of(rules: &RuleSet, streams: &[Arc<EventStream>]) -> Vec<Warning> {
    if streams.is_empty() {
        return Vec::new();
    }
    let made: Vec<Made<'_>> = rules.iter().flat_map(|rule| made_by(rule)).collect();
    let purged: Vec<Purged<'_>> = streams.iter().flat_map(|s| purged_by(s)).collect();
    let mut warnings = Vec::new();
    for tag in &made {
        warnings.extend(tag.without_event(&purged));
    }
    // Without templates all tags are the inner service's, which nobody knows here.
    if !made.is_empty() {
        let mut told = HashSet::new();
        for purge in purged.iter().filter(|purge| purge.without_rule(&made)) {
            if told.insert((purge.stream, purge.template)) {
                warnings.push(purge.warning(&made));
            }
        }
    }
    warnings.extend(other_ways(&made, &purged));
    warnings.extend(streams.iter().flat_map(|stream| streams::of(stream)));
    warnings
}

/// Purges that write the value of a tag in another way than its rule, although another event writes it as the
/// rule does: that tag has no warning of its own.
fn other_ways(made: &[Made<'_>], purged: &[Purged<'_>]) -> Vec<Warning> {
    let mut told = HashSet::new();
    let mut warnings = Vec::new();
    for purge in purged {
        if made.iter().any(|tag| purge.meets(tag).is_ok()) {
            continue;
        }
        for tag in made {
            let Err(apart @ Apart::Normalisers(..)) = purge.meets(tag) else {
                continue;
            };
            let meeting: Vec<_> = purged.iter().filter(|p| p.meets(tag).is_ok()).collect();
            // One event may purge a tag in both ways, while a rule is about to change.
            let is_covered = meeting
                .iter()
                .any(|other| std::ptr::eq(other.mapping, purge.mapping));
            if !meeting.is_empty() && !is_covered && told.insert((tag.template, purge.template)) {
                warnings.push(tag.missed_by(purge, apart));
            }
        }
    }
    warnings
}

/// A tag that a rule gives its responses.
struct Made<'c> {
    rule: &'c str,
    template: &'c str,
    shape: Shape,
}

/// What an event purges.
struct Purged<'c> {
    stream: &'c str,
    mapping: &'c Mapping,
    template: &'c str,
    shape: Shape,
    /// A whole family, and not a tag.
    is_family: bool,
}

fn made_by(rule: &crate::rules::CompiledRule) -> impl Iterator<Item = Made<'_>> {
    rule.tag_shapes().map(|(template, shape)| Made {
        rule: rule.name(),
        template,
        shape,
    })
}

fn purged_by(stream: &EventStream) -> impl Iterator<Item = Purged<'_>> {
    stream.mappings.iter().flat_map(|mapping| {
        let tags = mapping.purge.iter().map(|template| (template, false));
        let families = mapping.families.iter().map(|template| (template, true));
        tags.chain(families).map(|(template, is_family)| Purged {
            stream: &stream.name,
            mapping,
            template: template.text(),
            shape: template.shape(),
            is_family,
        })
    })
}

impl Made<'_> {
    fn family(&self) -> Option<&str> {
        family(self.template)
    }

    /// The warning that no event purges it, if none does.
    fn without_event(&self, purged: &[Purged<'_>]) -> Option<Warning> {
        let mut nearest: Option<(&Purged<'_>, Apart)> = None;
        for purge in purged {
            match purge.meets(self) {
                Ok(()) => return None,
                Err(apart) if apart != Apart::Text || purge.is_near(self) => {
                    match (&nearest, apart) {
                        (Some((_, Apart::Normalisers(..))), _) | (Some(_), Apart::Text) => {}
                        _ => nearest = Some((purge, apart)),
                    }
                }
                Err(_) => {}
            }
        }
        let tag = self.template;
        let message = match nearest {
            None => format!("no event purges the tag {tag:?}; only its lifetime ends it"),
            Some((purge, Apart::Text)) => format!(
                "no event purges the tag {tag:?}: stream `{}` purges {:?}, which never is the same",
                purge.stream, purge.template
            ),
            Some((purge, apart)) => return Some(self.missed_by(purge, apart)),
        };
        Some(Warning::new(ConfigPlace::rule(self.rule), message))
    }

    /// The warning that `purge` may miss it.
    fn missed_by(&self, purge: &Purged<'_>, apart: Apart) -> Warning {
        let ways = match apart {
            Apart::Normalisers(own, theirs) => {
                format!(" (`{}` and `{}`)", own.name(), theirs.name())
            }
            Apart::Text => String::new(),
        };
        let message = format!(
            "its tag {:?} and {:?}, which stream `{}` purges, write one value in two ways{ways}, so that a \
             purge may miss it: give both the same normaliser",
            self.template, purge.template, purge.stream
        );
        Warning::new(ConfigPlace::rule(self.rule), message)
    }
}

impl Purged<'_> {
    /// Whether it can purge the tag `made`.
    fn meets(&self, made: &Made<'_>) -> Result<(), Apart> {
        if !self.is_family {
            return made.shape.meets(&self.shape);
        }
        let is_met = match made.family() {
            // A tag without a family, and one whose family a value gives.
            None => !made.shape.is_literal(),
            Some(family) => self.shape.may_begin_with(family),
        };
        if is_met { Ok(()) } else { Err(Apart::Text) }
    }

    /// Whether it looks as if it was meant for `made`.
    fn is_near(&self, made: &Made<'_>) -> bool {
        made.family().is_some() && family(self.template) == made.family()
    }

    /// Whether no rule makes what it purges, and no rule's warning says so already.
    fn without_rule(&self, made: &[Made<'_>]) -> bool {
        made.iter().all(|tag| match self.meets(tag) {
            Ok(()) | Err(Apart::Normalisers(..)) => false,
            Err(Apart::Text) => true,
        })
    }

    fn warning(&self, made: &[Made<'_>]) -> Warning {
        let what = if self.is_family { "family" } else { "tag" };
        let near = made.iter().find(|tag| self.is_near(tag));
        let near = near.map_or(String::new(), |tag| {
            format!(" (rule `{}` makes {:?})", tag.rule, tag.template)
        });
        let message = format!(
            "an event purges the {what} {:?}, and no rule makes it{near}: only what the upstream names in \
             its tag fields can meet it",
            self.template
        );
        Warning::new(ConfigPlace::stream(self.stream), message)
    }
}

/// What stands before the first colon, if that is plain text.
fn family(template: &str) -> Option<&str> {
    let (family, _) = template.split_once(':')?;
    (!family.contains('{')).then_some(family)
}

#[cfg(test)]
mod tests;
