//! Making a connection, by TCP, TLS or a Unix socket, without looking at who answers.

#[cfg(any(feature = "tls", not(unix)))]
use std::io::Error as IoError;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, RedisError, RedisResult};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::redis::address::{ServerAddress, ServerPlace};
#[cfg(feature = "tls")]
use crate::redis::tls::{RedisTls, Wrong, explained};

/// What drives a connection; dropped, it closes it, whatever the server is doing for it.
#[derive(Debug)]
pub(super) struct Driver(#[expect(dead_code, reason = "held")] JoinSet<()>);

/// A connection to `address`, and what drives it.
pub(super) async fn dial(
    address: &ServerAddress,
    #[cfg(feature = "tls")] tls: &RedisTls,
    config: AsyncConnectionConfig,
) -> RedisResult<(MultiplexedConnection, Driver)> {
    match &address.place {
        ServerPlace::Tcp { host, port } => {
            let stream = TcpStream::connect((&**host, *port)).await?;
            stream.set_nodelay(true)?;
            #[cfg(feature = "tls")]
            if address.is_secure {
                let stream = secured(stream, host, tls).await?;
                return greet(address, stream, config).await;
            }
            greet(address, stream, config).await
        }
        #[cfg(unix)]
        ServerPlace::Unix(path) => greet(address, UnixStream::connect(path).await?, config).await,
        #[cfg(not(unix))]
        ServerPlace::Unix(_) => Err(IoError::other("there are no Unix sockets here").into()),
    }
}

#[cfg(feature = "tls")]
async fn secured(
    stream: TcpStream,
    host: &str,
    tls: &RedisTls,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, IoError> {
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
    address: &ServerAddress,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    config: AsyncConnectionConfig,
) -> Result<(MultiplexedConnection, Driver), RedisError> {
    let made = MultiplexedConnection::new_with_config(&address.settings, stream, config).await;
    let (connection, driving) = made?;
    let mut tasks = JoinSet::new();
    tasks.spawn(driving);
    Ok((connection, Driver(tasks)))
}
