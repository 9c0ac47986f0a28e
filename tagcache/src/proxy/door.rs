//! [`Door`]: who answers some requests of clients before the cache is asked.

use std::net::IpAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Response};

/// Stands before the cache: what it takes reaches neither that nor upstream.
pub trait Door: Send + Sync {
    /// Whether a request is answered here. Its head is still as the client sent it.
    fn takes(&self, head: &Parts) -> bool;

    /// Whether the credentials of a request are those of somebody who may know where its answer stands in the purge
    /// log. They are then not passed on.
    fn knows(&self, fields: &HeaderMap) -> bool {
        let _ = fields;
        false
    }

    /// Answers a request that it [takes](Self::takes), of the client at `peer`.
    fn answer(&self, peer: IpAddr, head: Parts) -> BoxFuture<'static, Response<Bytes>>;
}
