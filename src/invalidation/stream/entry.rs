//! From an entry of a stream to what its events purge, and to what people are told of them. Pure.
//!
//! Where an event cannot be judged (a guard or a template finds no value), the whole entry counts as
//! [unreadable](Unreadable), and its plan is the stream's whole scope: what the event meant to
//! purge is in there, so the doubt costs misses and never a stale answer. People are then told that
//! something unknown changed, if they are told of that stream's events at all.

use std::borrow::Cow;

use super::EventStream;
use crate::invalidation::event::{ChangeEvent, EntryContent, EventOrigin, Fields, Unreadable};
use crate::invalidation::format::FORK_BLOCK;
use crate::invalidation::mapping::{MAX_TARGETS, Mapping, Plan};
use crate::invalidation::node::{Node, Texts};
use crate::invalidation::source_paths::whole_number;
use crate::invalidation::update_template::UpdateList;
use crate::update::{EventSource, Update};

/// What became of one entry.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) plan: Plan,
    /// What people are told once the plan is carried out, in the order of the events.
    pub(crate) updates: Vec<Update>,
    /// Each event that purges something or is told, by name, and how many tags it names.
    pub(crate) applied: Vec<(Box<str>, usize)>,
    /// Why events were ignored, once for each.
    pub(crate) ignored: Vec<&'static str>,
    pub(crate) exactness: Exactness,
}

/// Whether an entry's plan and updates are what its events name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exactness {
    /// They are.
    Exact,
    /// The plan is the scope of the stream, because events may be missing or are too many.
    Scope(&'static str),
    /// It is the scope of the stream, because the entry cannot be understood.
    Unreadable(Unreadable),
}

/// What one event adds to those of its entry.
#[derive(Debug, Default)]
struct Effect {
    targets: usize,
    updates: usize,
}

impl EventStream {
    /// Reads the entry `id`: what it purges, what people are told, and what is to be reported.
    pub(crate) fn read(&self, id: &str, fields: &Fields) -> Reading {
        let (texts, most) = (Texts::default(), self.settings.max_entry_bytes.into());
        let content = match self.decoder.decode(fields, most, &texts) {
            Ok(content) => content,
            Err(unreadable) => return self.give_up(id, unreadable),
        };
        match content {
            EntryContent::Control {
                reason,
                network,
                details,
            } => self.whole(id, Exactness::Scope(reason), network.as_deref(), &details),
            EntryContent::Nothing => Reading::ignored("tombstone"),
            EntryContent::Events(events, _) if events.is_empty() => Reading::ignored("no events"),
            EntryContent::Events(events, whole) => {
                let mapped = self.map(id, &events, &whole);
                mapped.unwrap_or_else(|exactness| self.whole(id, exactness, None, &[]))
            }
        }
    }

    /// What `events` name; an error says why everything is named instead.
    fn map(
        &self,
        id: &str,
        events: &[ChangeEvent<'_>],
        whole: &Node<'_>,
    ) -> Result<Reading, Exactness> {
        let (mut reading, mut updates) = (Reading::exact(), UpdateList::default());
        for (index, event) in events.iter().enumerate() {
            match self.without_row(event, whole) {
                Some("t") => return Err(Exactness::Scope("table truncated")),
                Some("m") => {
                    reading.ignored.push("message without a row");
                    continue;
                }
                Some(_) => {
                    let detail = "neither `before` nor `after` is there";
                    return Err(Unreadable::new("no-row", detail).into());
                }
                None => {}
            }
            let origin = EventOrigin {
                stream: &self.name,
                entry: id,
                index,
            };
            match self.apply(event, whole, &origin, &mut reading.plan, &mut updates)? {
                None => reading.ignored.push("no mapping fits"),
                Some(Effect {
                    targets: 0,
                    updates: 0,
                }) => reading.ignored.push("names nothing to purge"),
                Some(effect) => {
                    let name = event.name.as_deref().unwrap_or_default();
                    reading.applied.push((name.into(), effect.targets));
                }
            }
        }
        reading.updates = updates.into_vec();
        Ok(reading)
    }

    /// Adds what `event` names; `None` if no mapping fits it.
    fn apply(
        &self,
        event: &ChangeEvent<'_>,
        whole: &Node<'_>,
        origin: &EventOrigin<'_>,
        plan: &mut Plan,
        updates: &mut UpdateList,
    ) -> Result<Option<Effect>, Exactness> {
        let mut effect: Option<Effect> = None;
        for mapping in &self.mappings {
            if !mapping.fits(event, whole, &self.decoder)? {
                continue;
            }
            let targets = mapping.apply(event, whole, &self.decoder, plan)?;
            let targets = targets.filter(|_| plan.len() <= MAX_TARGETS);
            let effect = effect.get_or_insert_default();
            effect.targets += targets.ok_or(Exactness::Scope("too many targets"))?;
            if let Some(announce) = &mapping.announce {
                let told = announce.apply(event, whole, &self.decoder, origin, updates)?;
                effect.updates += told.ok_or(Exactness::Scope("too many updates"))?;
            }
        }
        Ok(effect)
    }

    /// The operation of a change record of Debezium that has no row: a truncated table, a message.
    /// Optional paths would find nothing in it, and nothing would be purged. A mapping that names the
    /// operation decides itself.
    fn without_row<'e>(&self, event: &'e ChangeEvent<'_>, whole: &Node<'_>) -> Option<&'e str> {
        let name = event.name.as_deref()?;
        let is_named = |mapping: &Mapping| mapping.event.as_deref() == Some(name);
        (self.decoder.has_operations()
            && event.lacks("before", whole)
            && event.lacks("after", whole)
            && !self.mappings.iter().any(is_named))
        .then_some(name)
    }

    /// What the entry `id` means that must not be read.
    pub(crate) fn give_up(&self, id: &str, unreadable: Unreadable) -> Reading {
        self.whole(id, Exactness::Unreadable(unreadable), None, &[])
    }

    /// Everything that the stream can touch on `network`; on all, if none is named.
    fn whole(
        &self,
        id: &str,
        exactness: Exactness,
        network: Option<&str>,
        details: &[(&str, Cow<'_, str>)],
    ) -> Reading {
        let mut reading = Reading::exact();
        reading.plan.add_scope(self.scope_on(network));
        if self.announces_on(network) {
            let fork = details.iter().find(|(name, _)| *name == FORK_BLOCK);
            let source = EventSource {
                network: network.map(Box::from),
                fork_block: fork.and_then(|(_, block)| whole_number(block)),
                ..EventSource::of(&self.name, id)
            };
            let network = network.map(|network| ("network", network));
            let details = details.iter().map(|(name, value)| (*name, &**value));
            let resync = self.resync(id, exactness.reason(), network.into_iter().chain(details));
            reading.updates.push(resync.with_source(source));
        }
        reading.exactness = exactness;
        reading
    }

    /// What people are told where it is not known what the entry `id` changes.
    pub(super) fn resync<'d>(
        &self,
        id: &str,
        reason: &str,
        details: impl Iterator<Item = (&'d str, &'d str)>,
    ) -> Update {
        let resync = Update::resync(reason);
        // Delivered again, it is a repeat. Where it can have no such identity, it is like no other.
        let identity = format!("{}/{id}", self.name);
        let resync = resync.clone().with_identity(identity).unwrap_or(resync);
        details.fold(resync, |resync, (name, value)| {
            // It holds without what does not fit.
            resync.clone().with_field(name, value).unwrap_or(resync)
        })
    }
}

impl Exactness {
    /// In a few words, why the plan is the scope.
    fn reason(&self) -> &'static str {
        match self {
            Self::Exact => "",
            Self::Scope(reason) => reason,
            Self::Unreadable(unreadable) => unreadable.reason,
        }
    }
}

impl From<Unreadable> for Exactness {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl Reading {
    fn exact() -> Self {
        Self {
            plan: Plan::default(),
            updates: Vec::new(),
            applied: Vec::new(),
            ignored: Vec::new(),
            exactness: Exactness::Exact,
        }
    }

    fn ignored(reason: &'static str) -> Self {
        let mut reading = Self::exact();
        reading.ignored.push(reason);
        reading
    }
}

#[cfg(test)]
mod tests;
