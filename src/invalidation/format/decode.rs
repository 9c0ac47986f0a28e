//! From a stream entry to the events in it. Pure, and total: whatever the bytes are, the answer is
//! events, a control message, nothing, or a reason.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Decoder, FORK_BLOCK, Payload};
use crate::invalidation::event::{CONTROL, ChangeEvent, EntryContent, Fields, Unreadable};
use crate::invalidation::node::{self, Node, NotJson, Texts};
use crate::invalidation::path::Path;
use crate::tag::MAX_TAGS;

/// The most events in one entry. rindexer cuts at 75 KiB, about a hundred.
const MAX_EVENTS: usize = 10_000;

const REORG: &str = "__rindexer_reorg";
/// What a reorg notice says that concerns those who know of the events that were undone.
const REORG_NUMBERS: [&str; 3] = [FORK_BLOCK, "depth", "events_deleted"];
const REORG_TRANSACTIONS: &str = "affected_tx_hashes";

impl Decoder {
    /// The events in an entry with these `fields`, which may have at most `max_bytes`.
    ///
    /// # Errors
    /// [`Unreadable`] for anything that is not what the format says. The entry may have been an
    /// event all the same, so the caller must act as if it had named everything.
    pub(crate) fn decode<'a>(
        &'a self,
        fields: &'a Fields,
        max_bytes: usize,
        texts: &'a Texts,
    ) -> Result<EntryContent<'a>, Unreadable> {
        let bytes: usize = fields.iter().map(|(n, v)| n.len() + v.len()).sum();
        if bytes > max_bytes {
            let detail = format!("{bytes} bytes, and {max_bytes} are allowed");
            return Err(Unreadable::new("too-large", detail));
        }
        let whole = if self.json && self.payload != Payload::AllFields {
            let text = self.text(fields)?;
            if self.tombstone.as_deref() == Some(text) {
                return Ok(EntryContent::Nothing);
            }
            self.document(text, texts)?
        } else {
            self.fields(fields)?
        };
        self.events(whole, texts)
    }

    fn events<'a>(
        &self,
        whole: Node<'a>,
        texts: &'a Texts,
    ) -> Result<EntryContent<'a>, Unreadable> {
        // A control message may lack whatever else events have, so its name comes first.
        if let Some(path) = self.event_name.as_ref().filter(|path| self.is_whole(path))
            && let Some(name) = path.value(&whole)
            && let Some(control) = self.control(&name, &whole)
        {
            return Ok(control);
        }
        let mut events = Vec::new();
        for node in self.nodes(&whole, texts)? {
            let event = self.event(node, &whole)?;
            if let Some(name) = &event.name
                && let Some(control) = self.control(name, &whole)
            {
                return Ok(control);
            }
            events.push(event);
        }
        Ok(EntryContent::Events(events, whole))
    }

    /// Whether `path` is the same for all events of an entry.
    fn is_whole(&self, path: &Path) -> bool {
        path.is_whole() || self.events.is_none()
    }

    fn control<'a>(&self, name: &str, whole: &Node<'a>) -> Option<EntryContent<'a>> {
        if !name.starts_with(CONTROL) {
            return None;
        }
        let network = self.network.as_ref().filter(|path| self.is_whole(path));
        let (reason, details) = match name {
            REORG => ("reorg", reorg_details(whole)),
            _ => ("unknown control message", Vec::new()),
        };
        Some(EntryContent::Control {
            reason,
            network: network.and_then(|path| path.value(whole)),
            details,
        })
    }

    /// The events' own nodes; one `None` if the payload is the event.
    fn nodes<'a>(
        &self,
        whole: &Node<'a>,
        texts: &'a Texts,
    ) -> Result<Vec<Option<Node<'a>>>, Unreadable> {
        let raw: Option<&'a RawValue> = match (&self.events, whole) {
            (Some(path), _) => {
                let missing = || Unreadable::new("no-events", format!("no `{}`", path.text()));
                Some(path.raw(whole, texts).ok_or_else(missing)?)
            }
            (None, Node::Other(raw)) => Some(raw),
            (None, _) => None,
        };
        let Some(raw) = raw else {
            return Ok(vec![None]);
        };
        if let Some(elements) = node::elements(raw) {
            if elements.len() > MAX_EVENTS {
                let detail = format!("{}, and {MAX_EVENTS} are allowed", elements.len());
                return Err(Unreadable::new("too-many-events", detail));
            }
            return Ok(elements.into_iter().map(|e| Some(Node::new(e))).collect());
        }
        // rindexer's documentation shows an object where it writes a list.
        if raw.get().starts_with('{') {
            return Ok(vec![Some(Node::new(raw))]);
        }
        let detail = "neither a list of events nor an event";
        Err(Unreadable::new("no-events", detail))
    }

    fn event<'a>(
        &self,
        node: Option<Node<'a>>,
        whole: &Node<'a>,
    ) -> Result<ChangeEvent<'a>, Unreadable> {
        let mut event = ChangeEvent {
            name: None,
            network: None,
            node,
        };
        let read = |path: &Path| {
            let value = path.value(event.start(path, whole));
            value.filter(|value| self.unknown(value).is_none())
        };
        let network = self.network.as_ref().and_then(read);
        let name = self.event_name.as_ref().map(|path| {
            let missing = || Unreadable::new("no-event-name", format!("no `{}`", path.text()));
            read(path).ok_or_else(missing)
        });
        event.name = name.transpose()?;
        event.network = network;
        Ok(event)
    }

    /// The payload as text.
    fn text<'a>(&self, fields: &'a Fields) -> Result<&'a str, Unreadable> {
        let bytes = match &self.payload {
            Payload::Field(name) => {
                let mut named = fields.iter().filter(|(n, _)| n == name.as_bytes());
                match (named.next(), named.next()) {
                    (Some((_, value)), None) => value,
                    (None, _) => {
                        return Err(Unreadable::new("no-payload", format!("no field `{name}`")));
                    }
                    _ => {
                        let detail = format!("field `{name}` given twice");
                        return Err(Unreadable::new("no-payload", detail));
                    }
                }
            }
            Payload::SingleName => &single(fields)?.0,
            Payload::Single | Payload::AllFields => &single(fields)?.1,
        };
        utf8(bytes)
    }

    fn document<'a>(&self, text: &'a str, texts: &'a Texts) -> Result<Node<'a>, Unreadable> {
        let mut raw = json(text)?;
        // Some publishers encode twice: the whole document is JSON in a string.
        if let Some(inner) = node::string(raw).and_then(|inner| texts.keep(inner)) {
            raw = json(inner)?;
        }
        let node = Node::new(raw);
        // Kafka Connect's JSON converter wraps the record if schemas are on, the default.
        if let Node::Object(members) = &node
            && self.schemas
            && members.len() == 2
            && members.contains_key("schema")
            && let Some(payload) = members.get("payload")
        {
            return Ok(Node::new(payload));
        }
        Ok(node)
    }

    /// The fields as members, where the payload is not one JSON text.
    fn fields<'a>(&'a self, fields: &'a Fields) -> Result<Node<'a>, Unreadable> {
        let members = match &self.payload {
            Payload::Field(name) => vec![(name.as_ref(), self.text(fields)?)],
            Payload::Single | Payload::SingleName => {
                let (name, value) = single(fields)?;
                vec![("name", utf8(name)?), ("value", utf8(value)?)]
            }
            Payload::AllFields => fields
                .iter()
                .map(|(name, value)| Ok((utf8(name)?, utf8(value)?)))
                .collect::<Result<_, Unreadable>>()?,
        };
        Ok(Node::Fields {
            named: members,
            json: self.json,
        })
    }
}

/// What rindexer says about a reorg. Without a database it does not know how many events that undid, nor of which
/// transactions.
fn reorg_details<'a>(whole: &Node<'a>) -> Vec<(&'static str, Cow<'a, str>)> {
    let values = |name: &str| {
        let path = Path::parse(&format!("event_data.{name}")).ok()?;
        path.values(whole).ok()
    };
    let numbers = REORG_NUMBERS.into_iter().filter_map(|name| {
        let mut found = values(name)?;
        (found.len() == 1).then(|| (name, found.remove(0)))
    });
    let transactions = values(REORG_TRANSACTIONS).filter(|hashes| {
        // Some of them would be taken for all.
        (1..=MAX_TAGS).contains(&hashes.len())
    });
    let transactions = transactions.map(|hashes| (REORG_TRANSACTIONS, hashes.join(",").into()));
    numbers.chain(transactions).collect()
}

fn single(fields: &Fields) -> Result<&(Vec<u8>, Vec<u8>), Unreadable> {
    match fields.as_slice() {
        [field] => Ok(field),
        _ => {
            let detail = format!("{} fields instead of one", fields.len());
            Err(Unreadable::new("no-payload", detail))
        }
    }
}

fn json(text: &str) -> Result<&RawValue, Unreadable> {
    node::parse(text).map_err(|error| match error {
        NotJson::Syntax(error) => Unreadable::new("not-json", error.to_string()),
        NotJson::TooDeep => Unreadable::new("too-deep", "lists and objects nested too deep"),
    })
}

fn utf8(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|error| Unreadable::new("not-utf8", error.to_string()))
}

#[cfg(test)]
mod tests;
