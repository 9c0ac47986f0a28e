//! Connections to one Redis server, each operation with its time budget.
//!
//! A connection made here never reconnects by itself: one that did so silently could end up at
//! another server, with another log, and nobody would have looked (PROTOCOL 6).

use std::fmt;
use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, RedisError, RedisResult};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{ConfigError, Error, ErrorKind};
use crate::log::Pulse;
use crate::place::Setting;
use crate::redis::address::{Sentinels, ServerAddress, ServerPlace};
use crate::redis::dial::{Driver, Wiring, greet_at, greet_through};
use crate::redis::fault;
use crate::redis::sentinel;
#[cfg(feature = "tls")]
use crate::redis::tls::{RedisTls, Wrong};
use crate::spelling::without_secrets;
use crate::store::Budgets;
use crate::telling::Telling;

/// Commands that may wait for the socket; the client's own 50 stalls a busy server (SAFETY 57).
const QUEUE: usize = 1024;

/// One Redis server, as its URL names it. Cheap to clone; clones share the state of its health.
#[derive(Clone)]
pub(crate) struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    address: ServerAddress,
    wiring: Wiring,
    /// The URL without its secrets.
    shown: Box<str>,
    budgets: Budgets,
    /// One for each connection that may be open; none where their number is not limited.
    places: Option<Arc<Semaphore>>,
    pulse: Arc<Pulse>,
    /// What it calls itself.
    software: Mutex<Option<Box<str>>>,
    /// What was last said in the log about the server, so that only changes are.
    telling: Mutex<Telling>,
}

/// A connection, and the place that it takes. The place is free when its last clone is gone.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(super) to: MultiplexedConnection,
    _driver: Arc<Driver>,
    _place: Option<Arc<OwnedSemaphorePermit>>,
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

    /// The server at `url`, with at most so many connections open at a time. Connects to nothing.
    ///
    /// # Errors
    /// The URL cannot be used. The error shows it without its secrets.
    pub(crate) fn limited(
        url: &str,
        budgets: Budgets,
        connections: Option<usize>,
    ) -> Result<Self, ConfigError> {
        let places = connections.map(|number| number.min(Semaphore::MAX_PERMITS));
        let shown = without_secrets(url);
        let wrong = |why| ConfigError::new(Setting::REDIS_URL, why, shown.as_str());
        let address = ServerAddress::parse(url).map_err(wrong)?;
        Ok(Self {
            inner: Arc::new(Inner {
                wiring: Wiring {
                    is_secure: address.is_secure,
                    #[cfg(feature = "tls")]
                    tls: RedisTls::new(),
                },
                address,
                shown: shown.into(),
                budgets,
                places: places.map(|number| Arc::new(Semaphore::new(number))),
                pulse: Arc::default(),
                software: Mutex::default(),
                telling: Mutex::new(Telling::new()),
            }),
        })
    }

    /// How it is spoken to by TLS, if its URL asks for that.
    ///
    /// # Errors
    /// A file cannot be used, or the URL does not ask for TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(mut self, tls: &RedisTls) -> Result<Self, ConfigError> {
        let inner = Arc::get_mut(&mut self.inner).expect("nobody else has it yet");
        if inner.address.is_secure {
            let host = match &inner.address.place {
                ServerPlace::Tcp(at) => &at.host,
                // Wherever the master is: `server_name`, if any, is looked at.
                _ => "localhost",
            };
            let checked = tls.connector().and_then(|_| tls.name_of(host));
            let wrong = |wrong: Wrong| {
                ConfigError::new(
                    Setting::of("redis.tls", wrong.setting),
                    wrong.why,
                    wrong.input,
                )
            };
            checked.map_err(wrong)?;
        } else if *tls != RedisTls::new() {
            let why = "is for TLS, which the URL does not ask for: write rediss:// there";
            return Err(ConfigError::new(
                Setting::of("redis", "tls"),
                why,
                &*inner.shown,
            ));
        }
        inner.wiring.tls = tls.clone();
        Ok(self)
    }

    pub(crate) fn budgets(&self) -> &Budgets {
        &self.inner.budgets
    }

    /// A new connection, which waits for each answer for ever: who asks sets a limit.
    /// It is *not* verified: what reads or writes the purge log uses a link instead.
    ///
    /// # Errors
    /// The server cannot be reached within the connect budget, or refused the credentials; or as many
    /// connections are open as may be, and none is closed within that budget.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let place = self.place().await?;
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let inner = &*self.inner;
        let made = timeout(inner.budgets.connect, self.dial(config)).await;
        let (to, driver) = made
            .unwrap_or_else(|_| Err(inner.address.late().into()))
            .map_err(|error| self.error("connect", error))?;
        Ok(Connection {
            to,
            _driver: Arc::new(driver),
            _place: place,
        })
    }

    /// A connection to wherever the server is, and what drives it.
    async fn dial(
        &self,
        config: AsyncConnectionConfig,
    ) -> RedisResult<(MultiplexedConnection, Driver)> {
        let (address, wiring) = (&self.inner.address, self.wiring());
        let settings = &address.settings;
        match &address.place {
            ServerPlace::Tcp(at) => greet_at(at, settings, wiring, config).await,
            ServerPlace::Sentinel(sentinels) => {
                let at = sentinel::master(sentinels, wiring).await?;
                greet_at(&at, settings, wiring, config).await
            }
            ServerPlace::Unix(path) => greet_through(path, settings, config).await,
        }
    }

    pub(super) fn wiring(&self) -> &Wiring {
        &self.inner.wiring
    }

    /// Who says where it is, if its URL does not.
    pub(super) fn sentinels(&self) -> Option<&Sentinels> {
        match &self.inner.address.place {
            ServerPlace::Sentinel(sentinels) => Some(sentinels),
            _ => None,
        }
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

    /// Whether the heartbeats of the purge log on this server are answered.
    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.inner.pulse
    }

    /// Remembers what the server calls itself.
    pub(crate) fn is_called(&self, software: Option<&str>) {
        let mut known = self.inner.software.lock();
        if known.as_deref() != software {
            *known = software.map(Into::into);
        }
    }

    pub(crate) fn software(&self) -> Option<String> {
        self.inner.software.lock().as_deref().map(str::to_owned)
    }

    /// `error` as our own: which server, what was being done.
    pub(crate) fn error(&self, operation: &str, error: RedisError) -> Error {
        fault::error(&format!("{operation} at {self}"), error)
    }

    /// Says once that the server is unusable, until it is usable again.
    pub(crate) fn failed(&self, error: &Error) {
        // Away is away, whether it is noticed by a time-out or by a closed socket.
        let way = match error.kind() {
            ErrorKind::Timeout => ErrorKind::Unavailable,
            kind => kind,
        };
        let Some(tell) = self.inner.telling.lock().failing(way as u64) else {
            return;
        };
        let changes_not_told = tell.unsaid;
        match way {
            ErrorKind::Denied => tracing::error!(
                server = %self, %error, changes_not_told, "redis refuses us; the cache works without it"
            ),
            ErrorKind::Unsupported => tracing::error!(
                server = %self, %error, changes_not_told,
                "this redis cannot be used; the cache works without it"
            ),
            _ => tracing::warn!(
                server = %self, %error, changes_not_told,
                "redis cannot be used; the cache works without it"
            ),
        }
    }

    /// Says once that the server is usable, until it is not.
    pub(crate) fn usable(&self) {
        if let Some(tell) = self.inner.telling.lock().well() {
            let changes_not_told = tell.unsaid;
            tracing::info!(server = %self, changes_not_told, "redis is in use");
        }
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

    /// SAFETY 97: what does not work yet is said, not taken for something else.
    #[test]
    fn safety_97_a_url_of_what_is_not_supported_says_so() {
        for (url, why) in [
            ("rediss://u:hunter2@localhost#insecure", "always verified"),
            (
                "redis+sentinel://localhost:26379",
                "is not like redis+sentinel://",
            ),
            (
                "redis+sentinel://localhost:x/name",
                "is not like redis+sentinel://",
            ),
            ("redis-sentinel://:hunter2@a:26379,b:26379", "Sentinel"),
            ("sentinel://localhost", "Sentinel"),
            ("redis+cluster://localhost:7000", "Redis Cluster"),
            ("redis-cluster://localhost:7000", "Redis Cluster"),
            ("redis://a:6379,b:6379", "several servers"),
        ] {
            let error = Server::new(url, Budgets::default()).unwrap_err();
            let shown = format!("{error:#}");
            assert!(shown.contains(why), "{url}: {shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        for url in [
            "redis://localhost",
            "valkey://localhost",
            "redis+sentinel://localhost/name",
            "redis+sentinel://u:p@a:26379,b,[::1]:7/name/3?protocol=resp3",
            #[cfg(feature = "tls")]
            "rediss://localhost:6380",
            #[cfg(feature = "tls")]
            "VALKEYS://localhost",
            "unix:///tmp/redis.sock",
        ] {
            assert!(Server::new(url, Budgets::default()).is_ok(), "{url}");
        }
    }
}
