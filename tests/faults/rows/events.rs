//! Consumers of an event stream that are killed at each step of an event.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use redis::Value;
use tagcache_test_support::{Forwarder, RedisServer, eventually};
use tokio::task::JoinHandle;
use tower_tagcache::{Cache, Format, On, Payload, Stream};

use super::row;
use crate::bench::{Bench, PAGES, Row, run_all};
use crate::ledger::Why;
use crate::node;

pub(super) const ROWS: &[Row] = &[row!(
    "consumer-killed",
    "whoever reads the events is killed after each thing that it says to Redis",
    Single,
    consumer_killed
)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_153_an_event_whose_reader_is_killed_at_any_step_is_purged_by_another() {
    run_all(ROWS).await;
}

const STREAM: &str = "lab-events";
const GROUP: &str = "lab";

/// A process that reads events and serves nobody.
struct Reader {
    way: Forwarder,
    _cache: Cache,
    companion: JoinHandle<()>,
}

impl Reader {
    async fn start(bench: &Bench) -> Self {
        let way = Forwarder::start(bench.topology.target()).await;
        let events = Format::json(Payload::field("data")).event_name("type");
        let stream = Stream::new(STREAM, events).on(On::event("changed").purge("item:{id}"));
        let builder = node::builder(&bench.form, &way.url())
            .stream(stream)
            .consumer_group(GROUP);
        let builder = match bench.form.is_short() {
            true => builder.claim_events_after(Duration::from_millis(400)),
            false => builder,
        };
        let (cache, companion) = builder.build().unwrap();
        Self {
            way,
            _cache: cache,
            companion: tokio::spawn(companion.run(std::future::pending())),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.companion.abort();
    }
}

/// How many readers the group knows, and whether all entries were acknowledged.
async fn group(server: &RedisServer) -> Option<(i64, bool)> {
    let groups = server
        .try_command(&["XINFO", "GROUPS", STREAM])
        .await
        .ok()?;
    let groups: Vec<HashMap<String, Value>> = redis::from_redis_value(groups).ok()?;
    let group = groups.first()?;
    let number = |name: &str| match group.get(name) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    };
    let done = number("pending")? == 0 && number("lag")? == 0;
    Some((number("consumers")?, done))
}

async fn publish(bench: &Bench, page: usize) -> u64 {
    let version = bench.ledger.change(page);
    let data = format!("{{\"type\":\"changed\",\"id\":{page}}}");
    let server = bench.topology.master();
    server.command(&["XADD", STREAM, "*", "data", &data]).await;
    version
}

async fn all_acknowledged(bench: &Bench) {
    eventually(async || {
        let group = group(bench.topology.master()).await;
        let done = group.is_some_and(|(_, done)| done);
        done.then_some(())
            .ok_or_else(|| format!("all is acknowledged: {group:?}"))
    })
    .await;
}

async fn consumer_killed(bench: &mut Bench) {
    let mut reader = Reader::start(bench).await;
    // The first event says that the group is read.
    eventually(async || match group(bench.topology.master()).await {
        Some((1.., _)) => Ok(()),
        other => Err(format!("a group with a reader: {other:?}")),
    })
    .await;
    let (mut killed, mut longest) = (0, Duration::ZERO);
    for step in 1..=bench.form.number(8, 20) {
        let page = step as usize * 3 % PAGES;
        reader.way.lose_after(step);
        let version = publish(bench, page).await;
        let lost = reader.way.loses();
        let within = tokio::time::timeout(Duration::from_secs(3), lost).await;
        killed += u64::from(within.is_ok());
        drop(reader);
        let died = Instant::now();
        reader = Reader::start(bench).await;
        all_acknowledged(bench).await;
        longest = longest.max(died.elapsed());
        bench.settle().await;
        bench.ledger.visible(page, version, Why::Event);
    }
    assert!(killed > 2, "nobody was killed");
    bench.notes.push(format!(
        "{killed} readers killed, events acknowledged within {:.1} s",
        longest.as_secs_f64()
    ));
}
