//! The default store and purge log: in this process, bounded, gone when it ends.
//!
//! Clones share what they hold, so that several nodes of one process can share one pair.

#[cfg(feature = "activity")]
mod activity;
mod log;
mod store;

#[cfg(feature = "activity")]
pub(crate) use self::activity::EmbeddedActivity;
pub(crate) use self::log::EmbeddedLog;
pub(crate) use self::store::EmbeddedStore;

#[cfg(test)]
mod tests;
