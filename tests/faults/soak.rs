//! Mixed load and faults for long, and what has grown afterwards.
//!
//! As a test it is a round of faults; `make soak-faults` goes on for ten minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tagcache_test_support::{Forwarder, Layout, RedisServer, Served, Topology, eventually};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower_tagcache::Cache;

use crate::form::Form;
use crate::ledger::{Ledger, Why};
use crate::load::{Asking, Load};
use crate::node::{Node, Process};
use crate::upstream;

const PAGES: usize = 200;

/// What may not grow, in a moment without a fault.
#[derive(Debug, Clone, Copy)]
struct Size {
    rss_kib: u64,
    process_rss_kib: u64,
    tasks: u64,
    files: u64,
    process_files: u64,
    connections: u64,
    keys: u64,
    redis_kib: u64,
    log: u64,
}

impl Size {
    fn each(self) -> [(&'static str, u64); 9] {
        [
            ("memory of this process, KiB", self.rss_kib),
            ("memory of the program, KiB", self.process_rss_kib),
            ("tasks", self.tasks),
            ("open files of this process", self.files),
            ("open files of the program", self.process_files),
            ("connections at Redis", self.connections),
            ("keys in Redis", self.keys),
            ("memory of Redis, KiB", self.redis_kib),
            ("records in the log", self.log),
        ]
    }
}

fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap().parse().unwrap()
}

fn open_files(process: &str) -> u64 {
    std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .count() as u64
}

async fn number(server: &RedisServer, section: &str, name: &str) -> u64 {
    let info = server.info(section).await;
    let value = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap().trim().parse().unwrap()
}

async fn count(server: &RedisServer, command: &str) -> u64 {
    redis::from_redis_value(server.run(command).await).unwrap()
}

async fn size(server: &RedisServer, process: &Process) -> Size {
    let other = process.id().to_string();
    Size {
        rss_kib: resident("self"),
        process_rss_kib: resident(&other),
        tasks: Handle::current().metrics().num_alive_tasks() as u64,
        files: open_files("self"),
        process_files: open_files(&other),
        connections: number(server, "clients", "connected_clients").await,
        keys: count(server, "DBSIZE").await,
        redis_kib: number(server, "memory", "used_memory").await / 1_024,
        log: count(server, "XLEN tagcache:purges").await,
    }
}

/// What is broken, and who asks meanwhile.
struct Site {
    topology: Topology,
    nodes: Vec<Node>,
    process: Process,
    /// Between nodes and origin.
    upstream: Forwarder,
    _origin: Served,
    load: Load,
    changing: JoinHandle<()>,
}

impl Site {
    async fn start(form: &Form, short: bool) -> Self {
        let topology = Topology::start(Layout::Single, &[]).await;
        let ledger = Ledger::new(PAGES, 3);
        let origin = upstream::origin(&ledger).await;
        let between = Forwarder::start(origin.address).await;
        let url = format!("http://{}", between.addr());
        let mut nodes = Vec::new();
        for _ in 0..2 {
            let way = Forwarder::start(topology.target()).await;
            let redis = way.url();
            nodes.push(Node::start(form, &redis, way, &url, Duration::from_secs(5)).await);
        }
        let process = Process::start(&topology.master().url(), &url);
        let asking = Asking {
            nodes: vec![nodes[0].address, nodes[1].address, process.address],
            pages: PAGES,
            rate: if short { 90 } else { 600 },
            clients: 12,
            keep: false,
        };
        Self {
            load: Load::start(&ledger, &asking),
            changing: tokio::spawn(changes(Arc::clone(&ledger), nodes[0].cache.clone())),
            topology,
            nodes,
            process,
            upstream: between,
            _origin: origin,
        }
    }

    /// Waits until hits and purges are as they were.
    async fn is_well(&self) {
        eventually(async || {
            let hits = self.load.seen.hits_of_late();
            let waiting = self.nodes.iter().map(|node| node.cache.health().waiting);
            let waiting: usize = waiting.sum();
            (hits > 0.5 && waiting == 0)
                .then_some(())
                .ok_or_else(|| format!("all is well: {hits}, {waiting}"))
        })
        .await;
    }

    fn failed(&self) -> u64 {
        self.load.seen.failed.load(Ordering::SeqCst)
    }
}

/// Page after page changes, and is purged.
async fn changes(ledger: Arc<Ledger>, cache: Cache) {
    for turn in 0_usize.. {
        let page = turn * 7 % PAGES;
        let version = ledger.change(page);
        match cache.purger().tag(format!("item:{page}")).await {
            Ok(purged) => ledger.visible(
                page,
                version,
                Why::Everywhere {
                    by: 0,
                    how: purged.everywhere,
                },
            ),
            Err(_) => ledger.visible_at(0, page, version, Why::Pending),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The fault in which the upstream fails, and clients see it.
const REFUSED: usize = 6;

/// One fault, which ends.
async fn fault(turn: usize, site: &mut Site, short: bool) {
    let (topology, nodes) = (&mut site.topology, &site.nodes);
    let while_it_lasts = Duration::from_millis(if short { 500 } else { 2_000 });
    match turn % 8 {
        0 => {
            topology.master_mut().stop();
            sleep(while_it_lasts).await;
            topology.master_mut().restart();
        }
        1 => {
            topology.master().suspend();
            sleep(while_it_lasts).await;
            topology.master().resume();
        }
        2 => {
            nodes.iter().for_each(|node| node.way.swallow());
            sleep(while_it_lasts).await;
            nodes.iter().for_each(|node| node.way.resume());
        }
        3 => {
            for _ in 0..10 {
                topology
                    .master()
                    .run("CLIENT KILL TYPE normal SKIPME yes")
                    .await;
                sleep(while_it_lasts / 10).await;
            }
        }
        4 => {
            topology.master().run("CONFIG SET maxmemory 1mb").await;
            sleep(while_it_lasts).await;
            topology.master().run("CONFIG SET maxmemory 0").await;
        }
        5 => drop(topology.master().run("FLUSHALL").await),
        REFUSED => {
            site.upstream.refuse();
            sleep(while_it_lasts / 4).await;
            site.upstream.resume();
            // It counts as down for a moment longer.
            sleep(Duration::from_millis(800)).await;
        }
        _ => {
            nodes
                .iter()
                .for_each(|node| node.way.delay(Duration::from_millis(60)));
            sleep(while_it_lasts).await;
            nodes.iter().for_each(|node| node.way.delay(Duration::ZERO));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_154_nothing_grows_under_mixed_load_and_faults() {
    let form = Form::given();
    let given = std::env::var("TAGCACHE_SOAK").ok();
    let lasts: u64 = given.map_or(0, |given| given.parse().expect("seconds"));
    let lasts = Duration::from_secs(lasts);
    let short = lasts.is_zero();
    let mut site = Site::start(&form, short).await;
    site.is_well().await;
    let began = Instant::now();
    let (mut sizes, mut turn, mut refused) = (Vec::new(), 0, 0);
    // Each round has all the faults, so that each is measured after the same ones.
    while turn == 0 || began.elapsed() < lasts {
        for _ in 0..8 {
            let failed = site.failed();
            fault(turn, &mut site, short).await;
            if turn % 8 == REFUSED {
                refused += site.failed() - failed;
            }
            turn += 1;
            sleep(Duration::from_millis(if short { 200 } else { 1_500 })).await;
        }
        site.is_well().await;
        sleep(Duration::from_millis(if short { 300 } else { 3_000 })).await;
        let now = size(site.topology.master(), &site.process).await;
        println!("{:>4} s, {turn} faults: {now:?}", began.elapsed().as_secs());
        sizes.push(now);
    }
    site.changing.abort();
    let seen = Arc::clone(&site.load.seen);
    site.load.stop().await;
    let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let counts = (of(&seen.wrong), of(&seen.stale), of(&seen.failed) - refused);
    println!(
        "{} requests, {turn} faults: wrong, stale, errors: {counts:?}, {refused} while the upstream refused",
        of(&seen.requests),
    );
    for told in seen.told.lock().iter() {
        println!("{told}");
    }
    assert_eq!(counts, (0, 0, 0), "wrong, stale, errors");
    judge(&sizes, &form, &seen, turn);
}

/// The second half beside the first, without the first round, which warms up.
fn judge(sizes: &[Size], form: &Form, seen: &crate::load::Seen, faults: usize) {
    let last = sizes.last().expect("a round");
    // In any round, however short.
    assert!(last.connections < 40, "{last:?}");
    assert!(last.keys < 4 * PAGES as u64, "{last:?}");
    let settled = sizes.get(1..).unwrap_or_default();
    let (first, second) = settled.split_at(settled.len() / 2);
    let mut rows = Vec::new();
    for place in 0..last.each().len() {
        let middle = |sizes: &[Size]| {
            let mut all: Vec<u64> = sizes.iter().map(|size| size.each()[place].1).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied()
        };
        let (name, end) = last.each()[place];
        if let (Some(then), Some(now)) = (middle(first), middle(second)) {
            println!("{name}: {then} in the first half, {now} in the second");
            // Allocators and the log's chunks go up and down by so much.
            assert!(
                now <= then + then / 10 + 16,
                "{name} grows: {then}, then {now}"
            );
            rows.push(serde_json::json!({"what": name, "first": then, "second": now, "end": end}));
        }
    }
    if let Some(directory) = &form.results {
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let text = serde_json::json!({
            "requests": of(&seen.requests), "wrong": of(&seen.wrong), "stale": of(&seen.stale),
            "faults": faults, "rounds": sizes.len(), "sizes": rows,
        });
        std::fs::create_dir_all(directory).unwrap();
        std::fs::write(directory.join("soak.json"), text.to_string()).unwrap();
    }
}
