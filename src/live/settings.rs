//! [`LiveSettings`]: who may listen, to what, and by which bounds. It is `[live]` of the file, whose schema describes each
//! key with the words that are here.

use std::time::Duration;

use crate::amount::Period;
use crate::defaults;
use crate::secret::Secret;

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
    /// Whether everybody may listen who can connect. Default: false, whoever has the token or a ticket; `tagcache proxy`
    /// that clients reach on this machine alone: true.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub open: Option<bool>,
    /// Who knows this may listen to everything, and fetch tickets for others: 16 characters or more, sent as
    /// `Authorization: Bearer`. Better: `token_file`. Default: none.
    #[cfg_attr(
        feature = "config",
        serde(serialize_with = "masked", skip_serializing_if = "Option::is_none"),
        schemars(extend("writeOnly" = true))
    )]
    pub token: Option<Secret>,
    /// A file with the token.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub token_file: Option<std::path::PathBuf>,
    /// What tickets are signed with: 32 bytes or more. Better: `ticket_key_file`. Default: none.
    #[cfg_attr(
        feature = "config",
        serde(serialize_with = "masked", skip_serializing_if = "Option::is_none"),
        schemars(extend("writeOnly" = true))
    )]
    pub ticket_key: Option<Secret>,
    /// A file with that key.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub ticket_key_file: Option<std::path::PathBuf>,
    /// Pages of other sites that may listen: `["https://auctions.example"]`, or `["*"]` for all. Default: none but pages of
    /// the same host.
    pub origins: Vec<String>,
    /// Where it is answered, with what is below: `/events/auction/0x…`. Default: "/events".
    pub path: String,
    /// The name of server-sent events that are updates. Default: "auction_update".
    pub event: String,
    /// What people may listen to: `auction:{address}` is `auction:` and an address (`0x` and 40 hexadecimal digits), any
    /// other name in braces stands for whatever there is. Of those with one beginning the first counts. Default:
    /// `["auction:{address}", "{kind}:{id}"]`.
    pub subjects: Vec<String>,
    /// The most clients at once. Default: 10,000.
    pub connections: usize,
    /// The most of one address, those of an IPv6 network (/64) being one. Default: 100.
    pub connections_per_address: usize,
    /// How often a silent connection is written to, so that nobody between takes it for dead. Default: "15s".
    pub keep_alive: Period,
    /// How long a client waits before it connects again. Default: "3s".
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
    /// Everybody may listen who can connect.
    #[must_use]
    pub fn open() -> Self {
        Self {
            open: Some(true),
            ..Self::default()
        }
    }

    /// Who knows `token` may listen, and who has a ticket if there is a [key](Self::ticket_key) for these.
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

    /// Sets the other sites whose pages may listen. Default: none.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Sets where it is answered. Default: `/events`.
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

    /// Sets the most clients at once, and the most of one address. Default: 10,000, and 100.
    #[must_use]
    pub const fn connections(mut self, most: usize, of_one_address: usize) -> Self {
        self.connections = most;
        self.connections_per_address = of_one_address;
        self
    }

    /// Sets how often a silent connection is written to. Default: 15 s.
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

#[cfg(feature = "config")]
fn masked<S: serde::Serializer>(_: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str("***")
}
