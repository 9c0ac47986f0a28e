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
pub mod middleware;
#[cfg(feature = "redis")]
mod redis;

#[cfg(any(test, feature = "test-util"))]
pub use self::clock::ManualClock;
pub use self::clock::{Clock, SystemClock, Timestamp};
pub use self::error::{BoxError, ConfigError, Error, ErrorKind, Warning};
pub use self::log::{Durability, Purged};
pub use self::observe::{Notice, Observer};
pub use self::outcome::{Detail, ForwardReason, NotStored, Outcome, Served, Storing};
pub use self::position::Position;

pub use self::builder::{Cache, CacheBuilder, Companion};
pub use self::invalidation::Purger;
pub use self::middleware::{CacheBody, CacheLayer, CacheService, ResponseFuture};
pub use self::rules::{
    Authorization, ClientPolicy, Cookies, Host, Query, Rule, SetCookie, Statuses, TagHeader,
};

#[cfg(test)]
mod model;
