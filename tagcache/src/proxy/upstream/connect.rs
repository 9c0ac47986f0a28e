//! A new connection to an upstream: TCP, TLS, and which HTTP is spoken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::proxy::request_body::RequestBody;
use crate::proxy::stream::{Ears, Transport, WatchedStream};
use crate::proxy::upstream::failure::{FailureKind, UpstreamFailure};
use crate::proxy::upstream::url::Url;
use crate::proxy::{
    ProxyError, ProxyLimits, ProxySettings, UpstreamProtocol, UpstreamSettings, tls,
};
use crate::setting::UPSTREAMS;

/// What is read ahead of one response over HTTP/2, beside the connection's bytes in the kernel: as much as over
/// HTTP/1.1. More would be a store of what clients do not take, beside that of the fills (SAFETY 73).
const STREAM_WINDOW: u32 = 64 * 1024;
/// Room for a thousand of these: with less, a few clients that take nothing would hold up all others of the
/// connection.
const CONNECTION_WINDOW: u32 = 1024 * STREAM_WINDOW;

/// Where an upstream is and how it is spoken to.
pub(super) struct Address {
    pub(super) authority: Authority,
    host: String,
    port: u16,
    tls: Option<Tls>,
    protocol: UpstreamProtocol,
    connect: Duration,
    handshake: Duration,
    limits: ProxyLimits,
}

struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// What requests are sent through.
pub(super) enum Sender {
    Http1(http1::SendRequest<RequestBody>, Ears),
    Http2(http2::SendRequest<RequestBody>, Ears),
}

impl Address {
    pub(super) fn new(
        upstream: &UpstreamSettings,
        settings: &ProxySettings,
    ) -> Result<Self, ProxyError> {
        let url = Url::read(&upstream.url)?;
        let bad = |what: &str| url.bad(what);
        let host = url.host().to_owned();
        let (tls, port) = match url.scheme.as_str() {
            "http" => (None, 80),
            "https" => {
                let config = tls::client(upstream.authorities.as_deref(), upstream.protocol)
                    .map_err(|error| error.about(UPSTREAMS, url.shown.as_str()))?;
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|_| bad("the host cannot be in a certificate"))?;
                (Some(Tls { config, name }), 443)
            }
            _ => return Err(bad("the scheme is neither http nor https")),
        };
        let port = url.port()?.unwrap_or(port);
        Ok(Self {
            port,
            authority: url.authority.clone(),
            host,
            tls,
            protocol: upstream.protocol,
            connect: settings.timeouts.connect,
            handshake: settings.timeouts.handshake,
            limits: settings.limits.clone(),
        })
    }

    pub(super) const fn scheme(&self) -> Scheme {
        match self.tls {
            Some(_) => Scheme::HTTPS,
            None => Scheme::HTTP,
        }
    }

    /// A new connection. Its task ends when it is closed by either side.
    pub(super) async fn connect(&self) -> Result<Sender, UpstreamFailure> {
        let late = |what: &str, limit: Duration| {
            let why = format!("{what} with {}:{} within {limit:?}", self.host, self.port);
            UpstreamFailure::because(FailureKind::ConnectTimeout, why)
        };
        let tcp = timeout(self.connect, self.reach()).await;
        let tcp = tcp.map_err(|_| late("no connection", self.connect))??;
        // Without it small requests would wait for acknowledgements; with it failing, they do.
        let _ = tcp.set_nodelay(true);
        let shaken = timeout(self.handshake, self.shake_hands(tcp)).await;
        shaken.map_err(|_| late("no handshake", self.handshake))?
    }

    /// The first of its addresses that takes a connection.
    async fn reach(&self) -> Result<TcpStream, UpstreamFailure> {
        let unknown = |error| {
            let why = format!("{}: {error}", self.host);
            UpstreamFailure::because(FailureKind::Name, why)
        };
        let found = lookup_host((self.host.as_str(), self.port)).await;
        let mut refused = unknown(std::io::Error::other("it has no address"));
        for address in found.map_err(unknown)? {
            match TcpStream::connect(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => {
                    let why = format!("{address}: {error}");
                    refused = UpstreamFailure::because(FailureKind::Connect, why);
                }
            }
        }
        Err(refused)
    }

    async fn shake_hands(&self, tcp: TcpStream) -> Result<Sender, UpstreamFailure> {
        let Some(tls) = &self.tls else {
            return self
                .speak(tcp, self.protocol == UpstreamProtocol::Http2)
                .await;
        };
        let connector = TlsConnector::from(Arc::clone(&tls.config));
        let stream = connector.connect(tls.name.clone(), tcp).await;
        let stream = stream.map_err(|error| {
            UpstreamFailure::because(FailureKind::Handshake, tls::sentence(&error))
        })?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.speak(stream, http2).await
    }

    async fn speak<T: Transport>(&self, io: T, http2: bool) -> Result<Sender, UpstreamFailure> {
        let failed = |error| UpstreamFailure::because(FailureKind::Handshake, error);
        let ears = Ears::default();
        let io = WatchedStream::new(TokioIo::new(io), Bytes::new(), ears.clone(), ());
        if http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            let bytes = u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX);
            builder
                .timer(TokioTimer::new())
                .keep_alive_interval(Duration::from_secs(20))
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(bytes);
            let (sender, connection) = builder.handshake(io).await.map_err(failed)?;
            tokio::spawn(ears.clone().attend(connection));
            return Ok(Sender::Http2(sender, ears));
        }
        let mut builder = http1::Builder::new();
        builder
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(self.limits.head_bytes.max(8 * 1024));
        if self.limits.head_fields != 100 {
            builder.max_headers(self.limits.head_fields);
        }
        let (sender, connection) = builder.handshake(io).await.map_err(failed)?;
        tokio::spawn(ears.clone().attend(connection.with_upgrades()));
        Ok(Sender::Http1(sender, ears))
    }
}
