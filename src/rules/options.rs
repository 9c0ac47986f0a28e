//! The choices that a rule's setters take.

use std::time::Duration;

use http::HeaderValue;

use crate::defaults;

/// How a cache reads HTTP where RFC 9111 permits more than this crate does by itself.
///
/// It sets what rules do that do not say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum Profile {
    /// Private stays private: a request with a cookie that its rule does not name is not cached, nor
    /// is a response that sets one, nor an error that blames the one request or the server, be it
    /// with a lifetime of its own.
    #[default]
    Careful,
    /// RFC 9111 as it is written. `Set-Cookie` is stored and sent like any other field, request
    /// cookies count only where `Vary` names them, any final status with a lifetime of its own is
    /// stored, and a stale response is served for up to an hour when the inner service fails
    /// without an answer, where nothing forbids that (RFC 9111 §4.2.4).
    Rfc9111,
}

/// Who may be answered when a request has `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum Authorization {
    /// Stored responses answer such a request only where the response itself permits it, by
    /// `public`, `s-maxage` or `must-revalidate` (RFC 9111 §3.5).
    #[default]
    Upstream,
    /// The field does not change the response: all clients share it, whoever they are.
    Ignore,
    /// The value is part of the key, so that each token has responses of its own. The key holds a
    /// hash of it.
    Key,
}

/// What of a request reaches the inner service, if the request is looked up and forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum Forward {
    /// All of it, what the rule leaves out of the key as well.
    #[default]
    Whole,
    /// Without what the rule leaves out of the key: query parameters, cookies, fields of
    /// [`ignore_header`](super::Rule::ignore_header), and `Authorization` where it is ignored. Then no response can
    /// depend on them.
    Keyed,
}

/// Whether the host is part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum Host {
    /// It is: each host has responses of its own.
    #[default]
    Key,
    /// It is not: the inner service answers alike whatever host is asked for. Fields by which a
    /// proxy passes on the host (`X-Forwarded-Host` and the like) stay in the key.
    Ignore,
}

/// What happens to a response with `Set-Cookie`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum SetCookie {
    /// It is not stored.
    #[default]
    Refuse,
    /// It is stored without the field. The client whose request was forwarded still gets it.
    Strip,
}

impl SetCookie {
    /// What a rule does that does not say; none where the field is stored and sent like any other.
    pub(super) fn by(profile: Profile) -> Option<Self> {
        match profile {
            Profile::Careful => Some(Self::Refuse),
            Profile::Rfc9111 => None,
        }
    }
}

/// What browsers and outer CDNs are told about a response.
///
/// A copy that they may reuse without asking survives a purge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum ClientPolicy {
    /// `no-cache` for a response with tags, so that each reuse is validated, which the cache
    /// answers cheaply; else the inner service's own fields.
    #[default]
    Auto,
    /// The inner service's own fields.
    Pass,
    /// This `Cache-Control`, on responses that are stored. Never in place of a `no-store` or
    /// `private` that the rule does not name to be ignored.
    Set(String),
}

/// [`ClientPolicy`], with its field checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClientFields {
    Auto,
    Pass,
    Set(HeaderValue),
}

/// How a hit is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum Consistency {
    /// By this process, while it hears from the purge log.
    #[default]
    Near,
    /// Against the purge log, each time: one round trip, entry and log tip together.
    Strict,
}

/// A response field whose value lists tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagHeader {
    pub(super) name: String,
    pub(super) separator: Separator,
}

/// What separates the tags in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
pub(crate) enum Separator {
    /// Spaces.
    Space,
    /// Commas.
    Comma,
}

impl TagHeader {
    /// A field with its tags separated by spaces, as `Surrogate-Key` has them.
    pub fn spaces(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            separator: Separator::Space,
        }
    }

    /// A field with its tags separated by commas, as `Cache-Tag` has them.
    pub fn commas(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            separator: Separator::Comma,
        }
    }

    /// `Surrogate-Key`, `Cache-Tag` and `Edge-Cache-Tag`.
    pub(super) fn known() -> Vec<Self> {
        ["surrogate-key", "cache-tag", "edge-cache-tag"]
            .map(Self::from)
            .into()
    }
}

/// Separated by spaces if it is `Surrogate-Key` or `xkey`, else by commas.
impl From<&str> for TagHeader {
    fn from(name: &str) -> Self {
        let spaced = ["surrogate-key", "xkey"];
        if spaced.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            Self::spaces(name)
        } else {
            Self::commas(name)
        }
    }
}

/// A lifetime: one of the three that `[cache]` names, or a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// `"default"`: `[cache] default_ttl`, or `CACHE_DEFAULT_TTL`.
    Default,
    /// `"long"`: `[cache] long_ttl`, or `CACHE_LONG_TTL`.
    Long,
    /// `"short"`: `[cache] short_ttl`, or `CACHE_SHORT_TTL`.
    Short,
    /// A time such as `"10s"`.
    Of(Duration),
}

impl Ttl {
    /// As it is where `[cache]` does not say.
    pub(crate) const fn time(self) -> Duration {
        match self {
            Self::Default => defaults::TTL,
            Self::Long => defaults::LONG_TTL,
            Self::Short => defaults::SHORT_TTL,
            Self::Of(time) => time,
        }
    }
}
