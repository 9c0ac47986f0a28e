//! `/metrics`.

use std::time::Duration;

use serde_json::json;
use tagcache_test_support::{GENEROUS, RedisServer, eventually, until};
use tower_tagcache::{On, Stream};

use crate::site::{AdminSite, open, rules};

#[tokio::test]
async fn the_hit_rate_is_there_for_the_command_of_the_requirement() {
    let site = AdminSite::with(open()).await;
    assert_eq!(site.get("/metrics").await.json()["cache_hit_rate"], 0.0);
    assert!(site.forwards("/auctions").await);
    for _ in 0..3 {
        assert!(!site.forwards("/auctions").await);
    }
    // No rule, nothing to count.
    assert!(site.forwards("/other").await);
    let told = site.get("/metrics").await.json();
    assert_eq!(told["cache_hit_rate"], 0.75);
    assert_eq!(
        (
            &told["total_requests"],
            &told["cache_hits"],
            &told["cache_misses"]
        ),
        (&json!(4), &json!(3), &json!(1))
    );
    let same = site.get("/metrics.json").await.json();
    assert_eq!(same["cache_hit_rate"], 0.75);
}

#[tokio::test]
async fn prometheus_gets_each_thing_that_is_counted() {
    let stream = Stream::rindexer("sales").on(On::event("Sale").purge("auctions"));
    let site = AdminSite::start(open(), rules().stream(stream), |hooks| hooks).await;
    while !site.cache.health().followed {
        tokio::task::yield_now().await;
    }
    site.filled(&["/auctions"]).await;
    for _ in 0..2 {
        assert!(!site.forwards("/auctions").await);
    }
    site.cache.purger().tag("auctions").await.unwrap();
    assert!(site.forwards("/auctions").await);
    let unreadable = vec![(b"payload".to_vec(), b"no JSON".to_vec())];
    let outcome = site.cache.events().apply("sales", "1-0", unreadable).await;
    let purged = outcome.unwrap().purged.unwrap();
    while site.cache.health().position != Some(purged.position) {
        tokio::task::yield_now().await;
    }
    let accept = [("accept", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")];
    let told = site.call("GET", "/metrics", &accept, "").await;
    assert!(
        told.head
            .contains("content-type: text/plain; version=0.0.4")
    );
    for line in [
        "# TYPE tagcache_requests_total counter",
        r#"tagcache_requests_total{rule="list",served="hit",reason="hit"} 3"#,
        r#"tagcache_requests_total{rule="list",served="forwarded",reason="uri-miss"} 1"#,
        r#"tagcache_requests_total{rule="list",served="forwarded",reason="stale"} 1"#,
        "tagcache_purges_total 2",
        r#"tagcache_events_total{stream="sales",outcome="quarantined"} 1"#,
        "tagcache_epochs_joined_total 1",
        "tagcache_breaker_open 0",
        "tagcache_log_followed 1",
        "tagcache_log_position 2",
        "tagcache_log_silence_seconds ",
        "tagcache_purges_waiting 0",
    ] {
        assert!(told.text.contains(line), "{line} is not in\n{}", told.text);
    }
    assert_eq!(site.get("/metrics.txt").await.status, 200);
    let again = site.get("/metrics.txt").await.text;
    let hits = r#"tagcache_requests_total{rule="list",served="hit",reason="hit"} 3"#;
    assert!(again.contains(hits), "asking twice counts nothing twice");
}

#[tokio::test]
async fn failures_of_redis_are_counted_and_the_breaker_shown() {
    let site = AdminSite::start(open(), rules().redis("redis://127.0.0.1:1"), |hooks| hooks).await;
    let breaker = async || site.get("/metrics").await.json()["breaker_open"].clone();
    while breaker().await != json!(true) {
        assert!(site.forwards("/auctions").await);
    }
    let told = site.get("/metrics.txt").await.text;
    assert!(told.contains("tagcache_store_failures_total{"), "{told}");
    assert!(told.contains("tagcache_breaker_open 1"), "{told}");
}

/// Also when it cannot be read: for the stream's sake the service is degraded, and says which and why.
#[tokio::test]
async fn safety_98_each_stream_shows_what_is_unread_and_since_when() {
    let server = RedisServer::start();
    let stream = Stream::rindexer("sales")
        .away(Duration::from_secs(1))
        .on(On::event("Sale").purge("auctions"));
    // A server that is too slow for lookups, as on a busy machine, degrades the service as well.
    let builder = rules().redis(server.url()).stream(stream);
    let builder = builder.read_timeout(GENEROUS).write_timeout(GENEROUS);
    let site = AdminSite::start(open(), builder, |hooks| hooks).await;
    let told = async || site.get("/readyz").await.json();
    let is_read = async || told().await["streams"][0]["silence_seconds"].is_f64();
    until("it is read", is_read).await;
    let all_is_well = async || told().await["degraded"] == json!(false);
    until("all is well", all_is_well).await;
    let ready = told().await;
    let stream = &ready["streams"][0];
    assert_eq!(
        (&stream["name"], &stream["pending"]),
        (&json!("sales"), &json!(0))
    );
    until("the lag is known", async || {
        told().await["streams"][0]["lag"] == json!(0)
    })
    .await;
    let metrics = site.get("/metrics.txt").await.text;
    for line in [
        r#"tagcache_stream_lag{stream="sales"} 0"#,
        r#"tagcache_stream_pending{stream="sales"} 0"#,
        r#"tagcache_stream_in_doubt{stream="sales"} 0"#,
        r#"tagcache_stream_silence_seconds{stream="sales"} "#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    server.run("SET sales 1").await;
    let in_doubt = async || told().await["streams"][0]["in_doubt"] == json!(true);
    until("it is in doubt", in_doubt).await;
    let doubtful = told().await;
    assert_eq!(doubtful["ready"], json!(true));
    let reasons = doubtful["reasons"].to_string();
    for part in [
        "stream sales is not read",
        "nothing that its events can touch",
        "WRONGTYPE",
    ] {
        assert!(reasons.contains(part), "{part}: {reasons}");
    }
    let metrics = site.get("/metrics.txt").await.text;
    assert!(
        metrics.contains(r#"tagcache_stream_in_doubt{stream="sales"} 1"#),
        "{metrics}"
    );
    server.run("DEL sales").await;
    eventually(async || {
        let told = told().await;
        (told["degraded"] == json!(false)).then_some(()).ok_or(told)
    })
    .await;
}
