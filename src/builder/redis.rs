//! The settings of [`CacheBuilder`] that say where Redis is, and how it is spoken to.

#[cfg(feature = "redis")]
use std::sync::Arc;
use std::time::Duration;

use crate::builder::CacheBuilder;
#[cfg(feature = "redis")]
use crate::builder::backend::Backend;
#[cfg(feature = "redis")]
use crate::error::ConfigError;
#[cfg(feature = "redis")]
use crate::place::Setting;
#[cfg(feature = "redis")]
use crate::redis::doctor::Doctor;
#[cfg(feature = "redis")]
use crate::redis::{CredentialSource, Keyspace, Needs};

/// How long a connection may take that is made to examine a server.
#[cfg(feature = "redis")]
const EXAMINED_WITHIN: Duration = Duration::from_secs(2);

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

    /// As whom Redis is spoken to, where its URL does not say: by files that are read again when they change, for example.
    /// Default: as the URL says.
    #[cfg(feature = "redis")]
    pub fn redis_login(mut self, login: crate::RedisLogin) -> Self {
        self.credentials = match login == crate::RedisLogin::new() {
            true => CredentialSource::Url,
            false => CredentialSource::Login(login),
        };
        self
    }

    /// Who is asked as whom Redis is spoken to: for passwords that change, such as tokens that live a quarter of an hour.
    /// It is asked before the first connection, when four fifths of the time are over that they are good for, and when the
    /// server refuses them. The [companion](crate::Companion) then has all open connections authenticate again. While nothing
    /// better is known, the last that were let in are used on.
    /// Default: nobody; the URL says it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_tagcache::{BoxError, Cache, RedisCredentials};
    /// # async fn token() -> Result<String, BoxError> { Ok("…".into()) }
    /// # fn main() -> Result<(), tower_tagcache::ConfigError> {
    /// let (cache, companion) = Cache::builder()
    ///     .redis("redis://127.0.0.1:6379")
    ///     .redis_credentials(|| async {
    ///         let token = token().await?;
    ///         Ok(RedisCredentials::new("cache", token).good_for(Duration::from_secs(15 * 60)))
    ///     })
    ///     .build()?;
    /// # let _ = (cache, companion);
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "redis")]
    pub fn redis_credentials<F, A>(mut self, ask: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<crate::RedisCredentials, crate::BoxError>> + Send + 'static,
    {
        self.credentials = CredentialSource::Asked(Arc::new(move || Box::pin(ask())));
        self
    }

    /// As whom the Sentinels are spoken to, which have users and passwords of their own. Default: as nobody.
    #[cfg(feature = "redis")]
    pub fn sentinel_login(mut self, login: crate::RedisLogin) -> Self {
        self.sentinel = login;
        self
    }

    /// How long a connection to Redis is used: the companion then makes another one, and what is under way on the old one ends
    /// there. Choose less than after what time the server, or what stands before it, cuts connections; each is up to a tenth
    /// younger, so that not all are made anew at once. At least 1 s. Default: 11 h, as some managed servers cut them after 12 h.
    #[cfg(feature = "redis")]
    pub const fn max_connection_age(mut self, age: Duration) -> Self {
        self.connection_age = age;
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

    /// Who examines the server, for the rules, streams and settings of this builder, before or beside a cache of it. See
    /// [`doctor`](crate::doctor).
    ///
    /// # Errors
    /// No server is named, or a setting of Redis cannot be used.
    #[cfg(feature = "redis")]
    pub fn doctor(&self) -> Result<Doctor, ConfigError> {
        let Backend::Redis(url) = &self.backend else {
            let why =
                "is not set: responses are kept in this process, and there is no server to examine";
            return Err(ConfigError::new(Setting::REDIS_URL, why, ""));
        };
        let budgets = crate::store::Budgets {
            connect: self.budgets.connect.min(EXAMINED_WITHIN),
            ..self.budgets
        };
        let server = self.server(url, budgets)?;
        let namespace = &*self.namespace;
        let group = self.group.as_deref().unwrap_or(namespace);
        let streams = self.streams.iter().map(|stream| stream.name().into());
        let needs = Needs::new(Keyspace::new(namespace)?, namespace).reading(group, streams);
        let needs = self.with_activity(needs).over_nodes(server.is_cluster());
        Ok(Doctor::new(
            server,
            needs,
            namespace,
            Arc::clone(&self.clock),
        ))
    }
}
