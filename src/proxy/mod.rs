//! The reverse proxy: HTTP/1.1 and HTTP/2 on both sides, with the cache between them.

mod error;
mod network;
mod server;
mod settings;

pub use self::error::ProxyError;
pub use self::network::{Network, ParseNetworkError};
pub use self::server::{Bound, Drained, Proxy};
pub use self::settings::{
    HealthSettings, Listen, ProxyLimits, ProxySettings, Timeouts, TlsFiles, UpstreamHost,
    UpstreamProtocol, UpstreamSettings,
};
