//! What keeping activity costs Redis.

use std::time::Duration;

use futures_util::StreamExt;
use tagcache_test_support::{RedisServer, ends, until};
use tower_tagcache::{ActivitySettings, Cache, Update};

const BATCHES: u64 = 200;

/// How often scripts were run, and the log was read, for so many announcements, one after the other.
async fn commands(keeps: bool) -> [u64; 2] {
    let redis = RedisServer::start();
    let builder = Cache::builder()
        .redis(redis.url())
        .longest_lease(Duration::from_secs(1));
    let builder = match keeps {
        true => builder.activity(ActivitySettings::new()),
        false => builder,
    };
    let (cache, companion) = builder.build().unwrap();
    let companion = tokio::spawn(companion.run(std::future::pending()));
    let tell = async |n: u64| {
        let update = Update::new("sale", format!("auction:{n}")).unwrap();
        let purger = cache.purger().announcing(update);
        purger.targets([]).await.unwrap();
        until("it is kept", async || {
            let arrivals = redis.run("HGET {tagcache:purges}:activity arrivals").await;
            let arrivals: Option<u64> = redis::from_redis_value(arrivals).unwrap();
            !keeps || arrivals.is_some_and(|arrivals| arrivals > n)
        })
        .await;
    };
    tell(0).await;
    let calls = async || [redis.calls("eval").await, redis.calls("xread").await];
    let before = calls().await;
    for n in 1..=BATCHES {
        tell(n).await;
    }
    let after = calls().await;
    companion.abort();
    [after[0] - before[0], after[1] - before[1]]
}

/// Beside the role of the server, which is asked with the read.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_read_of_the_log_and_one_script() {
    let ([others, followed], [scripts, reads]) = tokio::join!(commands(false), commands(true));
    // And somebody says now and then that it is the keeper.
    let most = others + BATCHES + BATCHES / 10;
    assert!(
        (others + BATCHES..=most).contains(&scripts),
        "{scripts}, {others} of others"
    );
    // Each announcement is two records, which the follower reads at once or one after the other.
    assert!(followed <= 2 * BATCHES + 20, "{followed}");
    assert!(reads <= 3 * BATCHES + 20, "{reads}");
}

/// For other consumers, each entry once, also where it is told twice.
#[tokio::test(flavor = "multi_thread")]
async fn new_entries_are_published() {
    let redis = RedisServer::start();
    let builder = Cache::builder().redis(redis.url());
    let (cache, companion) = builder.activity(ActivitySettings::new()).build().unwrap();
    let companion = tokio::spawn(companion.run(std::future::pending()));
    let client = redis::Client::open(redis.url()).unwrap();
    let mut channel = client.get_async_pubsub().await.unwrap();
    channel.subscribe("activity:new").await.unwrap();
    for n in [1, 1, 2] {
        let update = Update::new("sale", "auction:7").unwrap();
        let update = update.with_identity(n.to_string()).unwrap();
        let update = update.with_field("amount", n.to_string()).unwrap();
        let purger = cache.purger().announcing(update);
        let purged = purger.tag("auction:7").await.unwrap();
        assert!(purged.announced.is_some(), "it is everywhere");
    }
    let mut messages = channel.on_message();
    for n in [1, 2] {
        let message = ends("a message", messages.next()).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(message.get_payload_bytes()).unwrap();
        assert_eq!(json["amount"], n.to_string());
        assert_eq!(json["subject"], "auction:7");
    }
    companion.abort();
}
