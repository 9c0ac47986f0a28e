//! From an entry of a stream to what its events purge. Pure.
//!
//! Where an event cannot be judged (a guard or a template finds no value), the whole entry counts as
//! [unreadable](Unreadable), and its plan is the stream's whole scope: what the event meant to
//! purge is in there, so the doubt costs misses and never a stale answer.

use super::EventStream;
use crate::invalidation::event::{ChangeEvent, EntryContent, Fields, Unreadable};
use crate::invalidation::mapping::{MAX_TARGETS, Mapping, Plan};
use crate::invalidation::node::{Node, Texts};

/// What became of one entry.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) plan: Plan,
    /// Each event that purges something, by name, and how many tags it names.
    pub(crate) applied: Vec<(Box<str>, usize)>,
    /// Why events were ignored, once for each.
    pub(crate) ignored: Vec<&'static str>,
    pub(crate) exactness: Exactness,
}

/// Whether an entry's plan is what its events name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exactness {
    /// It is.
    Exact,
    /// It is the scope of the stream, because events may be missing or are too many.
    Scope(&'static str),
    /// It is the scope of the stream, because the entry cannot be understood.
    Unreadable(Unreadable),
}

impl EventStream {
    /// Reads an entry: what it purges, and what is to be told about it.
    pub(crate) fn read(&self, fields: &Fields) -> Reading {
        let (texts, most) = (Texts::default(), self.settings.max_entry_bytes.into());
        let decoded = self.decoder.decode(fields, most, &texts);
        let mapped = decoded.and_then(|decoded| match decoded {
            EntryContent::Control { reason, network } => {
                Ok(self.whole(Exactness::Scope(reason), network.as_deref()))
            }
            EntryContent::Nothing => Ok(Reading::ignored("tombstone")),
            EntryContent::Events(events, _) if events.is_empty() => {
                Ok(Reading::ignored("no events"))
            }
            EntryContent::Events(events, whole) => self.map(&events, &whole),
        });
        mapped.unwrap_or_else(|unreadable| self.whole(Exactness::Unreadable(unreadable), None))
    }

    fn map(&self, events: &[ChangeEvent<'_>], whole: &Node<'_>) -> Result<Reading, Unreadable> {
        let mut reading = Reading::exact();
        for event in events {
            match self.without_row(event, whole) {
                Some("t") => return Ok(self.whole(Exactness::Scope("table truncated"), None)),
                Some("m") => {
                    reading.ignored.push("message without a row");
                    continue;
                }
                Some(_) => {
                    let detail = "neither `before` nor `after` is there";
                    return Err(Unreadable::new("no-row", detail));
                }
                None => {}
            }
            let mut named = None;
            for mapping in &self.mappings {
                if !mapping.fits(event, whole, &self.decoder)? {
                    continue;
                }
                match mapping.apply(event, whole, &self.decoder, &mut reading.plan)? {
                    Some(tags) if reading.plan.len() <= MAX_TARGETS => {
                        named = Some(named.unwrap_or(0) + tags);
                    }
                    _ => return Ok(self.whole(Exactness::Scope("too many targets"), None)),
                }
            }
            match named {
                None => reading.ignored.push("no mapping fits"),
                Some(0) => reading.ignored.push("names nothing to purge"),
                Some(tags) => {
                    let name = event.name.as_deref().unwrap_or_default();
                    reading.applied.push((name.into(), tags));
                }
            }
        }
        Ok(reading)
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

    /// What an entry means that must not be read.
    pub(crate) fn give_up(&self, unreadable: Unreadable) -> Reading {
        self.whole(Exactness::Unreadable(unreadable), None)
    }

    fn whole(&self, exactness: Exactness, network: Option<&str>) -> Reading {
        let mut reading = Reading::exact();
        reading.plan.add_scope(self.scope_on(network));
        reading.exactness = exactness;
        reading
    }
}

impl Reading {
    fn exact() -> Self {
        Self {
            plan: Plan::default(),
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
