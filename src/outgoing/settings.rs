//! [`OutgoingSettings`]: where requests may go, and how long they may take.

use std::path::PathBuf;
use std::time::Duration;

use crate::amount::Period;
use crate::defaults;

/// Where webhooks and pushes may go, and how long they may take. See the [module docs](super).
///
/// ```
/// use tower_tagcache::outgoing::OutgoingSettings;
///
/// let settings = OutgoingSettings::default()
///     .hosts(["hooks.example.org"])
///     .networks(["10.1.0.0/16"]);
/// assert!(!settings.allow_plain);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct OutgoingSettings {
    /// Whether a URL may begin with `http://`, which anybody on the way can read and change. Default: false.
    pub allow_plain: bool,
    /// Hosts that webhooks may go to: `["hooks.example.org", "*.example.com"]`; `*.` stands for one or more names in
    /// front, not for none. Empty allows all. Push services have a list of their own. Default: empty.
    pub hosts: Vec<String>,
    /// Networks that requests may go to although they are not public: `["10.1.0.0/16"]`. Names such as `localhost`
    /// are let through with `["127.0.0.1"]` or `["::1"]`. Default: none.
    pub networks: Vec<String>,
    /// How long it may take to look a host up and to connect to it, over all of its addresses, TLS included. Default: "3s".
    pub connect_timeout: Period,
    /// How long a request may take from beginning to end. Default: "10s".
    pub timeout: Period,
    /// Certificates (PEM) that are trusted beside those of the operating system. Default: none.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub root_certificates: Option<String>,
    /// A file with such certificates. Default: none.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub root_certificates_file: Option<PathBuf>,
}

impl Default for OutgoingSettings {
    fn default() -> Self {
        Self {
            allow_plain: false,
            hosts: Vec::new(),
            networks: Vec::new(),
            connect_timeout: Period(defaults::OUTGOING_CONNECT_TIMEOUT),
            timeout: Period(defaults::OUTGOING_TIMEOUT),
            root_certificates: None,
            root_certificates_file: None,
        }
    }
}

impl OutgoingSettings {
    /// Sets whether a URL may begin with `http://`. Default: false.
    #[must_use]
    pub const fn allow_plain(mut self, allow: bool) -> Self {
        self.allow_plain = allow;
        self
    }

    /// Sets the hosts that requests may go to. Default: all.
    #[must_use]
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the networks that requests may go to although they are not public. Default: none.
    #[must_use]
    pub fn networks(mut self, networks: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.networks = networks.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long it may take to connect. Default: 3 s.
    #[must_use]
    pub const fn connect_timeout(mut self, most: Duration) -> Self {
        self.connect_timeout = Period(most);
        self
    }

    /// Sets how long a request may take from beginning to end. Default: 10 s.
    #[must_use]
    pub const fn timeout(mut self, most: Duration) -> Self {
        self.timeout = Period(most);
        self
    }

    /// Sets certificates (PEM) that are trusted beside those of the operating system. Default: none.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<String>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }
}
