//! P5 for several layers of one cache on two nodes: what they may share, and what not (SAFETY 109).

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::OriginalUri;
use axum::routing::get;
use http::Request;
use tagcache_test_support::{Fleet, eventually};
use tower::ServiceExt;
use tower_tagcache::{Cache, CacheLayer, Rule};

fn fleet() -> Fleet {
    let rule = Rule::new("items", "/items/{id}").ttl(Duration::from_secs(60));
    Fleet::new().rule(rule.strict())
}

fn cache(fleet: &Fleet) -> Cache {
    fleet.builder().build().expect("a good rule").0
}

/// `/items/1`, which answers `name`, behind `layer`.
fn items(layer: CacheLayer, name: &'static str) -> Router {
    let page = get(move || async move { name });
    Router::new().route("/items/{id}", page).layer(layer)
}

/// Whether it was a hit, and the body.
async fn ask(app: &Router, uri: &str) -> (bool, String) {
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let how = response.headers()["cache-status"].to_str().unwrap();
    let hit = how.starts_with("tagcache; hit");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX);
    (hit, String::from_utf8(body.await.unwrap().into()).unwrap())
}

async fn warm(app: &Router, uri: &str) {
    eventually(async || match ask(app, uri).await {
        (true, _) => Ok(()),
        (false, body) => Err(body),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn safety_109_nested_routers_share_with_other_nodes_and_not_with_each_other() {
    let whole = |cache: &Cache| {
        let layer = cache.layer();
        layer.original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0))
    };
    let fleet = fleet();
    let app = |one, two| {
        let cache = cache(&fleet);
        Router::new()
            .nest("/v1", items(whole(&cache), one))
            .nest("/v2", items(whole(&cache), two))
    };
    let (here, there) = (app("one", "two"), app("other", "other"));
    warm(&here, "/v1/items/1").await;
    warm(&here, "/v2/items/1").await;
    assert_eq!(ask(&there, "/v1/items/1").await, (true, "one".into()));
    assert_eq!(ask(&there, "/v2/items/1").await, (true, "two".into()));
}

/// Routers behind code that takes `/v1` and `/v2` away and does not say so. Which is the first may differ from
/// node to node, as where they come out of a map.
#[tokio::test(flavor = "multi_thread")]
async fn safety_109_several_layers_share_with_other_nodes_by_name_only() {
    let fleet = fleet();
    let (here, there) = (cache(&fleet), cache(&fleet));
    let place = |cache: &Cache, name| items(cache.layer(), name);
    let (v1, v2) = (place(&here, "one"), place(&here, "two"));
    let (other_v2, other_v1) = (place(&there, "two"), place(&there, "one"));
    warm(&v1, "/items/1").await;
    warm(&v2, "/items/1").await;
    assert_eq!(ask(&other_v1, "/items/1").await, (false, "one".into()));
    assert_eq!(ask(&other_v2, "/items/1").await, (false, "two".into()));

    let place = |cache: &Cache, name| items(cache.layer().scope(name), name);
    let (v1, v2) = (place(&here, "one"), place(&here, "two"));
    let (other_v2, other_v1) = (place(&there, "two"), place(&there, "one"));
    warm(&v1, "/items/1").await;
    warm(&v2, "/items/1").await;
    assert_eq!(ask(&other_v1, "/items/1").await, (true, "one".into()));
    assert_eq!(ask(&other_v2, "/items/1").await, (true, "two".into()));
}
