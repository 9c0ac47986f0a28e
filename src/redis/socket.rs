//! A TCP connection; for a process of the simulation, one that is simulated.

use std::io::Result as IoResult;

use tokio::net::TcpStream;

use crate::redis::address::HostPort;

/// A connection to `at`.
#[cfg(not(test))]
pub(super) async fn open(at: &HostPort) -> IoResult<TcpStream> {
    by_tcp(at).await
}

/// A connection to `at`.
#[cfg(test)]
pub(super) async fn open(at: &HostPort) -> IoResult<Box<dyn crate::sync::Socket>> {
    match crate::sync::Process::current() {
        Some(process) => process.dial(&at.host, at.port).await,
        None => Ok(Box::new(by_tcp(at).await?)),
    }
}

async fn by_tcp(at: &HostPort) -> IoResult<TcpStream> {
    let stream = TcpStream::connect((&*at.host, at.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
