//! Making a connection, by TCP, TLS or a Unix socket, without looking at who answers.

#[cfg(any(feature = "tls", not(unix)))]
use std::io::Error as IoError;
use std::path::Path;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, RedisResult};
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::redis::address::HostPort;
use crate::redis::credentials::RedisLogin;
use crate::redis::socket::open;
#[cfg(feature = "tls")]
use crate::redis::tls::{RedisTls, Wrong, explained};
use crate::sync::owned;

/// What drives a connection; dropped, it closes it, whatever the server is doing for it.
#[derive(Debug)]
pub(super) struct Driver(#[expect(dead_code, reason = "held")] JoinSet<()>);

/// How a server is spoken to, and its Sentinels.
pub(super) struct Wiring {
    /// Whether by TLS.
    pub(super) is_secure: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: RedisTls,
    /// As whom its Sentinels are.
    pub(super) sentinel: RedisLogin,
}

/// A connection to the server `at`.
pub(super) async fn greet_at(
    at: &HostPort,
    settings: &RedisConnectionInfo,
    wiring: &Wiring,
    config: AsyncConnectionConfig,
) -> RedisResult<(MultiplexedConnection, Driver)> {
    let stream = open(at).await?;
    #[cfg(feature = "tls")]
    if wiring.is_secure {
        let stream = secured(stream, &at.host, &wiring.tls).await?;
        return greet(stream, settings, config).await;
    }
    debug_assert!(!wiring.is_secure, "a URL that cannot be used");
    greet(stream, settings, config).await
}

/// A connection through the Unix socket at `path`.
#[cfg(unix)]
pub(super) async fn greet_through(
    path: &Path,
    settings: &RedisConnectionInfo,
    config: AsyncConnectionConfig,
) -> RedisResult<(MultiplexedConnection, Driver)> {
    greet(UnixStream::connect(path).await?, settings, config).await
}

#[cfg(not(unix))]
pub(super) async fn greet_through(
    _: &Path,
    _: &RedisConnectionInfo,
    _: AsyncConnectionConfig,
) -> RedisResult<(MultiplexedConnection, Driver)> {
    Err(IoError::other("there are no Unix sockets here").into())
}

#[cfg(feature = "tls")]
async fn secured<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &str,
    tls: &RedisTls,
) -> Result<tokio_rustls::client::TlsStream<S>, IoError> {
    let wrong = |wrong: Wrong| {
        let Wrong {
            setting,
            why,
            input,
        } = wrong;
        IoError::other(format!("TLS: `{setting}` {input:?} {why}"))
    };
    let connector = tls.connector().map_err(wrong)?;
    let name = tls.name_of(host).map_err(wrong)?;
    let made = connector.connect(name, stream).await;
    made.map_err(|error| explained(&error))
}

/// Authenticates and selects the database.
async fn greet(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    settings: &RedisConnectionInfo,
    config: AsyncConnectionConfig,
) -> Result<(MultiplexedConnection, Driver), RedisError> {
    let made = MultiplexedConnection::new_with_config(settings, stream, config).await;
    let (connection, driving) = made?;
    let mut tasks = JoinSet::new();
    tasks.spawn(owned(driving));
    Ok((connection, Driver(tasks)))
}
