//! What happened, and alerts that did not arrive, as the admin listener tells it.

use std::sync::Arc;

use serde_json::{Value, json};
use tagcache::admin::AdminSettings;
use tagcache_test_support::{RedisServer, until};
use tower_tagcache::{ActivitySettings, AlertRule, CacheBuilder, Update};

use crate::site::{AdminSite, TOKEN, closed, open, rules, with_token};

const AUCTION: &str = "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";
const FAILED: &str = "6b0d8f0c2f1a4f0e9d3c5b7a81e2f4d6";
const READ: [&str; 3] = ["/activity", "/analytics", "/alerts/failed"];

fn keeping(redis: &RedisServer) -> CacheBuilder {
    let rules = rules().redis(redis.url());
    let rules = rules.activity(ActivitySettings::new());
    rules.alert(AlertRule::new("big"))
}

/// A listener, and the Redis in which a sale and a kick are kept.
async fn busy(settings: AdminSettings) -> (AdminSite, Arc<RedisServer>) {
    let redis = Arc::new(RedisServer::start());
    let site = AdminSite::start(settings, keeping(&redis), |hooks| hooks).await;
    let sale = Update::new("sale", AUCTION).unwrap();
    let sale = sale.with_field("amount", "1500000000000000000000").unwrap();
    for update in [sale, Update::new("kick", "auction:8").unwrap()] {
        let purger = site.cache.purger().announcing(update);
        purger.tag("auctions").await.unwrap();
    }
    let feed = site.cache.activity().unwrap();
    until("both are kept", async || {
        let page = feed.read(&tower_tagcache::ActivityQuery::new()).await;
        page.is_ok_and(|page| page.entries.len() == 2)
    })
    .await;
    (site, redis)
}

/// An alert that was given up.
async fn fail(redis: &RedisServer, id: &str) {
    let failed = json!({
        "queue": "big/webhook/ops", "id": id, "json": "{\"rule\":\"big\"}", "suppressed": 0, "reason": "503",
        "at": 1_700_000_000_000_u64,
    });
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut push = redis::cmd("LPUSH");
    push.arg("{tagcache:purges}:activity:failed")
        .arg(failed.to_string());
    push.query_async::<redis::Value>(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_happened_and_how_much_of_it_is_told_as_json() {
    let (site, _redis) = busy(open()).await;
    let told = site.get("/activity").await;
    assert_eq!(told.status, 200);
    assert!(told.head.contains("cache-control: no-store"));
    assert!(told.head.contains("content-type: application/json"));
    let told = told.json();
    assert_eq!(told["entries"][0]["type"], "kick");
    assert_eq!(told["entries"][1]["amount"], "1500000000000000000000");
    assert_eq!(told["next"], Value::Null);
    let first = site.get("/activity?limit=1&reorged=true").await.json();
    let next = first["next"].as_str().unwrap();
    let second = site.get(&format!("/activity?limit=1&cursor={next}")).await;
    assert_eq!(second.json()["entries"][0]["type"], "sale");
    for (query, count) in [
        ("type=sale,kick", 2),
        ("type=kick", 1),
        ("subject=auction:8", 1),
        ("auction=0xA16E02E87b7454126E5E10d957A927A7F5B5d2be", 1),
        ("type=bid", 0),
    ] {
        let told = site.get(&format!("/activity?{query}")).await.json();
        assert_eq!(told["entries"].as_array().unwrap().len(), count, "{query}");
    }
    let told = site.get("/analytics?hours=2&by=subject&type=sale").await;
    let row = json!({
        "type": "sale", "subject": AUCTION, "count": 1, "sums": { "amount": "1500000000000000000000" },
    });
    assert_eq!(told.json()["rows"], json!([row]));
    let head = site.call("HEAD", "/activity", &[], "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn alerts_that_failed_are_told_and_sent_again() {
    let (site, redis) = busy(open()).await;
    assert_eq!(
        site.get("/alerts/failed").await.json(),
        json!({ "failed": [] })
    );
    for id in [FAILED, "00000000000000000000000000000001"] {
        fail(&redis, id).await;
    }
    let told = site.get("/alerts/failed?limit=1").await.json();
    let failed = json!([{
        "id": "00000000000000000000000000000001", "queue": "big/webhook/ops", "reason": "503",
        "at": 1_700_000_000, "alert": { "rule": "big" },
    }]);
    assert_eq!(told["failed"], failed);
    let again = async |body: String| {
        let told = site.call("POST", "/alerts/resend", &[], &body).await;
        (told.status, told.json())
    };
    let (status, told) = again(format!("{{\"id\":\"{FAILED}\"}}")).await;
    let expected = json!({ "status": "waiting", "alerts": 1 });
    assert_eq!((status, told), (200, expected));
    let unknown = "00000000000000000000000000000002";
    let (status, told) = again(format!("{{\"id\":\"{unknown}\"}}")).await;
    let expected = format!("no alert that failed has the id \"{unknown}\"");
    assert_eq!((status, told["error"].as_str()), (422, Some(&*expected)));
    // Whoever brings them to their receivers may have given up the first one again.
    let (status, told) = again(r#"{"all":true}"#.to_owned()).await;
    let alerts = told["alerts"].as_u64();
    assert!(status == 200 && matches!(alerts, Some(1 | 2)), "{told}");
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_its_reason() {
    let (site, _redis) = busy(open()).await;
    for (path, reason) in [
        (
            "/activity?limit=0",
            "`limit` is \"0\": not a whole number from 1 to 1000",
        ),
        ("/activity?cursor=5", "`cursor` is \"5\": a cursor is"),
        (
            "/activity?type=a%20b",
            "`type`: type of update \"a b\" is not",
        ),
        (
            "/activity?auction=0x1",
            "`auction`: subject \"auction:0x1\" is not like",
        ),
        (
            "/activity?limt=5",
            "parameter \"limt\" is not known; known are limit,",
        ),
        (
            "/analytics?hours=0",
            "`hours` is \"0\": not a whole number from 1 to 168",
        ),
        (
            "/analytics?by=day",
            "`by` is \"day\": not `hour` or `subject`",
        ),
        (
            "/alerts/failed?limit=x",
            "`limit` is \"x\": not a whole number",
        ),
    ] {
        let told = site.get(path).await;
        assert_eq!(told.status, 400, "{path}");
        let error = told.json()["error"].as_str().unwrap().to_owned();
        assert!(error.starts_with(reason), "{path}: {error}");
    }
    for body in ["", "{}", r#"{"id":"5"}"#, r#"{"all":true,"id":"5"}"#] {
        let told = site.call("POST", "/alerts/resend", &[], body).await;
        assert_eq!(told.status, 400, "{body}");
        assert!(told.json()["error"].is_string(), "{body}");
    }
    for path in READ {
        assert_eq!(site.call("POST", path, &[], "").await.status, 405, "{path}");
    }
    assert_eq!(site.get("/alerts/resend").await.status, 405);
    assert_eq!(site.get("/alerts").await.status, 404);
}

#[tokio::test]
async fn where_nothing_is_kept_or_redis_is_away_that_is_said() {
    let site = AdminSite::with(open()).await;
    let all = [r#"{"all":true}"#];
    for path in READ {
        let told = site.get(path).await;
        assert_eq!(told.status, 404, "{path}");
        let error = told.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("neither [activity] nor"), "{error}");
    }
    let told = site.call("POST", "/alerts/resend", &[], all[0]).await;
    assert_eq!(told.status, 404);
    let mut redis = RedisServer::start();
    let site = AdminSite::start(open(), keeping(&redis), |hooks| hooks).await;
    redis.stop();
    for path in READ {
        let told = site.get(path).await;
        assert_eq!(told.status, 503, "{path}: {}", told.text);
        assert!(told.json()["error"].is_string());
    }
}

#[tokio::test]
async fn safety_21_what_happened_is_for_who_may_look_and_alerts_for_who_may_purge() {
    let all = r#"{"all":true}"#;
    let site = AdminSite::with(closed()).await;
    for path in READ {
        assert_eq!(
            site.get(path).await.status,
            404,
            "this machine may look: {path}"
        );
        let by_proxy = [("x-forwarded-for", "192.0.2.1")];
        let told = site.call("GET", path, &by_proxy, "").await;
        assert_eq!(told.status, 403, "{path}");
    }
    let told = site.call("POST", "/alerts/resend", &[], all).await;
    assert_eq!(told.status, 403);
    let error = told.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("no alert is sent again"), "{error}");

    let mut settings = with_token();
    settings.purge_from_loopback = true;
    let site = AdminSite::with(settings).await;
    let bearer = format!("Bearer {TOKEN}");
    for (fields, status) in [
        (&[][..], 401),
        (&[("authorization", "Bearer wrong-horse-battery")], 401),
        (&[("authorization", &*bearer)], 404),
    ] {
        for path in READ {
            let told = site.call("GET", path, fields, "").await;
            assert_eq!(told.status, status, "{path}");
        }
        let told = site.call("POST", "/alerts/resend", fields, all).await;
        assert_eq!(told.status, status);
    }
}
