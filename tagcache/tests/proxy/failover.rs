//! Several upstreams, some of them down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use http::Version;
use tagcache::proxy::{ProxySettings, UpstreamSettings};
use tagcache_test_support::until;

use crate::client::{Raw, get};
use crate::raw_origin::{RawOrigin, ok, reply};
use crate::site::{ProxySite, settings};

fn behind(origins: &[&RawOrigin]) -> ProxySettings {
    let mut settings = settings(origins[0].url());
    let urls = origins
        .iter()
        .map(|origin| UpstreamSettings::new(origin.url()));
    settings.upstreams = urls.collect();
    settings
}

async fn named(name: &'static str) -> RawOrigin {
    RawOrigin::start(move |_| ok("cache-control: no-store", name)).await
}

#[tokio::test]
async fn requests_go_to_each_upstream_in_turn() {
    let (a, b) = (named("a").await, named("b").await);
    let site = ProxySite::with(behind(&[&a, &b])).await;
    for path in ["/1", "/2", "/3", "/4"] {
        get(site.address, Version::HTTP_11, path).await;
    }
    assert_eq!((a.calls(), b.calls()), (2, 2));
}

#[tokio::test]
async fn an_upstream_that_is_down_fails_no_request_and_is_passed_over() {
    let (a, b) = (named("a").await, named("b").await);
    a.stop();
    let mut settings = behind(&[&a, &b]);
    settings.health.failures = 2;
    let site = ProxySite::with(settings).await;
    assert!(site.upstreams.any_up());
    for number in 0..6 {
        let mut client = Raw::connect(site.address).await;
        let answer = client
            .ask(&format!(
                "POST /{number} HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
            ))
            .await;
        assert_eq!((answer.status(), answer.text()), (200, "b"));
    }
    assert!(b.heard().iter().all(|heard| heard.body == b"abc"));
    let up: Vec<_> = site
        .upstreams
        .all()
        .into_iter()
        .map(|status| status.up)
        .collect();
    assert_eq!(up, [false, true]);
}

#[tokio::test]
async fn where_all_are_down_each_request_tries_a_bounded_number() {
    let origins = [named("a").await, named("b").await, named("c").await];
    for origin in &origins {
        origin.stop();
    }
    let mut settings = behind(&origins.iter().collect::<Vec<_>>());
    settings.limits.attempts = 2;
    settings.health.failures = 1;
    let site = ProxySite::with(settings).await;
    for _ in 0..3 {
        assert_eq!(get(site.address, Version::HTTP_11, "/a").await.status, 502);
    }
    assert!(!site.upstreams.any_up());
}

#[tokio::test]
async fn an_upstream_that_may_have_seen_the_request_is_not_replaced_by_another() {
    let a = RawOrigin::replies([crate::raw_origin::Reply::Last("".into())]).await;
    let b = named("b").await;
    let site = ProxySite::with(behind(&[&a, &b])).await;
    let mut client = Raw::connect(site.address).await;
    let answer = client
        .ask("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await;
    assert_eq!((answer.status(), a.calls(), b.calls()), (502, 1, 0));
}

#[tokio::test]
async fn an_upstream_is_asked_whether_it_is_well() {
    let well = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&well);
    let origin = RawOrigin::start(move |heard| match heard.path() {
        "/health" if told.load(Relaxed) => ok("", "well"),
        "/health" => reply("HTTP/1.1 500 Ill\r\ncontent-length: 0\r\n\r\n"),
        _ => ok("cache-control: no-store", "a"),
    })
    .await;
    let other = RawOrigin::start(|_| ok("cache-control: no-store", "b")).await;
    let mut settings = behind(&[&origin, &other]);
    settings.health.path = Some("/health".into());
    settings.health.interval = Duration::from_millis(20);
    settings.health.failures = 2;
    let site = ProxySite::with(settings).await;
    until("asked", async || origin.calls() > 2).await;
    assert!(site.upstreams.all()[0].up);
    well.store(false, Relaxed);
    until("down", async || !site.upstreams.all()[0].up).await;
    for _ in 0..4 {
        assert_eq!(get(site.address, Version::HTTP_11, "/a").await.text(), "b");
    }
    well.store(true, Relaxed);
    until("up", async || site.upstreams.all()[0].up).await;
    let asked = origin
        .heard()
        .into_iter()
        .find(|heard| heard.path() == "/health")
        .unwrap();
    assert_eq!(asked.field("host"), Some(&origin.url()[7..]));
}
