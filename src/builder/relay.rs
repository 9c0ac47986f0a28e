//! [`RelayBuilder`]: a relay between the purge logs of two Redis servers.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::defaults;
use crate::error::ConfigError;
use crate::log::{Log, Purges, Views};
use crate::observe::SharedObserver;
use crate::place::Setting;
use crate::redis::{RedisPlaces, Server, SwitchWatch};
use crate::relay::{Relay, RelayBoard, RelayParts};
use crate::spelling::{shown, written};
use crate::store::Budgets;
use crate::update::{WORD, is_word};
use crate::validity::Bounds;

/// What a relay waits for a server that may be on another continent; no request waits for it.
const BUDGETS: Budgets = Budgets {
    connect: Duration::from_secs(10),
    read: Duration::from_secs(5),
    write: Duration::from_secs(5),
    purge: Duration::from_secs(5),
};
/// How often it may be heard: each time costs a record, which every node of the other region reads.
const BEATS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60);

/// Builds a [`Relay`], which takes what is purged in one region to another: each region has a Redis of its own.
///
/// ```no_run
/// use tower_tagcache::RelayBuilder;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_tagcache::BoxError> {
/// // One each way. Nodes with `max_cut` name the region `us` as it is named here.
/// let there = RelayBuilder::new("us", "redis://redis.us:6379", "redis://redis.eu:6379").build()?;
/// let back = RelayBuilder::new("eu", "redis://redis.eu:6379", "redis://redis.us:6379").build()?;
/// let _ = tokio::join!(there.run(std::future::pending()), back.run(std::future::pending()));
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RelayBuilder {
    region: String,
    from: RelayEnd,
    to: RelayEnd,
    beat: Duration,
    settle: Duration,
    clock: Arc<dyn Clock>,
}

/// A server, and whose log there.
#[derive(Debug)]
struct RelayEnd {
    url: String,
    namespace: String,
    #[cfg(feature = "tls")]
    tls: crate::RedisTls,
}

impl RelayEnd {
    fn new(url: String) -> Self {
        Self {
            url,
            namespace: defaults::NAMESPACE.to_owned(),
            #[cfg(feature = "tls")]
            tls: crate::RedisTls::new(),
        }
    }

    fn open(&self, clock: &Arc<dyn Clock>) -> Result<RedisPlaces, ConfigError> {
        let server = Server::limited(&self.url, BUDGETS, None)?;
        #[cfg(feature = "tls")]
        let server = server.with_tls(&self.tls)?;
        let observer = SharedObserver::new(());
        RedisPlaces::open(server, &self.namespace, Arc::clone(clock), observer, false)
    }
}

impl RelayBuilder {
    /// From the log at the URL `from`, which is that of the region called `region`, to the one at `to`. The URLs are those of
    /// [`CacheBuilder::redis`](crate::CacheBuilder::redis).
    pub fn new(region: impl Into<String>, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            from: RelayEnd::new(from.into()),
            to: RelayEnd::new(to.into()),
            beat: defaults::RELAY_BEAT,
            settle: Duration::ZERO,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// What the keys of the one that is followed begin with, and those of the other. Default: `tagcache` for both.
    pub fn namespaces(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.from.namespace = from.into();
        self.to.namespace = to.into();
        self
    }

    /// How the one that is followed is spoken to by TLS, and the other. Default: by the certificates that the operating
    /// system believes.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, from: crate::RedisTls, to: crate::RedisTls) -> Self {
        self.from.tls = from;
        self.to.tls = to;
        self
    }

    /// How often the other region hears from it: at most a quarter of the [`max_cut`](crate::CacheBuilder::max_cut) there.
    /// Each time is a record that every node there reads. From 100 ms to a minute. Default: 2 s.
    pub const fn beat(mut self, every: Duration) -> Self {
        self.beat = every;
        self
    }

    /// The longest [settling time](crate::Purger::settle) that is in use in the region that is followed. Where its purge log
    /// is lost, everything in the other region is purged, and settles for as long. Default: the longest that the relay has seen.
    pub const fn settle(mut self, longest: Duration) -> Self {
        self.settle = longest;
        self
    }

    /// Where the time comes from. Default: the operating system.
    #[cfg(any(test, feature = "test-util"))]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks everything. Nothing connects before the relay runs.
    ///
    /// # Errors
    /// The first setting that cannot be used, with the input quoted.
    pub fn build(self) -> Result<Relay, ConfigError> {
        if !is_word(&self.region) {
            return Err(ConfigError::new(
                Setting::of("relay", "region").called("region"),
                format!("is not {WORD}"),
                shown(&self.region),
            ));
        }
        if !BEATS.contains(&self.beat) {
            return Err(ConfigError::new(
                Setting::of("relay", "beat").called("beat"),
                "not between 100 ms and a minute",
                written(self.beat),
            ));
        }
        let from = self.from.open(&self.clock)?;
        let to = self.to.open(&self.clock)?;
        let switches: [SwitchWatch; 2] = [from.switches(), to.switches()];
        // It judges nothing: only its settling times and waits are used.
        let views = Views::new(Bounds::default(), defaults::LEASE, Arc::clone(&self.clock));
        let log: Arc<dyn Log> = to.log;
        let to = Arc::new(Purges::new(
            log,
            Arc::new(views),
            Arc::clone(&self.clock),
            SharedObserver::new(()),
            BUDGETS.purge,
            Duration::ZERO,
        ));
        let board = RelayBoard::new(&self.region, Arc::clone(&self.clock));
        let parts = RelayParts {
            region: self.region.into(),
            from: from.log,
            to,
            clock: self.clock,
            beat: self.beat,
            settle: self.settle,
            board: Arc::new(board),
        };
        Ok(Relay::new(parts, switches))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_relay_can_be_is_refused() {
        let url = "redis://127.0.0.1:1";
        let build = |region: &str, from: &str, beat: u64| {
            let builder = RelayBuilder::new(region, from, url);
            builder.beat(Duration::from_millis(beat)).build()
        };
        assert!(build("us-1", url, 2_000).is_ok());
        for (region, from, beat, named) in [
            ("", url, 2_000, "region"),
            ("u s", url, 2_000, "region"),
            ("us", url, 99, "beat"),
            ("us", url, 60_001, "beat"),
            ("us", "http://x", 2_000, "http://x"),
        ] {
            let error = build(region, from, beat).unwrap_err().to_string();
            assert!(error.contains(named), "{region} {from} {beat}: {error}");
        }
    }
}
