//! [`ProxySettings`]: everything that an operator can say about the proxy, with the defaults.

mod check;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::proxy::Network;
use tower_tagcache::{Clock, SystemClock};

/// How the proxy listens, whom it asks, and by which bounds.
///
/// Start from [`ProxySettings::new`] and set the fields that differ.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProxySettings {
    /// Where clients connect. Default: `127.0.0.1:8080`, without TLS.
    pub listen: Vec<Listen>,
    /// Who answers what the cache does not: at least one. Requests go to them in turn.
    pub upstreams: Vec<UpstreamSettings>,
    /// The `Host` that upstream sees. Default: the client's.
    pub host: UpstreamHost,
    /// The peers whose `Forwarded` and `X-Forwarded-*` are believed. Default: nobody; what a client
    /// sends of these is replaced.
    pub trusted_peers: Vec<Network>,
    /// Passes on request fields whose names have a `_`, or another character that is neither letter, digit
    /// nor `-`. CGI, WSGI, Rack and PHP hand `X_User` to an application as `X-User`, past whatever looked
    /// for the latter. Those that could pass for fields of the connection, of the length or of who asked
    /// never pass. Default: `false`, they are dropped, as nginx does.
    pub underscores_in_headers: bool,
    /// Which content codings upstreams are asked for, the most wanted first, where a rule takes the request. Each
    /// client gets the one of these that it likes best (RFC 9110 §12.5.3), and no coding if it accepts none of
    /// them: `gzip` and `gzip, deflate, br` then share one stored response. Name what the upstreams offer:
    /// `["br", "gzip"]`. Empty: as clients ask, with a stored response for each way of asking.
    /// Default: `["gzip"]`, which nearly every client and server knows.
    pub accept_encoding: Vec<String>,
    /// The name in `Via` (RFC 9110 §7.6.3). Default: `tagcache`.
    pub name: String,
    /// Bounds on sizes and numbers.
    pub limits: ProxyLimits,
    /// Bounds on time.
    pub timeouts: Timeouts,
    /// How upstreams are found to be down, and up again.
    pub health: HealthSettings,
    /// A line for each request of a client. Default: none.
    pub access_log: Option<AccessLogSettings>,
    /// What time it is, for `Date` where upstream sent none. Default: the system's clock.
    pub clock: Arc<dyn Clock>,
}

impl ProxySettings {
    /// The defaults, in front of one upstream, such as `http://127.0.0.1:9000`.
    pub fn new(upstream: impl Into<String>) -> Self {
        Self {
            listen: vec![Listen::default()],
            upstreams: vec![UpstreamSettings::new(upstream)],
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessLogSettings {
    /// A file, which is appended to and kept open (rotate it with `copytruncate`); `-` is the standard output.
    pub path: PathBuf,
    /// Default: [`AccessFormat::Common`].
    pub format: AccessFormat,
    /// A line for one in so many requests. Default: 1, for each.
    pub one_in: u32,
}

impl AccessLogSettings {
    /// Each request, in the common form, to `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: AccessFormat::Common,
            one_in: 1,
        }
    }
}

/// How a line of the access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessFormat {
    /// The Common Log Format, and then the seconds that it took and what the cache did.
    #[default]
    Common,
    /// One JSON object: `time`, `client`, `method`, `target`, `version`, `status`, `bytes`, `seconds`, `cache`.
    Json,
}

/// One address that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listen {
    /// Default: `127.0.0.1:8080`. Port 0 is a free one.
    pub address: SocketAddr,
    /// With TLS if set; HTTP/2 is then negotiated by ALPN. Default: none. HTTP/2 without TLS is
    /// understood from clients that begin with it (RFC 9113 §3.3).
    pub tls: Option<TlsFiles>,
}

impl Listen {
    /// Listens on `address` without TLS.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// Listens there with TLS.
    #[must_use]
    pub fn tls(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some(TlsFiles {
            certificates: certificates.into(),
            key: key.into(),
        });
        self
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))
    }
}

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those that lead to its authority.
    pub certificates: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamSettings {
    /// `http://host:port` or `https://host:port`, without path.
    pub url: String,
    /// Default: [`UpstreamProtocol::Auto`].
    pub protocol: UpstreamProtocol,
    /// A PEM file with the certificate authorities that may vouch for an `https` upstream.
    /// Default: the system's, from the usual files.
    pub authorities: Option<PathBuf>,
}

impl UpstreamSettings {
    /// The upstream at `url`, by defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            protocol: UpstreamProtocol::Auto,
            authorities: None,
        }
    }
}

/// Which HTTP is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamProtocol {
    /// With TLS what ALPN says, without TLS HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge (RFC 9113 §3.3). Upgrades are not possible.
    Http2,
}

/// The `Host` (HTTP/2: `:authority`) that upstream sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum UpstreamHost {
    /// What the client asked for.
    #[default]
    Client,
    /// That of the upstream's URL.
    Upstream,
    /// Always this one.
    Fixed(String),
}

/// Bounds on sizes and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyLimits {
    /// Connections of clients, tunnels included. One more waits to be accepted. Default: 16,384.
    pub connections: usize,
    /// Bytes of a request's or response's head. More is answered 431 to a client, and 502 where upstream
    /// sent it. Default: 64 KiB; at least 8 KiB.
    pub head_bytes: usize,
    /// Field lines of a request's or response's head, and of its trailers. More is answered 431 to a
    /// client, and 502 where upstream sent it. Default: 100.
    pub head_fields: usize,
    /// Streams of one HTTP/2 connection of a client. Default: 128.
    pub streams: u32,
    /// Requests that one upstream has in hand. One more waits for as long as a connection may take,
    /// and is then answered 503. Default: 1,024.
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// A client's TLS handshake. Default: 10 s.
    pub client_handshake: Duration,
    /// From the first byte of a request's head to its last. Default: 15 s.
    pub client_head: Duration,
    /// Between two reads of a request's body. Default: 30 s.
    pub client_body: Duration,
    /// Between two writes of a response that a client is slow to read. Default: 60 s.
    pub client_write: Duration,
    /// Between two requests of a connection. Default: 75 s.
    pub client_idle: Duration,
    /// Connecting to an upstream, name resolution included. Default: 3 s.
    pub connect: Duration,
    /// An upstream's TLS (and HTTP/2) handshake. Default: 5 s.
    pub handshake: Duration,
    /// From the request's last byte to the response's head. Default: 60 s.
    pub response_head: Duration,
    /// Between two reads of a response's body. Default: 60 s.
    pub response_body: Duration,
    /// How long an upstream connection is kept without a request. Default: 30 s.
    pub upstream_idle: Duration,
    /// A tunnel (WebSocket and other upgrades) in which nothing moves. Default: 1 h.
    pub tunnel_idle: Duration,
    /// After the shutdown signal, for what is under way. Default: 30 s.
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthSettings {
    /// Asked with `GET`; a status below 400 is health. Default: none, upstreams are not asked.
    pub path: Option<String>,
    /// Between two questions. Default: 5 s.
    pub interval: Duration,
    /// Failures in a row that make an upstream down. Default: 3.
    pub failures: u32,
    /// How long an upstream that is down is passed over before a request tries it again.
    /// Default: 10 s.
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
