//! P6: a stream that is trimmed behind its slowest group loses nothing (SAFETY 99).

use std::sync::{Arc, Mutex};

use redis::Value;
use tagcache_test_support::{Fleet, RedisServer, until};
use tower_tagcache::{CacheBuilder, Notice, On, Payload, Stream};

const ROWS: usize = 40;

fn stream(name: &str) -> Stream {
    Stream::json(name, Payload::field("data")).on(On::any().purge("item:{id}"))
}

/// What a node was told, by the names of the notices.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// Runs what `builder` builds, for as long as the test does.
    fn run(&self, builder: CacheBuilder) {
        let heard = self.clone();
        let observer = move |notice: &Notice<'_>| {
            heard.0.lock().unwrap().push(format!("{notice:?}"));
        };
        let (_, companion) = builder.observer(observer).build().unwrap();
        tokio::spawn(companion.run(std::future::pending()));
    }

    fn count(&self, name: &str) -> usize {
        let heard = self.0.lock().unwrap();
        heard
            .iter()
            .filter(|notice| notice.starts_with(name))
            .count()
    }
}

async fn add(redis: &RedisServer, stream: &str, from: usize) {
    for id in from..from + ROWS {
        let data = format!("{{\"id\":{id}}}");
        redis.command(&["XADD", stream, "*", "data", &data]).await;
    }
}

async fn length(redis: &RedisServer, stream: &str) -> usize {
    match redis.command(&["XLEN", stream]).await {
        Value::Int(length) => usize::try_from(length).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn safety_99_a_stream_is_trimmed_behind_its_slowest_group_and_nothing_is_a_gap() {
    let fleet = Fleet::private();
    let redis = &fleet.server;
    let notices = Heard::default();
    notices.run(fleet.builder().stream(stream("rows").trim()));
    let gaps = || notices.count("EventGap");
    until("the group is made", async || gaps() == 1).await;
    add(redis, "rows", 0).await;
    // What was read last stays, so that nothing looks lost.
    until("it is trimmed", async || length(redis, "rows").await == 1).await;

    redis
        .command(&["XGROUP", "CREATE", "rows", "alerts", "$"])
        .await;
    add(redis, "rows", ROWS).await;
    let applied = || notices.count("EventApplied");
    until("all are read", async || applied() == 2 * ROWS).await;
    add(redis, "rows", 2 * ROWS).await;
    until("all are read", async || applied() == 3 * ROWS).await;
    assert_eq!(
        length(redis, "rows").await,
        2 * ROWS + 1,
        "alerts has read none"
    );

    // It takes five and acknowledges three of them, not in order.
    let take = "XREADGROUP GROUP alerts a COUNT 5 STREAMS rows >";
    assert_ne!(redis.run(take).await, Value::Nil);
    let Value::Array(pending) = redis.run("XPENDING rows alerts - + 5").await else {
        panic!("nothing pending");
    };
    let id = |entry: &Value| match entry {
        Value::Array(parts) => match &parts[0] {
            Value::BulkString(id) => String::from_utf8(id.clone()).unwrap(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let ids: Vec<String> = pending.iter().map(id).collect();
    redis
        .command(&["XACK", "rows", "alerts", &ids[0], &ids[1], &ids[3]])
        .await;
    add(redis, "rows", 3 * ROWS).await;
    until("what it acknowledged is trimmed", async || {
        length(redis, "rows").await == 3 * ROWS - 2
    })
    .await;
    let Value::Array(left) = redis.run("XRANGE rows - + COUNT 1").await else {
        panic!("nothing left");
    };
    assert_eq!(id(&left[0]), ids[2], "the oldest that waits");
    redis.run("XGROUP DESTROY rows alerts").await;
    add(redis, "rows", 4 * ROWS).await;
    until("it is trimmed", async || length(redis, "rows").await == 1).await;
    assert_eq!(gaps(), 1, "only that at the start");
}

#[tokio::test]
async fn a_stream_is_left_alone_unless_asked() {
    let fleet = Fleet::private();
    let redis = &fleet.server;
    let notices = Heard::default();
    let builder = fleet.builder().stream(stream("kept"));
    notices.run(builder.stream(stream("rows").trim()));
    until("the groups are made", async || {
        notices.count("EventGap") == 2
    })
    .await;
    add(redis, "kept", 0).await;
    add(redis, "rows", 0).await;
    until("it is trimmed", async || length(redis, "rows").await == 1).await;
    until("all are read", async || {
        notices.count("EventApplied") == 2 * ROWS
    })
    .await;
    assert_eq!(length(redis, "kept").await, ROWS);
}
