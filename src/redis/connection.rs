//! [`Connection`]: one that is open, and what it holds.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::redis::account::OpenedBy;
use crate::redis::dial::Driver;

/// How long a connection that is of age stays where none can take its place.
const STAYS: Duration = Duration::from_secs(60);

/// A connection, and the place that it takes. The place is free when its last clone is gone.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(super) to: MultiplexedConnection,
    session: Arc<Session>,
}

/// What all clones of a connection share.
#[derive(Debug)]
struct Session {
    _driver: Driver,
    _place: Option<OwnedSemaphorePermit>,
    _opened_by: OpenedBy,
    /// When another one is to take its place.
    of_age: Mutex<Instant>,
    /// How often the master had been another one when it was made.
    switches: u64,
}

impl Connection {
    /// One to be used for so long.
    pub(super) fn new(
        to: MultiplexedConnection,
        held: (Driver, Option<OwnedSemaphorePermit>),
        opened_by: OpenedBy,
        age: Duration,
        switches: u64,
    ) -> Self {
        // Up to a tenth less, so that not all are made anew at once.
        let age = age.saturating_sub(age.mul_f64(fastrand::f64() / 10.0));
        let session = Session {
            _driver: held.0,
            _place: held.1,
            _opened_by: opened_by,
            of_age: Mutex::new(Instant::now() + age),
            switches,
        };
        Self {
            to,
            session: Arc::new(session),
        }
    }

    /// Whether another one is to take its place before the server ends it.
    pub(super) fn is_of_age(&self) -> bool {
        *self.session.of_age.lock() <= Instant::now()
    }

    /// None could take its place: it stays for a while.
    pub(super) fn stays(&self) {
        *self.session.of_age.lock() = Instant::now() + STAYS;
    }

    /// How often the master had been another one when it was made.
    pub(super) fn switches(&self) -> u64 {
        self.session.switches
    }
}
