//! The reverse proxy: HTTP/1.1 and HTTP/2 on both sides, with the cache between them.
//!
//! For a service that is not written in Rust, or that shall not be touched. The program `tagcache` runs
//! it from a configuration file; here it is for who wants it in a program of their own.
//!
//! # Example
//!
//! ```no_run
//! use tower_tagcache::{BoxError, Cache};
//! use tagcache::proxy::{Proxy, ProxySettings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let (cache, companion) = Cache::builder().upstream_rule().build()?;
//! tokio::spawn(companion.run(std::future::pending()));
//!
//! let proxy = Proxy::new(ProxySettings::new("http://127.0.0.1:9000"), cache)?;
//! let bound = proxy.bind().await?;
//! println!("listening on {:?}", bound.local_addresses());
//! let drained = bound.run(async { let _ = tokio::signal::ctrl_c().await; }).await;
//! # let _ = drained;
//! # Ok(()) }
//! ```
//!
//! # Configured example
//!
//! ```
//! use std::time::Duration;
//! use tagcache::proxy::{Listen, ProxySettings, UpstreamSettings};
//!
//! # fn main() -> Result<(), tower_tagcache::BoxError> {
//! let mut settings = ProxySettings::new("https://a.internal:8443");
//! settings.upstreams[0].authorities = Some("/etc/ssl/internal.pem".into());
//! settings.upstreams.push(UpstreamSettings::new("http://10.0.0.2:8080"));
//! settings.listen = vec![
//!     Listen::new("0.0.0.0:80".parse()?),
//!     Listen::new("0.0.0.0:443".parse()?).tls("/etc/ssl/site.pem", "/etc/ssl/site.key"),
//! ];
//! settings.trusted_peers = vec!["10.0.0.0/8".parse()?];
//! settings.health.path = Some("/healthz".into());
//! settings.timeouts.response_head = Duration::from_secs(20);
//! # Ok(()) }
//! ```
//!
//! # What upstream sees
//!
//! The request as the client sent it, with these differences. `Host` and target say the same host, and
//! exactly one (RFC 9112 §3.2); a request that leaves it in doubt is answered 400. Fields of the
//! client's connection are gone, and those that `Connection` names (RFC 9110 §7.6.1). `Via` is longer
//! by one. `X-Forwarded-For`, `-Host`, `-Proto` and `Forwarded` (RFC 7239) tell who asked: what a
//! [trusted peer](ProxySettings::trusted_peers) sent of them is continued, and with it the scheme of
//! the request; what anybody else sent is replaced, and so is every other `X-Forwarded-*`.
//! `Host` is in lower case and without the port of its scheme, cookies are one line (RFC 9113 §8.2.3), and
//! `Content-Length` is one number. Fields with `_` or another odd character in their name, which many
//! servers take for others (`X_User` for `X-User`), are dropped, unless
//! [`underscores_in_headers`](ProxySettings::underscores_in_headers) is set. Trailers pass the same sieve as
//! fields, both ways: what frames, routes or authorises a message, or decides about caching, is none (RFC
//! 9110 §6.5.1).
//! `Accept-Encoding` of a request that a rule takes names the one coding that is wanted most, of those of
//! [`accept_encoding`](ProxySettings::accept_encoding), so that clients share stored responses.
//! `Surrogate-Capability` says that `Surrogate-Control` is heard here (Edge Architecture Specification).
//!
//! A request is sent a second time only where nobody can notice: to another upstream if nothing of it
//! was sent, or on a new connection if a kept one was closed before anything was answered and the
//! request is idempotent and without a body (RFC 9110 §9.2.2).
//!
//! # What clients see
//!
//! What upstream sent, but for the fields of its connection; `Via`, and `Date` if it was missing. The
//! reason phrase passes from an upstream of HTTP/1.1 and is not kept in the cache. Field names are in
//! lower case. A response without `Vary: X-Forwarded-For` is the same for everybody, also if it
//! depends on who asked.
//!
//! Without an answer of upstream: 502 if it cannot be reached or answers nonsense, 504 if it is too
//! slow, 503 if it has too many requests in hand, each with a line of text and the reason in
//! `Cache-Status`; or a stored response where it may stand in. A response that breaks off breaks off at
//! the client too, and is not kept; where nothing of its body has come, it is answered 502.
//!
//! What [`Proxy::live`] is given answers requests for live updates: they reach neither cache nor upstream. A stream
//! of these ends when its client ends its side, does not read for [`Timeouts::client_write`], or the proxy drains; no
//! time in which nothing happens ends it. Nor do requests go further that [`Proxy::feed`] or [`Proxy::push`] is given a
//! service for.
//!
//! # What does not pass
//!
//! - `CONNECT`; HTTP/2 by upgrade (RFC 9113 obsoleted it); transfer codings other than `chunked`.
//! - Interim responses (1xx): the server library cannot send them. `100 Continue` is sent to a client
//!   that expects it when upstream begins to take the body.
//! - `Expect: 100-continue` over HTTP/2, for the same reason: the answer is 417, after which a client sends
//!   the request without it (RFC 9110 §10.1.1).
//! - Values of HTTP/2 that begin or end with white space (RFC 9113 §8.2.1): 400, or 502 from upstream.
//! - Upgrades over HTTP/2 (RFC 8441), and trailers over HTTP/1.1 that `Trailer` does not announce or
//!   that the client does not ask for with `TE: trailers`.
//!
//! # Limits
//!
//! [`ProxyLimits`] and [`Timeouts`]: everything has one. Bodies are passed on at the reader's pace and
//! held by nobody, except for what the cache stores.
//!
//! # Deployment
//!
//! One process serves on all threads of the runtime that it is given. Behind a load balancer name its
//! addresses as trusted peers, or all clients look like it. The process needs a file descriptor for each
//! connection of [`ProxyLimits::connections`], and for those to upstreams.

mod access_log;
mod activity;
mod client;
mod client_body;
mod connection;
mod door;
mod drain;
mod error;
mod fields;
mod forwarded;
mod half_closed;
mod lists;
mod network;
mod own;
mod ports;
mod refusal;
mod request_body;
mod server;
mod settings;
mod stream;
mod streams;
mod target;
mod tls;
mod trailers;
mod tunnel;
mod upstream;
mod yielding;

pub use self::door::Door;
pub use self::error::ProxyError;
pub(crate) use self::error::nonzero;
pub(crate) use self::fields::usual;
pub use self::network::{Network, ParseNetworkError};
pub(crate) use self::ports::clash;
pub use self::server::{BoundProxy, DrainReport, Proxy};
pub use self::settings::{
    AccessFormat, AccessLogSettings, HealthSettings, Listen, ProxyLimits, ProxySettings, Timeouts,
    TlsFiles, TlsListen, UpstreamHost, UpstreamProtocol, UpstreamSettings,
};
pub use self::upstream::{UpstreamStatus, UpstreamStatuses};
