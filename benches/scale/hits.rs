//! What a hit costs with more entries, more rules, and more tags.

use std::hint::black_box;
use std::io::BufRead;
use std::time::Duration;

use futures_util::FutureExt;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tagcache_test_support::RedisServer;
use tokio::task::{JoinSet, yield_now};
use tower_tagcache::bench::near;
use tower_tagcache::{Cache, CacheBuilder};

use crate::site::{self, Body, CachedService, Origin};

const ROUNDS: usize = 15;
/// CPU time of a round, about.
const ROUND: Duration = Duration::from_millis(200);
/// Strict hits under way at a time.
const AT_ONCE: usize = 32;
/// Hits between two looks at what else there is to do.
const BATCH: usize = 256;

/// One point of a curve.
pub struct Setting<'a> {
    /// `near`: from the near copy; `strict`: from Redis, without copies; `none`: the request is made and dropped.
    pub kind: &'a str,
    pub entries: usize,
    pub rules: usize,
    pub tags: usize,
    /// How many of the entries are asked for.
    pub hot: usize,
    /// So many hits after a line of input, for callgrind to count; 0 measures CPU time.
    pub hits: usize,
}

pub fn run(setting: &Setting<'_>) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = (setting.kind == "strict").then(RedisServer::start);
    let builder = site::rules(site::patient(Cache::builder()), setting.rules);
    let (cache, companion) = place(builder, server.as_ref()).build().unwrap();
    let service = Origin::new(setting.tags, 100_000).behind(&cache);
    let (relative, request) = runtime.block_on(async move {
        tokio::spawn(companion.run(std::future::pending()));
        if setting.kind != "none" {
            site::fill(&service, setting.rules - 1, setting.entries).await;
        }
        if setting.kind == "near" {
            first_hits(setting, &service).await;
        }
        if setting.hits > 0 {
            wait_for_go();
            hits(setting, &service, setting.hits).await;
            // Callgrind counts to the end: what is stored is not to be taken down one by one.
            std::mem::forget((service, cache));
            return (0.0, 0.0);
        }
        cpu_of_a_hit(setting, &service).await
    });
    if setting.hits > 0 {
        std::mem::forget(runtime);
    }
    json!({
        "part": "hits", "kind": setting.kind, "entries": setting.entries, "rules": setting.rules,
        "tags": setting.tags, "hot": setting.hot, "hits": setting.hits,
        "relative": relative, "request_ns": request,
    })
}

fn place(builder: CacheBuilder, server: Option<&RedisServer>) -> CacheBuilder {
    match server {
        Some(server) => builder.redis(server.url()).strict().store_bytes(0),
        None => near(builder, 1 << 20),
    }
}

/// The driver switches counting on in between.
fn wait_for_go() {
    println!("ready");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
}

/// CPU of a hit beside that of making its request, in parts of the latter: both are measured in turns,
/// as the processor is not equally fast all the time. The median of some rounds. And the latter in
/// nanoseconds, at the best.
async fn cpu_of_a_hit<S: CachedService>(setting: &Setting<'_>, service: &S) -> (f64, f64) {
    let nothing = Setting {
        kind: "none",
        ..*setting
    };
    // About as long: the system counts CPU time in steps of some milliseconds.
    let times = if setting.kind == "strict" { 32 } else { 4 };
    let (mut count, mut rounds, mut requests) = (2_000, Vec::new(), Vec::new());
    while rounds.len() < ROUNDS {
        let start = site::cpu();
        hits(&nothing, service, count * times).await;
        let between = site::cpu();
        hits(setting, service, count).await;
        let hit = site::cpu() - between;
        let request = (between - start) / u32::try_from(times).unwrap();
        if hit < ROUND / 2 {
            count *= 2;
            continue;
        }
        rounds.push((hit.as_secs_f64() - request.as_secs_f64()) / request.as_secs_f64());
        requests.push(request.as_nanos() as f64 / count as f64);
    }
    (
        site::percentile(&mut rounds, 50.0),
        site::percentile(&mut requests, 0.0),
    )
}

async fn hits<S: CachedService>(setting: &Setting<'_>, service: &S, count: usize) {
    match setting.kind {
        "strict" => waited_for(setting, service, count).await,
        _ => at_once(setting, service, count).await,
    }
}

/// The first hit on a copy makes its fields ready, which is no part of what later ones cost.
async fn first_hits<S: CachedService>(setting: &Setting<'_>, service: &S) {
    let mut service = service.clone();
    for number in 0..setting.hot {
        let number = number * (setting.entries / setting.hot);
        answer(&mut service, site::request(setting.rules - 1, number));
        if number % BATCH == BATCH - 1 {
            yield_now().await;
        }
    }
}

/// Each is ready when it is asked for.
async fn at_once<S: CachedService>(setting: &Setting<'_>, service: &S, count: usize) {
    let mut service = service.clone();
    for done in 0..count {
        let request = some(setting);
        if setting.kind == "none" {
            drop(black_box(request));
        } else {
            answer(&mut service, request);
        }
        if done % BATCH == BATCH - 1 {
            yield_now().await;
        }
    }
}

fn answer<S: CachedService>(service: &mut S, request: Request<Body>) {
    let response = service.call(black_box(request)).now_or_never();
    let Some(Ok(response)) = response else {
        panic!("an answer that has to be waited for");
    };
    let (head, body) = response.into_parts();
    let mut body = std::pin::pin!(body);
    while let Some(Some(frame)) = body.frame().now_or_never() {
        drop(black_box(frame));
    }
    drop(black_box(head));
}

/// Some at a time, as the connections of a server would.
async fn waited_for<S: CachedService>(setting: &Setting<'_>, service: &S, count: usize) {
    let mut asking = JoinSet::new();
    let (section, hot) = (setting.rules - 1, setting.hot);
    for _ in 0..AT_ONCE {
        let service = service.clone();
        asking.spawn(async move {
            for _ in 0..count / AT_ONCE {
                let number = fastrand::usize(..hot);
                assert!(site::ask(&service, site::request(section, number)).await);
            }
        });
    }
    asking.join_all().await;
}

/// A request for one of those that are asked for, spread over all of them.
fn some(setting: &Setting<'_>) -> Request<Body> {
    let number = fastrand::usize(..setting.hot) * (setting.entries / setting.hot);
    site::request(setting.rules - 1, number)
}
