//! What it costs Redis, and what happens without.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tagcache_test_support::{Fleet, RedisServer, until};
use tower_tagcache::feed::ActivityServiceSettings;

use super::{AUCTION, House, happened};

const BUDGET: Duration = Duration::from_millis(200);

/// As production has them, with a smaller budget.
fn house(server: &RedisServer) -> House {
    let builder = tower_tagcache::Cache::builder()
        .redis(server.url())
        .longest_lease(Duration::from_secs(1))
        .purge_timeout(BUDGET);
    House::ticking(builder, &ActivityServiceSettings::open())
}

#[tokio::test]
async fn without_redis_it_says_when_to_come_back_and_comes_back_itself() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let house = house(&server);
    until("the log is joined", async || {
        house.cache.position().is_some()
    })
    .await;
    house.announce(happened("sale", AUCTION, 1)).await;
    until("it is kept", async || {
        house
            .send("GET", "/activity", &[])
            .await
            .text()
            .contains("\"amount\":\"1\"")
    })
    .await;
    server.stop();
    for target in ["/activity", "/analytics?by=subject", "/activity?limit=1000"] {
        for method in ["GET", "HEAD"] {
            let answer = house.send(method, target, &[]).await;
            assert_eq!(answer.status, 503, "{target}");
            assert_eq!(answer.field("retry-after"), Some("5"));
            assert_eq!(
                answer.field("content-type"),
                Some("application/problem+json")
            );
            assert_eq!(answer.field("cache-control"), Some("no-store"));
            assert!(!answer.text().contains("redis"), "nobody's business");
        }
    }
    // What is wrong with the request is said all the same.
    assert_eq!(
        house.send("GET", "/activity?limit=0", &[]).await.status,
        400
    );
    server.restart();
    until("it is back", async || {
        let answer = house.send("GET", "/activity", &[]).await;
        answer.status == 200 && answer.text().contains("\"amount\":\"1\"")
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_hangs_holds_up_nobody() {
    let server = RedisServer::start();
    let house = house(&server);
    until("it is read", async || {
        house.send("GET", "/activity", &[]).await.status == 200
    })
    .await;
    server.suspend();
    let asked = Instant::now();
    // More than are read at once.
    let answers = (0..64).map(|_| house.send("GET", "/activity", &[]));
    let answers = futures_util::future::join_all(answers).await;
    let took = asked.elapsed();
    server.resume();
    assert!(answers.iter().all(|answer| answer.status == 503));
    // In turns of a budget each, the longest wait two seconds; and a loaded machine takes its time.
    assert!(took < Duration::from_secs(20), "{took:?}");
    until("it is back", async || {
        house.send("GET", "/activity", &[]).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn an_answer_costs_redis_one_command() {
    const ASKED: u64 = 50;
    let fleet = Fleet::on(Arc::new(RedisServer::start()));
    let settings = ActivityServiceSettings::open();
    let mut house = House::open(fleet.builder(), &settings);
    for n in 0..10 {
        house.announce(happened("sale", AUCTION, n)).await;
    }
    house.shows(10, "/activity").await;
    // Whose heartbeats would be counted too.
    if let Some(companion) = house.companion.take() {
        companion.abort();
        let _ = companion.await;
    }
    for target in [
        "/activity",
        "/activity?limit=1000&type=sale",
        &format!("/activity?auction={AUCTION}"),
        "/analytics",
        "/analytics?by=hour,subject",
    ] {
        house.get(target).await;
        let before = Cost::of(&fleet.server).await;
        for _ in 0..ASKED {
            house.get(target).await;
        }
        let after = Cost::of(&fleet.server).await;
        assert_eq!(after.scripts - before.scripts, ASKED, "{target}");
        // What this test itself asks is read too.
        let reads = after.reads - before.reads;
        assert!(reads < ASKED + 10, "{target}: {reads} reads from sockets");
        assert_eq!(
            after.connections - before.connections,
            2,
            "{target}: the test's own"
        );
    }
}

/// What Redis has done.
struct Cost {
    scripts: u64,
    reads: u64,
    connections: u64,
}

impl Cost {
    async fn of(server: &RedisServer) -> Self {
        let scripts = server.calls("eval").await;
        let stats = server.info("stats").await;
        let number = |name: &str| {
            let line = stats.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().parse().unwrap()
        };
        Self {
            scripts,
            reads: number("total_reads_processed:"),
            connections: number("total_connections_received:"),
        }
    }
}
