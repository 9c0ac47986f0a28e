//! The servers of `make bench-http` that are written in Rust. The driver is `run.py`.
//!
//! `bare ADDRESS BYTES` answers every request with the same bytes, and nothing is between hyper and
//! them: what all others are compared to. `proxy ADDRESS UPSTREAM` is the reverse proxy on the store in
//! this process, as `tagcache proxy` runs it. `null ADDRESS` answers with as many bytes as the path
//! says, made on the way: where 10 GB come from.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
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
use tokio::net::TcpListener;
use tower_tagcache::proxy::admin::Telemetry;
use tower_tagcache::proxy::{Listen, Proxy, ProxySettings};
use tower_tagcache::{BoxError, Cache, Rule};

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
        ["proxy", address, upstream] => proxy(address.parse()?, upstream).await,
        _ => {
            eprintln!("run by benches/http/run.py; see `make bench-http`");
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

async fn bare(address: SocketAddr, bytes: usize) -> Result<(), BoxError> {
    let body = Bytes::from(vec![b'x'; bytes]);
    let listener = TcpListener::bind(address).await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let body = body.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            let body = body.clone();
            async move { Ok::<_, Infallible>(answer(body)) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

async fn null(address: SocketAddr) -> Result<(), BoxError> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        let service = service_fn(|request: Request<Incoming>| async move {
            let left = request.uri().path().trim_start_matches('/').parse();
            let body = Many {
                block: Bytes::from_static(&[0; 64 * 1024]),
                left: left.unwrap_or(0),
            };
            Ok::<_, Infallible>(Response::new(body))
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
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

async fn proxy(address: SocketAddr, upstream: &str) -> Result<(), BoxError> {
    let rule = Rule::new("all", "/{*path}").ttl(Duration::from_secs(3600));
    let (cache, companion) = Cache::builder()
        .rule(rule)
        .observer(Telemetry::new())
        .build()?;
    tokio::spawn(companion.run(std::future::pending()));
    let mut settings = ProxySettings::new(upstream);
    settings.listen = vec![Listen::new(address)];
    let bound = Proxy::new(settings, cache)?.bind().await?;
    bound.run(std::future::pending()).await;
    Ok(())
}
