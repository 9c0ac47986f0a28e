//! A chain with two reorgs, delivered twice over two streams each, by consumers that are killed at random: feed, counters and
//! alerts are exactly those of a naive reference.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::Value;
use serde_json::{Value as Json, json};
use tagcache_test_support::{RedisServer, eventually, until};
use tokio::task::JoinHandle;
use tower_tagcache::outgoing::{OutgoingSettings, WebhookSettings};
use tower_tagcache::{
    ActivityQuery, ActivitySettings, AlertRule, AnalyticsQuery, Announce, Cache, Format, On,
    Stream, Tag, UpdateMessage, Updates,
};

use crate::receiver::{Posted, Receiver};

const STREAMS: [&str; 2] = ["all", "sales"];
const AUCTIONS: u64 = 15;
/// What the alert rule asks for, in tokens.
const BIG: u128 = 900;
const UNIT: u128 = 1_000_000_000_000_000_000;

/// Events that are published, over both streams.
fn events() -> usize {
    let given = std::env::var("TAGCACHE_ACTIVITY").ok();
    given.map_or(600, |given| given.parse().unwrap())
}

/// An event of the chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    block: u64,
    /// Which of the chains that there were at this height.
    fork: u64,
    index: u64,
    is_sale: bool,
    auction: u64,
    /// In whole tokens and a part, so that sums carry.
    amount: u128,
}

impl Event {
    fn kind(&self) -> &'static str {
        if self.is_sale { "sale" } else { "kick" }
    }

    fn auction(&self) -> String {
        format!("0x{:040x}", self.auction + 1)
    }

    fn hash(&self, of: &str) -> String {
        format!("0x{of}{:x}f{:x}", self.block, self.fork)
    }

    fn identity(&self) -> String {
        let (block, index) = (self.hash("b"), self.index);
        format!("31337/{block}/{}/{index}", self.transaction())
    }

    /// One that comes again after a reorg keeps its name.
    fn transaction(&self) -> String {
        format!("0xa{:x}e{:x}", self.auction, self.amount)
    }

    fn data(&self, time: u64) -> Json {
        json!({
            "amountPaid": self.amount.to_string(), "price": "7",
            "transaction_information": {
                "address": self.auction(), "block_hash": self.hash("b"), "block_number": self.block,
                "block_timestamp": format!("0x{:x}", time + self.block), "chain_id": 31337,
                "log_index": format!("0x{:x}", self.index), "network": "local",
                "transaction_hash": self.transaction(), "transaction_index": 0,
            },
        })
    }
}

/// What a stream delivers, in order.
#[derive(Debug, Clone)]
enum Published {
    /// Those of one block and type.
    Events(Vec<Event>),
    Reorg {
        from: u64,
        depth: u64,
    },
}

/// A chain of `most` events with two reorgs: what is published, and each event with whether it is undone.
fn chain(most: usize) -> (Vec<Published>, BTreeMap<Event, bool>) {
    let (mut published, mut events) = (Vec::new(), BTreeMap::<Event, bool>::new());
    let (mut block, mut fork) = (100, 0);
    while events.len() < most {
        let is_due = fork < 2 && events.len() > most * (2 + 3 * fork as usize) / 8;
        if is_due {
            fork += 1;
            let depth = fastrand::u64(2..30);
            let from = block - depth;
            let notice = Published::Reorg { from, depth };
            published.push(notice.clone());
            for (_, is_undone) in events.iter_mut().filter(|(event, _)| event.block >= from) {
                *is_undone = true;
            }
            // Each event of the contract tells of it, the others while the new blocks come.
            block = from;
            block = publish_block(block, fork, &mut published, &mut events);
            published.push(notice.clone());
            block = publish_block(block, fork, &mut published, &mut events);
            published.push(notice);
        }
        block = publish_block(block, fork, &mut published, &mut events);
    }
    (published, events)
}

fn publish_block(
    block: u64,
    fork: u64,
    published: &mut Vec<Published>,
    events: &mut BTreeMap<Event, bool>,
) -> u64 {
    let mut of_block: Vec<Event> = (0..fastrand::u64(0..6))
        .map(|index| Event {
            block,
            fork,
            index,
            is_sale: fastrand::u8(..3) > 0,
            auction: fastrand::u64(..AUCTIONS),
            amount: fastrand::u128(..1_000) * UNIT + fastrand::u128(..UNIT),
        })
        .collect();
    events.extend(of_block.iter().map(|event| (event.clone(), false)));
    for is_sale in [true, false] {
        let (of_kind, rest) = of_block
            .into_iter()
            .partition(|event| event.is_sale == is_sale);
        of_block = rest;
        let of_kind: Vec<Event> = of_kind;
        if !of_kind.is_empty() {
            published.push(Published::Events(of_kind));
        }
    }
    block + 1
}

/// The payload, as rindexer writes it.
fn payload(published: &Published, time: u64) -> String {
    let json = match published {
        Published::Events(events) => json!({
            "event_name": if events[0].is_sale { "AuctionSale" } else { "AuctionRoundKicked" },
            "event_data": events.iter().map(|event| event.data(time)).collect::<Vec<_>>(),
            "network": "local", "block_number": events[0].block,
        }),
        Published::Reorg { from, depth } => json!({
            "event_name": "__rindexer_reorg", "network": "local", "block_number": 0,
            "event_data": [{
                "type": "reorg", "network": "local", "fork_block": from, "depth": depth,
                "events_deleted": 0, "affected_tx_hashes": [], "affected_events": [],
            }],
        }),
    };
    json.to_string()
}

fn streams() -> impl Iterator<Item = Stream> {
    let on = |event: &str, kind: &str| {
        let address = "{transaction_information.address}";
        On::event(event)
            .purge(format!("auction:{address}"))
            .announce(
                Announce::new(kind)
                    .subject(format!("auction:{address}"))
                    .field("amount", "amountPaid")
                    .field("price", "price"),
            )
    };
    STREAMS.into_iter().map(move |name| {
        Stream::new(name, Format::rindexer())
            .on(on("AuctionSale", "sale"))
            .on(on("AuctionRoundKicked", "kick"))
    })
}

/// A node, which dies when this is dropped.
struct Consumer {
    cache: Cache,
    task: JoinHandle<()>,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Consumer {
    fn begin(redis: &RedisServer, receiver: &Receiver, reads: bool) -> Self {
        let big = AlertRule::new("big")
            .types(["sale"])
            .when(format!("amount >= {BIG}"))
            .decimals("amount", 18)
            .webhooks(["ops"]);
        let webhook = WebhookSettings::new("ops", receiver.url())
            .secret("a secret of thirty-two bytes or more");
        let outgoing = OutgoingSettings::default()
            .allow_plain(true)
            .networks(["127.0.0.0/8"]);
        let builder = Cache::builder()
            .redis(redis.url())
            .longest_lease(Duration::from_millis(300))
            .lease(Duration::from_millis(300))
            .claim_events_after(Duration::from_millis(500))
            .activity(ActivitySettings::new())
            .webhook(webhook)
            .outgoing(outgoing)
            .alert(big);
        let builder = match reads {
            true => streams().fold(builder, tower_tagcache::CacheBuilder::stream),
            false => builder,
        };
        let (cache, companion) = builder.build().unwrap();
        let task = tokio::spawn(companion.run(std::future::pending()));
        Self { cache, task }
    }
}

/// Identities in the order in which they are announced first, with whether it is of a sale that raises an alert.
async fn collect(mut updates: Updates) -> Vec<String> {
    let (mut order, mut known) = (Vec::new(), BTreeSet::new());
    while let Some(message) = updates.recv().await {
        let UpdateMessage::Update(told) = message else {
            continue;
        };
        let update = told.update;
        if update.kind() == "end" {
            break;
        }
        let identity = update.identity().to_owned();
        let amount = update
            .get("amount")
            .and_then(|amount| amount.parse::<u128>().ok());
        let is_big = update.kind() == "sale" && amount.is_some_and(|amount| amount >= BIG * UNIT);
        if is_big && known.insert(identity.clone()) {
            order.push(identity);
        }
    }
    order
}

/// Whether all that was published is read and acknowledged.
async fn is_read(redis: &RedisServer) -> bool {
    for stream in STREAMS {
        let groups = redis.run(&format!("XINFO GROUPS {stream}")).await;
        let groups: Vec<BTreeMap<String, Value>> = redis::from_redis_value(groups).unwrap();
        // Beside it stands the group by which consumers are woken.
        let mut readers = groups.iter().filter(|group| {
            let name = group
                .get("name")
                .cloned()
                .map(redis::from_redis_value::<String>);
            name.is_some_and(|name| name.is_ok_and(|name| !name.ends_with(":wake")))
        });
        let (Some(group), None) = (readers.next(), readers.next()) else {
            return false;
        };
        let zero = |name: &str| group.get(name) == Some(&Value::Int(0));
        if !zero("pending") || !zero("lag") {
            return false;
        }
    }
    true
}

/// What is to be read of the feed.
fn expected_feed(events: &BTreeMap<Event, bool>, of: Option<u64>, most: usize) -> Vec<String> {
    let shown = events.iter().filter(|(_, is_undone)| !**is_undone);
    let of_one = shown.filter(|(event, _)| of.is_none_or(|of| event.auction == of));
    let mut keys: Vec<_> = of_one
        .map(|(event, _)| (event.block, event.index, event))
        .collect();
    keys.sort();
    let newest = keys.into_iter().rev().take(most);
    newest
        .map(|(_, _, event)| format!("{} {} {}", event.kind(), event.hash("b"), event.index))
        .collect()
}

/// Read through pages of some size.
async fn feed(cache: &Cache, of: Option<u64>) -> Vec<String> {
    let activity = cache.activity().unwrap();
    let (mut read, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = ActivityQuery::new().limit(77).unwrap();
        if let Some(auction) = of {
            query = query.subject(&Tag::new(&format!("auction:0x{:040x}", auction + 1)).unwrap());
        }
        if let Some(cursor) = cursor {
            query = query.behind(cursor);
        }
        let page = activity.read(&query).await.unwrap();
        for entry in &page.entries {
            let json: Json = serde_json::from_str(&entry.json).unwrap();
            read.push(json);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    read.iter().map(name_of).collect()
}

fn name_of(json: &Json) -> String {
    let text = |name: &str| json[name].as_str().unwrap_or_default();
    // Only the chain knows which fork it is: by what the transaction is called, the event is found again.
    format!("{} {} {}", text("type"), json["block"], text("tx_hash"))
}

async fn counters(cache: &Cache) -> BTreeMap<String, (u64, String)> {
    let activity = cache.activity().unwrap();
    let mut counters = BTreeMap::new();
    let by_hour = AnalyticsQuery::new().hours(48).by_hour();
    for row in activity.analytics(&by_hour).await.unwrap() {
        let hour = row.hour.unwrap().as_millis() / 3_600_000;
        let sum = row.sums.get("amount").cloned().unwrap_or_default();
        counters.insert(format!("{hour} {}", row.kind), (row.count, sum));
    }
    let by_subject = AnalyticsQuery::new().hours(48).by_subject();
    for row in activity.analytics(&by_subject).await.unwrap() {
        let (subject, sum) = (row.subject.unwrap(), row.sums.get("amount").cloned());
        counters.insert(
            format!("{subject} {}", row.kind),
            (row.count, sum.unwrap_or_default()),
        );
    }
    counters
}

fn expected_counters(events: &BTreeMap<Event, bool>, time: u64) -> BTreeMap<String, (u64, String)> {
    let mut counters = BTreeMap::<String, (u64, u128)>::new();
    for (event, _) in events.iter().filter(|(_, is_undone)| !**is_undone) {
        let hour = (time + event.block) / 3_600;
        for whose in [hour.to_string(), format!("auction:{}", event.auction())] {
            let counter = counters
                .entry(format!("{whose} {}", event.kind()))
                .or_default();
            counter.0 += 1;
            counter.1 += event.amount;
        }
    }
    let written = |(name, (count, sum)): (String, (u64, u128))| (name, (count, sum.to_string()));
    counters.into_iter().map(written).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn feed_counters_and_alerts_are_those_of_a_naive_reference() {
    let seed = std::env::var("TAGCACHE_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("TAGCACHE_SEED={seed}");
    fastrand::seed(seed);
    let (published, events) = chain(events());
    let redis = RedisServer::start();
    let receiver = Receiver::start().await;
    let observer = Consumer::begin(&redis, &receiver, false);
    let order = tokio::spawn(collect(observer.cache.updates()));
    let mut nodes: Vec<_> = (0..3)
        .map(|_| Consumer::begin(&redis, &receiver, true))
        .collect();
    // A day ago: in the past for every clock, and within what is counted.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let time = (now.as_secs() / 3_600 - 20) * 3_600;
    let killed = publish(&redis, &receiver, &published, time, &mut nodes).await;
    until("all is read", async || is_read(&redis).await).await;
    let end = tower_tagcache::Update::new("end", "all:0").unwrap();
    observer
        .cache
        .purger()
        .announcing(end)
        .targets([])
        .await
        .unwrap();
    // The end is an entry of the feed, and counted: it stands for itself.
    let cache = &nodes[0].cache;
    check_feed(cache, &events).await;
    let expected = expected_counters(&events, time);
    eventually(async || {
        let mut counters = counters(cache).await;
        counters.retain(|name, _| !name.ends_with(" end"));
        (counters == expected)
            .then_some(())
            .ok_or("counters are those of the reference")
    })
    .await;
    let order = order.await.unwrap();
    let alerts = check_alerts(&receiver, &events, &order).await;
    let posts = receiver.all().len();
    println!(
        "{} events, {} undone, {} entries on each of two streams, {killed} nodes killed: feed, counters and {} alerts ({posts} \
         posts) as the reference",
        events.len(),
        events.values().filter(|is_undone| **is_undone).count(),
        published.len(),
        alerts
    );
}

/// Publishes all on both streams, and kills nodes meanwhile; how many.
async fn publish(
    redis: &RedisServer,
    receiver: &Receiver,
    published: &[Published],
    time: u64,
    nodes: &mut [Consumer],
) -> usize {
    let kills = (published.len() / 60).clamp(4, 12);
    let every = published.len() / kills + 1;
    let mut killed = 0;
    for (place, one) in published.iter().enumerate() {
        for stream in STREAMS {
            let payload = payload(one, time);
            redis
                .command(&["XADD", stream, "*", "payload", &payload])
                .await;
            // What its publisher repeats.
            if fastrand::u8(..20) == 0 && matches!(one, Published::Events(_)) {
                redis
                    .command(&["XADD", stream, "*", "payload", &payload])
                    .await;
            }
        }
        if place % every == every - 1 {
            // It is reading, and half of it is on its way.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..60))).await;
            nodes[fastrand::usize(..nodes.len())] = Consumer::begin(redis, receiver, true);
            killed += 1;
        }
    }
    killed
}

/// Alerts are one for each large sale, in the order of the log; how many.
async fn check_alerts(
    receiver: &Receiver,
    events: &BTreeMap<Event, bool>,
    order: &[String],
) -> usize {
    let big = events
        .keys()
        .filter(|event| event.is_sale && event.amount >= BIG * UNIT);
    let big: BTreeSet<String> = big.map(Event::identity).collect();
    until("all alerts are there", async || {
        receiver.distinct().len() >= big.len()
    })
    .await;
    let posted = receiver.distinct();
    let identities: Vec<String> = posted.iter().map(Posted::identity).collect();
    assert_eq!(
        identities.iter().cloned().collect::<BTreeSet<_>>(),
        big,
        "one for each"
    );
    assert_eq!(identities.len(), big.len(), "and once by its key");
    assert_eq!(identities, order, "in the order of the log");
    big.len()
}

async fn check_feed(cache: &Cache, events: &BTreeMap<Event, bool>) {
    let names: BTreeMap<String, String> = events
        .keys()
        .map(|event| {
            let shown = format!("{} {} {}", event.kind(), event.block, event.transaction());
            let own = format!("{} {} {}", event.kind(), event.hash("b"), event.index);
            (shown, own)
        })
        .collect();
    assert_eq!(names.len(), events.len(), "they can be told apart");
    let own = |shown: String| names.get(&shown).cloned().unwrap_or(shown);
    for of in std::iter::once(None).chain((0..AUCTIONS).map(Some)) {
        let expected = expected_feed(events, of, if of.is_some() { 100 } else { 999 });
        eventually(async || {
            let read: Vec<String> = feed(cache, of).await.into_iter().map(own).collect();
            let read: Vec<_> = read
                .into_iter()
                .filter(|name| !name.starts_with("end "))
                .collect();
            match read == expected {
                true => Ok(()),
                false => Err(format!(
                    "the feed of {of:?}: {} and not {} entries; first {:?} and not {:?}",
                    read.len(),
                    expected.len(),
                    read.iter().find(|name| !expected.contains(name)),
                    expected.iter().find(|name| !read.contains(name)),
                )),
            }
        })
        .await;
    }
}
