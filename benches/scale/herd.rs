//! A thousand requests for one key that is not there, at the same moment.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tagcache_test_support::RedisServer;
use tokio::task::JoinSet;
use tower_tagcache::Cache;

use crate::site::{self, Origin};

/// What the inner service takes.
const UPSTREAM: Duration = Duration::from_millis(100);

/// `kind` is `embedded` or `redis`. Another key each round.
pub fn run(kind: &str, requests: usize, rounds: usize) -> Value {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = (kind == "redis").then(RedisServer::start);
    let builder = site::rules(Cache::builder(), 1).read_timeout(Duration::from_secs(1));
    let builder = match &server {
        Some(server) => builder.redis(server.url()),
        None => builder,
    };
    let (cache, companion) = builder.build().unwrap();
    let mut origin = Origin::new(1, 1);
    origin.delay = UPSTREAM;
    let service = origin.behind(&cache);
    let mut times = Vec::new();
    let mut most = 0;
    runtime.spawn(companion.run(std::future::pending()));
    runtime.block_on(async {
        // The first connection is made.
        site::ask(&service, site::request(0, rounds)).await;
        for round in 0..rounds {
            let before = origin.calls();
            let start = Instant::now();
            let mut asking = JoinSet::new();
            for _ in 0..requests {
                let service = service.clone();
                asking.spawn(async move {
                    site::ask(&service, site::request(0, round)).await;
                    start.elapsed().as_secs_f64() * 1e3
                });
            }
            times.extend(asking.join_all().await);
            most = most.max(origin.calls() - before);
        }
    });
    json!({
        "part": "herd", "kind": kind, "requests": requests, "upstream_ms": 100, "calls": most,
        "p50_ms": site::percentile(&mut times, 50.0), "p99_ms": site::percentile(&mut times, 99.0),
    })
}
