//! What the operator says people are told on an event: [`Announce`].

use std::collections::BTreeMap;

use crate::error::{ConfigError, Error};
use crate::invalidation::format::Decoder;
use crate::invalidation::path::Path;
use crate::invalidation::source_paths::SourcePaths;
use crate::invalidation::update_template::{EventIdentity, UpdateTemplate};
use crate::place::Setting;
use crate::rules::template::Template;
use crate::update::{Update, check_kind};

const TYPE: Setting = Setting::key_of_section("type").called("announce type");
const SUBJECT: Setting = Setting::key_of_section("subject").called("announce subject");
const FIELDS: Setting = Setting::key_of_section("fields").called("announce fields");
const IDENTITY: Setting = Setting::key_of_section("identity").called("announce identity");

/// What people are told when an event arrives, once no node answers with the old data any more: an
/// [`Update`] for each subject that the event names.
///
/// ```
/// use tower_tagcache::{Announce, On};
///
/// let address = "{transaction_information.address}";
/// let sale = On::event("AuctionSale").purge(format!("auction:{address}")).announce(
///     Announce::new("sale")
///         .subject(format!("auction:{address}"))
///         .field("amount", "amountPaid")
///         .field("buyer", "taker?"),
/// );
/// # let _ = sale;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
pub struct Announce {
    /// The type of the update: "sale". 1 to 64 ASCII letters, digits, `_`, `-` and `.`; not `resync` or `alert`.
    #[cfg_attr(feature = "config", serde(rename = "type"))]
    kind: String,
    /// What the update is about, written as tags to purge are: `"auction:{transaction_information.address}"`. One
    /// update for each that it gives.
    subject: Vec<String>,
    /// What tells the event from others: `"{order.id}/{version}"`. Updates with the same identity, type and subject are told
    /// once. Default: for rindexer chain, block hash, transaction hash and log index, if the event has them; otherwise the
    /// stream, the entry's id and the event's place in it.
    #[cfg_attr(
        feature = "config",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    identity: Option<String>,
    /// What is told of it, by path: `{ amount = "amountPaid" }`. What a path with `?` does not find is left out.
    /// Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    fields: BTreeMap<String, String>,
}

impl Announce {
    /// An update of the type `kind`: of 1 to 64 ASCII letters, digits, `_`, `-` and `.`. It needs a
    /// [subject](Self::subject).
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            subject: Vec::new(),
            identity: None,
            fields: BTreeMap::new(),
        }
    }

    /// What it is about: a template as for [`On::purge`](crate::On::purge), such as
    /// `auction:{transaction_information.address}`. Where that gives several, or several are set, there is an update for
    /// each. Default: none, which `build()` refuses.
    #[must_use]
    pub fn subject(mut self, template: impl Into<String>) -> Self {
        self.subject.push(template.into());
        self
    }

    /// Adds the one value at `path`, as the field `name`. A path that finds none makes the entry one that cannot be
    /// understood; written with a `?` (`taker?`), the field is then left out. Default: no fields.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.fields.insert(name.into(), path.into());
        self
    }

    /// What tells the event from others: a template that gives one value. Of updates with one identity, type and subject
    /// the first is told. Default: for a stream of rindexer chain, block hash, transaction hash and log index, where the
    /// event has them; otherwise the stream, the entry's id, and which of the entry's events it is, from 0.
    #[must_use]
    pub fn identity(mut self, template: impl Into<String>) -> Self {
        self.identity = Some(template.into());
        self
    }

    /// The type of its updates.
    #[cfg(feature = "config")]
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// What its updates tell.
    #[cfg(feature = "config")]
    pub(crate) fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    pub(super) fn compile(self, decoder: &Decoder) -> Result<UpdateTemplate, ConfigError> {
        let refused = |error: Error| ConfigError::new(TYPE, error.to_string(), &*self.kind);
        check_kind(&self.kind).map_err(refused)?;
        if self.subject.is_empty() {
            let message = "an update needs a subject";
            return Err(ConfigError::new(SUBJECT, message, &*self.kind));
        }
        let subjects = self.subject.iter().map(|text| template(text, SUBJECT));
        let subjects = subjects.collect::<Result<_, _>>()?;
        self.check_fields()?;
        let path = |(name, text): (&String, &String)| {
            let refused = |message| ConfigError::new(FIELDS, message, &**text);
            let path = Path::parse(text).map_err(refused)?;
            Ok((name.as_str().into(), path))
        };
        Ok(UpdateTemplate {
            subjects,
            fields: self.fields.iter().map(path).collect::<Result<_, _>>()?,
            identity: match &self.identity {
                Some(text) => EventIdentity::Template(identity(text)?),
                None if decoder.is_rindexer() => EventIdentity::of_rindexer()?,
                None => EventIdentity::Entry,
            },
            source: match decoder.is_rindexer() {
                true => Some(SourcePaths::of_rindexer()?),
                false => None,
            },
            kind: self.kind.into(),
        })
    }

    /// Whether an update can have fields of these names.
    fn check_fields(&self) -> Result<(), ConfigError> {
        let refused = |name: &str| {
            let input = name.to_owned();
            move |error: Error| ConfigError::new(FIELDS, error.to_string(), input)
        };
        let mut update = Update::new(&self.kind, "subject").map_err(refused(&self.kind))?;
        for name in self.fields.keys() {
            update = update
                .with_field(name.as_str(), "")
                .map_err(refused(name))?;
        }
        Ok(())
    }
}

fn identity(text: &str) -> Result<Template<Path>, ConfigError> {
    let template = template(text, IDENTITY)?;
    if template.sources().next().is_none() {
        let message =
            "no placeholder: all events would have one identity, and only the first would be told";
        return Err(ConfigError::new(IDENTITY, message, text));
    }
    Ok(template)
}

fn template(text: &str, setting: Setting) -> Result<Template<Path>, ConfigError> {
    Template::parse(text, Path::parse).map_err(|error| {
        let placed = ConfigError::new(setting, error.message(), error.input());
        match error.offset() {
            Some(at) => placed.at(at),
            None => placed,
        }
    })
}
