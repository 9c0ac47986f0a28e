//! A million entries, a hundred thousand tags, and purges all the time: what hits cost meanwhile, and
//! what it does to memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tagcache_test_support::RedisServer;
use tokio::task::yield_now;
use tower_tagcache::{Cache, Purger};

use crate::site::{self, CachedService, Origin};

/// Who asks, each in a closed loop.
const CLIENTS: usize = 2;
/// Hits between two looks at what else there is to do.
const BATCH: usize = 64;
/// Purges under way at a time when they are applied as fast as can be.
const AT_ONCE: usize = 64;
const SAMPLES: usize = 20;

pub struct Setting<'a> {
    /// `embedded` or `redis` (near rules).
    pub kind: &'a str,
    pub entries: usize,
    pub tags: usize,
    /// Purges a second.
    pub rate: u64,
    pub seconds: u64,
    pub rounds: usize,
    /// Purges that are applied at once at the end.
    pub events: usize,
}

/// What disturbs the hits of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Purges, and the misses that they cause.
    Purges,
    /// As many misses, of responses that were never asked for.
    Misses,
    Nothing,
}

/// What one round came to.
#[derive(Debug, Clone, Copy)]
struct Round {
    requests: f64,
    misses: f64,
    p50: f64,
    p99: f64,
}

struct Storm<'a, S> {
    setting: &'a Setting<'a>,
    service: S,
    purger: Purger,
    /// The next response that nobody has asked for.
    unknown: Arc<AtomicU64>,
}

pub fn run(setting: &Setting<'_>) -> Value {
    let server = (setting.kind == "redis").then(RedisServer::start);
    let builder = site::rules(site::patient(Cache::builder()), 1);
    let builder = match &server {
        Some(server) => builder.redis(server.url()),
        None => builder,
    };
    let (cache, companion) = builder.build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CLIENTS)
        .enable_all()
        .build()
        .unwrap();
    let service = Origin::new(1, setting.tags).behind(&cache);
    let storm = Storm {
        setting,
        service,
        purger: cache.purger(),
        unknown: Arc::new(AtomicU64::new(setting.entries as u64)),
    };
    site::run_aside(companion);
    runtime.block_on(async {
        site::fill(&storm.service, 0, setting.entries).await;
        let mut found = storm.rounds().await;
        let memory = storm.hour(server.as_ref()).await;
        found["memory"] = memory;
        found
    })
}

impl<S: CachedService> Storm<'_, S> {
    async fn rounds(&self) -> Value {
        let modes = [Mode::Purges, Mode::Misses, Mode::Nothing];
        let mut seen = modes.map(|_| Vec::new());
        let mut missing = 0.0;
        for round in 0..=self.setting.rounds {
            for (mode, seen) in modes.iter().zip(&mut seen) {
                site::fill(&self.service, 0, self.setting.entries).await;
                let one = self.round(*mode, missing).await;
                eprintln!("{mode:?}: {one:?}");
                if *mode == Mode::Purges {
                    missing = one.misses / one.requests;
                }
                // The first warms up.
                if round > 0 {
                    seen.push(one);
                }
            }
        }
        let [purges, misses, nothing] = seen.map(|rounds| summary(&rounds));
        json!({
            "part": "storm", "kind": self.setting.kind, "entries": self.setting.entries,
            "tags": self.setting.tags, "rate": self.setting.rate,
            "purges": purges, "misses": misses, "nothing": nothing,
        })
    }

    async fn round(&self, mode: Mode, missing: f64) -> Round {
        let stop = Arc::new(AtomicBool::new(false));
        let purging = (mode == Mode::Purges).then(|| self.purge_aside(Arc::clone(&stop)));
        let missing = if mode == Mode::Misses { missing } else { 0.0 };
        let start = Instant::now();
        let clients = (0..CLIENTS).map(|_| {
            let client = Client {
                service: self.service.clone(),
                unknown: Arc::clone(&self.unknown),
                entries: self.setting.entries,
                missing,
            };
            tokio::spawn(client.run(Arc::clone(&stop)))
        });
        let clients: Vec<_> = clients.collect();
        tokio::time::sleep(Duration::from_secs(self.setting.seconds)).await;
        stop.store(true, Ordering::Relaxed);
        let took = start.elapsed().as_secs_f64();
        let (mut requests, mut misses, mut times) = (0, 0, Vec::new());
        for client in clients {
            let seen = client.await.unwrap();
            requests += seen.0;
            misses += seen.1;
            times.extend(seen.2);
        }
        if let Some(purging) = purging {
            let purged = purging.join().unwrap() as f64 / took;
            eprintln!("{purged:.0} purges a second");
        }
        Round {
            requests: requests as f64 / took,
            misses: misses as f64 / took,
            p50: site::percentile(&mut times, 50.0),
            p99: site::percentile(&mut times, 99.0),
        }
    }

    /// Purges at the rate, on a thread of its own, until told to stop: how many.
    fn purge_aside(&self, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
        let (purger, tags) = (self.purger.clone(), self.setting.tags);
        let every = Duration::from_secs(1) / u32::try_from(self.setting.rate).unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut ticks = tokio::time::interval(every);
                let mut purged = 0;
                while !stop.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    purger.tag(some_tag(tags)).await.unwrap();
                    purged += 1;
                }
                purged
            })
        })
    }

    /// An hour's worth of purges, as fast as they are taken, under load: memory meanwhile.
    async fn hour(&self, server: Option<&RedisServer>) -> Value {
        let stop = Arc::new(AtomicBool::new(false));
        let client = Client {
            service: self.service.clone(),
            unknown: Arc::clone(&self.unknown),
            entries: self.setting.entries,
            missing: 0.0,
        };
        let client = tokio::spawn(client.run(Arc::clone(&stop)));
        let start = Instant::now();
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..SAMPLES {
            let purges = futures_util::stream::iter(0..self.setting.events / SAMPLES);
            let purged = purges.for_each_concurrent(AT_ONCE, async |_| {
                self.purger.tag(some_tag(self.setting.tags)).await.unwrap();
            });
            purged.await;
            here.push(site::resident());
            if let Some(server) = server {
                there.push(redis_memory(server).await);
            }
        }
        let took = start.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        client.await.unwrap();
        json!({
            "events": self.setting.events, "seconds": took,
            "resident": here, "redis": there,
        })
    }
}

fn some_tag(tags: usize) -> String {
    format!("group:{}", fastrand::usize(..tags))
}

async fn redis_memory(server: &RedisServer) -> u64 {
    let memory = server.info("memory").await;
    let used = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    used.and_then(|used| used.trim().parse().ok()).unwrap_or(0)
}

struct Client<S> {
    service: S,
    unknown: Arc<AtomicU64>,
    entries: usize,
    /// The part of requests that are for what nobody has asked for.
    missing: f64,
}

impl<S: CachedService> Client<S> {
    /// Requests, those that were no hits, and microseconds of some hits.
    async fn run(self, stop: Arc<AtomicBool>) -> (u64, u64, Vec<f64>) {
        let (mut requests, mut misses, mut times) = (0, 0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..BATCH {
                let request = site::request(0, self.number());
                let start = Instant::now();
                let hit = site::ask(&self.service, request).await;
                if !hit {
                    misses += 1;
                } else if requests % 8 == 0 {
                    times.push(start.elapsed().as_secs_f64() * 1e6);
                }
                requests += 1;
            }
            yield_now().await;
        }
        (requests, misses, times)
    }

    fn number(&self) -> usize {
        if fastrand::f64() < self.missing {
            let number = self.unknown.fetch_add(1, Ordering::Relaxed);
            return usize::try_from(number).unwrap();
        }
        fastrand::usize(..self.entries)
    }
}

/// Medians over the rounds.
fn summary(rounds: &[Round]) -> Value {
    let median = |take: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(take).collect();
        site::percentile(&mut values, 50.0)
    };
    json!({
        "requests": median(|round| round.requests), "misses": median(|round| round.misses),
        "p50_us": median(|round| round.p50), "p99_us": median(|round| round.p99),
        "all_requests": rounds.iter().map(|round| round.requests).collect::<Vec<_>>(),
        "all_p50_us": rounds.iter().map(|round| round.p50).collect::<Vec<_>>(),
        "all_p99_us": rounds.iter().map(|round| round.p99).collect::<Vec<_>>(),
    })
}
