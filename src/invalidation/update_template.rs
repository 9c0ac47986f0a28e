//! From an event to the updates that people are told of. Pure.

use std::collections::HashSet;

use crate::error::{ConfigError, Error};
use crate::invalidation::event::{ChangeEvent, EventOrigin, Unreadable};
use crate::invalidation::expansion::{expand, single};
use crate::invalidation::format::Decoder;
use crate::invalidation::node::Node;
use crate::invalidation::path::Path;
use crate::invalidation::source_paths::{SourcePaths, source_of};
use crate::rules::template::Template;
use crate::update::Update;

/// The most updates of one entry; past it, people are told that something unknown changed.
pub(crate) const MAX_ENTRY_UPDATES: usize = 1_000;

/// What rindexer calls a transfer of the chain's own currency.
const NATIVE_TRANSFER: &str = "NativeTransfer";

/// Why an entry is unreadable whose updates cannot be made.
const REASON: &str = "no-update";

/// An `Announce` that has been read.
#[derive(Debug)]
pub(crate) struct UpdateTemplate {
    pub(super) kind: Box<str>,
    pub(super) subjects: Vec<Template<Path>>,
    pub(super) fields: Vec<(Box<str>, Path)>,
    pub(super) identity: EventIdentity,
    /// Where its events say which block they stand in, if they do.
    pub(super) source: Option<SourcePaths>,
}

/// What tells an event from others.
#[derive(Debug)]
pub(super) enum EventIdentity {
    /// What the operator says.
    Template(Template<Path>),
    /// The first of these that the event fills, or else where it stands.
    FirstFilled(Vec<Template<Path>>),
    /// Where it stands.
    Entry,
}

impl EventIdentity {
    /// Chain, block hash, transaction hash and log index. Before 0.25 rindexer writes no chain id. Its `message_id` is
    /// none: it repeats, and it changes (`docs/PUBLISHERS.md` §3).
    pub(super) fn of_rindexer() -> Result<Self, ConfigError> {
        let template = |chain: &str| {
            let log = "{transaction_information.block_hash}/{transaction_information.transaction_hash}/\
                       {transaction_information.log_index:int}";
            Template::parse(&format!("{{{chain}}}/{log}"), Path::parse)
        };
        let chains = [
            "transaction_information.chain_id",
            "transaction_information.network",
            "$.network",
        ];
        let known = chains.into_iter().map(template).collect::<Result<_, _>>();
        known.map(Self::FirstFilled)
    }

    /// Gives `update` the identity of `event`.
    fn identify(
        &self,
        update: Update,
        event: &ChangeEvent<'_>,
        whole: &Node<'_>,
        decoder: &Decoder,
        origin: &EventOrigin<'_>,
    ) -> Result<Update, Unreadable> {
        let given = |template| match expand(template, REASON, event, whole, decoder)?.as_deref() {
            Some([one]) => Ok(one.as_str().to_owned()),
            _ => {
                let detail = format!("`{}` does not give one value", template.text());
                Err(Unreadable::new(REASON, detail))
            }
        };
        let known = match self {
            Self::Template(template) => {
                return update.with_identity(given(template)?).map_err(refused);
            }
            Self::FirstFilled(templates) => {
                templates.iter().find_map(|template| given(template).ok())
            }
            Self::Entry => None,
        };
        // The log index of a native transfer is always 0, whatever else its transaction transferred.
        let known = known.filter(|_| event.name.as_deref() != Some(NATIVE_TRANSFER));
        if known.is_none() && origin.entry.is_empty() {
            return Ok(update);
        }
        let identity = known.unwrap_or_else(|| origin.to_string());
        // Whoever hands an event in may give it an id that no update can have: it is then like no other.
        Ok(update.clone().with_identity(identity).unwrap_or(update))
    }
}

impl UpdateTemplate {
    /// Adds what people are told of `event` and says how many updates that is; `None` if they are too many.
    pub(super) fn apply(
        &self,
        event: &ChangeEvent<'_>,
        whole: &Node<'_>,
        decoder: &Decoder,
        origin: &EventOrigin<'_>,
        updates: &mut UpdateList,
    ) -> Result<Option<usize>, Unreadable> {
        let mut source = source_of(event, origin);
        if let Some(paths) = &self.source {
            paths.read(event, whole, &mut source);
        }
        let mut told = 0;
        for template in &self.subjects {
            let Some(subjects) = expand(template, REASON, event, whole, decoder)? else {
                return Ok(None);
            };
            for subject in subjects {
                let update = Update::new(&self.kind, subject).map_err(refused)?;
                let identity = &self.identity;
                let mut update = identity.identify(update, event, whole, decoder, origin)?;
                for (name, path) in &self.fields {
                    if let Some(value) = single(path, REASON, event, whole, decoder)? {
                        update = update.with_field(name.clone(), value).map_err(refused)?;
                    }
                }
                updates.add(update.with_source(source.clone()));
                told += 1;
            }
        }
        Ok((updates.len() <= MAX_ENTRY_UPDATES).then_some(told))
    }

    /// The paths that it reads, but for those of an identity that is not the operator's.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let identity = self.own_identity().into_iter();
        let templates = self.subjects.iter().chain(identity);
        let fields = self.fields.iter().map(|(_, path)| path);
        templates.flat_map(Template::sources).chain(fields)
    }

    /// The identity that the operator says.
    pub(crate) fn own_identity(&self) -> Option<&Template<Path>> {
        match &self.identity {
            EventIdentity::Template(template) => Some(template),
            EventIdentity::FirstFilled(_) | EventIdentity::Entry => None,
        }
    }
}

/// An event says more, or something else, than an update holds.
fn refused(error: Error) -> Unreadable {
    Unreadable::new(REASON, error.to_string())
}

/// What people are told of an entry: nothing twice.
#[derive(Debug, Default)]
pub(crate) struct UpdateList {
    updates: Vec<Update>,
    seen: HashSet<u128>,
}

impl UpdateList {
    fn add(&mut self, update: Update) {
        if self.seen.insert(update.fingerprint()) {
            self.updates.push(update);
        }
    }

    fn len(&self) -> usize {
        self.updates.len()
    }

    /// All of them, in the order of the events.
    pub(crate) fn into_vec(self) -> Vec<Update> {
        self.updates
    }
}
