//! The proxy before an origin, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tagcache::proxy::{Listen, Proxy, ProxySettings};
use tagcache_test_support::{Origin, Served, ends};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tower_tagcache::{BoxError, Cache, CacheBuilder, ManualClock, Profile};

use crate::subject::{NOW, Script, Subject};

/// A proxy and its origin, on free ports. Both end with it.
pub(crate) struct Wire {
    version: Version,
    cache: Cache,
    clock: ManualClock,
    script: Script,
    origin: Origin,
    running: OnceCell<Running>,
}

struct Running {
    proxy: SocketAddr,
    _upstream: Served,
    _tasks: JoinSet<()>,
}

impl Wire {
    pub(crate) fn new(version: Version, build: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Self {
        let clock = ManualClock::at(NOW);
        let builder = Cache::builder().clock(clock.clone());
        let (cache, _companion) = build(builder).build().expect("sound settings");
        let script = Script::default();
        Self {
            version,
            cache,
            clock,
            origin: script.origin(),
            script,
            running: OnceCell::new(),
        }
    }

    /// The implicit rule, and RFC 9111 as it is written.
    pub(crate) fn rfc9111(version: Version) -> Self {
        Self::new(version, |builder| {
            builder.upstream_rule().profile(Profile::Rfc9111)
        })
    }

    async fn start(&self) -> Running {
        let upstream = self.origin.serve().await;
        let mut settings = ProxySettings::new(upstream.url());
        settings.listen = vec![Listen::new(SocketAddr::from(([127, 0, 0, 1], 0)))];
        settings.clock = Arc::new(self.clock.clone());
        let proxy = Proxy::new(settings, self.cache.clone()).expect("good settings");
        let bound = proxy.bind().await.expect("a free port");
        let proxy = bound.local_addresses()[0];
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            bound.run(std::future::pending()).await;
        });
        Running {
            proxy,
            _upstream: upstream,
            _tasks: tasks,
        }
    }
}

impl Subject for Wire {
    fn script(&self) -> &Script {
        &self.script
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let address = self.running.get_or_init(|| self.start()).await.proxy;
        let asking = async {
            let io = TokioIo::new(TcpStream::connect(address).await?);
            let request = request.map(Full::new);
            let response = if self.version == Version::HTTP_2 {
                let executor = TokioExecutor::new();
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(executor, io).await?;
                tokio::spawn(connection);
                sender.send_request(with_authority(request)).await?
            } else {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
                tokio::spawn(connection);
                sender.send_request(request).await?
            };
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Response::from_parts(parts, body))
        };
        ends("a request", asking).await
    }

    async fn settle(&self) {
        // All sockets are of this thread too, and what was sent on loopback is there to be read.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// HTTP/2 has the host in the target (RFC 9113 §8.3.1).
fn with_authority<B>(mut request: Request<B>) -> Request<B> {
    let host = request.headers_mut().remove(http::header::HOST);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    if parts.authority.is_none() {
        let host = host.expect("each row names a host");
        let authority = Authority::try_from(host.as_bytes()).expect("a host");
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(authority);
        let path = parts.path_and_query.take();
        parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
    }
    *request.uri_mut() = Uri::from_parts(parts).expect("a target");
    request
}
