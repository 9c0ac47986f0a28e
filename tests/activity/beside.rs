//! Beside and behind other things: a layer of the cache, and routers of axum.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_tagcache::feed::ActivityServiceSettings;
use tower_tagcache::{ActivitySettings, Cache, Rule, Statuses};

use super::{AUCTION, House, happened};

async fn get(router: &Router, target: &str) -> (StatusCode, String, String) {
    let request = Request::get(target).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let how = response.headers().get("cache-status");
    let how = how.map_or("", |how| how.to_str().unwrap()).to_owned();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap(), how)
}

/// Rules of an operator that name everything.
fn greedy() -> [Rule; 2] {
    let hour = Duration::from_secs(3_600);
    let all = Rule::new("all", "/{*path}").ttl(hour);
    let more = Rule::new("more", "/activity").ttl(hour);
    [all, more].map(|rule| rule.ttl_for(Statuses::code(400), hour))
}

#[tokio::test]
async fn a_cache_in_front_stores_none_of_it() {
    let builder = greedy()
        .into_iter()
        .fold(Cache::builder(), |builder, rule| builder.rule(rule));
    let house = House::open(builder, &ActivityServiceSettings::open());
    let cached = house.cache.layer().layer(house.activity.clone());
    let router = Router::new().fallback_service(cached);
    for n in 0..5 {
        house.announce(happened("sale", AUCTION, n)).await;
        house.shows(n as usize + 1, "/activity").await;
        for target in ["/activity", "/activity?limit=100"] {
            let (status, body, how) = get(&router, target).await;
            assert_eq!(status, 200);
            assert_eq!(body.matches("\"type\"").count() as u64, n + 1, "{how}");
            assert!(how.contains("fwd") && !how.contains("stored"), "{how}");
        }
        for target in ["/analytics", "/activity?limit=0"] {
            let (_, _, how) = get(&router, target).await;
            assert!(how.contains("fwd") && !how.contains("stored"), "{how}");
        }
    }
}

#[tokio::test]
async fn a_router_of_axum_takes_it_in_merged_and_nested() {
    let (cache, companion) = Cache::builder()
        .activity(ActivitySettings::new())
        .build()
        .unwrap();
    let task = tokio::spawn(companion.run(std::future::pending()));
    let service = |below: &str| {
        let settings = ActivityServiceSettings::open().below(below);
        cache.activity_service(&settings).unwrap()
    };
    let router: Router = Router::new()
        .route("/activity/mine", axum::routing::get(async || "mine"))
        .merge(service("").router())
        .merge(service("/api/v1/").router())
        // What is nested is found by the whole path.
        .nest(
            "/other",
            Router::new().route_service("/activity", service("/other")),
        )
        .nest(
            "/wrong",
            Router::new().route_service("/activity", service("")),
        );
    for (target, status) in [
        ("/activity", 200),
        ("/activity/?limit=5", 200),
        ("/analytics", 200),
        ("/analytics/", 200),
        ("/api/v1/activity", 200),
        ("/api/v1/analytics?hours=3", 200),
        ("/api/v1/activity?limit=0", 400),
        ("/other/activity", 200),
        ("/wrong/activity", 404),
        ("/activity/7", 404),
    ] {
        let (answered, body, _) = get(&router, target).await;
        assert_eq!(answered, status, "{target}: {body}");
    }
    assert_eq!(get(&router, "/activity/mine").await.1, "mine");
    task.abort();
}
