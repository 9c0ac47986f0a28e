//! What a stored response takes beside its body, here and in Redis.

use allocation_counter::measure;
use redis::Value as Answer;
use serde_json::{Value, json};
use tagcache_test_support::RedisServer;
use tower_tagcache::Cache;

use crate::site::{self, BODY, FIELDS, Origin};

/// Keys whose memory Redis is asked for.
const SAMPLE: usize = 200;

pub fn run(entries: usize) -> Value {
    let server = RedisServer::start();
    // The first process fills and keeps copies of what it made, the second of what it read.
    let filled = held(entries, Some(&server), |_| {});
    let (mut in_redis, mut length, mut key) = (0.0, 0.0, 0.0);
    let read = held(entries, Some(&server), |runtime| {
        (in_redis, length, key) = runtime.block_on(redis_bytes(&server));
    });
    let embedded = held(entries, None, |_| {});
    let header = FIELDS.map(|(name, value)| name.len() + value.len());
    // The cache adds a date, as RFC 9110 §6.6.1 wants it.
    let date = "date".len() + "Wed, 25 Nov 2026 11:00:00 GMT".len();
    let header = (header.iter().sum::<usize>() + date) as f64;
    let request_key = format!("GET api.example.org/section0/items/{}", entries - 1).len();
    let beside = BODY as f64 + header + key + request_key as f64;
    json!({
        "part": "bytes", "entries": entries, "body": BODY,
        "embedded": embedded.0, "embedded_resident": embedded.1,
        "near_filled": filled.0, "near_read": read.0, "near_read_resident": read.1,
        "redis": in_redis - beside, "redis_frame": length - beside + key,
        "redis_whole": in_redis, "header": header, "key": key,
    })
}

/// Bytes an entry beside the body: allocated, and resident. After a hit of each.
fn held(
    entries: usize,
    server: Option<&RedisServer>,
    then: impl FnOnce(&tokio::runtime::Runtime),
) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let builder = site::rules(site::patient(Cache::builder()), 1);
    let builder = match server {
        Some(server) => builder.redis(server.url()),
        None => builder,
    };
    // As many places as are used: the room for more is not the entries'.
    let builder = builder.store_bytes(entries as u64 * 8192);
    let (cache, companion) = builder.build().unwrap();
    let service = Origin::new(2, 100).behind(&cache);
    runtime.spawn(companion.run(std::future::pending()));
    // Connections and buffers.
    runtime.block_on(site::fill(&service, 0, 100));
    let before = site::resident();
    let allocated = measure(|| {
        runtime.block_on(site::fill(&service, 0, entries));
        // Each is hit, and has what hits leave with it: the first answer may have come from Redis.
        runtime.block_on(site::fill(&service, 0, entries));
    });
    let resident = site::resident().saturating_sub(before);
    then(&runtime);
    let new = (entries - 100) as f64;
    (
        allocated.bytes_current as f64 / new - BODY as f64,
        resident as f64 / new - BODY as f64,
    )
}

/// What some keys take in Redis with all that belongs to them, how long their values are, and the keys.
async fn redis_bytes(server: &RedisServer) -> (f64, f64, f64) {
    let found = server.run("SCAN 0 MATCH tagcache:e:* COUNT 1000").await;
    let (_, keys): (String, Vec<String>) = redis::from_redis_value(found).unwrap();
    let (mut memory, mut length, mut key_length) = (0, 0, 0);
    let keys = &keys[..keys.len().min(SAMPLE)];
    for key in keys {
        memory += number(server.command(&["MEMORY", "USAGE", key]).await);
        length += number(server.command(&["STRLEN", key]).await);
        key_length += key.len();
    }
    let each = |sum: usize| sum as f64 / keys.len() as f64;
    (each(memory), each(length), each(key_length))
}

fn number(answer: Answer) -> usize {
    redis::from_redis_value(answer).unwrap()
}
