//! What one request, one purge, one heartbeat and one stored response cost Redis, counted by a real server: the figures that
//! `docs/scaling.md` extrapolates from, which fails here when they change. `make measure-scale` prints them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Response;
use redis::Value;
use tagcache_test_support::{Fleet, Node, Origin, item_rule, until};
use tokio::time::sleep;
use tower_tagcache::SystemClock;

/// How often each thing is done.
const TIMES: u32 = 200;

/// How often each command was called.
type Calls = BTreeMap<String, u64>;

async fn calls(fleet: &Fleet) -> Calls {
    let stats = fleet.server.info("commandstats").await;
    let lines = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let calls = rest.strip_prefix("calls=")?.split(',').next()?;
        Some((name.to_owned(), calls.parse().expect("a count")))
    });
    // The test's own, and what making a connection takes.
    let ours = [
        "info", "config", "hello", "client", "select", "memory", "xlen", "dbsize",
    ];
    lines
        .filter(|(name, _)| !ours.iter().any(|our| name.starts_with(our)))
        .collect()
}

/// What `after` has more than `before`.
fn more(before: &Calls, after: &Calls) -> Calls {
    let more = after.iter().map(|(name, calls)| {
        let known = before.get(name).copied().unwrap_or_default();
        (name.clone(), calls - known)
    });
    more.filter(|(_, calls)| *calls > 0).collect()
}

fn total(calls: &Calls) -> u64 {
    calls.values().sum()
}

/// `calls` for each of so many, in words.
fn each(calls: &Calls, times: u32) -> String {
    let words = calls
        .iter()
        .filter(|(_, calls)| **calls * 20 >= u64::from(times));
    let words = words.map(|(name, calls)| {
        format!(
            "{:.1} {}",
            *calls as f64 / f64::from(times),
            name.to_uppercase()
        )
    });
    words.collect::<Vec<_>>().join(", ")
}

async fn number(fleet: &Fleet, name: &str) -> u64 {
    let stats = fleet.server.info("all").await;
    let value = stats
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value
        .expect("Redis tells it")
        .trim()
        .parse()
        .expect("a number")
}

async fn memory(fleet: &Fleet, key: &str) -> u64 {
    match fleet
        .server
        .command(&["MEMORY", "USAGE", key, "SAMPLES", "0"])
        .await
    {
        Value::Int(bytes) => u64::try_from(bytes).expect("not negative"),
        other => panic!("MEMORY USAGE answered {other:?}"),
    }
}

/// What `act` costs, done so often on a node without background work.
async fn cost(fleet: &Fleet, act: impl AsyncFn(u32)) -> Calls {
    let before = calls(fleet).await;
    for number in 0..TIMES {
        act(number).await;
    }
    more(&before, &calls(fleet).await)
}

struct Table(String);

impl Table {
    /// A row, as `docs/scaling.md` has it.
    fn row(&mut self, what: &str, figure: &str, detail: &str) {
        writeln!(self.0, "| {what} | {figure} | {detail} |").expect("text");
    }
}

fn origin() -> Origin {
    let body = |bytes: usize| {
        let mut random = fastrand::Rng::with_seed(7);
        let text: String = std::iter::repeat_with(|| random.alphanumeric())
            .take(bytes)
            .collect();
        Bytes::from(text)
    };
    Origin::of_data(move |parts, _| {
        let bytes = parts.uri.path().rsplit('-').next();
        let bytes = bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(1_024);
        Response::builder()
            .header("content-type", "application/json")
            .body(body(bytes))
            .expect("an answer")
    })
}

/// A node without background work that reads each hit from Redis: hits, misses and purges.
async fn read_from_redis(table: &mut Table) {
    let fleet = Fleet::private().origin(origin());
    let node = fleet.node();
    node.get("/item/known").await;
    node.warm("/item/known").await;
    let hits = cost(&fleet, async |_| {
        assert!(node.get("/item/known").await.is_hit())
    })
    .await;
    table.row(
        "strict hit, read from Redis",
        &figure(&hits),
        &each(&hits, TIMES),
    );
    assert!(total(&hits) <= u64::from(2 * TIMES + 20), "{hits:?}");

    let misses = cost(&fleet, async |number| {
        node.get(&format!("/item/new-{number}-1024")).await;
    })
    .await;
    // Stores may end after their answers.
    until("all are stored", async || {
        fleet.entries().await.len() > TIMES as usize
    })
    .await;
    table.row(
        "miss, and its store",
        &figure(&misses),
        &each(&misses, TIMES),
    );
    assert!(total(&misses) <= u64::from(4 * TIMES + 20), "{misses:?}");

    let purges = cost(&fleet, async |number| {
        let tag = format!("item:{number}");
        node.purger().tag(&tag).await.expect("in the log");
    })
    .await;
    table.row(
        "purge, until it is in the log",
        &figure(&purges),
        &each(&purges, TIMES),
    );
    assert!(total(&purges) <= u64::from(TIMES + 20), "{purges:?}");
}

/// A node that has copies: strict hits ask for the tip of the log alone, and share that.
async fn from_copies(table: &mut Table) {
    let fleet = Fleet::private().copying().origin(origin());
    let node = fleet.node();
    node.warm("/item/known").await;
    let alone = cost(&fleet, async |_| {
        assert!(node.get("/item/known").await.is_hit())
    })
    .await;
    table.row(
        "strict hit, from a copy, alone",
        &figure(&alone),
        &each(&alone, TIMES),
    );
    assert!(total(&alone) <= u64::from(2 * TIMES + 20), "{alone:?}");
    let before = calls(&fleet).await;
    for _ in 0..TIMES / 50 {
        let together = (0..50).map(|_| node.get("/item/known"));
        let answers = join_all(together).await;
        assert!(answers.iter().all(tagcache_test_support::Answer::is_hit));
    }
    let shared = more(&before, &calls(&fleet).await);
    table.row(
        "strict hit, from a copy, 50 at once",
        &figure(&shared),
        &each(&shared, TIMES),
    );
    assert!(
        total(&shared) <= u64::from(TIMES / 4),
        "tips are shared: {shared:?}"
    );
}

#[tokio::test]
async fn requests_cost_redis_what_the_document_says() {
    let mut table = Table(String::new());
    read_from_redis(&mut table).await;
    from_copies(&mut table).await;
    println!("{}", table.0);
}

fn figure(calls: &Calls) -> String {
    format!("{:.2}", total(calls) as f64 / f64::from(TIMES))
}

/// So many nodes with near rules whose companions run.
async fn nodes(fleet: &Fleet, number: usize) -> Vec<Node> {
    let node = || fleet.companied_by(fleet.builder().clock(SystemClock::new()));
    let nodes: Vec<Node> = std::iter::repeat_with(node).take(number).collect();
    let marked = format!("HEXISTS {{{}}}:roll mark", fleet.log_key());
    until("the roll is complete", async || {
        fleet.run(&marked).await == Value::Int(1)
    })
    .await;
    nodes
}

#[tokio::test]
async fn nodes_and_purges_cost_redis_what_the_document_says() {
    let mut table = Table(String::new());
    let mut per_purge = Vec::new();
    for number in [1, 2, 4, 8] {
        let fleet = Fleet::private()
            .copying()
            .rule(item_rule().near())
            .origin(origin());
        let nodes = nodes(&fleet, number).await;
        // Idle: each heartbeat registers once.
        let before = calls(&fleet).await;
        sleep(Duration::from_secs(2)).await;
        let idle = more(&before, &calls(&fleet).await);
        let beats = idle["hsetnx"];
        let a_beat = total(&idle) as f64 / beats as f64;
        if number == 8 {
            let words = each(&idle, u32::try_from(beats).expect("few"));
            table.row("heartbeat of one node", &format!("{a_beat:.1}"), &words);
            let roll = memory(&fleet, &format!("{{{}}}:roll", fleet.log_key())).await;
            table.row("the roll, a node", &format!("{} bytes", roll / 8), "memory");
        }
        assert!(a_beat <= 8.0, "{idle:?}");
        for node in &nodes {
            node.warm("/item/known").await;
        }
        let before = calls(&fleet).await;
        for _ in 0..1_000 {
            nodes[0].get("/item/known").await;
        }
        let got = more(&before, &calls(&fleet).await);
        let near = total(&got).saturating_sub(got.get("hsetnx").copied().unwrap_or(0) * 8);
        assert!(near <= 60, "near hits ask nobody: {got:?}");
        // One after the other, each until it is everywhere.
        let (before, sent) = (calls(&fleet).await, number_of(&fleet).await);
        for number in 0..TIMES {
            let purger = nodes[0].cache.purger();
            purger
                .tag(format!("item:{number}"))
                .await
                .expect("everywhere");
        }
        let got = more(&before, &calls(&fleet).await);
        let beats = got.get("hsetnx").copied().unwrap_or(0) as f64 * a_beat;
        let cost = (total(&got) as f64 - beats) / f64::from(TIMES);
        per_purge.push((number, cost));
        let bytes = number_of(&fleet).await - sent;
        let detail = format!(
            "{}; {} bytes sent",
            each(&got, TIMES),
            bytes / u64::from(TIMES)
        );
        table.row(
            &format!("purge, everywhere on {number} nodes"),
            &format!("{cost:.1}"),
            &detail,
        );
    }
    println!("{}", table.0);
    let (first, last) = (per_purge[0], per_purge[3]);
    let slope = (last.1 - first.1) / (last.0 - first.0) as f64;
    println!("each further node: {slope:.2} commands a purge");
    assert!(slope <= 6.0, "{per_purge:?}");
}

async fn number_of(fleet: &Fleet) -> u64 {
    number(fleet, "total_net_output_bytes").await
}

#[tokio::test]
async fn entries_and_records_take_the_memory_that_the_document_says() {
    let mut table = Table(String::new());
    let fleet = Fleet::private().origin(origin());
    let node = fleet.node();
    for bytes in [256, 1_024, 4_096, 16_384, 65_536] {
        fleet.run("FLUSHALL").await;
        let before = number(&fleet, "used_memory").await;
        for number in 0..TIMES {
            node.get(&format!("/item/{number}-{bytes}")).await;
        }
        let most = TIMES as usize * 9 / 10;
        until("they are stored", async || {
            fleet.entries().await.len() >= most
        })
        .await;
        let stored = fleet.entries().await.len() as u64;
        let used = number(&fleet, "used_memory").await - before;
        let each = used / stored;
        table.row(
            &format!("response of {bytes} bytes"),
            &format!("{each} bytes"),
            "memory",
        );
        assert!(each < bytes * 2 + 1_500, "{bytes}: {each}");
    }
    for tags in [1, 5] {
        fleet.run("DEL LOG").await;
        node.get("/item/first").await;
        let before = memory(&fleet, &fleet.log_key()).await;
        for number in 0..TIMES * 5 {
            let address = format!("0x{number:040x}");
            let tags = (0..tags).map(|tag| format!("auction-{tag}:{address}"));
            node.purger().tags(tags).await.expect("in the log");
        }
        let used = memory(&fleet, &fleet.log_key()).await - before;
        let each = used / u64::from(TIMES * 5);
        let what = format!("record of the purge log, {tags} tags of 52 bytes");
        table.row(&what, &format!("{each} bytes"), "memory");
        assert!(each < 400 + 80 * tags as u64, "{tags}: {each}");
    }
    println!("{}", table.0);
}
