//! A request that no rule matches costs no allocation beyond those of the inner service.
//!
//! In a binary of its own, because it counts what the global allocator is asked for.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{Empty, Full};
use tower::{Layer, Service, service_fn};
use tower_tagcache::{Cache, CacheService, Rule};

fn cache(rules: usize) -> Cache {
    let rule = |number| {
        Rule::new(
            format!("rule {number}"),
            format!("/section{number}/{{name}}"),
        )
        .ttl(Duration::from_secs(60))
        .tag("page:{name}")
    };
    let disabled = Rule::new("disabled", "/disabled/{name}").enabled(false);
    let rules = (0..rules).map(rule).chain([disabled]);
    let builder = rules.fold(Cache::builder(), |builder, rule| builder.rule(rule));
    builder.build().expect("the rules are sound").0
}

fn request<A>(method: Method, uri: &str, body: A) -> Request<A> {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "h");
    request.body(body).expect("a request")
}

/// What one call allocates, with a future that is ready at once.
fn cost<S, A>(service: &mut S, request: Request<A>) -> AllocationInfo
where
    S: Service<Request<A>, Error = Infallible>,
{
    let mut request = Some(request);
    measure(|| {
        let future = service.call(request.take().expect("called once"));
        let mut future = pin!(future);
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(Ok(response)) => drop(black_box(response)),
            Poll::Ready(Err(never)) => match never {},
            Poll::Pending => panic!("the inner service answers at once"),
        }
    })
}

fn unmatched() -> Vec<(&'static str, Method, &'static str)> {
    vec![
        ("no route", Method::GET, "/a"),
        ("a prefix of a route", Method::GET, "/section1"),
        ("longer than a route", Method::GET, "/section1/a/b?query=1"),
        ("another method, no route", Method::POST, "/section1/a/b"),
        ("a method of its own", Method::OPTIONS, "/section1/a"),
        ("a rule that is disabled", Method::GET, "/disabled/a"),
    ]
}

#[test]
fn a_request_that_no_rule_matches_allocates_nothing() {
    fn inner(_: Request<Empty<Bytes>>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
        ready(Ok(Response::new(Full::from("static"))))
    }
    for rules in [0, 1, 10, 500] {
        let mut service = cache(rules).layer().layer(service_fn(inner));
        // What a thread needs to read the rules is made once.
        cost(&mut service, request(Method::GET, "/", Empty::new()));
        for (name, method, uri) in unmatched() {
            let cost = cost(&mut service, request(method, uri, Empty::new()));
            assert_eq!(cost.count_total, 0, "{name}, {rules} rules");
        }
    }
}

#[test]
fn nor_does_one_whose_uri_was_rewritten() {
    #[derive(Clone)]
    struct Whole(http::Uri);
    let inner = service_fn(|_: Request<Empty<Bytes>>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(
            "static",
        ))))
    });
    let layer = cache(10)
        .layer()
        .original_uri(|extensions| extensions.get::<Whole>().map(|uri| &uri.0));
    let mut service: CacheService<_> = layer.layer(inner);
    cost(&mut service, request(Method::GET, "/", Empty::new()));
    let mut request = request(Method::GET, "/b", Empty::new());
    let whole: http::Uri = "/a/b".parse().expect("a path");
    // Counted by reference from its second clone on, as a router's has been.
    drop(whole.clone());
    request.extensions_mut().insert(Whole(whole));
    assert_eq!(cost(&mut service, request).count_total, 0);
}

#[test]
fn around_a_router_it_costs_what_the_router_costs() {
    let router = || -> Router { Router::new().fallback(get(|| async { "static" })) };
    let mut cached = cache(500).layer().layer(router());
    cost(&mut cached, request(Method::GET, "/", Body::empty()));
    for (name, method, uri) in unmatched() {
        let ask = || request(method.clone(), uri, Body::empty());
        let clone = measure(|| drop(black_box(cached.clone())));
        let plain = cost(&mut router(), ask());
        let through = cost(&mut cached, ask());
        let expected = plain.count_total + clone.count_total;
        assert_eq!(through.count_total, expected, "{name}");
        assert!(plain.count_total > 0, "it counts");
    }
}
