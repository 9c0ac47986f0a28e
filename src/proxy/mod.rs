//! The reverse proxy: HTTP/1.1 and HTTP/2 on both sides, with the cache between them.

mod activity;
pub mod admin;
mod client;
mod client_body;
mod connection;
mod drain;
mod error;
mod fields;
mod forwarded;
mod network;
mod refusal;
mod request_body;
mod server;
mod settings;
mod stream;
mod target;
mod tls;
mod tunnel;
mod upstream;

pub use self::error::ProxyError;
pub use self::network::{Network, ParseNetworkError};
pub use self::server::{Bound, Drained, Proxy};
pub use self::settings::{
    HealthSettings, Listen, ProxyLimits, ProxySettings, Timeouts, TlsFiles, UpstreamHost,
    UpstreamProtocol, UpstreamSettings,
};
pub use self::upstream::{UpstreamStatus, UpstreamStatuses};
