//! [`Budgets`]: how long a shared store may take.

use std::time::Duration;

use crate::defaults;

/// How long each kind of operation on a shared store and its purge log may take: three different needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budgets {
    /// Making a connection and verifying it; nobody waits for it longer than for what they want.
    pub(crate) connect: Duration,
    /// A lookup.
    pub(crate) read: Duration,
    /// Storing an entry; a heartbeat.
    pub(crate) write: Duration,
    /// Appending a purge, replication included.
    pub(crate) purge: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            connect: defaults::CONNECT_TIMEOUT,
            read: defaults::READ_TIMEOUT,
            write: defaults::WRITE_TIMEOUT,
            purge: defaults::PURGE_TIMEOUT,
        }
    }
}
