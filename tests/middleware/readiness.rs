//! A hit neither waits for the inner service nor holds a permit of it; each forward readies a clone of
//! its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{Empty, Full};
use tagcache_test_support::{Body, Calls, Origin};
use tokio_test::{assert_pending, assert_ready, task};
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_tagcache::{CacheService, Rule};

use crate::{TTL, cache, get, get_with, is_hit, rule, text};

/// A clone of it is not ready, becomes so at the second poll, and may be called only then.
#[derive(Debug, Default)]
struct Probe {
    ready: bool,
    asked: Arc<AtomicUsize>,
    clones: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::SeqCst);
        Self {
            ready: false,
            asked: Arc::clone(&self.asked),
            clones: Arc::clone(&self.clones),
            calls: Arc::clone(&self.calls),
        }
    }
}

impl<A> Service<Request<A>> for Probe {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<A>) -> Self::Future {
        assert!(self.ready, "called without having been ready");
        self.ready = false;
        self.calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(Response::new(Full::from("probe"))))
    }
}

#[tokio::test]
async fn each_forward_readies_the_clone_that_it_calls() {
    let probe = Probe::default();
    let service = cache(rule()).layer().layer(probe.clone());
    let post = |uri: &str| {
        let mut request = get(uri);
        *request.method_mut() = Method::POST;
        request
    };
    let rows = [
        ("no rule", get("/a/b")),
        ("another method", post("/a")),
        ("miss", get("/a")),
        ("bypass", get_with("/a", &[("cookie", "a=b")])),
        ("range", get_with("/b", &[("range", "bytes=0-1")])),
    ];
    for (name, request) in rows {
        let before = probe.calls.load(Ordering::SeqCst);
        // Tower allows it as many times as one likes before a call.
        let mut service = service.clone();
        for _ in 0..3 {
            let ready = ServiceExt::<Request<Empty<Bytes>>>::ready(&mut service).await;
            ready.expect("always ready");
        }
        let response = service.call(request).await.expect("it answers");
        assert_eq!(text(response).await, "probe", "{name}");
        assert_eq!(probe.calls.load(Ordering::SeqCst), before + 1, "{name}");
    }
}

#[tokio::test]
async fn the_cache_is_ready_and_answers_hits_while_the_inner_service_is_not() {
    let probe = Probe::default();
    let mut service = cache(rule()).layer().layer(probe.clone());
    text(
        service
            .clone()
            .oneshot(get("/a"))
            .await
            .expect("it answers"),
    )
    .await;
    let asked = probe.asked.load(Ordering::SeqCst);

    let mut ready = task::spawn(std::future::poll_fn(|cx| {
        Service::<Request<Empty<Bytes>>>::poll_ready(&mut service, cx)
    }));
    assert_ready!(ready.poll()).expect("no error");
    drop(ready);
    assert!(is_hit(&service.call(get("/a")).await.expect("it answers")));
    assert_eq!(
        probe.asked.load(Ordering::SeqCst),
        asked,
        "nobody asked whether it is ready"
    );
}

#[tokio::test]
async fn clones_share_the_cache_and_only_a_forward_clones_the_inner_service() {
    let probe = Probe::default();
    let service = cache(rule()).layer().layer(probe.clone());
    let (first, second) = (service.clone(), service.clone());
    let before = probe.clones.load(Ordering::SeqCst);
    for (name, service, uri, hit) in [
        ("forward", &first, "/a/b", false),
        ("miss", &first, "/a", false),
        ("hit in the same", &first, "/a", true),
        ("hit in its clone", &second, "/a", true),
    ] {
        let before = probe.clones.load(Ordering::SeqCst);
        let response = service.clone().call(get(uri)).await.expect("it answers");
        assert_eq!(is_hit(&response), hit, "{name}");
        text(response).await;
        // The one of `service.clone()`, and the one that is called.
        let expected = if hit { 1 } else { 2 };
        assert_eq!(
            probe.clones.load(Ordering::SeqCst) - before,
            expected,
            "{name}"
        );
    }
    assert!(before > 0 && probe.calls.load(Ordering::SeqCst) == 2);
}

#[tokio::test]
async fn services_of_one_layer_share_the_cache_too() {
    let layer = cache(rule()).layer();
    let (first, second) = (
        layer.layer(Probe::default()),
        layer.clone().layer(Probe::default()),
    );
    text(first.oneshot(get("/a")).await.expect("it answers")).await;
    assert!(is_hit(
        &second.oneshot(get("/a")).await.expect("it answers")
    ));
}

/// `/a` is stored and a forward of `/slow` is under way.
async fn with_one_forward_under_way<S>(
    service: &CacheService<S>,
    calls: &mut Calls,
) -> impl Future<Output = ()> + use<S>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: std::fmt::Debug + Send,
    S::Future: Send,
{
    let filled = tokio::spawn(service.clone().oneshot(get("/a")));
    calls.next().await.answer("a");
    text(filled.await.expect("no panic").expect("it answers")).await;
    let slow = tokio::spawn(service.clone().oneshot(get("/slow")));
    let call = calls.next().await;
    async move {
        call.answer("slow");
        text(slow.await.expect("no panic").expect("it answers")).await;
    }
}

#[tokio::test]
async fn a_hit_takes_no_permit_of_a_concurrency_limit_within() {
    let (origin, mut calls) = Origin::by_hand();
    let limit = ServiceBuilder::new().concurrency_limit(1).service(origin);
    let service: CacheService<ConcurrencyLimit<_>> = cache(rule()).layer().layer(limit);
    let slow = with_one_forward_under_way(&service, &mut calls).await;

    let hit = service
        .clone()
        .oneshot(get("/a"))
        .await
        .expect("it answers");
    assert!(is_hit(&hit));
    let mut miss = task::spawn(service.clone().oneshot(get("/b")));
    assert_pending!(miss.poll());
    assert!(calls.are_over().await, "the only permit is taken");
    slow.await;
    // The hit's response is held still.
    let call = calls.next().await;
    assert_eq!(call.request.uri, "/b");
    call.answer("b");
    assert_eq!(text(miss.await.expect("it answers")).await, "b");
    drop(hit);
}

#[tokio::test]
async fn a_hit_takes_no_place_in_a_buffer_within() {
    let (origin, mut calls) = Origin::by_hand();
    let buffer = Buffer::new(
        ServiceBuilder::new().concurrency_limit(1).service(origin),
        1,
    );
    let service = cache(rule()).layer().layer(buffer);
    let slow = with_one_forward_under_way(&service, &mut calls).await;
    // One waits in the worker, one takes the only place of the queue.
    let waiting = [0; 3].map(|_| tokio::spawn(service.clone().oneshot(get("/b?x"))));
    crate::settle().await;

    assert!(is_hit(
        &service
            .clone()
            .oneshot(get("/a"))
            .await
            .expect("it answers")
    ));
    slow.await;
    calls.next().await.answer("b");
    for waiting in waiting {
        assert_eq!(
            text(waiting.await.expect("no panic").expect("it answers")).await,
            "b"
        );
    }
}

#[tokio::test]
async fn what_is_shed_within_is_an_error_of_the_miss_only() {
    let (origin, mut calls) = Origin::by_hand();
    let shed: LoadShed<_> = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .service(origin);
    let service = cache(rule()).layer().layer(shed);
    let slow = with_one_forward_under_way(&service, &mut calls).await;

    assert!(is_hit(
        &service
            .clone()
            .oneshot(get("/a"))
            .await
            .expect("it answers")
    ));
    let shed = service
        .clone()
        .oneshot(get("/b"))
        .await
        .expect_err("no permit is left");
    assert!(
        shed.is::<tower::load_shed::error::Overloaded>(),
        "the inner service's own: {shed}"
    );
    let not_matched = service
        .clone()
        .oneshot(get("/b/c"))
        .await
        .expect_err("no permit is left");
    assert!(not_matched.is::<tower::load_shed::error::Overloaded>());
    slow.await;
}

#[tokio::test]
async fn an_error_while_becoming_ready_reaches_the_one_who_asked() {
    #[derive(Debug, Clone)]
    struct Broken;
    impl Service<Request<Empty<Bytes>>> for Broken {
        type Response = Response<Full<Bytes>>;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Self::Response, &'static str>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("broken"))
        }
        fn call(&mut self, _: Request<Empty<Bytes>>) -> Self::Future {
            unreachable!("it was never ready")
        }
    }
    let rule = Rule::new("page", "/{name}").ttl(TTL);
    let service = cache(rule).layer().layer(Broken);
    for uri in ["/a", "/a/b"] {
        let error = service
            .clone()
            .oneshot(get(uri))
            .await
            .expect_err("it is broken");
        assert_eq!(error, "broken", "{uri}");
    }
}
