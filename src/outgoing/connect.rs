//! A connection to an address that the rules let through, and to no other.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Host;

use crate::outgoing::endpoint::{Endpoint, EndpointRules};
use crate::outgoing::failure::RequestFailure;
use crate::outgoing::resolver::Resolver;

/// Those of a host that are tried, one after the other.
const MOST_ADDRESSES: usize = 4;

/// Bytes to and from an endpoint.
pub(super) trait EndpointStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> EndpointStream for S {}

/// What it takes to connect.
pub(super) struct Connector<'c> {
    pub(super) rules: &'c EndpointRules,
    pub(super) resolver: &'c dyn Resolver,
    pub(super) tls: &'c TlsConnector,
    /// For everything: looking up, all addresses, TLS.
    pub(super) within: Duration,
}

impl Connector<'_> {
    pub(super) async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Box<dyn EndpointStream>, RequestFailure> {
        let connected = async {
            let addresses = self.addresses(endpoint).await?;
            let stream = self.reach(&addresses, endpoint.port()).await?;
            self.secure(stream, endpoint).await
        };
        let late = |_| RequestFailure::Failed("could not connect in time".to_owned());
        timeout(self.within, connected).await.map_err(late)?
    }

    /// The addresses of the endpoint that requests may go to. One that is refused does not spoil the others: they are
    /// of whom the URL names, and only they are connected to.
    async fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<IpAddr>, RequestFailure> {
        let found = match endpoint.host() {
            Host::Ipv4(address) => vec![(*address).into()],
            Host::Ipv6(address) => vec![(*address).into()],
            Host::Domain(name) => self.resolver.addresses(name).await.map_err(|error| {
                RequestFailure::Failed(format!("the host was not found: {error}"))
            })?,
        };
        let mut allowed = Vec::new();
        let mut refused = None;
        for address in found {
            match self.rules.address(address) {
                Ok(()) => allowed.push(address),
                Err(why) => refused = Some(why),
            }
        }
        match refused {
            Some(why) if allowed.is_empty() => Err(RequestFailure::Refused(why)),
            _ if allowed.is_empty() => {
                Err(RequestFailure::Failed("the host has no address".to_owned()))
            }
            _ => Ok(allowed),
        }
    }

    /// A connection to the first that takes one. Each has its share of the time, so that a silent one leaves some for
    /// the next.
    async fn reach(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, RequestFailure> {
        let tried = &addresses[..addresses.len().min(MOST_ADDRESSES)];
        let share = self.within / u32::try_from(tried.len()).unwrap_or(1).max(1);
        let mut why = String::new();
        for address in tried {
            let connecting = TcpStream::connect(SocketAddr::new(*address, port));
            why = match timeout(share, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => format!("could not connect: {error}"),
                Err(_) => "could not connect in time".to_owned(),
            };
        }
        Err(RequestFailure::Failed(why))
    }

    /// The connection, encrypted if the URL says so, to whom it names: a certificate for another one is an error.
    async fn secure(
        &self,
        stream: TcpStream,
        endpoint: &Endpoint,
    ) -> Result<Box<dyn EndpointStream>, RequestFailure> {
        let failed = |why: String| RequestFailure::Failed(format!("TLS failed: {why}"));
        // A request is written at once; what little is lost without this is the worst case's delay.
        let _ = stream.set_nodelay(true);
        if !endpoint.is_encrypted() {
            return Ok(Box::new(stream));
        }
        let name = match endpoint.host() {
            Host::Ipv4(address) => ServerName::from(IpAddr::from(*address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::from(*address)),
            Host::Domain(name) => {
                let name = ServerName::try_from(name.clone());
                name.map_err(|error| failed(error.to_string()))?
            }
        };
        let secured = self.tls.connect(name, stream).await;
        let stream = secured.map_err(|error| failed(error.to_string()))?;
        Ok(Box::new(stream))
    }
}
