//! What a builder says about event streams.

#[cfg(all(feature = "redis", any(test, feature = "test-util")))]
use std::time::Duration;

use crate::builder::CacheBuilder;
use crate::invalidation::Stream;

impl CacheBuilder {
    /// Adds a stream of events, and what they purge. With [`redis`](Self::redis) the companion reads
    /// it from there; without, events are handed in through [`Cache::events`](crate::Cache::events). Default: none.
    pub fn stream(mut self, stream: Stream) -> Self {
        self.streams.push(stream);
        self
    }

    /// The consumer group that reads the event streams. All nodes of one cache share it. Default:
    /// the namespace.
    #[cfg(feature = "redis")]
    pub fn consumer_group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// [`Stream::claim_after`] for all streams, for tests in which a consumer dies. Default: as each
    /// stream says.
    #[cfg(all(feature = "redis", any(test, feature = "test-util")))]
    pub const fn claim_events_after(mut self, idle: Duration) -> Self {
        self.claim_events_after = Some(idle);
        self
    }
}
