//! The choices that a rule's setters take.

use std::time::Duration;

/// How a cache reads HTTP where RFC 9111 permits more than this crate does by itself.
///
/// It sets what rules do that do not say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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

/// Whether the host is part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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
#[non_exhaustive]
pub enum SetCookie {
    /// It is not stored.
    #[default]
    Refuse,
    /// It is stored without the field. The client whose request was forwarded still gets it.
    Strip,
}

/// What browsers and outer CDNs are told about a response.
///
/// A copy that they may reuse without asking survives a purge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

/// Whether hits are checked against the purge log each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Consistency {
    /// From the in-process copy while the lease holds.
    #[default]
    Near,
    /// One round trip for each hit: entry and log tip together.
    Strict,
}

/// A response field whose value lists tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagHeader {
    pub(super) name: String,
    pub(super) separator: Separator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Separator {
    Space,
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

/// Where a rule goes against what the inner service says; each is named by the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Overrides {
    /// The rule's TTL beats `Cache-Control` and `Expires`.
    pub(crate) upstream: bool,
    /// `Cache-Control: no-store` counts as absent.
    pub(crate) no_store: bool,
    /// `Cache-Control: private` counts as absent.
    pub(crate) private: bool,
}

/// The windows of RFC 5861; `None` where the rule leaves them to the inner service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Windows {
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
}
