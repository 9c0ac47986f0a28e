//! [`Admin`]: from settings to a listener to the last answer.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::admin::answer::{self, Answer};
use crate::admin::routes::{NextStep, Office};
use crate::admin::{AdminHooks, AdminSettings, PublicDoor};
use crate::proxy::ProxyError;
use tower_tagcache::Cache;

/// After an accept that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An admin listener that does not listen yet. See the [module docs](crate::admin).
pub struct Admin {
    office: Arc<Office>,
}

impl Admin {
    /// A listener for `cache`.
    pub fn new(settings: AdminSettings, cache: Cache, hooks: AdminHooks) -> Self {
        Self {
            office: Arc::new(Office {
                settings,
                cache,
                hooks,
            }),
        }
    }

    /// What the settings want answered on the public listener, if anything.
    pub fn door(&self) -> Option<PublicDoor> {
        PublicDoor::new(Arc::clone(&self.office))
    }

    /// Opens the listener.
    ///
    /// # Errors
    /// If the address is in use or is none of this machine.
    pub async fn bind(self) -> Result<BoundAdmin, ProxyError> {
        let address = self.office.settings.listen;
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let local = listener.local_addr()?;
            Ok((listener, local))
        };
        let error = |error: io::Error| {
            ProxyError::because(format!("cannot listen on {address} for admin calls"), error)
        };
        let (listener, local) = bound.await.map_err(error)?;
        Ok(BoundAdmin {
            office: self.office,
            listener,
            local,
        })
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Admin");
        debug.field("settings", &self.office.settings);
        debug.finish_non_exhaustive()
    }
}

/// An admin listener that listens. Connections wait until it [runs](Self::run).
pub struct BoundAdmin {
    office: Arc<Office>,
    listener: TcpListener,
    local: SocketAddr,
}

impl BoundAdmin {
    /// The address to connect to.
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Serves until `shutdown` resolves, then takes no more requests. Connections end by themselves, at
    /// the latest when their lifetime is over.
    ///
    /// Let it run while the proxy drains: that is when `/readyz` is asked.
    ///
    /// # Cancel safety
    /// Dropping the future is as if `shutdown` had resolved.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let _stops = stop.clone().drop_guard();
        let accepting = async {
            let places = Arc::new(Semaphore::new(self.office.settings.connections.max(1)));
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                match self.listener.accept().await {
                    Ok((tcp, peer)) => {
                        let office = Arc::clone(&self.office);
                        let stopped = stop.clone();
                        tokio::spawn(async move {
                            serve(office, tcp, peer.ip(), stopped).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an admin connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            () = shutdown => {}
            () = accepting => {}
        }
    }
}

impl fmt::Debug for BoundAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("BoundAdmin");
        debug.field("local_address", &self.local);
        debug.finish_non_exhaustive()
    }
}

/// Serves one connection: for its lifetime, and then to the end of one more answer.
async fn serve(office: Arc<Office>, tcp: TcpStream, peer: IpAddr, stopped: CancellationToken) {
    let AdminSettings {
        timeout: limit,
        connection_lifetime: lifetime,
        ..
    } = office.settings;
    let started = Instant::now();
    let service = service_fn(move |request| {
        let office = Arc::clone(&office);
        async move {
            let mut response = respond(&office, peer, request).await;
            // Told with an answer: a client that is about to send the next request would find it cut off.
            if started.elapsed() >= lifetime {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(tcp), service);
    let mut served = pin!(served);
    tokio::select! {
        _ = served.as_mut() => return,
        () = stopped.cancelled() => {}
        // Nobody can make it last so long: a head is awaited for `limit`, an answer as well. Who does not read
        // answers is not waited for.
        () = sleep(lifetime.saturating_add(limit.saturating_mul(4))) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = timeout(limit.saturating_mul(2), served).await;
}

/// Answers one request, in bounded time.
async fn respond(
    office: &Office,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let limit = office.settings.timeout;
    let answered = async {
        match office.begin(peer, &head) {
            NextStep::Answered(answer) => answer,
            NextStep::Tell(page) => office.tell(page, &head).await,
            NextStep::PurgeAll => office.purge_all(peer).await,
            NextStep::Purge => match read(body, office.settings.body_bytes).await {
                Ok(body) => office.purge(peer, &body).await,
                Err(refused) => refused,
            },
            NextStep::Resend => match read(body, office.settings.body_bytes).await {
                Ok(body) => office.resend(peer, &body).await,
                Err(refused) => refused,
            },
        }
    };
    let answer = timeout(limit, answered).await;
    let late = |_| answer::error(StatusCode::REQUEST_TIMEOUT, "the request took too long");
    answer.unwrap_or_else(late).map(Full::new)
}

/// The whole body, if it is not too long.
async fn read(body: Incoming, most: usize) -> Result<Bytes, Answer> {
    let collected = Limited::new(body, most).collect().await;
    collected
        .map(|collected| collected.to_bytes())
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                let message = format!("the body is longer than {most} bytes");
                return answer::error(StatusCode::PAYLOAD_TOO_LARGE, &message);
            }
            answer::error(StatusCode::BAD_REQUEST, "the body ended early")
        })
}
