//! What the types promise: who can be sent or shared between threads, and that all can be printed.

use std::convert::Infallible;
use std::fmt::Debug;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{Empty, Full};
use tower::util::BoxCloneService;
use tower::{Layer, Service, service_fn};
use tower_tagcache::{
    Cache, CacheBody, CacheBuilder, CacheLayer, CacheService, Companion, Purger, ResponseFuture,
};

use crate::{cache, get, rule};

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}
fn is_unpin<T: Unpin>() {}

type Boxed =
    BoxCloneService<Request<Empty<Bytes>>, Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible>;

#[test]
fn everything_can_be_sent_to_another_thread() {
    is_send::<Cache>();
    is_send::<CacheBuilder>();
    is_send::<CacheLayer>();
    is_send::<Companion>();
    is_send::<Purger>();
    // Neither needs `Sync` of what is inside.
    is_send::<CacheService<Boxed>>();
    is_send::<ResponseFuture<Boxed, Empty<Bytes>, UnsyncBoxBody<Bytes, Infallible>>>();
    is_send::<CacheBody<UnsyncBoxBody<Bytes, Infallible>>>();
}

#[test]
fn what_is_shared_or_has_a_shareable_inside_can_be_shared() {
    is_sync::<Cache>();
    is_sync::<CacheLayer>();
    is_sync::<Purger>();
    is_sync::<CacheService<axum::Router>>();
    is_sync::<CacheBody<Full<Bytes>>>();
    is_sync::<CacheBody<BoxBody<Bytes, Infallible>>>();
    is_unpin::<CacheBody<UnsyncBoxBody<Bytes, Infallible>>>();
}

/// No bounds are put on what is inside for the sake of printing.
#[derive(Clone)]
struct Silent;

impl Service<Request<Empty<Bytes>>> for Silent {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;
    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Request<Empty<Bytes>>) -> Self::Future {
        std::future::ready(Ok(Response::new(Empty::new())))
    }
}

#[tokio::test]
async fn everything_can_be_printed() {
    fn shows(what: &dyn Debug, expected: &str) {
        let shown = format!("{what:?}");
        assert!(shown.contains(expected), "{shown}");
    }
    let cache = cache(rule());
    let (_, companion) = Cache::builder()
        .rule(rule())
        .build()
        .expect("the rule is sound");
    shows(&Cache::builder(), "CacheBuilder");
    shows(&companion, "Companion");
    shows(&cache, "Cache");
    shows(&cache.purger(), "Purger");
    shows(&cache.layer(), "CacheLayer");
    shows(&cache.layer().original_uri(|_| None), "OriginalUri(read)");
    shows(&cache.layer().layer(1), "CacheService");
    let mut service = cache.layer().layer(Silent);
    let future = service.call(get("/a"));
    shows(&future, "ResponseFuture");
    shows(
        future.await.expect("it answers").body(),
        "CacheBody(\"Shared\")",
    );
    crate::settle().await;
    shows(
        service.call(get("/a")).await.expect("it answers").body(),
        "CacheBody(\"Stored\")",
    );
    shows(
        service.call(get("/a/b")).await.expect("it answers").body(),
        "CacheBody(\"Forwarded\")",
    );
    shows(&CacheBody::<Full<Bytes>>::default(), "CacheBody");
}

#[tokio::test]
async fn the_error_of_the_inner_service_is_the_error_of_the_cache() {
    #[derive(Debug, PartialEq)]
    struct Own(&'static str);
    let inner = service_fn(|request: Request<Empty<Bytes>>| async move {
        match request.uri().path() {
            "/a" | "/a/b" => Err(Own("down")),
            _ => Ok(Response::new(Full::<Bytes>::from("up"))),
        }
    });
    let mut service = cache(rule()).layer().layer(inner);
    assert_eq!(
        service.call(get("/a")).await.expect_err("a miss"),
        Own("down")
    );
    assert_eq!(
        service.call(get("/a/b")).await.expect_err("not matched"),
        Own("down")
    );
    let ranged = crate::get_with("/a", &[("range", "bytes=0-")]);
    assert_eq!(service.call(ranged).await.expect_err("passed"), Own("down"));
    assert_eq!(
        crate::text(service.call(get("/b")).await.expect("it answers")).await,
        "up"
    );
}

#[tokio::test]
async fn a_service_that_cannot_fail_stays_one() {
    let inner = service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("up")))
    });
    let mut service = cache(rule()).layer().layer(inner);
    let Ok(response) = service.call(get("/a")).await;
    assert_eq!(crate::text(response).await, "up");
}
