//! Requests through the layer, on the embedded store.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};
use tower_tagcache::bench::near;
use tower_tagcache::{Cache, CacheBuilder, CacheService, Query, Rule};

use super::{Body, Case, Failure, Run, request};

const URI: &str = "/auctions/0x8AD13a8dBD37c4E24D9A5b81e5A13E1bE8e9E8F0?page=2";
const OTHER: &str = "/health/live/0x8AD13a8dBD37c4E24D9A5b81e5A13E1bE8e9E8F0?page=2";

/// Answers with these fields and 1 KiB.
#[derive(Debug, Clone, Copy)]
struct Inner(&'static [(&'static str, &'static str)]);

impl Service<Request<Body>> for Inner {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        drop(request);
        let mut response = Response::new(Full::new(Bytes::from_static(&[b'x'; 1024])));
        let headers = response.headers_mut();
        for (name, value) in self.0 {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        ready(Ok(response))
    }
}

const FIELDS: [(&str, &str); 8] = [
    ("content-type", "application/json"),
    ("content-length", "1024"),
    ("x-frame-options", "DENY"),
    ("etag", "\"6f1c2f0e6f3a4b57\""),
    ("cache-control", "public, max-age=60"),
    ("x-content-type-options", "nosniff"),
    ("access-control-allow-origin", "*"),
    ("server", "auction-house"),
];

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("request", |_| {
            Run::request(URI, |request| drop(black_box(request)))
        }),
        Case::new("bare", |_| {
            let mut service = Inner(&[]);
            Run::request(OTHER, move |request| answer(&mut service, request))
        })
        .without("request"),
        Case::new("unmatched", |_| {
            let mut service = layered(Cache::builder(), Inner(&[]))?;
            Run::request(OTHER, move |request| answer(&mut service, request))
        })
        .without("bare"),
        Case::new("hit", |runtime| {
            let mut service = layered(Cache::builder(), Inner(&FIELDS))?;
            runtime.block_on(fill(&service))?;
            Run::request(URI, move |request| answer(&mut service, request))
        })
        .without("request"),
        Case::new("near_hit", |runtime| {
            let (cache, companion) = near(rules(Cache::builder()), 1 << 20).build()?;
            let mut service = cache.layer().layer(Inner(&FIELDS));
            runtime.spawn(companion.run(std::future::pending()));
            runtime.block_on(followed(&cache));
            runtime.block_on(fill(&service))?;
            Run::request(URI, move |request| answer(&mut service, request))
        })
        .without("request"),
        Case::new("miss", |_| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()?;
            let service = layered(Cache::builder(), Inner(&FIELDS))?;
            let mut page = 0_u32;
            Run::request(URI, move |mut request| {
                page += 1;
                let uri =
                    format!("/auctions/0x8AD13a8dBD37c4E24D9A5b81e5A13E1bE8e9E8F0?page={page}");
                *request.uri_mut() = uri.parse().expect("a path and a query are a URI");
                let answered = runtime.block_on(read(&service, request));
                assert!(answered.is_ok_and(|body| body.len() == 1024));
            })
        })
        .without("bare"),
    ]
}

fn layered(builder: CacheBuilder, inner: Inner) -> Result<CacheService<Inner>, Failure> {
    let (cache, _companion) = rules(builder).build()?;
    Ok(cache.layer().layer(inner))
}

/// With a lease that outlasts the case: while it runs, nothing else does.
fn rules(builder: CacheBuilder) -> CacheBuilder {
    let rule = Rule::new("auction_details", "/auctions/{address}")
        .ttl(Duration::from_secs(60))
        .query(Query::allow(["page"]))
        .tag("auction:{address:address}");
    let lease = Duration::from_secs(60);
    builder.longest_lease(lease).lease(lease).rule(rule)
}

/// Returns once the companion has heard from the log, without which no near copy answers.
async fn followed(cache: &Cache) {
    while !cache.health().followed {
        tokio::task::yield_now().await;
    }
}

/// Stores the response that the case `hit` is answered with.
async fn fill(service: &CacheService<Inner>) -> Result<(), Failure> {
    let mut status = None;
    for _ in 0..100 {
        let response = service.clone().oneshot(request(URI)).await?;
        let (head, body) = response.into_parts();
        assert_eq!(body.collect().await?.to_bytes().len(), 1024);
        status = head.headers.get("cache-status").cloned();
        if matches!(&status, Some(status) if status.as_bytes().starts_with(b"tagcache; hit")) {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
    Err(format!("the response is not stored: {status:?}").into())
}

/// The whole body of the answer, however long it takes.
async fn read(service: &CacheService<Inner>, request: Request<Body>) -> Result<Bytes, Failure> {
    let response = service.clone().oneshot(request).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

/// The response's head and body, as a server would take them.
fn answer<S, B>(service: &mut S, request: Request<Body>)
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
{
    let response = service.call(black_box(request)).now_or_never();
    let Some(Ok(response)) = response else {
        panic!("an answer that has to be waited for");
    };
    let (head, body) = response.into_parts();
    let mut body = std::pin::pin!(body);
    while let Some(Some(frame)) = body.frame().now_or_never() {
        drop(black_box(frame));
    }
    drop(black_box(head));
}
