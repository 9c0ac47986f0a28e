//! The fault drill: the program of `make drill-redis`.
//!
//! Eight clients ask for 400 URLs over loopback, of a server with the layer on a Redis of its own. The Redis
//! is made to hang, die, vanish and come back, each in a way of its own, while purges come in. Printed is what the
//! clients saw, and a verdict; the process ends with 1 if one is bad. What is judged:
//!
//! - no client error, ever;
//! - while Redis is away, from the second second on, p99 is within 2 ms of what it was before;
//! - in the first second at most twice as many requests are slow as failures open a breaker (5);
//! - 1.5 s after Redis is back, nine of ten requests are hits again and no purge waits.
//!
//! The times are those of the machine: read them with nothing else running. The counts are tests
//! (`tests/promises/p3/drill.rs`).
//!
//! `cargo bench --bench drill_redis -- hang near` runs one fault, with one kind of rule.

#![allow(unreachable_pub, missing_docs)]
#![allow(
    clippy::unwrap_used,
    reason = "a drill that cannot go on should say where"
)]

mod clients;
mod faults;

use std::time::Duration;

use tagcache_test_support::Forwarder;
use tokio::time::{Instant, sleep};
use tower_tagcache::{Cache, CacheBuilder, Rule};

use self::clients::{Clients, Span};
use self::faults::Fault;

/// Failures in a row that open a breaker.
const STREAK: usize = 5;
const URLS: usize = 400;
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_millis(1_500);
/// What is over p99 before by so much is slow.
const SLOW: Duration = Duration::from_millis(2);

/// What clients saw of one fault.
struct Seen {
    errors: usize,
    p99_before: Duration,
    /// From the second second on.
    p99_away: Option<Duration>,
    slow_at_first: usize,
    /// Until nine of ten were hits and nothing was pending.
    back_after: Option<Duration>,
    requests: usize,
}

impl Seen {
    fn faults(&self) -> Vec<&'static str> {
        let mut faults = Vec::new();
        if self.errors > 0 {
            faults.push("client errors");
        }
        if self
            .p99_away
            .is_some_and(|away| away > self.p99_before + SLOW)
        {
            faults.push("slow while away");
        }
        if self.slow_at_first > 2 * STREAK {
            faults.push("too many slow at first");
        }
        if self.back_after.is_none_or(|after| after > AFTER) {
            faults.push("late back");
        }
        faults
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str, among: &[&str]| {
        let named: Vec<_> = arguments
            .iter()
            .filter(|one| among.contains(&&***one))
            .collect();
        named.is_empty() || named.iter().any(|one| *one == name)
    };
    if std::env::var_os("DRILL_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .init();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut bad = 0;
    println!(
        "{:<22} {:<7} {:>8} {:>7} {:>10} {:>10} {:>6} {:>9}  verdict",
        "fault", "rule", "requests", "errors", "p99 before", "p99 away", "slow", "back in"
    );
    let names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    for fault in Fault::ALL {
        for rule in ["near", "strict"] {
            if !wanted(fault.name(), &names) || !wanted(rule, &["near", "strict"]) {
                continue;
            }
            let seen = runtime.block_on(drill(fault, rule));
            let faults = seen.faults();
            bad += usize::from(!faults.is_empty());
            println!(
                "{:<22} {:<7} {:>8} {:>7} {:>10} {:>10} {:>6} {:>9}  {}",
                fault.name(),
                rule,
                seen.requests,
                seen.errors,
                millis(Some(seen.p99_before)),
                millis(seen.p99_away),
                seen.slow_at_first,
                millis(seen.back_after),
                if faults.is_empty() {
                    "good".into()
                } else {
                    faults.join(", ")
                },
            );
        }
    }
    runtime.shutdown_background();
    std::process::exit(i32::from(bad > 0));
}

fn millis(time: Option<Duration>) -> String {
    time.map_or_else(
        || "never".into(),
        |time| format!("{:.2} ms", time.as_secs_f64() * 1_000.0),
    )
}

fn builder(url: String, rule: &str) -> CacheBuilder {
    let items = Rule::new("item", "/item/{id}")
        .ttl(Duration::from_secs(3_600))
        .tag("item:{id}");
    let items = if rule == "strict" {
        items.strict()
    } else {
        items
    };
    Cache::builder().rule(items).redis(url)
}

async fn drill(fault: Fault, rule: &str) -> Seen {
    let mut server = fault.server();
    let forwarder = Forwarder::start(server.addr()).await;
    let (cache, companion) = builder(forwarder.url(), rule).build().unwrap();
    let companion = tokio::spawn(companion.run(std::future::pending()));
    let clients = Clients::start(&cache, URLS).await;
    while clients.hit_rate_of_late() < 0.99 {
        sleep(Duration::from_millis(50)).await;
    }
    // What was needed to warm up is not looked at.
    sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    sleep(BEFORE).await;

    let gone = Instant::now();
    let purges = tokio::spawn(purges(cache.clone()));
    fault.happens(&mut server, &forwarder).await;
    let back = Instant::now();
    purges.abort();
    let _ = purges.await;
    let mut back_after = None;
    while back.elapsed() < Duration::from_secs(15) {
        let hits = clients.hit_rate_of_late() >= 0.9;
        if hits && cache.health().waiting == 0 && back.elapsed() > Duration::from_millis(100) {
            back_after = Some(back.elapsed());
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_millis(300)).await;
    let all = clients.stop().await;
    companion.abort();
    let before = Span::of(&all, begun, gone);
    let first = Span::of(&all, gone, (gone + Duration::from_secs(1)).min(back));
    let later = Span::of(&all, gone + Duration::from_secs(1), back);
    let p99_before = before.quantile(0.99).unwrap();
    Seen {
        errors: all.iter().filter(|one| one.failed).count(),
        p99_before,
        p99_away: later.quantile(0.99),
        slow_at_first: first.slower_than(p99_before.max(Duration::from_millis(5)) + SLOW),
        back_after,
        requests: all.len(),
    }
}

/// A purge twice a second, none of which anybody waits for.
async fn purges(cache: Cache) {
    for number in 0.. {
        let purger = cache.purger();
        tokio::spawn(async move { purger.tag(format!("item:{}", number % URLS)).await });
        sleep(Duration::from_millis(500)).await;
    }
}
