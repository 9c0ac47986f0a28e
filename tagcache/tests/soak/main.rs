//! The shipped deployment under a flood of sales: the Redis of `examples/deploy/docker-compose.yml` with its
//! memory limit and policy, `tagcache proxy` with `examples/deploy/tagcache.toml`, and sales as rindexer writes
//! them. Nothing may be refused, nothing may be stale, and nothing may grow (SAFETY 99).
//!
//! ```sh
//! make soak-sales                # 2,000,000 sales through 256 MB
//! make soak-sales SALES=50000
//! ```
//!
//! As one of the usual tests it is some thousands of sales through a few megabytes.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod deployment;
mod sales;

use std::time::{Duration, Instant};

use tagcache_test_support::RedisServer;

use crate::deployment::{Deployment, Sold};
use crate::sales::{Publisher, STREAMS};

/// How long what must happen may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long a near rule may serve what it had while a purge is on its way.
const LEASE: Duration = Duration::from_secs(1);
/// Sales between two looks at what is served.
const CHECK_EVERY: usize = 250;

/// What was seen on the way.
#[derive(Debug, Default)]
struct Seen {
    checks: usize,
    stale: usize,
    late: usize,
    peak: u64,
    longest: u64,
    waited: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_99_the_shipped_deployment_takes_sales_for_ever() {
    let asked = std::env::var("TAGCACHE_SOAK_SALES").ok();
    // So many that streams which nobody trims do not fit beside what the deployment keeps of so many events.
    let sales: usize = asked.as_deref().map_or(16_000, |n| n.parse().unwrap());
    let maxmemory = if asked.is_some() { None } else { Some("64mb") };
    let args = shipped_redis(maxmemory);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let redis = RedisServer::start_with(&args);
    let limit = limit_of(&redis).await;
    let sold = Sold::nothing();
    let api = sold.origin().serve().await;
    let deployment = Deployment::start(&redis, &api.url()).await;

    let began = Instant::now();
    let mut publisher = Publisher::connect(&redis.url()).await;
    let mut seen = Seen::default();
    // More than this in the streams would be a publisher that is faster than its reader for ever, which
    // no memory is enough for; rindexer writes one entry at a time.
    let most_behind = limit / 16_384;
    for number in 0..sales {
        let auction = sold.sell(number);
        publisher.sale(number, auction).await;
        if number % 64 == 63 {
            let waiting = Instant::now();
            while publisher.behind().await > most_behind {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(waiting.elapsed() < PATIENCE, "nobody reads the sales");
            }
            seen.waited += waiting.elapsed();
        }
        if number % CHECK_EVERY == CHECK_EVERY - 1 {
            check(&mut publisher, &deployment, &sold, auction, &mut seen).await;
            note_memory(&redis, &mut publisher, &mut seen).await;
        }
        if number % 100_000 == 99_999 {
            println!("{} sales, {seen:?}", number + 1);
        }
    }
    publisher.flush().await;
    for auction in 0..sales::AUCTIONS {
        check(&mut publisher, &deployment, &sold, auction, &mut seen).await;
    }
    note_memory(&redis, &mut publisher, &mut seen).await;
    report(&redis, &mut publisher, &seen, sales, limit, began).await;
    println!("gaps               {}", deployment.gaps());
    assert_eq!(deployment.gaps(), 0, "events counted as missing");
}

/// The arguments of `redis-server` in the shipped compose file.
fn shipped_redis(maxmemory: Option<&str>) -> Vec<String> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/deploy/docker-compose.yml"
    );
    let compose = std::fs::read_to_string(path).unwrap();
    let line = compose
        .lines()
        .find(|line| line.contains("\"redis-server\""))
        .unwrap();
    let (_, list) = line.split_once("command:").unwrap();
    let mut args: Vec<String> = serde_json::from_str(list.trim()).unwrap();
    args.remove(0);
    let place = args.iter().position(|arg| arg == "--maxmemory").unwrap();
    if let Some(maxmemory) = maxmemory {
        args[place + 1] = maxmemory.to_owned();
    }
    println!("redis-server {}", args.join(" "));
    args
}

async fn limit_of(redis: &RedisServer) -> u64 {
    number_in(&redis.info("memory").await, "maxmemory").unwrap()
}

fn number_in(info: &str, name: &str) -> Option<u64> {
    let of_name = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(str::to_owned)
    };
    info.lines().find_map(of_name)?.trim().parse().ok()
}

/// Once the last sale of `auction` is purged, a read must show it.
async fn check(
    publisher: &mut Publisher,
    deployment: &Deployment,
    sold: &Sold,
    auction: usize,
    seen: &mut Seen,
) {
    let sold = sold.of(auction);
    publisher.flush().await;
    let since = Instant::now();
    while !publisher.are_purged().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(since.elapsed() < PATIENCE, "the sales are not purged");
    }
    let purged = Instant::now();
    seen.checks += 1;
    let mut is_late = false;
    while deployment.read(auction).await < sold {
        is_late = true;
        if purged.elapsed() > LEASE + Duration::from_millis(500) {
            seen.stale += 1;
            break;
        }
    }
    seen.late += usize::from(is_late);
}

async fn note_memory(redis: &RedisServer, publisher: &mut Publisher, seen: &mut Seen) {
    let used = number_in(&redis.info("memory").await, "used_memory").unwrap();
    seen.peak = seen.peak.max(used);
    for stream in STREAMS {
        seen.longest = seen.longest.max(publisher.length(stream).await);
    }
}

async fn report(
    redis: &RedisServer,
    publisher: &mut Publisher,
    seen: &Seen,
    sales: usize,
    limit: u64,
    began: Instant,
) {
    let errors = redis.info("errorstats").await;
    let oom = errors
        .lines()
        .find_map(|line| line.strip_prefix("errorstat_OOM:count="));
    let oom: u64 = oom.map_or(0, |count| count.trim().parse().unwrap());
    let peak = number_in(&redis.info("memory").await, "used_memory_peak").unwrap();
    let stats = redis.info("stats").await;
    let evicted = number_in(&stats, "evicted_keys").unwrap();
    let log = publisher.bytes("tagcache:purges").await;
    let records = publisher.length("tagcache:purges").await;
    let aside = publisher.length("tagcache:quarantine:auction_sales").await;
    println!("sales              {sales} in {:.0?}", began.elapsed());
    println!(
        "refused commands   {} at the publisher, {oom} for want of memory",
        publisher.refused
    );
    println!(
        "peak used_memory   {} of {limit} ({peak} by the server's own account)",
        seen.peak
    );
    println!("keys evicted       {evicted}");
    for stream in STREAMS {
        println!("{stream:<26} {} entries", publisher.length(stream).await);
    }
    println!("longest stream     {} entries", seen.longest);
    println!("purge log          {records} records, {log} bytes");
    println!(
        "stale answers      {} of {} ({} came within the lease)",
        seen.stale, seen.checks, seen.late
    );
    println!("the publisher waited {:.0?} for the reader", seen.waited);
    assert_eq!((publisher.refused, oom), (0, 0), "something was refused");
    assert_eq!(seen.stale, 0, "something was stale");
    assert_eq!(aside, 0, "a sale was not understood");
    let most = 2 * limit / 16_384 + 2_048;
    assert!(seen.longest < most, "a stream grew to {}", seen.longest);
    assert!(log < 48 * 1024 * 1024, "the purge log takes {log} bytes");
}
