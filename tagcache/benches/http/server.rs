//! The servers of `make bench-http` that are written in Rust. The driver is `run.py`.
//!
//! - `bare ADDRESS BYTES` answers every request with the same bytes, and nothing is between hyper and
//!   them: what all others are compared to.
//! - `gets ADDRESS BYTES REDIS` takes the bytes from Redis: two `GET`s in one round trip, and nothing else.
//! - `layer ADDRESS BYTES DELAY [REDIS near|strict]` is the layer around the bare server.
//! - `proxy ADDRESS UPSTREAM [REDIS near|strict]` is the reverse proxy as `tagcache proxy` runs it.
//! - `origin ADDRESS BYTES DELAY` answers after so many milliseconds, and at `/calls` how often it did.
//! - `null ADDRESS` answers with as many bytes as the path says, made on the way: where 10 GB come from.
//! - `herd ADDRESS REQUESTS ROUNDS` is a client: so many requests for one path at the same moment.

mod herd;
mod stored;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tagcache::admin::Telemetry;
use tagcache::proxy::{Listen, Proxy, ProxySettings};
use tokio::net::TcpListener;
use tower_tagcache::{BoxError, Cache, CacheBuilder};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // `cargo bench` adds an argument of its own.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["bare", address, bytes] => bare(address.parse()?, bytes.parse()?).await,
        ["null", address] => null(address.parse()?).await,
        ["gets", address, bytes, redis] => {
            stored::gets(address.parse()?, bytes.parse()?, redis).await
        }
        ["layer", address, bytes, delay, ref redis @ ..] => {
            let origin = Origin::new(bytes.parse()?, delay.parse()?);
            stored::layer(address.parse()?, origin, builder(redis)?).await
        }
        ["origin", address, bytes, delay] => {
            let origin = Origin::new(bytes.parse()?, delay.parse()?);
            serve(address.parse()?, move |request| {
                origin.clone().answer(request)
            })
            .await
        }
        ["proxy", address, upstream, ref redis @ ..] => {
            proxy(address.parse()?, upstream, builder(redis)?).await
        }
        ["herd", address, requests, rounds] => {
            herd::run(address.parse()?, requests.parse()?, rounds.parse()?).await
        }
        _ => {
            eprintln!("run by tagcache/benches/http/run.py; see `make bench-http`");
            Ok(())
        }
    }
}

/// The answer of the origin, with its fields.
fn answer(body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=3600"),
    );
    fields.insert("etag", HeaderValue::from_static("\"bench\""));
    response
}

/// A connection's task for each, and `answer` in it.
async fn serve<F, A, B>(address: SocketAddr, answer: F) -> Result<(), BoxError>
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind(address).await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let service = service_fn(answer.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

async fn bare(address: SocketAddr, bytes: usize) -> Result<(), BoxError> {
    let body = Bytes::from(vec![b'x'; bytes]);
    serve(address, move |_| {
        let body = body.clone();
        async move { Ok(answer(body)) }
    })
    .await
}

/// The inner service of a cache: the bare one, after a time, counted.
#[derive(Clone)]
struct Origin {
    body: Bytes,
    delay: Duration,
    calls: Arc<AtomicU64>,
}

impl Origin {
    fn new(bytes: usize, delay: u64) -> Self {
        Self {
            body: Bytes::from(vec![b'x'; bytes]),
            delay: Duration::from_millis(delay),
            calls: Arc::default(),
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == "/calls" {
            let calls = self.calls.load(Ordering::Relaxed).to_string();
            return Ok(Response::new(Full::from(calls)));
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        Ok(answer(self.body))
    }
}

/// Where responses are kept, in the process or on Redis, and how a hit is checked there.
fn builder(redis: &[&str]) -> Result<CacheBuilder, BoxError> {
    let builder = Cache::builder();
    match redis {
        [] => Ok(builder),
        [url, "near"] => Ok(builder.redis(*url)),
        [url, "strict"] => Ok(builder.redis(*url).strict()),
        _ => Err("expected: REDIS near|strict".into()),
    }
}

async fn null(address: SocketAddr) -> Result<(), BoxError> {
    serve(address, |request| async move {
        let left = request.uri().path().trim_start_matches('/').parse();
        let body = Many {
            block: Bytes::from_static(&[0; 64 * 1024]),
            left: left.unwrap_or(0),
        };
        Ok(Response::new(body))
    })
    .await
}

/// So many bytes.
struct Many {
    block: Bytes,
    left: u64,
}

impl Body for Many {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length =
            usize::try_from(self.left).map_or(self.block.len(), |left| left.min(self.block.len()));
        if length == 0 {
            return Poll::Ready(None);
        }
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(self.block.slice(..length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

async fn proxy(address: SocketAddr, upstream: &str, builder: CacheBuilder) -> Result<(), BoxError> {
    let (cache, companion) = builder
        .rule(stored::rule())
        .observer(Telemetry::new())
        .build()?;
    tokio::spawn(companion.run(std::future::pending()));
    let mut settings = ProxySettings::new(upstream);
    settings.listen = vec![Listen::new(address)];
    let bound = Proxy::new(settings, cache)?.bind().await?;
    bound.run(std::future::pending()).await;
    Ok(())
}
