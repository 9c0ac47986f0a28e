//! [`Relay`]: one region's purges, taken to another region (PROTOCOL 13).
//!
//! Regions have a Redis each, and a purge log each. A relay follows the log of one and appends what it reads to the log of
//! the other. It keeps nothing itself: how far it has come stands in the records that it appends, so it may be killed at any
//! step and begin anew anywhere. Two for the same pair do no harm; each purge then comes twice.

mod announcer;
mod carry;
mod pump;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::pending;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::announcer::announce_each;
use self::carry::MAX_OWED;
pub(crate) use self::pump::{Pump, RelayParts};
pub(crate) use self::status::RelayBoard;
pub use self::status::RelayStatus;
use crate::backoff::Backoff;
use crate::error::Error;
use crate::log::Purges;
use crate::redis::SwitchWatch;
use crate::telling::Telling;

/// How long what is under way may take to end.
const ENDING: Duration = Duration::from_secs(5);
/// The pauses after a failure.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Takes what is purged in one region to another. Made by [`RelayBuilder`](crate::RelayBuilder).
///
/// It hands its counts to the [`metrics`](https://docs.rs/metrics) facade, each with the label `region`:
///
/// | name | is |
/// |---|---|
/// | `tagcache_relay_lag_seconds` | gauge: how long ago all that was purged is surely in the other region's log. Absent before it was |
/// | `tagcache_relay_lag_records` | gauge: records that are still to be relayed |
/// | `tagcache_relay_failing` | gauge: 1 while it does not get on |
/// | `tagcache_relay_records_total` | records relayed |
/// | `tagcache_relay_returned_total` | records not relayed, as they have been there before |
/// | `tagcache_relay_appended_total` | records appended, beats among them |
/// | `tagcache_relay_repeated_total` | appends that were not acknowledged, and are made again |
/// | `tagcache_relay_resets_total` | times that everything in the other region was purged |
#[derive(Debug)]
#[must_use = "a relay does nothing until it is run"]
pub struct Relay {
    pump: Pump,
    owed: mpsc::Receiver<announcer::Owed>,
    to: Arc<Purges>,
    board: Arc<RelayBoard>,
    /// Of both ends, where Sentinels say who the master is.
    switches: [SwitchWatch; 2],
}

impl Relay {
    pub(crate) fn new(parts: RelayParts, switches: [SwitchWatch; 2]) -> Self {
        let (owes, owed) = mpsc::channel(MAX_OWED);
        let (to, board) = (Arc::clone(&parts.to), Arc::clone(&parts.board));
        Self {
            pump: Pump::new(parts, owes),
            owed,
            to,
            board,
            switches,
        }
    }

    /// Says how it gets on, also while it runs.
    #[must_use]
    pub fn status(&self) -> RelayStatus {
        self.board.status()
    }

    /// A handle that says how it gets on once it runs elsewhere.
    pub fn watch(&self) -> impl Fn() -> RelayStatus + Clone + Send + Sync + use<> {
        let board = Arc::clone(&self.board);
        move || board.status()
    }

    /// Relays until `shutdown` resolves, however often it has to wait for one of the two servers; then ends what is under
    /// way, for at most five seconds.
    ///
    /// # Errors
    /// It cannot relay at all: both ends are one log.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. What it has not relayed, the next one does.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self {
            mut pump,
            owed,
            to,
            board,
            switches: [of_from, of_to],
        } = self;
        RelayBoard::describe();
        let stop = CancellationToken::new();
        let relaying = async {
            let relayed = relay(&mut pump, &board, &stop).await;
            // Ends the announcer, when it has announced what it has.
            drop(pump);
            relayed
        };
        let working = async {
            let (relayed, ()) = tokio::join!(relaying, announce_each(&to, owed));
            relayed
        };
        let switches = async {
            tokio::join!(of_from.run(&stop), of_to.run(&stop));
            pending::<()>().await;
        };
        let ending = async {
            shutdown.await;
            stop.cancel();
            let _ = timeout(ENDING, pending::<()>()).await;
        };
        tokio::select! {
            relayed = working => relayed,
            () = switches => Ok(()),
            () = ending => Ok(()),
        }
    }
}

/// Relays until it is to `stop`.
async fn relay(pump: &mut Pump, board: &RelayBoard, stop: &CancellationToken) -> Result<(), Error> {
    let (mut pauses, mut telling) = (PAUSES, Telling::of_well());
    while !stop.is_cancelled() {
        // Waiting for records is not worth finishing, relaying some is.
        let turned = tokio::select! {
            turned = pump.turn() => turned,
            () = idle_and_stopped(board, stop) => return Ok(()),
        };
        match turned {
            Ok(()) => {
                pauses.reset();
                if let Some(tell) = telling.well() {
                    tracing::info!(changes_not_told = tell.unsaid, "relaying again");
                }
                board.works();
            }
            Err(error) if pump::is_final(&error) => return Err(error),
            Err(error) => {
                if let Some(tell) = telling.failing(error.kind() as u64) {
                    tracing::warn!(%error, changes_not_told = tell.unsaid, "not relaying");
                }
                board.fails(&error);
                tokio::select! {
                    () = sleep(pauses.pause()) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }
    Ok(())
}

async fn idle_and_stopped(board: &RelayBoard, stop: &CancellationToken) {
    stop.cancelled().await;
    board.idle().await;
}
