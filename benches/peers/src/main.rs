//! `cache-peers KIND ADDRESS BYTES DELAY [REDIS]`: one of the other caches as a layer over the bare server
//! of `tagcache/benches/http/server.rs`, answering the same bytes. KIND is `tower-http-cache` or `hitbox`; DELAY, in
//! milliseconds, is what the inner service takes; with REDIS, a URL, it keeps its responses there.
//!
//! `/calls` tells how often the inner service was called. The driver is `tagcache/benches/http/run.py`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hitbox::Config;
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_backend::SyncBackend;
use hitbox_http::extractors::Method;
use hitbox_http::extractors::path::PathExtractor;
use hitbox_http::predicates::{NeutralRequestPredicate, NeutralResponsePredicate};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TTL: Duration = Duration::from_secs(3600);

/// What is behind the cache.
#[derive(Clone)]
struct Inner {
    body: Bytes,
    delay: Duration,
    calls: Arc<AtomicU64>,
}

impl Inner {
    async fn answer(self) -> Result<Response<Full<Bytes>>, Infallible> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let mut response = Response::new(Full::new(self.body));
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let control = HeaderValue::from_static("public, max-age=3600");
        fields.insert(CACHE_CONTROL, control);
        fields.insert("etag", HeaderValue::from_static("\"bench\""));
        Ok(response)
    }

    fn calls(&self) -> Full<Bytes> {
        Full::from(self.calls.load(Ordering::Relaxed).to_string())
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (kind, address, bytes, delay, redis) = match arguments[..] {
        [kind, address, bytes, delay] => (kind, address, bytes, delay, None),
        [kind, address, bytes, delay, redis] => (kind, address, bytes, delay, Some(redis)),
        _ => return Err("cache-peers KIND ADDRESS BYTES DELAY [REDIS]".into()),
    };
    let inner = Inner {
        body: Bytes::from(vec![b'x'; bytes.parse()?]),
        delay: Duration::from_millis(delay.parse()?),
        calls: Arc::default(),
    };
    let address = address.parse()?;
    match (kind, redis) {
        ("tower-http-cache", None) => {
            let backend = tower_http_cache::backend::memory::InMemoryBackend::new(10_000);
            tower_http_cache(address, inner, backend).await
        }
        ("tower-http-cache", Some(url)) => {
            let client = redis::Client::open(url)?;
            let connection = client.get_connection_manager().await?;
            let backend = tower_http_cache::backend::redis::RedisBackend::new(connection);
            tower_http_cache(address, inner, backend).await
        }
        ("hitbox", None) => {
            let backend = hitbox_moka::MokaBackend::builder()
                .max_entries(10_000)
                .value_format(hitbox_backend::format::BincodeFormat)
                .build();
            hitbox(address, inner, backend).await
        }
        ("hitbox", Some(url)) => {
            let mode = hitbox_redis::ConnectionMode::single(url);
            let backend = hitbox_redis::RedisBackend::builder()
                .connection(mode)
                .build()?;
            // It is no clone by itself.
            let backend: Arc<SyncBackend> = Arc::new(backend);
            hitbox(address, inner, backend).await
        }
        _ => Err(format!("no such cache: {kind}").into()),
    }
}

async fn tower_http_cache<B>(address: SocketAddr, inner: Inner, backend: B) -> Result<(), Failure>
where
    B: tower_http_cache::backend::CacheBackend + Clone,
{
    let service = inner.clone();
    let service = tower::service_fn(move |_: Request<()>| service.clone().answer());
    let layer = tower_http_cache::layer::CacheLayer::builder(backend).ttl(TTL);
    let service = layer.build().layer(service);
    serve(address, inner, service, |request| request.map(drop)).await
}

async fn hitbox<B>(address: SocketAddr, inner: Inner, backend: B) -> Result<(), Failure>
where
    B: hitbox::backend::CacheBackend + Clone + Send + Sync + 'static,
{
    let service = inner.clone();
    let service = tower::service_fn(move |_| service.clone().answer());
    let policy = PolicyConfig::builder()
        .ttl(TTL)
        .concurrency(ConcurrencyLimit::MIN);
    let config = Config::builder()
        .request_predicate(NeutralRequestPredicate::new())
        .response_predicate(NeutralResponsePredicate::new())
        .extractor(Method::new().path("/{tail}*"))
        .policy(policy.build())
        .build();
    let layer = hitbox_tower::Cache::builder()
        .backend(backend)
        .config(config)
        .concurrency_manager(BroadcastConcurrencyManager::new())
        .build();
    serve(address, inner, layer.layer(service), |request| request).await
}

/// A connection's task for each, as the bare server has it.
async fn serve<S, A, B>(
    address: SocketAddr,
    inner: Inner,
    service: S,
    adapt: fn(Request<Incoming>) -> Request<A>,
) -> Result<(), Failure>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<Failure>,
    S::Future: Send,
    A: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<Failure>,
{
    let listener = TcpListener::bind(address).await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let (service, inner) = (service.clone(), inner.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (service, inner) = (service.clone(), inner.clone());
            async move {
                if request.uri().path() == "/calls" {
                    return Ok(Response::new(Either::Right(inner.calls())));
                }
                let response = service.oneshot(adapt(request)).await.map_err(Into::into)?;
                Ok::<_, Failure>(response.map(Either::Left))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}
