//! Below `Router::nest` a layer sees the path without its prefix.

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Path, Request};
use axum::routing::get;
use http::Response;
use tower::ServiceExt;
use tower_tagcache::{Cache, Rule};

use crate::{TTL, is_hit, status, text};

async fn ask(app: &Router, uri: &str) -> Response<Body> {
    let request = Request::get(uri).body(Body::empty()).expect("a request");
    app.clone()
        .oneshot(request)
        .await
        .expect("a router does not fail")
}

fn cache(route: &str) -> Cache {
    let built = Cache::builder()
        .rule(Rule::new("users", route).ttl(TTL))
        .build();
    built.expect("the rule is sound").0
}

/// `/users` of a tenant, with a layer of `cache` that goes by the whole URI, or by the one it sees.
fn api(cache: &Cache, whole: bool) -> Router {
    let layer = match whole {
        true => cache
            .layer()
            .original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0)),
        false => cache.layer(),
    };
    let handler = |OriginalUri(uri): OriginalUri| async move { uri.to_string() };
    Router::new().route("/users", get(handler)).layer(layer)
}

/// What the documentation warns of. If axum ever stops to strip prefixes, it can be shorter.
#[tokio::test]
async fn axum_strips_the_prefix_before_the_layers_of_a_nested_router() {
    let cache = cache("/users");
    let app = Router::new().nest("/{tenant}", api(&cache, false));
    text(ask(&app, "/acme/users").await).await;
    assert!(is_hit(&ask(&app, "/umbrella/users").await));

    let whole = self::cache("/{tenant}/users");
    let app = Router::new().nest("/{tenant}", api(&whole, false));
    assert_eq!(
        status(&ask(&app, "/acme/users").await),
        "",
        "nothing is cached"
    );
}

#[tokio::test]
async fn by_the_whole_uri_places_and_tenants_are_apart() {
    let cache = cache("/{tenant}/users");
    let apps = [
        (
            "a capture",
            Router::new().nest("/{tenant}", api(&cache, true)),
        ),
        (
            "two places",
            Router::new()
                .nest("/acme", api(&cache, true))
                .nest("/umbrella", api(&cache, true)),
        ),
        (
            "a service",
            Router::new()
                .nest_service("/acme", api(&cache, true))
                .nest_service("/umbrella", api(&cache, true)),
        ),
    ];
    for (name, app) in apps {
        cache.purger().all().await.expect("the log is here");
        for hit in [false, true] {
            for uri in ["/acme/users", "/umbrella/users", "/acme/users?page=2"] {
                let response = ask(&app, uri).await;
                assert_eq!(is_hit(&response), hit, "{name} {uri} {}", status(&response));
                assert_eq!(text(response).await, uri, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_purge_by_url_or_glob_names_the_whole_path() {
    let cache = cache("/{tenant}/users");
    let app = Router::new().nest("/{tenant}", api(&cache, true));
    let purger = cache.purger();
    for by_glob in [false, true] {
        text(ask(&app, "/acme/users").await).await;
        text(ask(&app, "/umbrella/users").await).await;
        let purged = match by_glob {
            true => purger.glob("/acme/**").await,
            false => purger.url("/acme/users").await,
        };
        purged.expect("the log is here");
        assert!(!is_hit(&ask(&app, "/acme/users").await), "{by_glob}");
        assert!(is_hit(&ask(&app, "/umbrella/users").await), "{by_glob}");
    }
}

#[tokio::test]
async fn the_inner_service_gets_the_request_with_the_uri_that_the_layer_saw() {
    let cache = cache("/{tenant}/users");
    let layer = cache
        .layer()
        .original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0));
    let handler = |request: Request| async move { request.uri().to_string() };
    let api = Router::new().route("/users", get(handler)).layer(layer);
    let app = Router::new().nest("/{tenant}", api);
    assert_eq!(
        text(ask(&app, "/acme/users?page=2").await).await,
        "/users?page=2"
    );
    let handler = |Path(tenant): Path<String>| async move { tenant };
    let app: Router = Router::new().nest("/{tenant}", Router::new().route("/users", get(handler)));
    assert_eq!(text(ask(&app, "/acme/users").await).await, "acme");
}

/// What a layer in between adds to the URI reaches the inner service, and so it is in the key (P5).
#[tokio::test]
async fn a_uri_that_was_rewritten_otherwise_counts_as_well() {
    use tower::{Layer, ServiceBuilder, service_fn};
    #[derive(Clone)]
    struct Whole(http::Uri);
    let cache = cache("/users");
    let layer = cache
        .layer()
        .original_uri(|extensions| extensions.get::<Whole>().map(|uri| &uri.0));
    let inner = service_fn(|request: Request| async move {
        Ok::<_, std::convert::Infallible>(Response::new(Body::from(request.uri().to_string())))
    });
    let service = layer.layer(inner);
    let rewrite = |to: &'static str| {
        let service = service.clone();
        ServiceBuilder::new()
            .map_request(move |mut request: Request| {
                let whole = std::mem::replace(request.uri_mut(), http::Uri::from_static(to));
                request.extensions_mut().insert(Whole(whole));
                request
            })
            .service(service)
    };
    for hit in [false, true] {
        for to in [
            "/users",
            "/users?tenant=1",
            "/users?tenant=2",
            "/1/users",
            "http://a/users",
        ] {
            let request = Request::get("/users")
                .body(Body::empty())
                .expect("a request");
            let response = rewrite(to).oneshot(request).await.expect("no error");
            assert_eq!(is_hit(&response), hit, "{to}");
            assert_eq!(text(response).await, to);
        }
    }
}
