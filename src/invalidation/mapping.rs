//! From an event to what it purges. Pure.

use std::collections::HashSet;

use crate::invalidation::condition::Condition;
use crate::invalidation::event::{ChangeEvent, Unreadable};
use crate::invalidation::expansion::expand;
use crate::invalidation::format::Decoder;
use crate::invalidation::node::Node;
use crate::invalidation::path::Path;
use crate::invalidation::update_template::UpdateTemplate;
use crate::log::PurgeKind;
use crate::rules::template::Template;
use crate::tag::Target;

/// The most targets that one purge names; past it, the scope of the stream is purged instead.
pub(crate) const MAX_TARGETS: usize = 1_000;

/// An `On` that has been read.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) event: Option<Box<str>>,
    pub(super) network: Option<Box<str>>,
    pub(super) when: Vec<Condition>,
    pub(crate) purge: Vec<Template<Path>>,
    /// Whole families: what stands before the first colon of their tags.
    pub(crate) families: Vec<Template<Path>>,
    pub(super) soft: bool,
    pub(crate) announce: Option<UpdateTemplate>,
}

impl Mapping {
    /// Whether some event of `network` may fit.
    pub(super) fn may_fit(&self, network: Option<&str>) -> bool {
        match (network, self.network.as_deref()) {
            (Some(named), Some(wanted)) => named == wanted,
            _ => true,
        }
    }

    /// The paths that its templates read.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let templates = self.purge.iter().chain(&self.families);
        let told = self.announce.iter().flat_map(UpdateTemplate::paths);
        templates.flat_map(Template::sources).chain(told)
    }

    fn kind(&self) -> PurgeKind {
        if self.soft {
            PurgeKind::Soft
        } else {
            PurgeKind::Hard
        }
    }

    pub(super) fn fits(
        &self,
        event: &ChangeEvent<'_>,
        whole: &Node<'_>,
        decoder: &Decoder,
    ) -> Result<bool, Unreadable> {
        if let Some(wanted) = &self.event
            && event.name.as_deref() != Some(wanted)
        {
            return Ok(false);
        }
        if let Some(wanted) = &self.network {
            let Some(network) = event.network.as_deref() else {
                return Err(Unreadable::new("no-network", "the event names no network"));
            };
            if network != &**wanted {
                return Ok(false);
            }
        }
        for condition in &self.when {
            let path = &condition.path;
            let start = event.start(path, whole);
            if path.is_optional() && path.values(start).is_ok_and(|values| values.is_empty()) {
                if !condition.holds_for_nothing() {
                    return Ok(false);
                }
                continue;
            }
            let value = path.value(start);
            let hidden = value.as_deref().filter(|value| !condition.names(value));
            if let Some(why) = hidden.and_then(|value| decoder.hidden(value)) {
                let detail = format!("at `{}`: {why}", path.text());
                return Err(Unreadable::new("placeholder", detail));
            }
            let Some(holds) = value.and_then(|value| condition.holds(&value)) else {
                let detail = format!("no {} at `{}`", condition.wanted(), path.text());
                return Err(Unreadable::new("no-number", detail));
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds what `event` purges and says how many targets that is; `None` if they are too many.
    pub(super) fn apply(
        &self,
        event: &ChangeEvent<'_>,
        whole: &Node<'_>,
        decoder: &Decoder,
        plan: &mut Plan,
    ) -> Result<Option<usize>, Unreadable> {
        let mut named = 0;
        for template in &self.purge {
            let Some(tags) = expand(template, "no-tag", event, whole, decoder)? else {
                return Ok(None);
            };
            named += tags.len();
            for tag in tags {
                plan.add(self.kind(), Target::Tag(tag));
            }
        }
        for template in &self.families {
            let Some(names) = expand(template, "no-tag", event, whole, decoder)? else {
                return Ok(None);
            };
            named += names.len();
            for name in names {
                if name.family().is_some() {
                    let detail = format!("`{}` gives a family with a colon", template.text());
                    return Err(Unreadable::new("no-tag", detail));
                }
                plan.add(self.kind(), Target::Family(name.as_str().into()));
            }
        }
        Ok(Some(named))
    }
}

/// Everything that some mappings can purge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Scope {
    pub(crate) hard: Vec<Target>,
    pub(crate) soft: Vec<Target>,
}

impl Scope {
    pub(super) fn of<'m>(mappings: impl Iterator<Item = &'m Mapping>) -> Self {
        let mut plan = Plan::default();
        for mapping in mappings {
            for template in &mapping.purge {
                plan.add(mapping.kind(), target(template));
            }
            for template in &mapping.families {
                plan.add(mapping.kind(), family(template));
            }
        }
        if plan.hard.contains(&Target::All) {
            plan.hard.retain(|target| *target == Target::All);
            plan.soft.clear();
        }
        Self {
            hard: plan.hard,
            soft: plan.soft,
        }
    }
}

/// What names every tag that `template` can give.
fn target(template: &Template<Path>) -> Target {
    if template.sources().next().is_none()
        && let Ok(tags) = template.expand(|_| None)
        && let [tag] = tags.as_slice()
    {
        return Target::Tag(tag.clone());
    }
    template
        .family()
        .map_or(Target::All, |family| Target::Family(family.into()))
}

/// What names every family that `template` can give.
fn family(template: &Template<Path>) -> Target {
    match target(template) {
        Target::Tag(name) => Target::Family(name.as_str().into()),
        _ => Target::All,
    }
}

/// What is to be purged: no target twice, and none soft that is hard already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    hard: Vec<Target>,
    soft: Vec<Target>,
    seen: HashSet<(PurgeKind, Target)>,
}

impl Plan {
    pub(crate) fn add(&mut self, kind: PurgeKind, target: Target) {
        if self.seen.contains(&(PurgeKind::Hard, target.clone())) {
            return;
        }
        if !self.seen.insert((kind, target.clone())) {
            return;
        }
        if kind == PurgeKind::Soft {
            self.soft.push(target);
        } else {
            self.soft.retain(|soft| *soft != target);
            self.hard.push(target);
        }
    }

    pub(crate) fn add_scope(&mut self, scope: Scope) {
        for target in scope.hard {
            self.add(PurgeKind::Hard, target);
        }
        for target in scope.soft {
            self.add(PurgeKind::Soft, target);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.add_scope(Scope {
            hard: other.hard,
            soft: other.soft,
        });
    }

    /// How many targets it names.
    pub(crate) fn len(&self) -> usize {
        self.hard.len() + self.soft.len()
    }

    /// The purges to make: hard before soft, each of at most [`MAX_TARGETS`].
    pub(crate) fn purges(&self) -> impl Iterator<Item = (PurgeKind, Vec<Target>)> {
        let hard = self
            .hard
            .chunks(MAX_TARGETS)
            .map(|t| (PurgeKind::Hard, t.to_vec()));
        let soft = self
            .soft
            .chunks(MAX_TARGETS)
            .map(|t| (PurgeKind::Soft, t.to_vec()));
        hard.chain(soft)
    }

    /// All of them, hard ones first.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.hard.iter().chain(&self.soft)
    }
}
