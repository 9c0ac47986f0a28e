//! Whoever is told of a change, and asks any node for it at once, gets what it is now: without naming a position, by near
//! rules, with and without a settling time (PROTOCOL 38).
//!
//! `make everywhere` runs more of it: `TAGCACHE_UPDATES` says how many updates, `TAGCACHE_EVENTS` how many events.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Response;
use tagcache_test_support::{Fleet, Forwarder, Node, Origin, body, item_rule, until};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_tagcache::{
    Announce, CacheBuilder, On, Payload, Stream, SystemClock, Update, UpdateMessage, Updates,
};

const ITEMS: u64 = 16;
/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |given| given.parse().expect("a number"))
}

/// Versions of each item, and when each is shown.
#[derive(Debug, Clone, Default)]
struct Data(Arc<Mutex<HashMap<u64, Versions>>>);

type Versions = Vec<(u64, Instant)>;

impl Data {
    fn write(&self, item: u64, version: u64, lag: Duration) {
        let mut data = self.0.lock().expect("nobody panics with it");
        let versions = data.entry(item).or_default();
        versions.push((version, Instant::now() + lag));
    }

    fn shown(&self, item: u64) -> u64 {
        let now = Instant::now();
        let data = self.0.lock().expect("nobody panics with it");
        let versions = data.get(&item).into_iter().flatten();
        let shown = versions.filter(|(_, at)| *at <= now).map(|(v, _)| *v);
        shown.max().unwrap_or(0)
    }

    fn origin(&self) -> Origin {
        let data = self.clone();
        Origin::answering(move |asked| {
            let item = asked.parts.uri.path().rsplit('/').next();
            let item = item.and_then(|item| item.parse().ok()).expect("an item");
            Response::new(body(data.shown(item).to_string()))
        })
    }
}

fn change(item: u64, version: u64) -> Update {
    let update = Update::new("change", format!("item:{item}")).expect("an update");
    let update = update.with_identity(version.to_string()).expect("a number");
    update
        .with_field("version", version.to_string())
        .expect("a field")
}

/// Item and version of an update.
fn read(update: &Update) -> (u64, u64) {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let item = update.subject().strip_prefix("item:").expect("an item");
    (
        number(item),
        number(update.get("version").expect("a version")),
    )
}

/// Three nodes with near rules over data that change.
struct Shop {
    fleet: Fleet,
    data: Data,
}

impl Shop {
    fn open() -> Self {
        let data = Data::default();
        let fleet = Fleet::private().copying().rule(item_rule().near());
        let fleet = fleet.origin(data.origin());
        Self { fleet, data }
    }

    fn builder(&self) -> CacheBuilder {
        self.fleet.builder().clock(SystemClock::new())
    }

    fn node(&self) -> Node {
        self.fleet.companied_by(self.builder())
    }

    /// Nothing of the stream `changes` is in anybody's hands.
    async fn acknowledged(&self) {
        let command = format!("XPENDING changes {}", self.fleet.namespace);
        until("all events are acknowledged", async || {
            let summary = redis::from_redis_value(self.fleet.run(&command).await);
            let (count, ..): (u64, redis::Value, redis::Value, redis::Value) =
                summary.expect("a summary");
            count == 0
        })
        .await;
    }

    /// From then on purges need not wait for the time.
    async fn marked(&self) {
        let command = format!("HEXISTS {{{}}}:roll mark", self.fleet.log_key());
        until("the roll has its mark", async || {
            self.fleet.run(&command).await == redis::Value::Int(1)
        })
        .await;
    }
}

/// What one who is told does: looks at once, on one of `nodes` and then on the others. How many answers were old.
async fn look(nodes: &[Node], first: usize, item: u64, version: u64) -> usize {
    let mut old = 0;
    for turn in 0..nodes.len() {
        let node = &nodes[(first + turn) % nodes.len()];
        let answer = node.get(&format!("/item/{item}")).await;
        let got: u64 = answer.text().parse().expect("a version");
        old += usize::from(got < version);
    }
    old
}

async fn next(updates: &mut Updates) -> UpdateMessage {
    let message = timeout(PATIENCE, updates.recv()).await;
    message
        .expect("somebody is told")
        .expect("the cache is there")
}

/// So many updates are received on one node, and looked at on another at once: how many looks were old.
async fn rounds(count: u64, settle: Duration, lags: bool) -> usize {
    let shop = Shop::open();
    let forwarder = Forwarder::start(([127, 0, 0, 1], shop.fleet.server.port()).into()).await;
    let slow = shop.builder().redis(forwarder.url());
    let nodes = [shop.node(), shop.node(), shop.fleet.companied_by(slow)];
    shop.marked().await;
    let mut updates = nodes[0].cache.updates();
    let lagging = async {
        loop {
            sleep(Duration::from_millis(fastrand::u64(..40))).await;
            if lags {
                forwarder.stall();
            }
            sleep(Duration::from_millis(fastrand::u64(..40))).await;
            forwarder.resume();
        }
    };
    let received = watch::Sender::new(0);
    let publishing = async {
        let (mut purges, mut received) = (JoinSet::new(), received.subscribe());
        for version in 1..=count {
            // Not more than wait for a receiver.
            let has_room = |told: &u64| version - *told < 500;
            received
                .wait_for(has_room)
                .await
                .expect("the sender is here");
            let item = fastrand::u64(..ITEMS);
            let lag = settle.mul_f64(fastrand::f64() * 0.9);
            shop.data.write(item, version, lag);
            // The one that lags purges too.
            let purger = nodes[fastrand::usize(..3)].purger().settle(settle);
            let purger = purger.announcing(change(item, version));
            purges.spawn(async move { purger.tag(format!("item:{item}")).await });
            while purges.len() >= 8 {
                purges.join_next().await;
            }
        }
        while purges.join_next().await.is_some() {}
    };
    let receiving = async {
        let (mut told, mut old) = (0, 0);
        while told < count {
            if let UpdateMessage::Update(announced) = next(&mut updates).await {
                let (item, version) = read(&announced.update);
                old += look(&nodes, fastrand::usize(..3), item, version).await;
                told += 1;
                received.send_replace(told);
            }
        }
        old
    };
    tokio::select! {
        ((), old) = async { tokio::join!(publishing, receiving) } => old,
        never = lagging => never,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn who_is_told_and_asks_any_node_gets_what_is_new() {
    let count = setting("TAGCACHE_UPDATES", 400);
    for (settle, lags) in [(0, false), (0, true), (5, false), (5, true)] {
        let old = rounds(count, Duration::from_millis(settle), lags).await;
        println!("{count} updates, settle {settle} ms, a node lags: {lags}: {old} old");
        assert_eq!(old, 0);
    }
}

fn stream() -> Stream {
    let change = Announce::new("change")
        .subject("item:{item}")
        .field("version", "version");
    Stream::text("changes", Payload::AllFields).on(On::any().purge("item:{item}").announce(change))
}

/// Events are read by nodes that are killed at any moment, and another takes each one's place: all are told, in the order of
/// the log, and not before their purge is everywhere. Seeded, and the seed is printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_event_is_told_whoever_dies() {
    let events = setting("TAGCACHE_EVENTS", 120);
    let seed = setting("TAGCACHE_SEED", fastrand::u64(..));
    println!("TAGCACHE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let shop = Shop::open();
    let short = Duration::from_millis(100);
    let reader = || {
        let builder = shop.builder().stream(stream()).claim_events_after(short);
        shop.fleet.companied_by(builder)
    };
    // It reads no events, and hears all.
    let listener = shop.node();
    let mut updates = listener.cache.updates();
    let mut readers = [reader(), reader()];
    shop.marked().await;
    let (mut told, mut since) = (BTreeSet::new(), BTreeSet::new());
    let (mut last, mut old) = (None, 0);
    let mut published = 0;
    while (told.len() as u64) < events {
        if published < events && random.u32(..3) > 0 {
            published += 1;
            let item = random.u64(..ITEMS);
            shop.data.write(item, published, Duration::ZERO);
            let event = format!("XADD changes * item {item} version {published}");
            shop.fleet.run(&event).await;
        }
        if random.u32(..20) == 0 {
            let which = random.usize(..2);
            readers[which].kill().await;
            readers[which] = reader();
        }
        let patience = match published < events {
            true => Duration::from_millis(random.u64(..8)),
            false => PATIENCE,
        };
        let heard = timeout(patience, updates.recv()).await;
        let announced = match heard {
            Ok(Some(UpdateMessage::Update(announced))) => announced,
            // What comes again after that is told again.
            Ok(_) => {
                since.clear();
                continue;
            }
            Err(_) => {
                assert!(published < events, "told of {told:?}");
                continue;
            }
        };
        let (item, version) = read(&announced.update);
        told.insert(version);
        assert!(since.insert(version), "{version} is told again");
        let before = last.replace(announced.id);
        let in_order = before.is_none_or(|before| announced.id.is_after(before));
        assert!(in_order, "{} after {before:?}", announced.id);
        old += look(&readers, random.usize(..2), item, version).await;
        old += look(std::slice::from_ref(&listener), 0, item, version).await;
    }
    assert_eq!(old, 0);
    shop.acknowledged().await;
}
