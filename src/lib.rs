//! tower-tagcache

mod backoff;
mod builder;
mod clock;
mod entry;
mod error;
mod key;
mod log;
mod observe;
mod outcome;
mod position;
mod rules;
mod semantics;
mod store;
mod tag;
mod validity;
mod weaken;

mod coalesce;
mod embedded;
mod engine;
mod invalidation;
mod middleware;
#[cfg(feature = "redis")]
mod redis;

pub use self::error::{BoxError, ConfigError, Error, ErrorKind, Warning};
pub use self::log::{Durability, Purged};

pub use self::builder::{Cache, CacheBuilder, Companion};
pub use self::invalidation::Purger;
pub use self::middleware::{CacheBody, CacheLayer, CacheService, ResponseFuture};
pub use self::rules::{
    Authorization, ClientPolicy, Cookies, Host, Query, Rule, SetCookie, Statuses, TagHeader,
};

#[cfg(feature = "test-util")]
#[doc(hidden)]
pub mod bench;
#[cfg(test)]
mod model;
