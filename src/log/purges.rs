//! Purging: from a call to a record in the log.

use crate::error::Error;
use crate::log::PurgeKind;
use crate::position::Position;
use crate::tag::Target;
use std::time::Duration;

/// A purge that is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Its position: a view at or past it knows the purge.
    pub position: Position,
    /// How durable it is.
    pub durability: Durability,
}

/// How durable an acknowledged purge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Durability {
    /// In the log's memory: lost if the log is, which itself purges everything (a new epoch).
    Acknowledged,
    /// On this many replicas as well.
    Replicated(u32),
}

/// Appends purges, keeps those that could not be appended, and repeats the recent ones in a new epoch.
#[derive(Debug, Clone)]
pub(crate) struct Purges {}

impl Purges {
    /// Purges `targets`: in force in this process at once, on every node once this returns `Ok`.
    ///
    /// # Errors
    /// [`Pending`](crate::ErrorKind::Pending) if the log cannot be reached: the purge stays in
    /// force here and is appended when the log is back.
    pub(crate) async fn purge(
        &self,
        _kind: PurgeKind,
        _targets: Vec<Target>,
        _settle: Duration,
    ) -> Result<Purged, Error> {
        unimplemented!()
    }
}
