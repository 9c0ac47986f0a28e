//! `[proxy]`, `[admin]` and `[log]`: how the program listens, whom it asks, by which bounds, and what it writes about
//! itself.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use tower_tagcache::config::{Address, Bytes, Period, Secret, Written, read};

/// The reverse proxy. Without it, and without `--upstream`, there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxySection {
    /// Where clients connect. Default: `["127.0.0.1:8080"]`.
    pub listen: Vec<ListenChoice>,
    /// Who answers what the cache does not; requests go to them in turn. At least one.
    pub upstreams: Vec<UpstreamChoice>,
    /// The Host that the upstream sees: "client" (the default), "upstream", or `{ set = "api.internal" }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<UpstreamHostChoice>,
    /// The peers whose Forwarded and X-Forwarded-* are believed: `["10.0.0.0/8"]`. Default: nobody.
    pub trusted_peers: Vec<String>,
    /// `true`: request fields with `_` in their names reach the upstream, where CGI, WSGI, Rack and PHP take
    /// `X_User` for `X-User`. Default: false, they are dropped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub underscores_in_headers: bool,
    /// The content codings that upstreams are asked for where a rule takes the request, the most wanted first:
    /// `["br", "gzip"]`. Clients then share stored responses; `[]`: as each client asks. Default: `["gzip"]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_encoding: Option<Vec<String>>,
    /// The name in Via. Default: "tagcache".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A line for each request of a client. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLogSection>,
    /// Bounds on sizes and numbers.
    pub limits: LimitsSection,
    /// Bounds on time, each for one phase.
    pub timeouts: TimeoutsSection,
    /// How upstreams are found to be down, and up again.
    pub health: HealthSection,
}

/// The access log of the proxy: one line for each request, once its response is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessLogSection {
    /// A file, which is appended to and kept open (rotate it with copytruncate); "-" is the standard output.
    pub path: PathBuf,
    /// "common", with the seconds and what the cache did at the end, or "json". Default: "common".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<AccessFormatChoice>,
    /// A line for one in so many requests. Default: 1, for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_in: Option<u32>,
}

/// How a line of the access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessFormatChoice {
    /// The Common Log Format and more.
    Common,
    /// One JSON object.
    Json,
}

/// An address to listen on: `"127.0.0.1:8080"`, or a table with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ListenChoice {
    /// Without TLS.
    Plain(Address),
    /// With TLS.
    Tls(TlsListen),
}

/// An address with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsListen {
    /// The address and port.
    pub address: Address,
    /// A PEM file: the certificate, then those that lead to its authority.
    pub certificates: PathBuf,
    /// A PEM file with the private key.
    pub key: PathBuf,
}

/// An upstream: its URL, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum UpstreamChoice {
    /// By defaults.
    Url(String),
    /// In full.
    Full(UpstreamSection),
}

/// An upstream in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSection {
    /// `"http://host:port"` or `"https://host:port"`, without a path.
    pub url: String,
    /// Which HTTP is spoken. Default: "auto".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ProtocolChoice>,
    /// A PEM file with the authorities that may vouch for it. Default: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
}

/// Which HTTP is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolChoice {
    /// With TLS what is negotiated, else HTTP/1.1.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The Host that the upstream sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamHostChoice {
    /// What the client asked for.
    Client,
    /// That of the upstream's URL.
    Upstream,
    /// Always this one.
    Set(String),
}

/// Declares a section whose keys are all optional and named as in the settings that they are for.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$key_doc:meta])* $key:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$key_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $key: Option<$type>,)+
        }
    };
}

section! {
    /// Bounds on sizes and numbers.
    LimitsSection {
        /// Connections of clients. Default: 16384.
        connections: usize,
        /// Bytes of a message's head. Default: "64 KiB".
        head_bytes: Bytes,
        /// Field lines of a message's head. Default: 100.
        head_fields: usize,
        /// Streams of one HTTP/2 connection. Default: 128.
        streams: u32,
        /// Requests that one upstream has in hand. Default: 1024.
        upstream_requests: usize,
        /// Idle connections kept for one upstream. Default: 128.
        upstream_idle: usize,
        /// Upstreams tried for one request, if connecting fails. Default: 3.
        attempts: usize,
    }
}

section! {
    /// Bounds on time, each for one phase.
    TimeoutsSection {
        /// A client's TLS handshake. Default: "10s".
        client_handshake: Period,
        /// From the first byte of a request's head to its last. Default: "15s".
        client_head: Period,
        /// Between two reads of a request's body. Default: "30s".
        client_body: Period,
        /// Between two writes of a response. Default: "1m".
        client_write: Period,
        /// Between two requests of a connection. Default: "75s".
        client_idle: Period,
        /// Connecting to an upstream. Default: "3s".
        connect: Period,
        /// An upstream's handshake. Default: "5s".
        handshake: Period,
        /// From the request's last byte to the response's head. Default: "1m".
        response_head: Period,
        /// Between two reads of a response's body. Default: "1m".
        response_body: Period,
        /// How long an upstream connection is kept without a request. Default: "30s".
        upstream_idle: Period,
        /// A tunnel in which nothing moves. Default: "1h".
        tunnel_idle: Period,
        /// After SIGTERM, for what is under way. Default: "30s".
        drain: Period,
    }
}

section! {
    /// How upstreams are found to be down, and up again.
    HealthSection {
        /// Asked with GET; a status below 400 is health. Default: upstreams are not asked.
        path: String,
        /// Between two questions. Default: "5s".
        interval: Period,
        /// Failures in a row that make an upstream down. Default: 3.
        failures: u32,
        /// How long an upstream that is down is passed over. Default: "10s".
        pause: Period,
    }
}

section! {
    /// The admin listener: purges, health, metrics. Without this section there is none.
    AdminSection {
        /// Where it listens. Default: "127.0.0.1:9180".
        listen: Address,
        /// Who knows this may purge. Better: `token_file`, or TAGCACHE_ADMIN_TOKEN in the environment.
        #[serde(skip_serializing)]
        token: Secret,
        /// A file with the token.
        token_file: PathBuf,
        /// Without a token: whether who is on this machine may purge. Default: false.
        purge_from_loopback: bool,
        /// Who may send PURGE to the listener that clients use, besides who knows the token: `["10.0.0.0/8"]`.
        /// Default: the method goes to the upstream.
        public_purge: Vec<String>,
        /// In mode dev and mock: answers POST /test/invalidate-cache and GET /metrics where clients connect,
        /// too. Default: false.
        public_test_calls: bool,
        /// Connections. Default: 64.
        connections: usize,
        /// The longest body of a request. Default: "64 KiB".
        body_bytes: Bytes,
        /// For a request to be read, and for it to be answered. Default: "10s".
        timeout: Period,
        /// After which a connection ends with its next answer. Default: "1m".
        connection_lifetime: Period,
        /// `false`: /readyz answers 503 while all upstreams are down, for a load balancer whose other instances
        /// have upstreams of their own. Default: true, as what is stored is still served, also stale.
        ready_without_upstream: bool,
    }
}

/// What the program writes about itself, to standard error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSection {
    /// "text" for people, "json" for a log collector. Default: "text".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,
    /// The level ("error", "warn", "info", "debug", "trace"), or directives such as
    /// "info,tower_tagcache=debug". Default: "info". In the environment: RUST_LOG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a choice that is written as text or as a table, and says so in the schema.
macro_rules! text_or_table {
    ($name:ident, $table:ty, $expected:literal, $text:expr, $full:expr) => {
        impl Written for $name {
            type Table = $table;
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Result<Self, String> {
                let read: fn(&str) -> Result<Self, String> = $text;
                read(text)
            }

            fn from_table(table: $table) -> Option<Self> {
                Some($full(table))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                read(from)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let table = generator.subschema_for::<$table>();
                json_schema!({ "anyOf": [{ "type": "string" }, table] })
            }
        }
    };
}

text_or_table!(
    ListenChoice,
    TlsListen,
    "an address such as \"127.0.0.1:8080\" or { address, certificates, key }",
    |text| text.parse().map(Self::Plain),
    ListenChoice::Tls
);
text_or_table!(
    UpstreamChoice,
    UpstreamSection,
    "a URL such as \"http://127.0.0.1:9000\" or { url = \"...\" }",
    |text| Ok(Self::Url(text.to_owned())),
    UpstreamChoice::Full
);
