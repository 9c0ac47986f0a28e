//! What events cost: the program of `make bench-events`, which prints JSON.
//!
//! A backlog of events is purged with Redis on this machine, and with Redis 40 ms away: behind a forwarder that holds what
//! passes for 20 ms in each direction, and lets as much pass as anybody likes. Then an event comes now and then, with 1, 2
//! and 8 processes' worth of consumers, and the server's own count says which commands that took.
//!
//! `cargo bench --bench events -- far` measures one part.

#![allow(unreachable_pub, missing_docs)]
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on should say where"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tagcache_test_support::{Forwarder, RedisServer};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower_tagcache::{Announce, Cache, Format, On, Payload, Rule, Stream};

const STREAM: &str = "orders";
const ONE_WAY: Duration = Duration::from_millis(20);
/// Orders that events are about.
const ORDERS: usize = 1_000;
/// Events of the trickle, and the time between two.
const TRICKLE: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);
/// After so much time each consumer has taken its turn in looking at the group.
const WARM: Duration = Duration::from_secs(5);

/// What a command is for.
const KINDS: [(&str, &[&str]); 4] = [
    (
        "group",
        &[
            "xreadgroup",
            "xinfo|stream",
            "xinfo|groups",
            "xinfo|consumers",
            "xgroup|setid",
            "xgroup|create",
            "xpending",
            "xautoclaim",
            "xclaim",
            "xrange",
            "hkeys",
            "time",
        ],
    ),
    ("acknowledgements", &["xack"]),
    ("log reads", &["xread", "xrevrange"]),
    ("purges", &["xadd"]),
];

fn stream(is_told: bool) -> Stream {
    let format = Format::json(Payload::field("data")).event_name("type");
    let on = On::event("paid").purge("order:{order.id}");
    Stream::new(STREAM, format).on(match is_told {
        true => on.announce(Announce::new("paid").subject("order:{order.id}")),
        false => on,
    })
}

/// A cache that reads the stream, as a process would have it.
struct Node {
    cache: Cache,
    companion: JoinHandle<()>,
}

impl Node {
    fn start(url: &str, is_told: bool) -> Self {
        let (cache, companion) = Cache::builder()
            .rule(
                Rule::new("order", "/orders/{id}")
                    .ttl(Duration::from_secs(60))
                    .tag("order:{id}"),
            )
            .redis(url.to_owned())
            .stream(stream(is_told))
            .build()
            .unwrap();
        Self {
            cache,
            companion: tokio::spawn(companion.run(std::future::pending())),
        }
    }

    async fn reads(&self) {
        while self.cache.streams()[0].silence.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.companion.abort();
    }
}

/// Adds `count` events in one step.
async fn publish(server: &RedisServer, count: usize) {
    let script = "for i = 1, tonumber(ARGV[1]) do
        redis.call('XADD', KEYS[1], '*', 'data', '{\"type\":\"paid\",\"order\":{\"id\":' .. (i % ARGV[2]) .. '}}')
    end";
    let (count, orders) = (count.to_string(), ORDERS.to_string());
    server
        .command(&["EVAL", script, "1", STREAM, &count, &orders])
        .await;
}

async fn is_done(server: &RedisServer) -> bool {
    let groups = server.run(&format!("XINFO GROUPS {STREAM}")).await;
    let groups: Vec<BTreeMap<String, redis::Value>> = redis::from_redis_value(groups).unwrap();
    groups.iter().any(|group| {
        let is = |name: &str, value: &redis::Value| group[name] == *value;
        is("name", &redis::Value::BulkString(b"tagcache".to_vec()))
            && is("pending", &redis::Value::Int(0))
            && is("lag", &redis::Value::Int(0))
    })
}

/// Events a second, of a backlog.
async fn rate(events: usize, is_told: bool, one_way: Option<Duration>) -> f64 {
    let server = RedisServer::start();
    let wire = Forwarder::start(server.addr()).await;
    let url = match one_way {
        Some(one_way) => {
            wire.delay(one_way);
            wire.url()
        }
        None => server.url(),
    };
    let node = Node::start(&url, is_told);
    node.reads().await;
    sleep(Duration::from_secs(2)).await;
    let began = Instant::now();
    publish(&server, events).await;
    while !is_done(&server).await {
        sleep(Duration::from_millis(5)).await;
    }
    events as f64 / began.elapsed().as_secs_f64()
}

/// How often each command was called.
async fn calls(server: &RedisServer) -> BTreeMap<String, u64> {
    let stats = server.info("commandstats").await;
    let counts = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let calls = rest.strip_prefix("calls=")?.split(',').next()?;
        Some((name.to_owned(), calls.parse().unwrap()))
    });
    counts.collect()
}

/// Commands for each event, by kind, with so many processes.
async fn trickle(processes: usize) -> Value {
    let server = RedisServer::start();
    let nodes: Vec<Node> = (0..processes)
        .map(|_| Node::start(&server.url(), false))
        .collect();
    for node in &nodes {
        node.reads().await;
    }
    sleep(WARM).await;
    let before = calls(&server).await;
    for _ in 0..TRICKLE {
        publish(&server, 1).await;
        sleep(PAUSE).await;
    }
    let mut found: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, after) in calls(&server).await {
        let kind = KINDS
            .iter()
            .find(|(_, commands)| commands.contains(&&*name));
        let kind = kind.map_or("heartbeats and others", |(kind, _)| kind);
        let more = after - before.get(&name).copied().unwrap_or(0);
        *found.entry(kind).or_default() += more as f64 / f64::from(TRICKLE);
    }
    // The publisher's own: a script and an entry for each event.
    *found.entry("purges").or_default() -= 1.0;
    *found.entry("heartbeats and others").or_default() -= 1.0;
    json!({ "processes": processes, "commands": found })
}

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|one| one == part);
    let mut found = serde_json::Map::new();
    for (part, events, is_told, one_way) in [
        ("near", 200_000, false, None),
        ("near, announced", 50_000, true, None),
        ("far", 50_000, false, Some(ONE_WAY)),
        ("far, announced", 50_000, true, Some(ONE_WAY)),
    ] {
        if is_wanted(part) {
            let rate = rate(events, is_told, one_way).await;
            eprintln!("{part}: {rate:.0} events a second");
            found.insert(part.into(), json!(rate));
        }
    }
    if is_wanted("trickle") {
        let mut rows = Vec::new();
        for processes in [1, 2, 8] {
            rows.push(trickle(processes).await);
        }
        found.insert("pause_ms".into(), json!(PAUSE.as_millis()));
        found.insert("trickle".into(), json!(rows));
    }
    println!("{}", Value::Object(found));
}
