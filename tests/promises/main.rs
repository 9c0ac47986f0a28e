//! The promises of `docs/DESIGN.md`, each kept against real servers and sockets.

#[cfg(feature = "redis")]
mod captures;
#[cfg(feature = "redis")]
mod house;
#[cfg(feature = "redis")]
mod p6_captures;
#[cfg(feature = "redis")]
mod p6_delivery;
#[cfg(feature = "redis")]
mod p6_formats;
#[cfg(feature = "redis")]
mod p6_gaps;
#[cfg(feature = "redis")]
mod p6_nodes;
#[cfg(feature = "redis")]
mod p6_quarantine;
#[cfg(feature = "redis")]
#[path = "../support/redis.rs"]
mod redis_server;
