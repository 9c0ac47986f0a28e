//! [`ProxySettings`]: everything that an operator can say about the proxy, with the defaults. It is `[proxy]` of the
//! file, whose schema describes each key with the words that are here.

mod check;
mod listen;
mod upstream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::listen::{Listen, TlsFiles, TlsListen};
use self::upstream::UpstreamForm;
pub use self::upstream::{UpstreamProtocol, UpstreamSettings};
use crate::proxy::Network;
use crate::written::As;
use tower_tagcache::config::{Bytes, Period};
use tower_tagcache::{Clock, SystemClock};

/// The reverse proxy: how it listens, whom it asks, and by which bounds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ProxySettings {
    /// Where clients connect. Default: `["127.0.0.1:8080"]`, without TLS.
    pub listen: Vec<Listen>,
    /// Who answers what the cache does not; requests go to them in turn. At least one.
    #[serde(
        serialize_with = "UpstreamForm::serialize_all",
        deserialize_with = "UpstreamForm::deserialize_all"
    )]
    #[schemars(with = "Vec<UpstreamForm>")]
    pub upstreams: Vec<UpstreamSettings>,
    /// The `Host` that upstream sees: "client" (the default), "upstream", or `{ set = "api.internal" }`.
    pub host: UpstreamHost,
    /// The peers whose `Forwarded` and `X-Forwarded-*` are believed: `["10.0.0.0/8"]`. Default: nobody; what a
    /// client sends of these is replaced.
    pub trusted_peers: Vec<Network>,
    /// `true` passes on request fields whose names have a `_`, or another character that is neither letter, digit
    /// nor `-`. CGI, WSGI, Rack and PHP hand `X_User` to an application as `X-User`, past whatever looked
    /// for the latter. Those that could pass for fields of the connection, of the length or of who asked
    /// never pass. Default: false, they are dropped, as nginx does.
    pub underscores_in_headers: bool,
    /// Which content codings upstreams are asked for, the most wanted first, where a rule takes the request. Each
    /// client gets the one of these that it likes best (RFC 9110 §12.5.3), and no coding if it accepts none of
    /// them: `gzip` and `gzip, deflate, br` then share one stored response. Name what the upstreams offer:
    /// `["br", "gzip"]`. Empty: as clients ask, with a stored response for each way of asking.
    /// Default: `["gzip"]`, which nearly every client and server knows.
    pub accept_encoding: Vec<String>,
    /// The name in `Via` (RFC 9110 §7.6.3). Default: "tagcache".
    pub name: String,
    /// A line for each request of a client. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLogSettings>,
    /// Bounds on sizes and numbers.
    pub limits: ProxyLimits,
    /// Bounds on time, each for one phase.
    pub timeouts: Timeouts,
    /// How upstreams are found to be down, and up again.
    pub health: HealthSettings,
    /// What time it is, for `Date` where upstream sent none. Default: the system's clock.
    #[serde(skip)]
    pub clock: Arc<dyn Clock>,
}

impl ProxySettings {
    /// The defaults, in front of one upstream, such as `http://127.0.0.1:9000`: start from these and set the fields
    /// that differ.
    pub fn new(upstream: impl Into<String>) -> Self {
        Self {
            upstreams: vec![UpstreamSettings::new(upstream)],
            ..Self::default()
        }
    }
}

impl Default for ProxySettings {
    /// In front of no upstream: at least one has to be named.
    fn default() -> Self {
        Self {
            listen: vec![Listen::default()],
            upstreams: Vec::new(),
            host: UpstreamHost::default(),
            trusted_peers: Vec::new(),
            underscores_in_headers: false,
            accept_encoding: vec!["gzip".to_owned()],
            name: "tagcache".to_owned(),
            limits: ProxyLimits::default(),
            timeouts: Timeouts::default(),
            health: HealthSettings::default(),
            access_log: None,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

/// Where and how the access log is written: one line for each request, once its response is over. No request
/// waits for its line: lines that the file cannot take in time are left out, and their number is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AccessLogSettings {
    /// A file, which is appended to and kept open (rotate it with `copytruncate`); "-" is the standard output.
    pub path: PathBuf,
    /// "common", with the seconds and what the cache did at the end, or "json". Default: "common".
    #[serde(default)]
    pub format: AccessFormat,
    /// A line for one in so many requests. Default: 1, for each.
    #[serde(default = "each")]
    pub one_in: u32,
}

impl AccessLogSettings {
    /// Each request, in the common form, to `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: AccessFormat::default(),
            one_in: each(),
        }
    }
}

const fn each() -> u32 {
    1
}

/// How a line of the access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessFormat {
    /// The Common Log Format, and then the seconds that it took and what the cache did.
    #[default]
    Common,
    /// One JSON object: `time`, `client`, `method`, `target`, `version`, `status`, `bytes`, `seconds`, `cache`.
    Json,
}

/// The `Host` (HTTP/2: `:authority`) that upstream sees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamHost {
    /// What the client asked for.
    #[default]
    Client,
    /// That of the upstream's URL.
    Upstream,
    /// Always this one.
    #[serde(rename = "set")]
    Fixed(String),
}

/// Bounds on sizes and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ProxyLimits {
    /// Connections of clients, tunnels included. One more waits to be accepted. Default: 16384.
    pub connections: usize,
    /// Bytes of a request's or response's head. More is answered 431 to a client, and 502 where upstream
    /// sent it. Default: "64 KiB"; at least 8 KiB.
    #[serde(with = "As::<Bytes>")]
    pub head_bytes: usize,
    /// Field lines of a request's or response's head, and of its trailers. More is answered 431 to a
    /// client, and 502 where upstream sent it. Default: 100.
    pub head_fields: usize,
    /// Streams of one HTTP/2 connection of a client. Default: 128.
    pub streams: u32,
    /// Requests that one upstream has in hand. One more waits for as long as a connection may take,
    /// and is then answered 503. Default: 1024.
    pub upstream_requests: usize,
    /// Idle connections kept for one upstream. Default: 128.
    pub upstream_idle: usize,
    /// Upstreams tried for one request, if connecting fails. Default: 3.
    pub attempts: usize,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            head_bytes: 64 * 1024,
            head_fields: 100,
            streams: 128,
            upstream_requests: 1_024,
            upstream_idle: 128,
            attempts: 3,
        }
    }
}

/// Bounds on time. Each is for one phase; none is for a whole response, which may be endless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Timeouts {
    /// A client's TLS handshake. Default: "10s".
    #[serde(with = "As::<Period>")]
    pub client_handshake: Duration,
    /// From the first byte of a request's head to its last. Default: "15s".
    #[serde(with = "As::<Period>")]
    pub client_head: Duration,
    /// Between two reads of a request's body. Default: "30s".
    #[serde(with = "As::<Period>")]
    pub client_body: Duration,
    /// Between two writes of a response that a client is slow to read. Default: "1m".
    #[serde(with = "As::<Period>")]
    pub client_write: Duration,
    /// Between two requests of a connection. Default: "75s".
    #[serde(with = "As::<Period>")]
    pub client_idle: Duration,
    /// Connecting to an upstream, name resolution included. Default: "3s".
    #[serde(with = "As::<Period>")]
    pub connect: Duration,
    /// An upstream's TLS (and HTTP/2) handshake. Default: "5s".
    #[serde(with = "As::<Period>")]
    pub handshake: Duration,
    /// From the request's last byte to the response's head. Default: "1m".
    #[serde(with = "As::<Period>")]
    pub response_head: Duration,
    /// Between two reads of a response's body. Default: "1m".
    #[serde(with = "As::<Period>")]
    pub response_body: Duration,
    /// How long an upstream connection is kept without a request. Default: "30s".
    #[serde(with = "As::<Period>")]
    pub upstream_idle: Duration,
    /// A tunnel (WebSocket and other upgrades) in which nothing moves. Default: "1h".
    #[serde(with = "As::<Period>")]
    pub tunnel_idle: Duration,
    /// After the shutdown signal, for what is under way. Default: "30s".
    #[serde(with = "As::<Period>")]
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            client_handshake: Duration::from_secs(10),
            client_head: Duration::from_secs(15),
            client_body: Duration::from_secs(30),
            client_write: Duration::from_secs(60),
            client_idle: Duration::from_secs(75),
            connect: Duration::from_secs(3),
            handshake: Duration::from_secs(5),
            response_head: Duration::from_secs(60),
            response_body: Duration::from_secs(60),
            upstream_idle: Duration::from_secs(30),
            tunnel_idle: Duration::from_secs(60 * 60),
            drain: Duration::from_secs(30),
        }
    }
}

/// How upstreams are found to be down, and up again.
///
/// A request itself tells: an upstream that cannot be connected to, or gives no answer, several times
/// in a row, is passed over for a while. With a path, upstreams are also asked without a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HealthSettings {
    /// Asked with `GET`; a status below 400 is health. Default: none, upstreams are not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Between two questions. Default: "5s".
    #[serde(with = "As::<Period>")]
    pub interval: Duration,
    /// Failures in a row that make an upstream down. Default: 3.
    pub failures: u32,
    /// How long an upstream that is down is passed over before a request tries it again.
    /// Default: "10s".
    #[serde(with = "As::<Period>")]
    pub pause: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            path: None,
            interval: Duration::from_secs(5),
            failures: 3,
            pause: Duration::from_secs(10),
        }
    }
}
