//! The connections of one upstream: kept while idle, shared where HTTP/2 allows it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use hyper::client::conn::{http1, http2};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::proxy::request_body::RequestBody;
use crate::proxy::stream::Ears;
use crate::proxy::upstream::connect::{Address, Sender};
use crate::proxy::upstream::failure::{FailureKind, UpstreamFailure};
use crate::proxy::yielding::Yielding;
use crate::proxy::{ProxyError, ProxySettings, UpstreamSettings};

/// How long a connection whose response was read may take to be ready for the next request. It needs
/// one turn of its task; one that does not get it is not worth waiting for.
const READY: Duration = Duration::from_millis(50);

/// For what was asked to give way to do so.
const GIVES_WAY: Duration = Duration::from_millis(20);

/// One upstream's connections.
pub(super) struct Pool {
    pub(super) address: Address,
    /// The latest last. Locked for moments only.
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Option<(http2::SendRequest<RequestBody>, Ears)>>,
    /// One for each request in hand.
    permits: Arc<Semaphore>,
    yielding: Arc<Yielding>,
    max_idle: usize,
    max_age: Duration,
}

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    ears: Ears,
    since: Instant,
}

/// A connection for one request.
pub(super) struct Lease {
    pub(super) sender: Sender,
    /// It has served other requests before: upstream may be closing it at this moment.
    pub(super) reused: bool,
    pool: Arc<Pool>,
    permit: OwnedSemaphorePermit,
}

/// Which connection will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    Any,
    /// HTTP/1.1: what is asked for is an upgrade.
    Http1,
    /// One that nothing was sent on before.
    Fresh,
}

impl Pool {
    pub(super) fn new(
        upstream: &UpstreamSettings,
        settings: &ProxySettings,
        yielding: &Arc<Yielding>,
    ) -> Result<Self, ProxyError> {
        let limits = &settings.limits;
        Ok(Self {
            address: Address::new(upstream, settings)?,
            idle: Mutex::new(Vec::new()),
            shared: Mutex::new(None),
            yielding: Arc::clone(yielding),
            permits: Arc::new(Semaphore::new(limits.upstream_requests.max(1))),
            max_idle: limits.upstream_idle,
            max_age: settings.timeouts.upstream_idle,
        })
    }

    /// A connection that is ready for a request; waits at most `patience` for one to be allowed.
    pub(super) async fn lease(
        self: &Arc<Self>,
        wanted: Demand,
        patience: Duration,
    ) -> Result<Lease, UpstreamFailure> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let permit = self.turn(patience).await;
                permit.ok_or(UpstreamFailure::from(FailureKind::Busy))?
            }
        };
        let kept = match wanted {
            Demand::Fresh => None,
            Demand::Any | Demand::Http1 => self.kept(wanted).await,
        };
        let reused = kept.is_some();
        let sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        Ok(Lease {
            sender,
            reused,
            pool: Arc::clone(self),
            permit,
        })
    }

    /// Whether another request may be sent at once.
    pub(super) fn has_room(&self) -> bool {
        self.permits.available_permits() > 0
    }

    /// The next permit. Whoever has one and is not waited for gives it up meanwhile, the oldest first.
    async fn turn(&self, patience: Duration) -> Option<OwnedSemaphorePermit> {
        let end = Instant::now() + patience;
        let mut permit = pin!(Arc::clone(&self.permits).acquire_owned());
        loop {
            self.yielding.end_oldest();
            let next = end.min(Instant::now() + GIVES_WAY);
            match timeout_at(next, permit.as_mut()).await {
                Ok(permit) => return permit.ok(),
                Err(_) if next == end => return None,
                Err(_) => {}
            }
        }
    }

    async fn kept(&self, wanted: Demand) -> Option<Sender> {
        if wanted == Demand::Any {
            let mut shared = self.shared.lock();
            if let Some((sender, ears)) = shared.as_ref().filter(|(sender, _)| !sender.is_closed())
            {
                return Some(Sender::Http2(sender.clone(), ears.clone()));
            }
            *shared = None;
        }
        loop {
            let Idle {
                mut sender,
                ears,
                since,
            } = self.idle.lock().pop()?;
            if since.elapsed() < self.max_age
                && !sender.is_closed()
                && (sender.is_ready() || matches!(timeout(READY, sender.ready()).await, Ok(Ok(()))))
            {
                return Some(Sender::Http1(sender, ears));
            }
        }
    }

    async fn connect(&self) -> Result<Sender, UpstreamFailure> {
        let mut sender = self.address.connect().await?;
        let ready = match &mut sender {
            Sender::Http1(sender, _) => sender.ready().await,
            Sender::Http2(sender, ears) => {
                *self.shared.lock() = Some((sender.clone(), ears.clone()));
                sender.ready().await
            }
        };
        match ready {
            Ok(()) => Ok(sender),
            Err(error) => Err(UpstreamFailure::because(FailureKind::Closed, error)),
        }
    }

    /// Closes what has been idle for too long.
    pub(super) fn sweep(&self) {
        let mut idle = self.idle.lock();
        idle.retain(|idle| idle.since.elapsed() < self.max_age && !idle.sender.is_closed());
    }

    fn keep(&self, sender: http1::SendRequest<RequestBody>, ears: Ears) {
        let mut idle = self.idle.lock();
        if idle.len() < self.max_idle && !sender.is_closed() {
            let since = Instant::now();
            idle.push(Idle {
                sender,
                ears,
                since,
            });
        }
    }
}

impl Lease {
    /// That of the connection.
    pub(super) fn scheme(&self) -> Scheme {
        self.pool.address.scheme()
    }

    /// Waits until the connection has dealt with what it has read so far.
    pub(super) async fn dealt_with(&self) {
        let (Sender::Http1(_, ears) | Sender::Http2(_, ears)) = &self.sender;
        ears.dealt_with().await;
    }

    /// The response was read to its end: the connection may serve the next request. A lease that is
    /// dropped instead closes an HTTP/1.1 connection.
    pub(super) fn give_back(self) {
        if let Sender::Http1(sender, ears) = self.sender {
            self.pool.keep(sender, ears);
        }
        drop(self.permit);
    }
}
