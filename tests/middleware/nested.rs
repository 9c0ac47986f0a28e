//! Layers that see less of the path than the client asked for: below `Router::nest`, and below whatever
//! else takes a prefix away (SAFETY 109).

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Path, Request};
use axum::response::AppendHeaders;
use axum::routing::{any, get};
use futures_util::future::BoxFuture;
use http::{Response, Uri};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tagcache::{Cache, CacheLayer, Rule};

use crate::{TTL, is_hit, status, text};

/// Whether layers know by themselves where axum keeps the whole URI.
const KNOWS_AXUM: bool = cfg!(feature = "axum");

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

fn whole(cache: &Cache) -> CacheLayer {
    let layer = cache.layer();
    layer.original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0))
}

/// `/users`, which answers what the client asked for, behind `layer`.
fn api(layer: CacheLayer) -> Router {
    let handler = |OriginalUri(uri): OriginalUri| async move { uri.to_string() };
    Router::new().route("/users", get(handler)).layer(layer)
}

/// `/items/1`, which answers `name`, behind `layer`.
fn items(layer: CacheLayer, name: &'static str) -> Router {
    let page = get(move || async move { name });
    Router::new().route("/items/{id}", page).layer(layer)
}

/// A row: its name, and two places of one program, each with a layer of its own.
type Nested = (&'static str, fn(&Cache) -> Router);

/// Every way that axum has to nest.
const NESTED: [Nested; 6] = [
    ("nest", |cache| {
        Router::new()
            .nest("/v1", items(cache.layer(), "one"))
            .nest("/v2", items(cache.layer(), "two"))
    }),
    ("nest_service", |cache| {
        Router::new()
            .nest_service("/v1", items(cache.layer(), "one"))
            .nest_service("/v2", items(cache.layer(), "two"))
    }),
    ("from one line", |cache| {
        let item = |name| items(cache.layer(), name);
        let app = Router::new().nest("/v1", item("one"));
        app.nest("/v2", item("two"))
    }),
    ("deeper", |cache| {
        let item = |name| Router::new().nest("/a", items(cache.layer(), name));
        let app = Router::new().nest("/v1", item("one"));
        app.nest("/v2", item("two"))
    }),
    ("of a merged router", |cache| {
        let one = Router::new().merge(items(cache.layer(), "one"));
        let two = Router::new().nest("/v2", items(cache.layer(), "two"));
        Router::new().nest("/v1", one).merge(two)
    }),
    ("clones of one layer", |cache| {
        let layer = cache.layer();
        Router::new()
            .nest("/v1", items(layer.clone(), "one"))
            .nest("/v2", items(layer, "two"))
    }),
];

#[tokio::test]
async fn safety_109_nested_routers_never_answer_for_each_other() {
    // By what a layer sees, by what the client sees, and by neither alone.
    for route in ["/items/{id}", "/{version}/items/{id}", "/{*path}"] {
        for (name, app) in NESTED {
            let app = app(&cache(route));
            if name == "clones of one layer" && !KNOWS_AXUM {
                // The program says that they are one, and nothing says otherwise.
                continue;
            }
            let below = if name == "deeper" { "/a" } else { "" };
            for _ in 0..2 {
                for (version, own) in [("/v1", "one"), ("/v2", "two")] {
                    let uri = format!("{version}{below}/items/1");
                    let response = ask(&app, &uri).await;
                    let shown = status(&response);
                    assert_eq!(text(response).await, own, "{route} {name} {uri}: {shown}");
                }
            }
            let hit = is_hit(&ask(&app, &format!("/v1{below}/items/1")).await);
            let takes = match route {
                "/{version}/items/{id}" => KNOWS_AXUM && below.is_empty(),
                _ => true,
            };
            assert_eq!(hit, takes, "{route} {name}");
        }
    }
}

/// A tenant's router below a capture: one layer sees the same path for all of them.
#[tokio::test]
async fn safety_109_places_below_a_capture_are_apart() {
    let (short, long) = (cache("/users"), cache("/{tenant}/users"));
    let mut layers = vec![whole(&short), whole(&long)];
    if KNOWS_AXUM {
        layers.extend([short.layer(), long.layer()]);
    }
    for (number, layer) in layers.into_iter().enumerate() {
        short.purger().all().await.expect("the log is here");
        long.purger().all().await.expect("the log is here");
        let app = Router::new().nest("/{tenant}", api(layer));
        for hit in [false, true] {
            for uri in ["/acme/users", "/umbrella/users", "/acme/users?page=2"] {
                let response = ask(&app, uri).await;
                assert_eq!(
                    is_hit(&response),
                    hit,
                    "{number} {uri} {}",
                    status(&response)
                );
                assert_eq!(text(response).await, uri, "{number}");
            }
        }
    }
}

#[tokio::test]
async fn by_the_whole_uri_places_and_tenants_are_apart() {
    let cache = cache("/{tenant}/users");
    let apps = [
        (
            "two places",
            Router::new()
                .nest("/acme", api(whole(&cache)))
                .nest("/umbrella", api(whole(&cache))),
        ),
        (
            "a service",
            Router::new()
                .nest_service("/acme", api(whole(&cache)))
                .nest_service("/umbrella", api(whole(&cache))),
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

/// Takes `prefix` from the path, as hand-written routers do, and tells nobody.
#[derive(Clone)]
struct Strip<S> {
    prefix: &'static str,
    inner: S,
}

impl<S: Service<Request>> Service<Request> for Strip<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> S::Future {
        let uri = request.uri().to_string();
        let rest = uri.strip_prefix(self.prefix).expect("a request for here");
        *request.uri_mut() = rest.parse().expect("a path");
        self.inner.call(request)
    }
}

type Place = Box<dyn Fn(&'static str) -> BoxFuture<'static, (bool, String)>>;

/// A row: its name, and two places of one program.
type Stripping = (&'static str, fn(&Cache) -> Vec<Place>);

/// Asks a service that stands behind `prefix`.
fn stripped<S, B>(prefix: &'static str, inner: S) -> Place
where
    S: Service<Request, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    let service = Strip { prefix, inner };
    Box::new(move |uri| {
        let service = service.clone();
        Box::pin(async move {
            let request = Request::get(uri).body(Body::empty()).expect("a request");
            let response = service.oneshot(request).await.expect("no error");
            let hit = is_hit(&response);
            (hit, text(response).await)
        })
    })
}

fn named(
    name: &'static str,
) -> impl Service<Request, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |_: Request| async move { Ok(Response::new(Body::from(name))) })
}

#[tokio::test]
async fn safety_109_layers_behind_a_prefix_that_nobody_tells_are_apart() {
    let rows: [Stripping; 5] = [
        ("two lines", |cache| {
            let one = cache.layer().layer(named("/v1"));
            let two = cache.layer().layer(named("/v2"));
            vec![stripped("/v1", one), stripped("/v2", two)]
        }),
        ("a loop", |cache| {
            let place = |name| stripped(name, cache.layer().layer(named(name)));
            ["/v1", "/v2"].into_iter().map(place).collect()
        }),
        ("routers", |cache| {
            let place = |name| stripped(name, items(cache.layer(), name));
            ["/v1", "/v2"].into_iter().map(place).collect()
        }),
        ("clones of a cache", |cache| {
            let place = |name| stripped(name, cache.clone().layer().layer(named(name)));
            ["/v1", "/v2"].into_iter().map(place).collect()
        }),
        ("names", |cache| {
            let place = |name| stripped(name, cache.layer().scope(name).layer(named(name)));
            ["/v1", "/v2"].into_iter().map(place).collect()
        }),
    ];
    for (name, places) in rows {
        let cache = cache("/items/{id}");
        let places = places(&cache);
        for hit in [false, true] {
            for (place, uri) in places.iter().zip(["/v1/items/1", "/v2/items/1"]) {
                let own = uri.trim_end_matches("/items/1").to_owned();
                assert_eq!(place(uri).await, (hit, own), "{name}");
            }
        }
        // A purge by the path that a layer sees reaches all of them.
        cache
            .purger()
            .url("/items/1")
            .await
            .expect("the log is here");
        for (place, uri) in places.iter().zip(["/v1/items/1", "/v2/items/1"]) {
            assert!(!place(uri).await.0, "{name}");
        }
    }
}

/// Where the second layer is made only after the first was asked.
#[tokio::test]
async fn safety_109_a_layer_of_another_line_that_comes_later_is_apart_as_well() {
    let cache = cache("/items/{id}");
    let one = stripped("/v1", cache.layer().layer(named("one")));
    one("/v1/items/1").await;
    assert_eq!(one("/v1/items/1").await, (true, "one".into()));
    let two = stripped("/v2", cache.layer().layer(named("two")));
    assert_eq!(two("/v2/items/1").await, (false, "two".into()));
    assert_eq!(two("/v2/items/1").await, (true, "two".into()));
    assert_eq!(one("/v1/items/1").await.1, "one");
}

/// As for each connection of a server, or in a handler.
#[tokio::test]
async fn a_layer_that_one_line_makes_again_and_again_is_the_same_one() {
    let cache = cache("/items/{id}");
    let connection = || stripped("", cache.layer().layer(named("page")));
    let mut open = vec![connection()];
    open[0]("/items/1").await;
    for _ in 0..3 {
        open.push(connection());
        for one in &open {
            assert_eq!(one("/items/1").await, (true, "page".into()));
        }
    }
}

#[tokio::test]
async fn layers_of_one_name_are_one() {
    let cache = cache("/items/{id}");
    let one = stripped("", cache.layer().scope("items").layer(named("one")));
    let same = stripped("", cache.layer().scope("items").layer(named("same")));
    let other = stripped("", cache.layer().scope("other").layer(named("other")));
    let unnamed = stripped("", cache.layer().layer(named("unnamed")));
    assert_eq!(one("/items/1").await, (false, "one".into()));
    assert_eq!(same("/items/1").await, (true, "one".into()));
    assert_eq!(other("/items/1").await, (false, "other".into()));
    assert_eq!(unnamed("/items/1").await, (false, "unnamed".into()));
}

#[tokio::test]
async fn safety_109_a_change_below_a_nested_router_purges_what_the_client_sees() {
    const ITEM: &str = "/v1/items/1";
    for route in ["/items/{id}", "/{version}/items/{id}"] {
        for (changed, field) in [
            (ITEM, None),
            ("/v1/items/9", Some(("location", ITEM))),
            ("/v1/items/9", Some(("location", "1"))),
            ("/v1/items/9", Some(("content-location", ITEM))),
        ] {
            for overridden in [false, true] {
                let cache = cache(route);
                let page = any(move || async move { (AppendHeaders(field), "page") });
                let api = Router::new()
                    .route("/items/{id}", page)
                    .layer(whole(&cache));
                let app = Router::new().nest("/v1", api.clone()).nest("/v2", api);
                for uri in [ITEM, "/v2/items/1"] {
                    text(ask(&app, uri).await).await;
                    assert!(is_hit(&ask(&app, uri).await), "{route} {uri}");
                }
                let request = match overridden {
                    true => Request::get(changed).header("x-http-method-override", "DELETE"),
                    false => Request::post(changed),
                };
                let request = request.body(Body::empty()).expect("a request");
                let response = app.clone().oneshot(request).await.expect("no error");
                assert_eq!(response.status(), 200);
                let case = format!("{route} {changed} {field:?} {overridden}");
                assert!(!is_hit(&ask(&app, ITEM).await), "{case}");
                assert!(is_hit(&ask(&app, "/v2/items/1").await), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_purge_by_url_or_glob_names_the_whole_path() {
    for route in ["/users", "/{tenant}/users"] {
        let cache = cache(route);
        let app = Router::new().nest("/{tenant}", api(whole(&cache)));
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
}

/// A rule may name what the client sees or what the layer sees; its captures are of that path.
#[tokio::test]
async fn tags_are_made_of_the_path_that_the_rule_names() {
    for (route, template) in [
        ("/users", "all"),
        ("/{tenant}/users", "{tenant}"),
        ("/{*path}", "{path}"),
    ] {
        let rule = Rule::new("users", route)
            .ttl(TTL)
            .tag(format!("u:{template}"));
        let (cache, _) = Cache::builder().rule(rule).build().expect("a rule");
        let app = Router::new().nest("/{tenant}", api(whole(&cache)));
        text(ask(&app, "/acme/users").await).await;
        assert!(is_hit(&ask(&app, "/acme/users").await), "{route}");
        let tag = match template {
            "all" => "u:all",
            "{tenant}" => "u:acme",
            _ => "u:acme/users",
        };
        cache.purger().tag(tag).await.expect("the log is here");
        assert!(!is_hit(&ask(&app, "/acme/users").await), "{route}");
    }
}

#[tokio::test]
async fn no_vary_search_is_heard_below_a_nested_router() {
    let rule = Rule::new("users", "/users").ttl(TTL).no_vary_search();
    let (cache, _) = Cache::builder().rule(rule).build().expect("a rule");
    let handler = || async { ([("no-vary-search", "params=(\"utm\")")], "page") };
    for layer in [whole(&cache), whole(&cache).scope("named")] {
        let api = Router::new().route("/users", get(handler)).layer(layer);
        let app = Router::new().nest("/a", api.clone()).nest("/b", api);
        text(ask(&app, "/a/users?utm=1").await).await;
        crate::settle().await;
        assert!(is_hit(&ask(&app, "/a/users?utm=2").await));
        assert!(!is_hit(&ask(&app, "/b/users?utm=3").await));
        cache.purger().all().await.expect("the log is here");
    }
}

#[tokio::test]
async fn the_inner_service_gets_the_request_with_the_uri_that_the_layer_saw() {
    let cache = cache("/{tenant}/users");
    let handler = |request: Request| async move { request.uri().to_string() };
    let api = Router::new()
        .route("/users", get(handler))
        .layer(whole(&cache));
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
    use tower::ServiceBuilder;
    #[derive(Clone)]
    struct Whole(Uri);
    let cache = cache("/users");
    let layer = cache
        .layer()
        .original_uri(|extensions| extensions.get::<Whole>().map(|uri| &uri.0));
    let inner = service_fn(|request: Request| async move {
        Ok::<_, Infallible>(Response::new(Body::from(request.uri().to_string())))
    });
    let service = layer.layer(inner);
    let rewrite = |to: &'static str| {
        let service = service.clone();
        ServiceBuilder::new()
            .map_request(move |mut request: Request| {
                let whole = std::mem::replace(request.uri_mut(), Uri::from_static(to));
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
