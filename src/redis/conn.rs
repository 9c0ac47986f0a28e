//! Connections to one Redis server, each operation with its time budget.
//!
//! A connection made here never reconnects by itself: one that did so silently could end up at
//! another server, with another log, and nobody would have looked (PROTOCOL 6).

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{ConfigError, Error, ErrorKind};
use crate::redis::fault;

/// Commands that may wait for the socket; the client's own 50 stalls a busy server (SAFETY 57).
const QUEUE: usize = 1024;

/// How long each kind of operation may take.
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
            connect: Duration::from_secs(5),
            read: Duration::from_millis(25),
            write: Duration::from_millis(100),
            purge: Duration::from_secs(2),
        }
    }
}

/// One Redis server, as its URL names it. Cheap to clone; clones share the state of its health.
#[derive(Clone)]
pub(crate) struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    /// The URL without its secrets.
    shown: Box<str>,
    budgets: Budgets,
    /// One for each connection that may be open; none where their number is not limited.
    places: Option<Arc<Semaphore>>,
    health: Mutex<Health>,
}

/// A connection, and the place that it takes. The place is free when its last clone is gone.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    connection: MultiplexedConnection,
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

impl Deref for Connection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        &self.connection
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        &mut self.connection
    }
}

/// What was last said in the log about the server, so that only changes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Unknown,
    Usable,
    Away,
    Denied,
}

impl Server {
    /// The server at `url`. Connects to nothing.
    ///
    /// # Errors
    /// The URL cannot be used. The error shows it without its secrets.
    #[cfg(test)]
    pub(crate) fn new(url: &str, budgets: Budgets) -> Result<Self, ConfigError> {
        Self::limited(url, budgets, None)
    }

    /// The same, with at most so many connections open at a time.
    ///
    /// # Errors
    /// The URL cannot be used. The error shows it without its secrets.
    pub(crate) fn limited(
        url: &str,
        budgets: Budgets,
        connections: Option<usize>,
    ) -> Result<Self, ConfigError> {
        let places = connections.map(|number| number.min(Semaphore::MAX_PERMITS));
        let shown = redacted(url);
        let client = client(url)
            .map_err(|error| ConfigError::new("redis url", reason(&error), shown.as_str()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                shown: shown.into(),
                budgets,
                places: places.map(|number| Arc::new(Semaphore::new(number))),
                health: Mutex::new(Health::Unknown),
            }),
        })
    }

    pub(crate) fn budgets(&self) -> &Budgets {
        &self.inner.budgets
    }

    /// A new connection that answers each command within `response_timeout`, or waits for ever.
    /// It is *not* verified: what reads or writes the purge log uses a link instead.
    ///
    /// # Errors
    /// The server cannot be reached within the connect budget, or refused the credentials; or as many
    /// connections are open as may be, and none is closed within that budget.
    pub(crate) async fn connect(
        &self,
        response_timeout: Option<Duration>,
    ) -> Result<Connection, Error> {
        let place = self.place().await?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.inner.budgets.connect))
            .set_response_timeout(response_timeout)
            .set_pipeline_buffer_size(QUEUE);
        let client = &self.inner.client;
        let made = client.get_multiplexed_async_connection_with_config(&config);
        let connection = made.await.map_err(|error| {
            let error = self.error("connect", error);
            self.failed(&error);
            error
        })?;
        Ok(Connection {
            connection,
            _place: place,
        })
    }

    /// A place for one more connection.
    async fn place(&self) -> Result<Option<Arc<OwnedSemaphorePermit>>, Error> {
        let Some(places) = &self.inner.places else {
            return Ok(None);
        };
        let place = Arc::clone(places).acquire_owned();
        match timeout(self.inner.budgets.connect, place).await {
            Ok(Ok(place)) => Ok(Some(Arc::new(place))),
            _ => {
                let message = format!("redis at {self}: all connections allowed are in use");
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }

    /// `error` as our own: which server, what was being done.
    pub(crate) fn error(&self, operation: &str, error: RedisError) -> Error {
        fault::error(&format!("{operation} at {self}"), error)
    }

    /// Says once that the server is unusable, until it is usable again.
    pub(crate) fn failed(&self, error: &Error) {
        let now = match error.kind() {
            ErrorKind::Denied => Health::Denied,
            _ => Health::Away,
        };
        if !self.changed_to(now) {
            return;
        }
        if now == Health::Denied {
            tracing::error!(server = %self, %error, "redis refuses us; the cache works without it");
        } else {
            tracing::warn!(server = %self, %error, "redis cannot be used; the cache works without it");
        }
    }

    /// Says once that the server is usable, until it is not.
    pub(crate) fn usable(&self) {
        if self.changed_to(Health::Usable) {
            tracing::info!(server = %self, "redis is in use");
        }
    }

    fn changed_to(&self, now: Health) -> bool {
        let mut health = self.inner.health.lock();
        std::mem::replace(&mut *health, now) != now
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.shown)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("url", &self.inner.shown)
            .field("budgets", &self.inner.budgets)
            .finish_non_exhaustive()
    }
}

fn client(url: &str) -> Result<Client, RedisError> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let tcp = TcpSettings::default().set_nodelay(true);
    Client::open(info.set_redis_settings(settings).set_tcp_settings(tcp))
}

/// Why the client refused a URL, without what it quotes of it.
fn reason(error: &RedisError) -> String {
    let text = error.to_string();
    let short = text.split(" - InvalidClientConfig").next();
    short.unwrap_or("cannot be used").to_lowercase()
}

/// `url` without what may be secret: everything between the scheme and the last `@`, and a
/// password in the query.
fn redacted(url: &str) -> String {
    let (scheme, rest) = url
        .split_once("://")
        .map_or(("", url), |(scheme, rest)| (scheme, rest));
    let after_secret = match rest.rfind('@') {
        Some(at) => format!("***{}", &rest[at..]),
        // `redis://:secret`, where the host was forgotten.
        None if rest.starts_with(':') => "***".into(),
        None => rest.into(),
    };
    let shown = match after_secret.split_once('?') {
        Some((place, query)) if query.contains("pass") => format!("{place}?***"),
        _ => after_secret,
    };
    if scheme.is_empty() {
        shown
    } else {
        format!("{scheme}://{shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown_anywhere() {
        for url in [
            "redis://:hunter2@localhost:6379/0",
            "redis://user:hunter2@localhost",
            "redis://user:hun@ter/hunter2@localhost",
            "redis+unix:///tmp/redis.sock?pass=hunter2",
        ] {
            let server = Server::new(url, Budgets::default());
            let shown = match &server {
                Ok(server) => format!("{server} {server:?}"),
                Err(error) => format!("{error:#} {error:?}"),
            };
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        for url in ["redis://:hunter2", "hunter2@host", "redis://a:hunter2@:x"] {
            let error = Server::new(url, Budgets::default()).unwrap_err();
            let shown = format!("{error:#} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn a_bad_url_is_a_config_error_that_says_why() {
        for (url, why) in [
            ("http://localhost", "redis url did not parse"),
            ("redis://localhost/seven", "invalid database number"),
            ("redis://localhost?protocol=9", "invalid protocol version"),
            ("nonsense", "redis url did not parse"),
        ] {
            let error = Server::new(url, Budgets::default()).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.input(), url);
        }
    }

    #[test]
    fn a_change_of_state_is_told_once() {
        let server = Server::new("redis://localhost", Budgets::default()).unwrap();
        assert!(server.changed_to(Health::Away));
        assert!(!server.changed_to(Health::Away));
        assert!(server.changed_to(Health::Denied));
        assert!(server.changed_to(Health::Usable));
        assert!(!server.changed_to(Health::Usable));
    }
}
