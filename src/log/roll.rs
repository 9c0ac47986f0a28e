//! The roll: which nodes may answer near, and how far each has read the log (PROTOCOL 34 to 37).

use std::fmt;
use std::fmt::Debug;
use std::str::FromStr;
#[cfg(test)]
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::chance::unique;
use crate::error::Error;
use crate::log::Tip;
use crate::position::{Epoch, Position};

/// How much longer than a lease is waited before it counts as ended: clocks of machines run unequally fast.
const DRIFT_PERCENT: u32 = 110;
/// `min-replicas-max-lag` as it is by default: for so long a master that was cut off may take writes.
const REPLICA_LAG: Duration = Duration::from_secs(10);

/// When a lease of this length, had at the latest now, must have ended.
pub(crate) fn over(lease: Duration) -> Duration {
    lease * DRIFT_PERCENT / 100
}

/// After this time a purge that is in the log is everywhere, whatever the roll says: Λ of PROTOCOL 34.
pub(crate) fn longest_wait(longest_lease: Duration, has_replicas: bool) -> Duration {
    let lag = if has_replicas {
        REPLICA_LAG
    } else {
        Duration::ZERO
    };
    over(longest_lease) + lag
}

/// The time by which a purge waits and the mark comes: this process's own, whatever clock a test injects for
/// freshness; in the model test that clock as well.
#[derive(Debug, Clone)]
pub(crate) struct WaitTime {
    start: Instant,
    #[cfg(test)]
    pub(crate) clock: Option<Arc<dyn crate::clock::Clock>>,
}

impl WaitTime {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(test)]
            clock: None,
        }
    }

    /// Monotonic.
    pub(crate) fn now(&self) -> Duration {
        #[cfg(test)]
        if let Some(clock) = &self.clock {
            return clock.monotonic();
        }
        self.start.elapsed()
    }
}

/// What a node writes into the roll with each heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RollEntry {
    /// Random, for each cache and start.
    pub(crate) name: Box<str>,
    pub(crate) lease: Duration,
    /// Another with each heartbeat.
    pub(crate) beat: u64,
    /// The position that it has acknowledged.
    pub(crate) position: Position,
}

impl RollEntry {
    /// As it is sent for the time after so many others, at most seven.
    pub(crate) fn sent_again(&self, times: usize) -> Self {
        Self {
            beat: self.beat + times as u64,
            ..self.clone()
        }
    }

    /// Whether it says that the purge at `position` is applied there. Epochs are compared for equality only.
    pub(crate) fn acknowledges(&self, position: Position) -> bool {
        self.position.reaches(position)
    }
}

/// Who waits to write the mark, in which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) epoch: Epoch,
    pub(crate) random: u64,
}

impl Token {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            random: unique(),
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch.get(), self.random)
    }
}

impl FromStr for Token {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // Two numbers and a dash, as a position has them.
        let position: Position = text.parse().map_err(|_| ())?;
        Ok(Self {
            epoch: position.epoch,
            random: position.ordinal,
        })
    }
}

/// What of the roll is not a node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RollHead {
    /// The epoch for which the roll is complete.
    pub(crate) mark: Option<Epoch>,
    pub(crate) token: Option<Token>,
}

/// The roll as one read saw it, and the log's tip after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RollCall {
    pub(crate) head: RollHead,
    pub(crate) entries: Vec<RollEntry>,
    pub(crate) tip: Tip,
}

/// A heartbeat that registered its node, before it read the tip. `[roll_first]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) tip: Tip,
    /// Whether the entry was taken: without it there is no lease. `[roll_ok]`
    pub(crate) taken: bool,
    pub(crate) head: RollHead,
}

/// The roll of one log, kept where the log is.
pub(crate) trait Roll: Debug + Send + Sync {
    /// A heartbeat: writes `entry`, then reads the tip as [`Log::tip`](crate::log::Log::tip) does. What the entry
    /// has acknowledged stays, if it was there.
    ///
    /// # Errors
    /// Those of a heartbeat.
    fn register<'a>(&'a self, entry: &'a RollEntry) -> BoxFuture<'a, Result<Registration, Error>>;

    /// Notes that the node `name` has applied all up to `position`, if it has an entry.
    fn acknowledge<'a>(
        &'a self,
        name: &'a str,
        position: Position,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Reads all of it, then the log's tip, then the role of the server. `None`: what is there is no roll, and
    /// was lost by that.
    fn call(&self) -> BoxFuture<'_, Result<Option<RollCall>, Error>>;

    /// Removes `entry` if its heartbeat number is still that; whether it was.
    fn remove<'a>(&'a self, entry: &'a RollEntry) -> BoxFuture<'a, Result<bool, Error>>;

    /// Puts `token` there, in place of `before` and of nothing else.
    fn offer(&self, token: Token, before: Option<Token>) -> BoxFuture<'_, Result<(), Error>>;

    /// Writes the mark of `token`'s epoch if that token is still there and the log still in that epoch.
    fn mark(&self, token: Token) -> BoxFuture<'_, Result<(), Error>>;
}
