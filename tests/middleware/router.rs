//! Within axum.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{ConnectInfo, Extension, MatchedPath, Path, State};
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use axum::{Json, Router};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_tagcache::{ClientPolicy, Rule};

use crate::{TTL, cache, is_hit, rule, settle, status, text};

async fn ask(app: &Router, uri: &str) -> Response<Body> {
    let request = Request::get(uri).body(Body::empty()).expect("a request");
    app.clone()
        .oneshot(request)
        .await
        .expect("a router does not fail")
}

/// A handler that says how often it was called.
fn counting() -> Router {
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = |State(calls): State<Arc<AtomicUsize>>| async move {
        (calls.fetch_add(1, Ordering::SeqCst) + 1).to_string()
    };
    Router::new()
        .route("/{name}", get(handler))
        .with_state(calls)
}

#[tokio::test]
async fn a_router_can_be_layered_route_layered_or_wrapped() {
    let cache = || cache(rule());
    let wrapped = cache().layer().layer(counting());
    let wrapped = Router::new().fallback_service(wrapped);
    let rows = [
        ("layer", counting().layer(cache().layer())),
        ("route_layer", counting().route_layer(cache().layer())),
        ("wrapped", wrapped),
    ];
    for (name, app) in rows {
        assert_eq!(text(ask(&app, "/a").await).await, "1", "{name}");
        let second = ask(&app, "/a").await;
        assert!(is_hit(&second), "{name}");
        assert_eq!(text(second).await, "1", "{name}");
        assert_eq!(text(ask(&app, "/b").await).await, "2", "{name}");
    }
}

#[tokio::test]
async fn a_layer_wraps_the_fallback_and_a_route_layer_does_not() {
    let rule = || rule().ttl_for(StatusCode::NOT_FOUND, TTL);
    let route = || Router::new().route("/known", get(|| async { "known" }));
    for (name, app, cached) in [
        ("layer", route().layer(cache(rule()).layer()), true),
        (
            "route_layer",
            route().route_layer(cache(rule()).layer()),
            false,
        ),
    ] {
        for round in [false, true] {
            let response = ask(&app, "/unknown").await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{name}");
            assert_eq!(is_hit(&response), cached && round, "{name}");
            assert_eq!(status(&response).is_empty(), !cached, "{name}");
            text(response).await;
        }
    }
}

#[tokio::test]
async fn safety_35_extractors_find_what_they_need_behind_the_layer() {
    let handler = |Path(name): Path<String>,
                   matched: MatchedPath,
                   ConnectInfo(peer): ConnectInfo<SocketAddr>,
                   Extension(tenant): Extension<&'static str>| async move {
        Json(vec![
            name,
            matched.as_str().to_owned(),
            peer.to_string(),
            tenant.to_owned(),
        ])
    };
    let peer = SocketAddr::from(([192, 0, 2, 1], 4711));
    let app = Router::new()
        .route("/{name}", get(handler))
        .route("/deep/{name}", get(handler))
        .layer(cache(rule()).layer())
        .layer(Extension("acme"))
        .layer(MockConnectInfo(peer));
    let rows = [
        ("miss", "/a", r#"["a","/{name}","192.0.2.1:4711","acme"]"#),
        ("hit", "/a", r#"["a","/{name}","192.0.2.1:4711","acme"]"#),
        (
            "no rule",
            "/deep/a",
            r#"["a","/deep/{name}","192.0.2.1:4711","acme"]"#,
        ),
    ];
    for (name, uri, expected) in rows {
        let response = ask(&app, uri).await;
        assert_eq!(is_hit(&response), name == "hit");
        assert_eq!(text(response).await, expected, "{name}");
    }
}

#[tokio::test]
async fn safety_54_an_event_stream_passes_event_by_event_and_is_not_stored() {
    let handler = || async {
        let first = tokio_stream::once(Ok::<_, Infallible>(Event::default().data("first")));
        Sse::new(tokio_stream::StreamExt::chain(
            first,
            tokio_stream::pending(),
        ))
    };
    let app = Router::new()
        .route("/{name}", get(handler))
        .layer(cache(rule()).layer());
    for _ in 0..2 {
        let response = ask(&app, "/events").await;
        assert_eq!(status(&response), "tagcache; fwd=uri-miss; detail=endless");
        let mut body = response.into_body();
        let frame = body
            .frame()
            .await
            .expect("the first event")
            .expect("no error");
        assert_eq!(frame.into_data().expect("data"), "data: first\n\n");
        let mut next = tokio_test::task::spawn(body.frame());
        assert!(next.poll().is_pending(), "the stream does not end");
    }
}

#[tokio::test]
async fn an_inner_layer_of_the_same_cache_lets_pass_what_the_outer_one_forwards() {
    let cache = cache(rule());
    let app = counting().layer(cache.layer()).layer(cache.layer());
    let rows = [
        ("miss", "/a", &[][..], "tagcache; fwd=uri-miss; stored"),
        (
            "bypass",
            "/b",
            &[("cookie", "a=b")],
            "tagcache; fwd=bypass; detail=cookie",
        ),
        (
            "range",
            "/c",
            &[("range", "bytes=0-9")],
            "tagcache; fwd=uri-miss; stored; detail=range",
        ),
    ];
    for (name, uri, fields, expected) in rows {
        let mut request = Request::get(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = app.clone().oneshot(request).await.expect("no error");
        assert_eq!(
            status(&response),
            expected,
            "{name}: one line, by one of them"
        );
        text(response).await;
    }
    settle().await;
    assert!(is_hit(&ask(&app, "/a").await));
}

#[tokio::test]
async fn layers_of_different_caches_each_say_what_they_did() {
    // The inner one's default for clients, `no-cache`, would bind the outer one too.
    let pass = || rule().client(ClientPolicy::Pass);
    let app = counting()
        .layer(cache(pass()).layer())
        .layer(cache(pass()).layer());
    let first = ask(&app, "/a").await;
    let line = "tagcache; fwd=uri-miss; stored";
    assert_eq!(status(&first), format!("{line}, {line}"));
    text(first).await;
    assert_eq!(text(ask(&app, "/a").await).await, "1");
}

#[tokio::test]
async fn a_method_router_can_be_layered_alone() {
    let cached = get(|| async { "cached" }).layer(cache(Rule::new("one", "/one").ttl(TTL)).layer());
    let app = Router::new()
        .route("/one", cached)
        .route("/two", get(|| async { "plain" }));
    text(ask(&app, "/one").await).await;
    assert!(is_hit(&ask(&app, "/one").await));
    assert_eq!(status(&ask(&app, "/two").await), "");
}
