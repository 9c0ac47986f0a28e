//! One client's connection: TLS, HTTP/1.1 or HTTP/2, its time limits, and its end.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::proxy::ProxySettings;
use crate::proxy::activity::{Activity, Verdict};
use crate::proxy::client::{Client, Site};
use crate::proxy::drain::{Halt, Stage};
use crate::proxy::forwarded::Peer;
use crate::proxy::half_closed::HalfClosedStream;
use crate::proxy::stream::{Transport, WatchedStream, begins_with_http2};
use crate::proxy::streams::{self, Streams};

/// For a goodbye: HTTP/2 has one to say, and the last bytes are still to be taken.
const GOODBYE: Duration = Duration::from_secs(2);

/// How connections are served; the same for all.
#[derive(Clone)]
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
}

impl Protocols {
    pub(super) fn new(settings: &ProxySettings) -> Self {
        let limits = &settings.limits;
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // The connection's own timer does that, without one for each request.
            .header_read_timeout(None)
            .max_header_size(limits.head_bytes)
            .max_buf_size(limits.head_bytes.max(8 * 1024));
        // Setting the default would cost an allocation for each request.
        if limits.head_fields != 100 {
            http1.max_headers(limits.head_fields);
        }
        let mut http2 = http2::Builder::new(Streams {
            patience: streams::patience(settings.timeouts.client_write),
        });
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_send_buf_size(64 * 1024);
        Self { http1, http2 }
    }
}

/// A connection that was accepted.
pub(super) struct Arrival {
    pub(super) site: Arc<Site>,
    pub(super) protocols: Arc<Protocols>,
    pub(super) tcp: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) stage: Stage,
    /// Its place among the connections that there may be.
    pub(super) permit: OwnedSemaphorePermit,
}

impl Arrival {
    /// Serves it to its end.
    pub(super) async fn serve(self) {
        let timeouts = &self.site.settings.timeouts;
        // Without it small responses would wait for acknowledgements; with it failing, they do.
        let _ = self.tcp.set_nodelay(true);
        let peer = self.peer();
        let connection = Connection {
            activity: Arc::new(Activity::new(timeouts)),
            site: self.site,
            protocols: self.protocols,
            peer,
            stage: self.stage,
            permit: self.permit,
        };
        let Some(tls) = self.tls else {
            return connection.find_out(self.tcp).await;
        };
        // What few connections are has a place of its own, so that it does not make the others larger.
        Box::pin(connection.shake_hands(tls, self.tcp)).await;
    }

    fn peer(&self) -> Peer {
        let address = self.address.ip();
        let trusted = &self.site.settings.trusted_peers;
        let trusted = trusted.iter().any(|network| network.contains(address));
        let scheme = match self.tls {
            Some(_) => http::uri::Scheme::HTTPS,
            None => http::uri::Scheme::HTTP,
        };
        Peer::new(self.address, trusted, scheme)
    }
}

struct Connection {
    site: Arc<Site>,
    protocols: Arc<Protocols>,
    peer: Peer,
    activity: Arc<Activity>,
    stage: Stage,
    permit: OwnedSemaphorePermit,
}

impl Connection {
    /// With TLS the handshake tells the protocol.
    async fn shake_hands(self, tls: TlsAcceptor, tcp: TcpStream) {
        let limit = self.site.settings.timeouts.client_handshake;
        let mut stage = self.stage.clone();
        let shaken = tokio::select! {
            shaken = timeout(limit, tls.accept(tcp)) => shaken,
            () = stage.draining() => return,
        };
        if let Ok(Ok(stream)) = shaken {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            self.speak(stream, Bytes::new(), http2).await;
        }
    }

    /// Without TLS the first bytes tell the protocol.
    async fn find_out(self, mut tcp: TcpStream) {
        let limit = self.site.settings.timeouts.client_head;
        let mut stage = self.stage.clone();
        let found = tokio::select! {
            found = timeout(limit, begins_with_http2(&mut tcp)) => found,
            () = stage.draining() => return,
        };
        if let Ok(Ok((http2, before))) = found
            && !before.is_empty()
        {
            self.speak(tcp, before, http2).await;
        }
    }

    async fn speak<T: Transport>(self, io: T, before: Bytes, http2: bool) {
        let activity = self.activity;
        let stage = self.stage;
        let half_closed =
            HalfClosedStream::new(io, Arc::clone(&activity), Arc::clone(&self.site.yielding));
        let client = Client::new(self.site, self.peer, Arc::clone(&activity), stage.clone());
        let service = service_fn(move |request| client.serve(request));
        let io = WatchedStream::new(
            TokioIo::new(half_closed),
            before,
            Arc::clone(&activity),
            // Who takes it for a WebSocket is waited for as well.
            (self.permit, stage.clone()),
        );
        if http2 {
            activity.has_streams();
            let served = Box::pin(self.protocols.http2.serve_connection(io, service));
            attend(served, &activity, stage).await;
        } else {
            let served = self.protocols.http1.serve_connection(io, service);
            attend(Box::pin(served.with_upgrades()), &activity, stage).await;
        }
    }
}

/// A connection that can be asked to come to its end.
trait ServerConnection: Future<Output = hyper::Result<()>> {
    /// Takes no more requests, and ends when those that it has are answered.
    fn finish(self: Pin<&mut Self>);
}

/// Polls a connection to its end; ends it when it is idle or too slow, or the proxy is at its end.
///
/// By its place on the heap, since a future by value would be here several times over.
async fn attend<C: ServerConnection>(mut served: Pin<Box<C>>, activity: &Activity, stage: Stage) {
    let mut timer = pin!(sleep_until(Instant::now()));
    let mut goodbye = false;
    let mut end = pin!(stage.goes_on(false));
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|cx| activity.during(|| served.as_mut().poll(cx))) => {
                if let Err(error) = ended {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a client's connection");
                }
                return;
            }
            () = timer.as_mut() => match activity.verdict() {
                Verdict::Until(at) => timer.as_mut().reset(at),
                Verdict::Idle if !goodbye => {
                    goodbye = true;
                    served.as_mut().finish();
                    timer.as_mut().reset(Instant::now() + GOODBYE);
                }
                Verdict::Idle | Verdict::TooSlow => return,
            },
            (stage, now) = end.as_mut() => match now {
                Halt::Draining => {
                    served.as_mut().finish();
                    end.set(stage.goes_on(true));
                }
                Halt::CutOff => return,
            },
        }
    }
}

impl<I, B, S> ServerConnection for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<tower_tagcache::BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: http_body::Body + 'static,
    B::Error: Into<tower_tagcache::BoxError>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, B, S> ServerConnection for http2::Connection<I, S, Streams>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<tower_tagcache::BoxError>,
    S::Future: Send + 'static,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<tower_tagcache::BoxError>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
