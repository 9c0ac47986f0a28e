//! What the operator says about the events of a stream: [`On`].

use crate::error::ConfigError;
use crate::invalidation::announce::Announce;
use crate::invalidation::condition::Condition;
use crate::invalidation::event::CONTROL;
use crate::invalidation::format::Decoder;
use crate::invalidation::mapping::Mapping;
use crate::invalidation::path::Path;
use crate::place::ConfigPlace;
use crate::rules::template::Template;

/// Which events of a stream, what they purge, and what people are told of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
pub struct On {
    /// The event's name. Default: all events.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    event: Option<String>,
    /// Only events of this network. Default: of all.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    network: Option<String>,
    /// Only events for which all of these hold: `"amountPaid >= 1000000000000000000"`, `'op in ["c", "u"]'`.
    #[cfg_attr(feature = "config", serde(default))]
    when: Vec<String>,
    /// The tags to purge: `"auction:{transaction_information.address}"`. `{before?.id}` may find nothing,
    /// `{"a.b".c}` quotes a name, `{ids.@json}` reads JSON in a string.
    #[cfg_attr(feature = "config", serde(default))]
    pub(crate) purge: Vec<String>,
    /// Families to purge whole, what stands before the first colon of their tags: `"item"`, or
    /// `"{source.table}"`. Default: none.
    #[cfg_attr(feature = "config", serde(default, rename = "purge_family"))]
    families: Vec<String>,
    /// `true`: what is purged stays usable as stale, where its rule allows that. Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    soft: bool,
    /// What people are told. Default: nothing.
    #[cfg_attr(
        feature = "config",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    announce: Option<Announce>,
}

impl On {
    /// The events that arrive with this name: for rindexer the ABI name, or the alias that its
    /// configuration gives the event.
    pub fn event(name: impl Into<String>) -> Self {
        Self {
            event: Some(name.into()),
            ..Self::any()
        }
    }

    /// All events of the stream.
    #[must_use]
    pub const fn any() -> Self {
        Self {
            event: None,
            network: None,
            when: Vec::new(),
            purge: Vec::new(),
            families: Vec::new(),
            soft: false,
            announce: None,
        }
    }

    /// Only those of the network with this name. Default: of all networks.
    #[must_use]
    pub fn network(mut self, name: impl Into<String>) -> Self {
        self.network = Some(name.into());
        self
    }

    /// Only those for which `condition` holds: a path, one of `>= <= == != > <`, and a whole number
    /// of any size; `==` or `!=` and a text in quotes; or `in` or `not in` and a list of both
    /// (`op in ["c", "u"]`). Several conditions must all hold. A path that may find nothing
    /// (`status?`) and finds nothing passes `!=` and `not in` alone. Default: none.
    #[must_use]
    pub fn when(mut self, condition: impl Into<String>) -> Self {
        self.when.push(condition.into());
        self
    }

    /// Purges the tags that `template` gives, such as `auction:{transaction_information.address}`.
    ///
    /// A path names members by dots. `before?.id` may find nothing, `"a.b".c` quotes a name, and
    /// `ids.@json` reads the JSON in a string (where names follow, a path goes on into it by itself:
    /// `data.id`). Default: none; without [`purge_family`](Self::purge_family) and
    /// [`announce`](Self::announce) either, `build()` refuses.
    #[must_use]
    pub fn purge(mut self, template: impl Into<String>) -> Self {
        self.purge.push(template.into());
        self
    }

    /// Purges all tags of the family that `template` gives: what stands before their first colon.
    /// `item` purges `item:1`, `item:2` and all others, and `{source.table}` those of the table that
    /// the event names. Default: none.
    #[must_use]
    pub fn purge_family(mut self, template: impl Into<String>) -> Self {
        self.families.push(template.into());
        self
    }

    /// Purges softly: what is stored stays usable as stale, where its rule allows that.
    /// Default: hard.
    #[must_use]
    pub const fn soft(mut self) -> Self {
        self.soft = true;
        self
    }

    /// Tells people of it, once no node answers with what it purges any more. An event may purge nothing and be told all
    /// the same. Default: nobody is told.
    #[must_use]
    pub fn announce(mut self, announce: Announce) -> Self {
        self.announce = Some(announce);
        self
    }

    /// What people are told.
    #[cfg(feature = "config")]
    pub(crate) const fn announced(&self) -> Option<&Announce> {
        self.announce.as_ref()
    }

    /// Where messages place it: it is this one of its stream's.
    pub(super) fn place(&self, number: usize) -> ConfigPlace {
        ConfigPlace::mapping(number, self.event.clone())
    }

    pub(super) fn compile(self, decoder: &Decoder) -> Result<Mapping, ConfigError> {
        self.check_names(decoder)?;
        if self.purge.is_empty() && self.families.is_empty() && self.announce.is_none() {
            let event = self.event.as_deref().unwrap_or("*");
            let message = "nothing is purged and nobody is told";
            return Err(ConfigError::new("", message, event));
        }
        let when = self.when.iter().map(|text| Condition::parse(text));
        let announce = self.announce.map(|announce| announce.compile(decoder));
        Ok(Mapping {
            when: when.collect::<Result<_, _>>()?,
            purge: templates(&self.purge, tag_template)?,
            families: templates(&self.families, family_template)?,
            announce: announce.transpose()?,
            event: self.event.map(Into::into),
            network: self.network.map(Into::into),
            soft: self.soft,
        })
    }

    /// Whether the format says where the names are that it goes by.
    fn check_names(&self, decoder: &Decoder) -> Result<(), ConfigError> {
        let refuse = |message, input: &str| Err(ConfigError::new("", message, input));
        if let Some(name) = &self.event {
            if decoder.event_name.is_none() {
                return refuse("the stream's format does not say where names are", name);
            }
            if name.starts_with(CONTROL) {
                return refuse("a name that starts with `__` is a control message's", name);
            }
        }
        match &self.network {
            Some(network) if decoder.network.is_none() => refuse(
                "the stream's format does not say where networks are",
                network,
            ),
            _ => Ok(()),
        }
    }
}

fn templates(
    texts: &[String],
    read: fn(&str) -> Result<Template<Path>, ConfigError>,
) -> Result<Vec<Template<Path>>, ConfigError> {
    texts.iter().map(|text| read(text)).collect()
}

fn tag_template(text: &str) -> Result<Template<Path>, ConfigError> {
    if let Some(family) = text.strip_suffix(":*") {
        let message = format!(
            "a tag with a star is a tag like others; the whole family is purged by purge_family `{family}`"
        );
        return Err(ConfigError::new("purge", message, text));
    }
    Template::parse(text, Path::parse)
}

fn family_template(text: &str) -> Result<Template<Path>, ConfigError> {
    let template = Template::parse(text, Path::parse)?;
    if template.family().is_some() {
        let message = "a family is what stands before the first colon of a tag";
        return Err(ConfigError::new("purge_family", message, text));
    }
    Ok(template)
}
