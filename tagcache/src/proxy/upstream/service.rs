//! [`Upstreams`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::header::{HOST, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use smallvec::SmallVec;
use tower_service::Service;

use crate::proxy::forwarded::{Inbound, Upgrade, times_seen};
use crate::proxy::request_body::RequestBody;
use crate::proxy::trailers::{OddNames, Trailers};
use crate::proxy::upstream::body::UpstreamBody;
use crate::proxy::upstream::exchange::{NoAnswer, send};
use crate::proxy::upstream::failure::{FailureKind, UpstreamFailure};
use crate::proxy::upstream::health::Health;
use crate::proxy::upstream::news::{News, Trouble};
use crate::proxy::upstream::pool::{Demand, Lease, Pool};
use crate::proxy::upstream::response;
use crate::proxy::yielding::Yielding;
use crate::proxy::{ProxyError, ProxySettings, UpstreamHost, tunnel};
use crate::setting::{UPSTREAMS, proxy};
use tower_tagcache::BoxError;

/// A request that has been here so often goes in a circle: through this proxy as its own upstream.
const MAX_TIMES_SEEN: usize = 8;

/// All upstreams as one service. A cheap clone.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Upstreams(pub(super) Arc<UpstreamSet>);

pub(super) struct UpstreamSet {
    pub(super) upstreams: Vec<Upstream>,
    pub(super) settings: ProxySettings,
    fixed_host: Option<HeaderValue>,
    next: AtomicUsize,
}

pub(super) struct Upstream {
    pub(super) url: String,
    pub(super) pool: Arc<Pool>,
    pub(super) health: Health,
    pub(super) news: News,
    host: HeaderValue,
}

type Answer = Result<Response<UpstreamBody>, UpstreamFailure>;

impl Upstreams {
    pub(in crate::proxy) fn new(
        settings: &ProxySettings,
        yielding: &Arc<Yielding>,
    ) -> Result<Self, ProxyError> {
        let mut upstreams = Vec::new();
        for upstream in &settings.upstreams {
            let pool = Pool::new(upstream, settings, yielding)?;
            let host = HeaderValue::from_str(pool.address.authority.as_str());
            upstreams.push(Upstream {
                url: upstream.url.clone(),
                host: host.map_err(|error| ProxyError::because("a host", error))?,
                health: Health::new(settings.health.failures, settings.health.pause),
                news: News::new(),
                pool: Arc::new(pool),
            });
        }
        let fixed_host = match &settings.host {
            UpstreamHost::Fixed(host) => {
                let read = || -> Result<HeaderValue, BoxError> {
                    Ok(HeaderValue::from_str(host.parse::<Authority>()?.as_str())?)
                };
                let bad = |error| ProxyError::because("not a host", error);
                Some(read().map_err(|error| bad(error).about(proxy("host"), host.as_str()))?)
            }
            UpstreamHost::Client | UpstreamHost::Upstream => None,
        };
        if upstreams.is_empty() {
            return Err(ProxyError::new("the proxy needs at least one").about(UPSTREAMS, ""));
        }
        Ok(Self(Arc::new(UpstreamSet {
            upstreams,
            settings: settings.clone(),
            fixed_host,
            next: AtomicUsize::new(0),
        })))
    }

    pub(in crate::proxy) fn first_authority(&self) -> Authority {
        self.0.upstreams[0].pool.address.authority.clone()
    }
}

impl Service<Request<RequestBody>> for Upstreams {
    type Response = Response<UpstreamBody>;
    type Error = UpstreamFailure;
    type Future = BoxFuture<'static, Answer>;

    /// Always ready: what is waited for is bounded for each upstream.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.answer(request).await })
    }
}

impl UpstreamSet {
    async fn answer(&self, mut request: Request<RequestBody>) -> Answer {
        let name = &self.settings.name;
        if times_seen(request.headers(), name) >= MAX_TIMES_SEEN {
            return Err(FailureKind::Loop.into());
        }
        let inbound = request.body_mut().take_inbound();
        if let Some(inbound) = &inbound {
            inbound.tell(request.headers_mut(), name);
        }
        let may_be_304 = asks_for_304(&request);
        let upgrade = inbound.and_then(|inbound: Inbound| inbound.upgrade);
        let (upstream, mut response, lease) = self.exchange(request, upgrade.as_deref()).await?;
        response::check(&mut response, self.settings.limits.head_fields)
            .map_err(|failure| upstream.unusable(failure))?;
        if response.status() == StatusCode::NOT_MODIFIED && !may_be_304 {
            let why = "a 304 that no condition asked for";
            let failure = UpstreamFailure::because(FailureKind::Malformed, why);
            return Err(upstream.unusable(failure));
        }
        let now = self.settings.clock.now().into();
        let removed = response::settle(&mut response, name, now);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(upgrade), Some(_)) = (upgrade, removed.upgrade) else {
                return Err(upstream.unusable(FailureKind::Switched));
            };
            self.open_tunnel(*upgrade, &mut response);
        }
        let limit = self.settings.timeouts.response_body;
        let trailers = Trailers {
            named: removed.named,
            lines: self.settings.limits.head_fields,
            odd: OddNames::Pass,
        };
        let (parts, body) = response.into_parts();
        let body = UpstreamBody::begun(body, limit, lease, trailers).await?;
        Ok(Response::from_parts(parts, body))
    }

    fn open_tunnel(&self, upgrade: Upgrade, response: &mut Response<Incoming>) {
        let upstream = hyper::upgrade::on(response);
        let idle = self.settings.timeouts.tunnel_idle;
        tokio::spawn(tunnel::run(upgrade.client, upstream, idle, upgrade.stage));
    }

    /// Sends the request, to another upstream as long as nothing of it was sent.
    async fn exchange(
        &self,
        mut request: Request<RequestBody>,
        upgrade: Option<&Upgrade>,
    ) -> Result<(&Upstream, Response<Incoming>, Lease), UpstreamFailure> {
        let mut tried = SmallVec::<[usize; 8]>::new();
        loop {
            let chosen = self.choose(&tried);
            tried.push(chosen);
            let upstream = &self.upstreams[chosen];
            self.name_host(upstream, &mut request);
            let (failure, unsent) = match self.ask(upstream, request, upgrade).await {
                Ok((response, lease)) => {
                    if upstream.health.succeeded() && upstream.health.is_well() {
                        upstream.news.well(&upstream.url);
                    }
                    return Ok((upstream, response, lease));
                }
                Err((failure, unsent)) => (failure, unsent),
            };
            upstream.failed(&failure);
            let again = tried.len() < self.settings.limits.attempts.min(self.upstreams.len());
            match unsent {
                Some(unsent) if again => request = *unsent,
                _ => return Err(failure),
            }
        }
    }

    /// The next one that is up and was not tried; if all are down, the one that is due first.
    fn choose(&self, tried: &[usize]) -> usize {
        let count = self.upstreams.len();
        let first = self.next.fetch_add(1, Relaxed) % count;
        let order = || (first..count).chain(0..first);
        let untried = || order().filter(|index| !tried.contains(index));
        untried()
            .find(|index| self.upstreams[*index].health.is_up())
            .or_else(|| untried().min_by_key(|index| self.upstreams[*index].health.due()))
            .unwrap_or(first)
    }

    pub(super) fn name_host(&self, upstream: &Upstream, request: &mut Request<RequestBody>) {
        let host = match self.settings.host {
            UpstreamHost::Client => return,
            UpstreamHost::Upstream => Some(&upstream.host),
            UpstreamHost::Fixed(_) => self.fixed_host.as_ref(),
        };
        let Some(host) = host else { return };
        request.headers_mut().insert(HOST, host.clone());
    }

    /// Asks one upstream; once more, on a new connection, where the first was one that had been kept
    /// and that upstream turns out to have closed.
    async fn ask(
        &self,
        upstream: &Upstream,
        mut request: Request<RequestBody>,
        upgrade: Option<&Upgrade>,
    ) -> Result<(Response<Incoming>, Lease), (UpstreamFailure, Option<Box<Request<RequestBody>>>)>
    {
        let timeouts = &self.settings.timeouts;
        let mut wanted = match upgrade {
            Some(_) => Demand::Http1,
            None => Demand::Any,
        };
        loop {
            let mut lease = match upstream.pool.lease(wanted, timeouts.connect).await {
                Ok(lease) => lease,
                Err(failure) => return Err((failure, Some(Box::new(request)))),
            };
            let copy = lease.reused.then(|| repeatable(&request)).flatten();
            let protocol = upgrade.map(|upgrade| &upgrade.protocol);
            let answer = send(&mut lease, request, protocol, timeouts.response_head).await;
            request = match answer {
                Ok(response) => return Ok((response, lease)),
                Err(NoAnswer::Unsent(request, _)) if lease.reused => *request,
                Err(NoAnswer::Silent(failure)) => match copy {
                    Some(copy) => copy,
                    None => return Err((failure, None)),
                },
                Err(NoAnswer::Unsent(request, failure)) => return Err((failure, Some(request))),
                Err(NoAnswer::Failed(failure)) => return Err((failure, None)),
            };
            wanted = Demand::Fresh;
        }
    }
}

impl Upstream {
    fn failed(&self, failure: &UpstreamFailure) {
        if failure.kind.blames_upstream() {
            let down = self.health.failed();
            self.news.failing(&self.url, Trouble::from(failure), down);
        } else if failure.kind == FailureKind::Busy {
            self.news.busy(&self.url, true);
        }
    }

    /// An answer came, and cannot be used. The next one may be all right.
    fn unusable(&self, failure: impl Into<UpstreamFailure>) -> UpstreamFailure {
        let failure = failure.into();
        self.news
            .failing(&self.url, Trouble::from(&failure), !self.health.is_up());
        failure
    }

    /// Tells what there was no turn for when it happened.
    pub(super) fn catch_up(&self) {
        if self.health.is_well() {
            self.news.well(&self.url);
        }
        if self.pool.has_room() {
            self.news.busy(&self.url, false);
        }
    }
}

/// Whether a 304 could answer a request (RFC 9110 §15.4.5). One that nobody asked for says nothing.
fn asks_for_304(request: &Request<RequestBody>) -> bool {
    let conditional = [IF_NONE_MATCH, IF_MODIFIED_SINCE];
    let conditional = conditional
        .iter()
        .any(|name| request.headers().contains_key(name));
    conditional || !matches!(*request.method(), Method::GET | Method::HEAD)
}

/// The request once more, if upstream may see it twice (RFC 9110 §9.2.2).
fn repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let method = request.method();
    let idempotent = method.is_safe() || [Method::PUT, Method::DELETE].contains(method);
    if !idempotent || request.body().upload().is_some() {
        return None;
    }
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = method.clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

impl fmt::Debug for UpstreamSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = self.upstreams.iter().map(|upstream| &upstream.url);
        f.debug_list().entries(urls).finish()
    }
}
