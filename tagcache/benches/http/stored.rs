//! Servers that keep what they answer: the layer, and the least that can be done with Redis.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use tower::{Layer, ServiceExt, service_fn};
use tower_tagcache::{BoxError, CacheBuilder, Rule};

use crate::{Origin, answer, serve};

const ENTRY: &str = "bench:entry";
const TIP: &str = "bench:tip";

/// The rule of the layer and the proxy. `/calls` is the bench's.
pub(crate) fn rule() -> Rule {
    Rule::new("bench", "/bench/{*path}").ttl(Duration::from_secs(3600))
}

pub(crate) async fn layer(
    address: SocketAddr,
    origin: Origin,
    builder: CacheBuilder,
) -> Result<(), BoxError> {
    let (cache, companion) = builder.rule(rule()).build()?;
    tokio::spawn(companion.run(std::future::pending()));
    let inner = service_fn(move |request: Request<Incoming>| origin.clone().answer(request));
    let service = cache.layer().layer(inner);
    serve(address, move |request| service.clone().oneshot(request)).await
}

/// An entry and a few bytes more, as a cache that asks whether its entry still holds would do at the
/// least: one pipeline on one connection that all share.
pub(crate) async fn gets(address: SocketAddr, bytes: usize, url: &str) -> Result<(), BoxError> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut fill = redis::pipe();
    fill.set(ENTRY, vec![b'x'; bytes]).set(TIP, "1-1");
    fill.query_async::<()>(&mut connection).await?;
    serve(address, move |_| {
        let mut connection = connection.clone();
        async move {
            let mut both = redis::pipe();
            both.get(ENTRY).get(TIP);
            let found = both.query_async::<(Vec<u8>, Vec<u8>)>(&mut connection);
            let (entry, _) = found.await.expect("Redis answers");
            Ok(answer(Bytes::from(entry)))
        }
    })
    .await
}
