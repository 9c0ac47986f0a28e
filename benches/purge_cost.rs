//! What a purge costs when a tag is on 10, 1,000 and 1,000,000 stored responses on Redis.
//!
//! ```text
//! cargo bench --bench purge_cost
//! ```
//!
//! starts three private servers, one for each size, and purges the tag on them in turns, so that
//! whatever else the machine does meets all of them. It prints the table of `benches/README.md`, and
//! fails if a purge is not exactly one command, or if a response survives.
//!
//! The first 1,000 responses of a size are stored through the layer, and asked for again at the end.
//! The others are copies of one of their entries under keys of the same form, made by the server
//! itself: a lookup would never ask for those keys, but everything that could make a purge slower
//! (the size of the keyspace, entries that carry the tag) is there.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should say where"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use redis::Value;
use tagcache_test_support::RedisServer;
use tower::{Layer, Service, ServiceExt};
use tower_tagcache::{Cache, Rule};

const TAG: &str = "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";
/// Responses that are stored through the layer.
const GENUINE: usize = 1_000;
/// Copies that the server makes at once.
const COPIES_AT_ONCE: usize = 50_000;
const ROUNDS: usize = 20;
const PURGES_A_ROUND: usize = 100;

/// One size: a server where so many responses carry the tag, and a cache on it.
struct Site {
    responses: usize,
    server: RedisServer,
    cache: Cache,
    forwards: Arc<AtomicUsize>,
    times: Vec<Duration>,
    commands: u64,
}

impl Site {
    async fn new(responses: usize) -> Self {
        let server = RedisServer::start();
        let patience = Duration::from_secs(60);
        let rule = Rule::new("item", "/items/{number}").ttl(Duration::from_secs(3600));
        let builder = Cache::builder().rule(rule.tag(TAG)).redis(server.url());
        let builder = builder.read_timeout(patience).write_timeout(patience);
        // Without its companion: nobody else sends commands.
        let (cache, _companion) = builder.build().unwrap();
        let site = Self {
            responses,
            server,
            cache,
            forwards: Arc::default(),
            times: Vec::new(),
            commands: 0,
        };
        let genuine = responses.min(GENUINE);
        // The second request of each waits until the first is stored, and hits.
        assert_eq!(site.ask_for(genuine).await, genuine);
        assert_eq!(site.ask_for(genuine).await, 0);
        site.copy(responses - genuine).await;
        let Value::Int(keys) = site.server.run("DBSIZE").await else {
            panic!("no number of keys");
        };
        // The purge log is one more.
        assert_eq!(usize::try_from(keys).unwrap(), responses + 1);
        site
    }

    /// Asks for the first `count` responses; how many of them were forwarded.
    async fn ask_for(&self, count: usize) -> usize {
        let before = self.forwards.load(Ordering::SeqCst);
        let forwards = Arc::clone(&self.forwards);
        let inner = tower::service_fn(move |_: Request<Empty<Bytes>>| {
            forwards.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, Infallible>(Response::new(Full::from("{\"sales\":1}"))) }
        });
        let service = self.cache.layer().layer(inner);
        for number in 0..count {
            let request = Request::get(format!("/items/{number}"));
            let request = request.body(Empty::new()).unwrap();
            let answer = ask(service.clone(), request).await;
            answer.into_body().collect().await.unwrap();
        }
        self.forwards.load(Ordering::SeqCst) - before
    }

    async fn copy(&self, count: usize) {
        let Value::Array(found) = self
            .server
            .run("SCAN 0 MATCH tagcache:e:* COUNT 10000")
            .await
        else {
            panic!("no keys");
        };
        let (_, keys): (String, Vec<String>) =
            redis::from_redis_value(Value::Array(found)).unwrap();
        let script = "local entry = redis.call('GET', ARGV[1])
            for n = ARGV[2] + 1, ARGV[2] + ARGV[3] do
                redis.call('SET', string.format('tagcache:e:%032x', n), entry)
            end";
        for done in (0..count).step_by(COPIES_AT_ONCE) {
            let (done, more) = (
                done.to_string(),
                COPIES_AT_ONCE.min(count - done).to_string(),
            );
            let call = ["EVAL", script, "0", &keys[0], &done, &more];
            self.server.command(&call).await;
        }
    }

    async fn purge(&mut self, times: usize) {
        let before = self.all_commands().await;
        for _ in 0..times {
            let start = Instant::now();
            self.cache.purger().tag(TAG).await.unwrap();
            self.times.push(start.elapsed());
        }
        self.commands += self.all_commands().await - before;
    }

    /// The commands that the server has carried out, but for those that ask and greet it.
    async fn all_commands(&self) -> u64 {
        let stats = self.server.info("commandstats").await;
        let calls = stats.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let calls = rest.split(',').next()?.parse::<u64>().ok()?;
            (!["info", "client|setinfo", "hello"].contains(&name)).then_some(calls)
        });
        calls.sum()
    }

    /// How long it takes to look at each key once, as a purge by pattern does before it deletes.
    async fn scan(&self) -> Duration {
        let client = redis::Client::open(self.server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let start = Instant::now();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg("nothing:*");
            scan.arg("COUNT").arg(1_000);
            let (next, _): (u64, Vec<String>) = scan.query_async(&mut connection).await.unwrap();
            if next == 0 {
                return start.elapsed();
            }
            cursor = next;
        }
    }

    fn percentile(&mut self, percent: usize) -> f64 {
        self.times.sort_unstable();
        let at = (self.times.len() - 1) * percent / 100;
        self.times[at].as_secs_f64() * 1e6
    }
}

async fn ask<S, B>(service: S, request: Request<Empty<Bytes>>) -> Response<B>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
{
    match service.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to see that it works.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let sizes: &[usize] = if measures {
        &[10, 1_000, 1_000_000]
    } else {
        &[10, 2_000]
    };
    let mut sites = Vec::new();
    for &responses in sizes {
        let mut site = Site::new(responses).await;
        // The connection, and the server's own first times.
        site.purge(PURGES_A_ROUND).await;
        (site.times, site.commands) = (Vec::new(), 0);
        sites.push(site);
    }
    for _ in 0..ROUNDS {
        for site in &mut sites {
            site.purge(PURGES_A_ROUND).await;
        }
    }
    println!("| responses with the tag | median | 95 % below | commands a purge | one `SCAN` |");
    println!("|---:|---:|---:|---:|---:|");
    for site in &mut sites {
        let purges = u64::try_from(site.times.len()).unwrap();
        assert_eq!(site.commands, purges, "a purge is one command");
        let (median, most) = (site.percentile(50), site.percentile(95));
        let scan = site.scan().await.as_secs_f64() * 1e3;
        let responses = site.responses;
        println!("| {responses} | {median:.0} µs | {most:.0} µs | 1 | {scan:.1} ms |");
        let genuine = responses.min(GENUINE);
        assert_eq!(site.ask_for(genuine).await, genuine, "a response survived");
    }
}
