//! The choices that a rule of the file has.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::scalar::{Written, read};
use crate::{Authorization, ClientPolicy, Cookies, Forward, Host, Query, SetCookie, TagHeader};

/// How a hit is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConsistencyChoice {
    /// By this process, while it hears from the purge log.
    Near,
    /// Against the purge log, each time.
    Strict,
}

/// How careful rules are. See [`Profile`](crate::Profile).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProfileChoice {
    /// More careful than the RFC about cookies and errors.
    Careful,
    /// As RFC 9111 has it.
    Rfc9111,
}

/// How the query is part of the key: a word, or `{ allow = [...] }`, `{ deny = [...] }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueryChoice {
    /// Exactly as it was sent.
    All,
    /// All parameters, whatever their order.
    Sorted,
    /// Nothing of it.
    Ignore,
    /// Only these parameters; a name may end in `*`.
    Allow(Vec<String>),
    /// All but these parameters; a name may end in `*`.
    Deny(Vec<String>),
}

/// See [`Authorization`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationChoice {
    /// As the response permits (RFC 9111 §3.5).
    Upstream,
    /// It does not change the response: all share it.
    Ignore,
    /// Each token has responses of its own.
    Key,
}

/// See [`Host`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HostChoice {
    /// Each host has responses of its own.
    Key,
    /// All hosts share them.
    Ignore,
}

/// See [`Forward`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForwardChoice {
    /// All of a request.
    Whole,
    /// What is in the key.
    Keyed,
}

/// See [`SetCookie`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SetCookieChoice {
    /// Not stored.
    Refuse,
    /// Stored without the field.
    Strip,
}

/// See [`ClientPolicy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientChoice {
    /// `no-cache` for a response with tags, else the upstream's own fields.
    Auto,
    /// The upstream's own fields.
    Pass,
    /// This Cache-Control.
    Set(String),
}

/// What is done with cookies: `"bypass"`, `"ignore"`, or `{ ignore = [...], key = [...] }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CookieChoice {
    /// A word.
    Word(CookieWord),
    /// Names.
    Named(CookieNames),
}

/// The words for [`CookieChoice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CookieWord {
    /// A request with any cookie is not cached.
    Bypass,
    /// No cookie changes the response.
    Ignore,
}

/// Cookies by name; one that is in neither list ends caching for its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CookieNames {
    /// Cookies that do not change the response; a name may end in `*`.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Cookies that are part of the key.
    #[serde(default)]
    pub key: Vec<String>,
}

/// A response header that lists tags: its name, or `{ name = "x-tags", separator = "space" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TagHeaderChoice {
    /// Separated by spaces if it is Surrogate-Key or xkey, else by commas.
    Name(String),
    /// With its separator.
    Separated(SeparatedHeader),
}

/// A header and what separates its tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeparatedHeader {
    /// The header's name.
    pub name: String,
    /// What separates its tags.
    pub separator: SeparatorChoice,
}

/// What separates the tags in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeparatorChoice {
    /// Spaces.
    Space,
    /// Commas.
    Comma,
}

impl Written for CookieChoice {
    type Table = CookieNames;
    const EXPECTED: &'static str = "\"bypass\", \"ignore\" or { ignore = [...], key = [...] }";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "bypass" => Ok(Self::Word(CookieWord::Bypass)),
            "ignore" => Ok(Self::Word(CookieWord::Ignore)),
            _ => Err(Self::EXPECTED.to_owned()),
        }
    }

    fn from_table(table: CookieNames) -> Option<Self> {
        Some(Self::Named(table))
    }
}

impl Written for TagHeaderChoice {
    type Table = SeparatedHeader;
    const EXPECTED: &'static str = "a header's name or { name = \"...\", separator = \"space\" }";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::Name(text.to_owned()))
    }

    fn from_table(table: SeparatedHeader) -> Option<Self> {
        Some(Self::Separated(table))
    }
}

impl<'de> Deserialize<'de> for CookieChoice {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from)
    }
}

impl<'de> Deserialize<'de> for TagHeaderChoice {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from)
    }
}

impl JsonSchema for CookieChoice {
    fn schema_name() -> Cow<'static, str> {
        "CookieChoice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let word = generator.subschema_for::<CookieWord>();
        let names = generator.subschema_for::<CookieNames>();
        json_schema!({ "anyOf": [word, names] })
    }
}

impl JsonSchema for TagHeaderChoice {
    fn schema_name() -> Cow<'static, str> {
        "TagHeaderChoice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<SeparatedHeader>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}

impl QueryChoice {
    pub(super) fn query(&self) -> Query {
        match self {
            Self::All => Query::all(),
            Self::Sorted => Query::sorted(),
            Self::Ignore => Query::ignore(),
            Self::Allow(names) => Query::allow(names),
            Self::Deny(names) => Query::deny(names),
        }
    }
}

impl CookieChoice {
    pub(super) fn cookies(&self) -> Cookies {
        match self {
            Self::Word(CookieWord::Bypass) => Cookies::bypass(),
            Self::Word(CookieWord::Ignore) => Cookies::ignore_all(),
            Self::Named(names) => Cookies::ignore(&names.ignore).key(&names.key),
        }
    }
}

impl TagHeaderChoice {
    pub(super) fn tag_header(&self) -> TagHeader {
        match self {
            Self::Name(name) => TagHeader::from(name.as_str()),
            Self::Separated(header) => match header.separator {
                SeparatorChoice::Space => TagHeader::spaces(&header.name),
                SeparatorChoice::Comma => TagHeader::commas(&header.name),
            },
        }
    }
}

impl ClientChoice {
    pub(super) fn policy(&self) -> ClientPolicy {
        match self {
            Self::Auto => ClientPolicy::Auto,
            Self::Pass => ClientPolicy::Pass,
            Self::Set(value) => ClientPolicy::Set(value.clone()),
        }
    }
}

impl From<AuthorizationChoice> for Authorization {
    fn from(choice: AuthorizationChoice) -> Self {
        match choice {
            AuthorizationChoice::Upstream => Self::Upstream,
            AuthorizationChoice::Ignore => Self::Ignore,
            AuthorizationChoice::Key => Self::Key,
        }
    }
}

impl From<HostChoice> for Host {
    fn from(choice: HostChoice) -> Self {
        match choice {
            HostChoice::Key => Self::Key,
            HostChoice::Ignore => Self::Ignore,
        }
    }
}

impl From<ForwardChoice> for Forward {
    fn from(choice: ForwardChoice) -> Self {
        match choice {
            ForwardChoice::Whole => Self::Whole,
            ForwardChoice::Keyed => Self::Keyed,
        }
    }
}

impl From<SetCookieChoice> for SetCookie {
    fn from(choice: SetCookieChoice) -> Self {
        match choice {
            SetCookieChoice::Refuse => Self::Refuse,
            SetCookieChoice::Strip => Self::Strip,
        }
    }
}
