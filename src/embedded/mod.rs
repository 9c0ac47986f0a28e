//! Store and purge log in the process: the default, for which no server is needed.
//!
//! The same engine runs over them as over Redis. Clones share their state, so that several caches of
//! one process can share one pair, as nodes share a Redis.

mod log;
mod store;

pub(crate) use self::log::EmbeddedLog;
pub(crate) use self::store::EmbeddedStore;
