//! Time, injected: wall time for HTTP dates and ages, monotonic time for leases and settling.
//!
//! Everything that decides by time takes a [`Clock`]; freshness is therefore tested with a
//! [`ManualClock`] and never with real sleeps. Time *limits* (a Redis budget, a bounded wait) use
//! the Tokio timer, because they bound real waiting.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `time` in whole milliseconds, saturating.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Wall-clock time in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time `ms` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is before it (clocks of nodes differ).
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This time moved forward by `by`, saturating.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// So much earlier.
    #[cfg(feature = "activity")]
    pub(crate) fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(millis(since))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

/// Where the time comes from.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall-clock time, for `Date`, `Age` and expiry.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary fixed point, never going back. It counts the time for which the machine sleeps, or a
    /// lease lasts for that much longer.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Duration,
}

impl SystemClock {
    /// A clock whose monotonic zero is now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: since_boot(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Duration {
        since_boot().saturating_sub(self.start)
    }
}

/// Time that goes on while the machine sleeps (PROTOCOL 21).
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    // Neither is negative.
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

/// Where there is no such clock: the monotonic one, which may stand still meanwhile.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(any(test, feature = "test-util"))]
pub use self::manual::ManualClock;

#[cfg(any(test, feature = "test-util"))]
mod manual {
    use super::{Clock, Timestamp, millis};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// A clock that moves only when told to. Clones share the time.
    #[derive(Debug, Clone)]
    pub struct ManualClock {
        state: Arc<State>,
    }

    #[derive(Debug)]
    struct State {
        wall_ms: AtomicU64,
        monotonic_ms: AtomicU64,
    }

    impl ManualClock {
        /// A clock that reads `wall`, with a monotonic time of one hour (so that "earlier" exists).
        #[must_use]
        pub fn at(wall: Timestamp) -> Self {
            Self {
                state: Arc::new(State {
                    wall_ms: AtomicU64::new(wall.as_millis()),
                    monotonic_ms: AtomicU64::new(3_600_000),
                }),
            }
        }

        /// Moves wall and monotonic time forward.
        pub fn advance(&self, by: Duration) {
            let ms = millis(by);
            self.state.wall_ms.fetch_add(ms, Ordering::SeqCst);
            self.state.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
        }

        /// Sets the wall time alone, as an operator or NTP would; it may go back.
        pub fn set_wall(&self, wall: Timestamp) {
            self.state.wall_ms.store(wall.as_millis(), Ordering::SeqCst);
        }
    }

    impl Default for ManualClock {
        /// 2026-11-23 00:00:00 UTC.
        fn default() -> Self {
            Self::at(Timestamp::from_millis(1_795_392_000_000))
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.state.wall_ms.load(Ordering::SeqCst))
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.state.monotonic_ms.load(Ordering::SeqCst))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_zero_when_the_other_clock_is_ahead() {
        let earlier = Timestamp::from_millis(1_000);
        assert_eq!(earlier.since(Timestamp::from_millis(5_000)), Duration::ZERO);
    }

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = ManualClock::default();
        let (wall, mono) = (clock.now(), clock.monotonic());
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now().since(wall), Duration::from_secs(2));
        assert_eq!(clock.monotonic() - mono, Duration::from_secs(2));
    }
}
