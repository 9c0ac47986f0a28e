//! Connections to one Redis server, each operation with its time budget.
//!
//! A connection made here never reconnects by itself: one that did so silently could end up at
//! another server, with another log, and nobody would have looked (PROTOCOL 6).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, RedisResult};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::defaults;
use crate::error::{ConfigError, Error, ErrorKind};
use crate::log::Pulse;
use crate::place::Setting;
use crate::redis::account::{Account, OpenedBy};
use crate::redis::address::{HostPort, Sentinels, ServerAddress, ServerPlace};
use crate::redis::cluster::{Cluster, Dial};
use crate::redis::connection::Connection;
use crate::redis::credentials::{CredentialSource, RedisLogin};
use crate::redis::dial::{Driver, Wiring, greet_at, greet_through};
use crate::redis::fault;
use crate::redis::sentinel;
#[cfg(feature = "tls")]
use crate::redis::tls::RedisTls;
use crate::spelling::without_secrets;
use crate::store::Budgets;
use crate::telling::Telling;

mod setup;

/// Commands that may wait for the socket; the client's own 50 stalls a busy server (SAFETY 57).
const QUEUE: usize = 1024;

/// One Redis server, as its URL names it. Cheap to clone; clones share the state of its health.
#[derive(Clone)]
pub(crate) struct Server {
    inner: Arc<Inner>,
    /// Which node of a Cluster it is: the one that has this key.
    key: Option<Arc<str>>,
    pulse: Arc<Pulse>,
}

struct Inner {
    address: ServerAddress,
    wiring: Wiring,
    /// Its nodes, if it is one.
    cluster: Option<Cluster>,
    /// The URL without its secrets.
    shown: Box<str>,
    budgets: Budgets,
    account: Account,
    /// No connection is in use for longer.
    longest_age: Duration,
    /// How often the master was found to be another one.
    switches: watch::Sender<u64>,
    /// One for each connection that may be open; none where their number is not limited.
    places: Option<Arc<Semaphore>>,
    /// What it calls itself.
    software: Mutex<Option<Box<str>>>,
    /// What was last said in the log about the server, so that only changes are.
    telling: Mutex<Telling>,
}

type Dialed = (MultiplexedConnection, Driver);

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
        let cluster = match &address.place {
            ServerPlace::Cluster(seeds) => Some(Cluster::new(seeds.clone())),
            _ => None,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                cluster,
                wiring: Wiring {
                    is_secure: address.is_secure,
                    #[cfg(feature = "tls")]
                    tls: RedisTls::new(),
                    sentinel: RedisLogin::new(),
                },
                account: Account::new(CredentialSource::Url),
                longest_age: defaults::CONNECTION_AGE,
                switches: watch::Sender::new(0),
                address,
                shown: shown.into(),
                budgets,
                places: places.map(|number| Arc::new(Semaphore::new(number))),
                software: Mutex::default(),
                telling: Mutex::new(Telling::new()),
            }),
            key: None,
            pulse: Arc::default(),
        })
    }

    /// Of a Cluster, the node that has `key`; else this server.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        if self.inner.cluster.is_none() {
            return self.clone();
        }
        Self {
            inner: Arc::clone(&self.inner),
            key: Some(key.into()),
            pulse: Arc::default(),
        }
    }

    /// Whether it is a Cluster, over whose nodes keys lie by their slots.
    pub(crate) fn is_cluster(&self) -> bool {
        self.inner.cluster.is_some()
    }

    /// The nodes, if it is a Cluster.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.inner.cluster.as_ref()
    }

    /// The key whose node of a Cluster it is.
    pub(super) fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
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
        self.connected(None).await
    }

    async fn connected(&self, at: Option<&HostPort>) -> Result<Connection, Error> {
        let place = self.place().await?;
        self.connect_at(at, place).await
    }

    /// As [`connect`](Self::connect), beside one that is in use; `None` if as many are open as may be.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn connect_beside(&self) -> Result<Option<Connection>, Error> {
        let place = match &self.inner.places {
            None => None,
            Some(places) => match Arc::clone(places).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return Ok(None),
            },
        };
        self.connect_at(None, place).await.map(Some)
    }

    async fn connect_at(
        &self,
        at: Option<&HostPort>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Connection, Error> {
        let inner = &*self.inner;
        // Before the Sentinels are asked.
        let switches = *inner.switches.borrow();
        let made = timeout(inner.budgets.connect, self.let_in(at)).await;
        let ((to, driver), opened_by) = made
            .unwrap_or_else(|_| Err(inner.address.late().into()))
            .map_err(|error| self.error("connect", error))?;
        inner.account.opened(&to, &opened_by);
        let (held, age) = ((driver, place), inner.longest_age);
        Ok(Connection::new(to, held, opened_by, age, switches))
    }

    /// A connection by credentials that are let in.
    async fn let_in(&self, at: Option<&HostPort>) -> RedisResult<(Dialed, OpenedBy)> {
        let Inner {
            account, address, ..
        } = &*self.inner;
        if !account.can_change() {
            return Ok((self.dial(at, &address.settings).await?, OpenedBy::default()));
        }
        let mut tries = account.tries();
        loop {
            let (login, settings) = tries.next(&address.settings).await?;
            match self.dial(at, &settings).await {
                Ok(made) => return Ok((made, tries.is_let_in(&login))),
                Err(error) => tries.failed(&login, error)?,
            }
        }
    }

    /// A connection to wherever the server is, and what drives it.
    async fn dial(
        &self,
        at: Option<&HostPort>,
        settings: &RedisConnectionInfo,
    ) -> RedisResult<Dialed> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let wiring = self.wiring();
        if let Some(at) = at {
            return greet_at(at, settings, wiring, config).await;
        }
        match &self.inner.address.place {
            ServerPlace::Tcp(at) => greet_at(at, settings, wiring, config).await,
            ServerPlace::Sentinel(sentinels) => {
                let at = sentinel::master(sentinels, wiring).await?;
                greet_at(&at, settings, wiring, config).await
            }
            ServerPlace::Cluster(_) => {
                let cluster = self.cluster().expect("made for such a place");
                let at = cluster.primary(self, self.key()).await?;
                greet_at(&at, settings, wiring, config).await
            }
            ServerPlace::Unix(path) => greet_through(path, settings, config).await,
        }
    }

    /// The credentials of this server.
    pub(super) fn account(&self) -> &Account {
        &self.inner.account
    }

    /// Its user, if the URL names one.
    pub(super) fn user_of_url(&self) -> Option<&str> {
        self.inner.address.settings.username()
    }

    /// Whether the master is another one than it was when `connection` was made.
    pub(super) fn has_left(&self, connection: &Connection) -> bool {
        connection.switches() != *self.inner.switches.borrow()
    }

    /// The master is another one: what was connected to before is left at once.
    pub(super) fn switched(&self) {
        self.inner.switches.send_modify(|switches| *switches += 1);
    }

    /// Until the master is another one than it was when `connection` was made.
    pub(super) async fn switch(&self, connection: &Connection) {
        let mut switches = self.inner.switches.subscribe();
        let before = connection.switches();
        if switches.wait_for(|now| *now != before).await.is_err() {
            std::future::pending().await
        }
    }

    pub(super) fn wiring(&self) -> &Wiring {
        &self.inner.wiring
    }

    pub(super) fn address(&self) -> &ServerAddress {
        &self.inner.address
    }

    /// Who says where it is, if its URL does not.
    pub(super) fn sentinels(&self) -> Option<&Sentinels> {
        self.inner.address.sentinels()
    }

    /// A place for one more connection.
    async fn place(&self) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let Some(places) = &self.inner.places else {
            return Ok(None);
        };
        let place = Arc::clone(places).acquire_owned();
        match timeout(self.inner.budgets.connect, place).await {
            Ok(Ok(place)) => Ok(Some(place)),
            _ => {
                let message = format!("redis at {self}: all connections allowed are in use");
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }

    /// Whether the heartbeats of the purge log on this server are answered.
    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
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
        let operation = format!("{operation} at {self}");
        let passing = self
            .cluster()
            .and_then(|_| fault::passing_in_cluster(&operation, &error));
        passing.unwrap_or_else(|| fault::error(&operation, error))
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

impl Dial for Server {
    async fn connect_to(&self, at: &HostPort) -> Result<Connection, Error> {
        self.connected(Some(at)).await
    }

    fn budgets(&self) -> &Budgets {
        self.budgets()
    }

    fn error(&self, operation: &str, error: RedisError) -> Error {
        self.error(operation, error)
    }

    fn cluster(&self) -> Option<&Cluster> {
        self.cluster()
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
mod tests;
