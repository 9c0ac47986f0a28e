//! The service behind the cache: sends a request to one of the upstreams.
//!
//! A request is sent again only where that cannot be noticed: nothing of it was sent, or a connection
//! that had been kept was closed before anything was answered on it, and the request is idempotent
//! and has no body (RFC 9110 §9.2.2, RFC 9112 §9.3.1). Both are bounded.

mod body;
mod connect;
mod exchange;
mod failure;
mod health;
mod news;
mod pool;
mod questions;
mod response;
mod service;
mod status;
mod url;

pub(super) use self::body::UpstreamBody;
pub(super) use self::failure::UpstreamFailure;
pub(super) use self::questions::maintain;
pub(super) use self::service::Upstreams;
pub use self::status::{UpstreamStatus, UpstreamStatuses};
pub(super) use self::url::address;
