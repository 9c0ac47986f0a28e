//! [`LiveSettings`]: who may listen, to what, and by which bounds. It is `[live]` of the file, whose schema describes each
//! key with the words that are here.

use std::time::Duration;

use crate::amount::Period;
use crate::defaults;
use crate::secret::Secret;
use crate::web::FaceWords;

/// What people do here.
pub(super) const WORDS: FaceWords = FaceWords {
    table: "live",
    act: "listen",
    act_on: "listen to",
};

/// Live updates, as server-sent events and by WebSocket. Without this section there are none.
///
/// ```
/// use tower_tagcache::live::LiveSettings;
///
/// let settings = LiveSettings::guarded("a-token-that-nobody-guesses")
///     .ticket_key("a key of thirty-two bytes or more")
///     .origins(["https://auctions.example"])
///     .subjects(["auction:{address}"]);
/// assert_eq!(settings.path, "/events");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct LiveSettings {
    /// Whether anyone who can connect may listen. Default: false, so a client needs the token or a ticket; true for a
    /// `tagcache proxy` that listens on this machine only and has neither.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub open: Option<bool>,
    /// Token that lets a client listen to everything and fetch tickets for others: 16 characters or more, sent as
    /// `Authorization: Bearer`. Prefer `token_file`. Default: none.
    #[cfg_attr(
        feature = "config",
        serde(serialize_with = "crate::secret::masked", skip_serializing_if = "Option::is_none"),
        schemars(extend("writeOnly" = true))
    )]
    pub token: Option<Secret>,
    /// A file with the token. Default: none.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub token_file: Option<std::path::PathBuf>,
    /// Key that signs tickets, 32 bytes or more. Prefer `ticket_key_file`. Default: none.
    #[cfg_attr(
        feature = "config",
        serde(serialize_with = "crate::secret::masked", skip_serializing_if = "Option::is_none"),
        schemars(extend("writeOnly" = true))
    )]
    pub ticket_key: Option<Secret>,
    /// A file with that key. Default: none.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub ticket_key_file: Option<std::path::PathBuf>,
    /// Origins whose pages may listen besides pages of this host: `["https://auctions.example"]`; `["*"]` allows all.
    /// Default: none.
    pub origins: Vec<String>,
    /// Path of the endpoint; subjects are below it (`/events/auction/0x…`). In a nested router, the whole path. Default:
    /// "/events".
    pub path: String,
    /// The `event:` name under which updates are sent. Default: "auction_update".
    pub event: String,
    /// What people may listen to. `{address}` is an address (`0x` and 40 hexadecimal digits); any other name in braces
    /// matches any text, but what begins with `0x` must be an address. The first pattern whose part before the colon fits
    /// decides. Default: `["auction:{address}", "{kind}:{id}"]`.
    pub subjects: Vec<String>,
    /// How many clients may be connected at once. Default: 10,000.
    pub connections: usize,
    /// How many of them may come from one address; an IPv6 /64 counts as one. Default: 100.
    pub connections_per_address: usize,
    /// How long a connection may be silent before something is sent, so that proxies do not cut it. Default: "15s".
    pub keep_alive: Period,
    /// How long a client waits before it connects again, up to half of it longer at random. Default: "3s".
    pub retry: Period,
    /// Reverse proxies whose `X-Forwarded-For` is believed: `["10.0.0.0/8"]`. Default: none; `tagcache proxy` has its own.
    #[cfg_attr(feature = "config", serde(skip))]
    pub trusted_proxies: Vec<String>,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            open: None,
            token: None,
            token_file: None,
            ticket_key: None,
            ticket_key_file: None,
            origins: Vec::new(),
            path: "/events".to_owned(),
            event: "auction_update".to_owned(),
            subjects: vec!["auction:{address}".to_owned(), "{kind}:{id}".to_owned()],
            connections: defaults::LIVE_CONNECTIONS,
            connections_per_address: defaults::LIVE_CONNECTIONS_PER_ADDRESS,
            keep_alive: Period(defaults::KEEP_ALIVE),
            retry: Period(defaults::RETRY),
            trusted_proxies: Vec::new(),
        }
    }
}

impl LiveSettings {
    /// Anyone who can connect may listen.
    #[must_use]
    pub fn open() -> Self {
        Self {
            open: Some(true),
            ..Self::default()
        }
    }

    /// A client that sends `token` may listen, and one with a ticket if there is a [key](Self::ticket_key) for these.
    #[must_use]
    pub fn guarded(token: impl Into<String>) -> Self {
        Self {
            token: Some(Secret(token.into())),
            ..Self::default()
        }
    }

    /// Sets what [tickets](super::TicketKey) are signed with. Default: none, there are no tickets.
    #[must_use]
    pub fn ticket_key(mut self, key: impl Into<String>) -> Self {
        self.ticket_key = Some(Secret(key.into()));
        self
    }

    /// Sets the origins whose pages may listen besides pages of this host. Default: none.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the path of the endpoint. Default: `/events`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the name of server-sent events that are updates. Default: `auction_update`.
    #[must_use]
    pub fn event(mut self, event: impl Into<String>) -> Self {
        self.event = event.into();
        self
    }

    /// Sets what people may listen to. Default: `auction:{address}` and `{kind}:{id}`.
    #[must_use]
    pub fn subjects(mut self, subjects: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.subjects = subjects.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how many clients may be connected at once, and how many from one address. Default: 10,000, and 100.
    #[must_use]
    pub const fn connections(mut self, most: usize, of_one_address: usize) -> Self {
        self.connections = most;
        self.connections_per_address = of_one_address;
        self
    }

    /// Sets how long a connection may be silent before something is sent. Default: 15 s.
    #[must_use]
    pub const fn keep_alive(mut self, every: Duration) -> Self {
        self.keep_alive = Period(every);
        self
    }

    /// Sets how long a client waits before it connects again. Default: 3 s.
    #[must_use]
    pub const fn retry(mut self, after: Duration) -> Self {
        self.retry = Period(after);
        self
    }

    /// Sets the reverse proxies whose `X-Forwarded-For` is believed. Default: none.
    #[must_use]
    pub fn trusted_proxies(
        mut self,
        networks: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.trusted_proxies = networks.into_iter().map(Into::into).collect();
        self
    }
}
