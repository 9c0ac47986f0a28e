//! [`Health`].

use std::time::Duration;

use crate::position::Position;

/// How well this process knows the purge log, at one moment, and what it holds for its fills.
///
/// A log that is not followed costs hits, never truth, and takes no request down: it makes a service
/// degraded, not unready.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The last record that this process knows; none before the log was first reached.
    pub position: Option<Position>,
    /// Whether the log has answered within the lease, and everything in it up to then is known here.
    /// It is not where the [`Companion`](crate::Companion) does not run, or Redis is away.
    pub followed: bool,
    /// How long ago that was, past the lease too; none if it never was, or the server refused since.
    pub silence: Option<Duration>,
    /// Purges in force in this process that are not in the log, and that nobody's call waits for: the companion appends them.
    pub waiting: usize,
    /// Bytes of responses that are held on their way into the cache and to those who read them meanwhile: at most
    /// [`fill_bytes`](crate::CacheBuilder::fill_bytes).
    pub fill_bytes: u64,
    /// Responses that were passed on and not stored as they did not fit into that.
    pub fills_unstored: u64,
    /// What is wrong with the server that keeps responses and log, the most important first.
    pub troubles: Vec<Trouble>,
    /// That server, as it calls itself: `Redis 7.0.15`. None if there is none, or it was not reached yet.
    pub server: Option<String>,
}

/// Something that is wrong and has lasted for a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// What it concerns: `heartbeat`, `lookups`, `stores`, `purges`, `replicas`, `regions`.
    pub part: &'static str,
    /// What is wrong, where, and what can be done about it.
    pub message: String,
    /// For how long.
    pub since: Duration,
}

#[cfg(test)]
mod tests {
    use crate::clock::ManualClock;
    use crate::{Cache, Timestamp};

    use super::*;

    #[tokio::test]
    async fn a_log_is_followed_while_the_companion_runs_and_the_lease_lasts() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let (cache, companion) = Cache::builder().clock(clock.clone()).build().unwrap();
        let before = cache.health();
        assert_eq!((before.position, before.followed), (None, false));
        let running = tokio::spawn(companion.run(std::future::pending()));
        while !cache.health().followed {
            tokio::task::yield_now().await;
        }
        running.abort();
        let _ = running.await;
        assert_eq!(cache.health().silence, Some(Duration::ZERO));
        clock.advance(Duration::from_millis(1_500));
        let after = cache.health();
        assert!(!after.followed, "the lease of a second is over");
        assert_eq!(after.silence, Some(Duration::from_millis(1_500)));
        assert!(after.position.is_some(), "what is known is still known");
    }
}
