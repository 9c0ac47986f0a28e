//! What a stream entry says: its fields, and the events in them.

use std::borrow::Cow;
use std::fmt;

use crate::invalidation::node::Node;
use crate::invalidation::path::Path;

/// The fields of a stream entry, in its order. Names may repeat.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Event names that start so are the publisher's own messages, such as `__rindexer_reorg`.
pub(crate) const CONTROL: &str = "__";

/// What a stream entry says.
#[derive(Debug)]
pub(crate) enum EntryContent<'a> {
    /// Something about events that cannot be told which: everything that the stream can touch on
    /// this network (on all, if none is named) may have changed.
    Control {
        reason: &'static str,
        network: Option<Cow<'a, str>>,
        /// What else people are told of it.
        details: Vec<(&'static str, Cow<'a, str>)>,
    },
    /// Nothing, by agreement (a tombstone).
    Nothing,
    /// These events; none, if a filter of the publisher left none.
    Events(Vec<ChangeEvent<'a>>, Node<'a>),
}

/// One thing that happened.
#[derive(Debug)]
pub(crate) struct ChangeEvent<'a> {
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) network: Option<Cow<'a, str>>,
    /// What its paths start from; `None` if that is the whole payload.
    pub(super) node: Option<Node<'a>>,
}

impl<'a> ChangeEvent<'a> {
    /// Where `path` starts, for this event of the payload `whole`.
    pub(crate) fn start<'n>(&'n self, path: &Path, whole: &'n Node<'a>) -> &'n Node<'a> {
        match &self.node {
            Some(node) if !path.is_whole() => node,
            _ => whole,
        }
    }

    /// Whether the event has no member `name` that is not null.
    pub(crate) fn lacks(&self, name: &str, whole: &Node<'a>) -> bool {
        self.node.as_ref().unwrap_or(whole).lacks(name)
    }
}

/// Which event it is: the place of an entry's event, from 0. `{}` names it as an identity does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventOrigin<'a> {
    pub(crate) stream: &'a str,
    /// The entry's id.
    pub(crate) entry: &'a str,
    pub(crate) index: usize,
}

impl fmt::Display for EventOrigin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.stream, self.entry, self.index)
    }
}

/// Why an entry cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// One of a few words, for metrics.
    pub(crate) reason: &'static str,
    /// For people, with what is particular to this entry.
    detail: String,
}

impl Unreadable {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}
