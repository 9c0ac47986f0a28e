//! A hyper service without any framework, cached.
//!
//! ```text
//! cargo run --example bare_hyper
//! curl -i http://127.0.0.1:3000/time     # the same second for ten seconds, with `age`
//! ```

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tower::ServiceBuilder;
use tower_tagcache::{BoxError, Cache, Rule};

async fn time(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Response::new(Full::from(format!(
        "{} seconds\n",
        since.as_secs()
    ))))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let rule = Rule::new("time", "/time").ttl(Duration::from_secs(10));
    let (cache, companion) = Cache::builder().rule(rule).build()?;
    tokio::spawn(companion.run(std::future::pending()));
    let service = ServiceBuilder::new()
        .layer(cache.layer())
        .service(tower::service_fn(time));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("connection: {error}");
            }
        });
    }
}
