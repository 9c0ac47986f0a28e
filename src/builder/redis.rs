//! The settings of [`CacheBuilder`] that say where Redis is, and how it is spoken to.

use std::time::Duration;

use crate::builder::CacheBuilder;
#[cfg(feature = "redis")]
use crate::builder::backend::Backend;

impl CacheBuilder {
    /// Keeps responses and the purge log on the Redis server at `url`, shared by all nodes that name
    /// the same server and [`namespace`](Self::namespace). Nothing connects before it is needed,
    /// and a server that is away is picked up when it comes. Default: in this process.
    #[cfg(feature = "redis")]
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.backend = Backend::Redis(url.into());
        self
    }

    /// How Redis is spoken to by TLS, where its URL begins with `rediss://`. Default: by the certificates that the operating
    /// system believes.
    #[cfg(feature = "tls")]
    pub fn redis_tls(mut self, tls: crate::RedisTls) -> Self {
        self.tls = tls;
        self
    }

    /// What all keys in Redis begin with. Default: `tagcache`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The most connections to Redis at a time, at least four, two for each stream, and one where activity is
    /// kept. One that is
    /// being closed may be seen there for a moment longer. Default: no limit.
    #[cfg(feature = "redis")]
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections);
        self
    }

    /// How long making and verifying a connection to Redis may take. No request waits for it longer
    /// than its own budget. Default: 5 s.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.budgets.connect = timeout;
        self
    }

    /// How long each step of a lookup in Redis may take (entry and tip; catching up with the log; a
    /// variant not known yet) before the request goes to the inner service as if there were no
    /// cache. Default: 25 ms.
    pub const fn read_timeout(mut self, timeout: Duration) -> Self {
        self.budgets.read = timeout;
        self
    }

    /// How long storing a response in Redis may take; no request waits for it. Default: 100 ms.
    pub const fn write_timeout(mut self, timeout: Duration) -> Self {
        self.budgets.write = timeout;
        self
    }

    /// How long a purge waits to be acknowledged before it is pending. Default: 2 s.
    pub const fn purge_timeout(mut self, timeout: Duration) -> Self {
        self.budgets.purge = timeout;
        self
    }
}
