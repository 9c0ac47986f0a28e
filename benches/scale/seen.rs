//! How soon a purge in one process is seen in another: from the call to the first answer that is no hit.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tagcache_test_support::RedisServer;
use tokio::runtime::Runtime;
use tower_tagcache::Cache;

use crate::site::{self, Origin};

/// Warms up, then purges so many times.
pub fn run(purges: usize) -> Value {
    let server = RedisServer::start();
    let runtime = Runtime::new().unwrap();
    let (cache, companion) = site::rules(Cache::builder(), 1)
        .redis(server.url())
        .build()
        .unwrap();
    runtime.spawn(companion.run(std::future::pending()));
    let mut watcher = Watcher::start(&server.url());
    let (mut seen, mut acknowledged) = (Vec::new(), Vec::new());
    for round in 0..purges + 50 {
        watcher.line();
        // Not in step with anything.
        std::thread::sleep(Duration::from_micros(fastrand::u64(500..3_000)));
        let start = now();
        runtime.block_on(cache.purger().tag("group:0")).unwrap();
        let end = now();
        let first_miss: f64 = watcher.line().parse().unwrap();
        if round >= 50 {
            seen.push((first_miss - start) * 1e3);
            acknowledged.push((end - start) * 1e3);
        }
    }
    let percents = (0..=1000).map(|permille| f64::from(permille) / 10.0);
    let curve: Vec<f64> = percents
        .map(|percent| site::percentile(&mut seen, percent))
        .collect();
    json!({
        "part": "seen", "purges": purges,
        "p50_ms": site::percentile(&mut seen, 50.0), "p99_ms": site::percentile(&mut seen, 99.0),
        "most_ms": site::percentile(&mut seen, 100.0),
        "acknowledged_p50_ms": site::percentile(&mut acknowledged, 50.0),
        "acknowledged_p99_ms": site::percentile(&mut acknowledged, 99.0),
        "permille_ms": curve,
    })
}

/// Of all processes of this machine, in seconds.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // Less the days, so that microseconds are not rounded away.
    since.unwrap().as_nanos() as f64 % 86_400e9 / 1e9
}

struct Watcher {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Watcher {
    fn start(url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["watch", url])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other process: says `hit` once a response is a hit, then asks until one is not, and says when
/// that answer was there.
pub fn watch(url: &str) {
    let runtime = Runtime::new().unwrap();
    let (cache, companion) = site::rules(Cache::builder(), 1).redis(url).build().unwrap();
    runtime.spawn(companion.run(std::future::pending()));
    let service = Origin::new(1, 1).behind(&cache);
    let say = |text: String| {
        let mut output = std::io::stdout().lock();
        // The parent ended: so does this.
        writeln!(output, "{text}")
            .and_then(|()| output.flush())
            .is_ok()
    };
    runtime.block_on(async {
        loop {
            while !site::ask(&service, site::request(0, 0)).await {}
            if !say("hit".to_owned()) {
                return;
            }
            // This thread is none of those that follow the log.
            while site::ask(&service, site::request(0, 0)).await {}
            if !say(now().to_string()) {
                return;
            }
        }
    });
}
