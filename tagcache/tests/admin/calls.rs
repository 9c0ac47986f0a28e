//! What each call does.

use std::time::Duration;

use serde_json::json;
use tagcache_test_support::eventually;

use crate::site::{AdminSite, open, rules};

#[tokio::test]
async fn a_purge_over_http_is_one_of_the_cache() {
    let site = AdminSite::with(open()).await;
    for (body, gone, stays) in [
        (r#"{"tag":"auction:7"}"#, "/auctions/7", "/auctions/8"),
        (r#"{"tag":["auction:8"]}"#, "/auctions/8", "/auctions/7"),
        (r#"{"url":"/auctions"}"#, "/auctions", "/auctions/7"),
        (r#"{"rule":"auction"}"#, "/auctions/7", "/auctions"),
        (r#"{"family":"auction"}"#, "/auctions/8", "/auctions"),
        (r#"{"glob":"/auctions/*"}"#, "/auctions/7", "/auctions"),
    ] {
        site.filled(&["/auctions", "/auctions/7", "/auctions/8"])
            .await;
        let told = site.purge(body).await;
        assert_eq!(told.status, 200, "{body}: {}", told.text);
        assert_eq!(told.json()["status"], "purged");
        assert!(!site.forwards(stays).await, "{body}");
        assert!(site.forwards(gone).await, "{body}");
    }
    site.filled(&["/auctions", "/auctions/7"]).await;
    assert_eq!(site.purge(r#"{"all":true}"#).await.status, 200);
    assert!(site.forwards("/auctions").await && site.forwards("/auctions/7").await);
}

#[tokio::test]
async fn a_purge_tells_where_it_is_in_the_log() {
    let site = AdminSite::with(open()).await;
    let told = site.purge(r#"{"tag":["a","b"],"url":"/x"}"#).await.json();
    assert_eq!(told["targets"], json!(["t:a", "t:b", "p:/x"]));
    assert_eq!(told["durability"], "acknowledged");
    let position: tower_tagcache::Position = told["position"].as_str().unwrap().parse().unwrap();
    let health = site.cache.health();
    assert_eq!(position.ordinal, 1, "one record for all targets");
    assert_eq!(
        Some(position.epoch),
        health.position.map(|known| known.epoch)
    );
}

#[tokio::test]
async fn a_dry_run_purges_nothing() {
    let site = AdminSite::with(open()).await;
    site.filled(&["/auctions"]).await;
    let told = site.purge(r#"{"all":true,"dry_run":true}"#).await;
    assert_eq!(told.status, 200);
    let rules = json!(["auction", "list"]);
    let reach = json!([{"kind": "all", "name": "", "rules": rules, "doubt": null}]);
    assert_eq!(
        told.json(),
        json!({"status": "dry-run", "targets": ["*"], "reach": reach, "soft": false})
    );
    assert!(!site.forwards("/auctions").await);
}

#[tokio::test]
async fn safety_112_a_rule_that_there_is_not_is_told_and_nothing_purged() {
    let site = AdminSite::with(open()).await;
    site.filled(&["/auctions", "/auctions/7"]).await;
    let told = site.purge(r#"{"rule":["auction","lst"]}"#).await;
    assert_eq!(told.status, 422);
    let error = told.json()["error"].as_str().unwrap().to_owned();
    assert!(
        error.contains("no rule is called `lst`; did you mean `list`?"),
        "{error}"
    );
    assert!(!site.forwards("/auctions/7").await);
    let told = site
        .purge(r#"{"rule":["auction","lst"],"force":true}"#)
        .await;
    assert_eq!(told.status, 200);
    assert!(site.forwards("/auctions/7").await);
    let told = site.purge(r#"{"tag":"auctons"}"#).await.json();
    let doubt = told["reach"][0]["doubt"].as_str().unwrap().to_owned();
    assert!(doubt.contains("did you mean `auctions`?"), "{doubt}");
}

#[tokio::test]
async fn a_malformed_call_says_what_is_wrong_and_purges_nothing() {
    let site = AdminSite::with(open()).await;
    site.filled(&["/auctions"]).await;
    for body in [
        "",
        "{}",
        r#"{"labels":["auctions"]}"#,
        r#"{"tag":"auctions","url":"no url"}"#,
    ] {
        let told = site.purge(body).await;
        assert_eq!(told.status, 400, "{body}");
        assert!(told.json()["error"].is_string(), "{body}");
    }
    assert!(!site.forwards("/auctions").await);
}

#[tokio::test]
async fn without_redis_a_purge_is_pending_and_the_service_ready_but_degraded() {
    // Nothing listens there.
    let rules = rules()
        .redis("redis://127.0.0.1:1")
        .purge_timeout(Duration::from_millis(200));
    let site = AdminSite::start(open(), rules, |hooks| hooks).await;
    let told = site.purge(r#"{"tag":"auctions"}"#).await;
    assert_eq!(
        (told.status, told.json()["status"].clone()),
        (202, json!("pending"))
    );
    let reason = told.json()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("refused"), "the cause: {reason}");
    let ready = site.get("/readyz").await;
    assert_eq!(ready.status, 200);
    let told = ready.json();
    assert_eq!(
        (&told["ready"], &told["degraded"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(told["log"]["followed"], false);
    // While it is being repeated, it does not wait.
    let told = eventually(async || {
        let told = site.get("/readyz").await.json();
        match told["log"]["purges_waiting"] == json!(1) {
            true => Ok(told),
            false => Err(told),
        }
    })
    .await;
    let reasons = told["reasons"].as_array().unwrap();
    assert!(reasons.len() >= 2, "{reasons:?}");
    assert_eq!(site.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_log_that_is_followed_is_readiness_without_reasons() {
    let site = AdminSite::with(open()).await;
    while !site.cache.health().followed {
        tokio::task::yield_now().await;
    }
    let told = site.get("/readyz").await;
    assert_eq!(told.status, 200);
    assert_eq!(
        (&told.json()["degraded"], &told.json()["reasons"]),
        (&json!(false), &json!([]))
    );
}

#[tokio::test]
async fn who_drains_is_alive_but_not_ready() {
    let drains = |hooks: tagcache::admin::AdminHooks| hooks.unready(|| Some("draining".to_owned()));
    let site = AdminSite::start(open(), rules(), drains).await;
    let told = site.get("/readyz").await;
    assert_eq!(
        (told.status, &told.json()["reasons"][0]),
        (503, &json!("draining"))
    );
    assert_eq!(site.get("/healthz").await.text, "ok\n");
}

#[tokio::test]
async fn the_configuration_is_what_the_program_says_it_is_now() {
    let config =
        |hooks: tagcache::admin::AdminHooks| hooks.config(|| "mode = \"dev\"\n".to_owned());
    let site = AdminSite::start(open(), rules(), config).await;
    let told = site.get("/config").await;
    assert_eq!((told.status, told.text.as_str()), (200, "mode = \"dev\"\n"));
    assert!(told.head.contains("cache-control: no-store"));
}

#[tokio::test]
async fn the_test_call_is_there_for_tests_only() {
    let site = AdminSite::with(open()).await;
    let path = "/test/invalidate-cache";
    assert_eq!(site.call("POST", path, &[], "").await.status, 404);
    let mut settings = open();
    settings.purge_from_loopback = false;
    settings.test_calls = true;
    let site = AdminSite::with(settings).await;
    site.filled(&["/auctions", "/auctions/7"]).await;
    assert_eq!(site.get(path).await.status, 405);
    assert!(!site.forwards("/auctions").await);
    assert_eq!(site.call("POST", path, &[], "").await.status, 200);
    assert!(site.forwards("/auctions").await && site.forwards("/auctions/7").await);
}

#[tokio::test]
async fn a_wrong_path_or_method_is_told_so() {
    let site = AdminSite::with(open()).await;
    assert_eq!(site.get("/").await.status, 404);
    let told = site.get("/purge").await;
    assert_eq!(told.status, 405);
    assert!(told.head.contains("allow: post"), "{}", told.head);
    let head = site.call("HEAD", "/healthz", &[], "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}
