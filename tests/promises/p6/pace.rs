//! What events cost: a backlog is read by few round trips, and more consumers make no more commands.
//! Counted by the server and by a forwarder in between, never timed.

use std::collections::BTreeMap;
use std::time::Duration;

use tagcache_test_support::{Forwarder, RedisServer, until};
use tower_tagcache::{Announce, On, Stream};

use crate::captures::Entry;
use crate::house::{House, Node};

const STREAM: &str = "orders";
/// The commands over an event stream and its group, as the server calls them; what scripts call counts.
const OF_THE_GROUP: [&str; 14] = [
    "xreadgroup",
    "xinfo|stream",
    "xinfo|groups",
    "xinfo|consumers",
    "xgroup|setid",
    "xgroup|create",
    "xpending",
    "xautoclaim",
    "xclaim",
    "xack",
    "xrange",
    "hkeys",
    "time",
    "pttl",
];

fn quiet() -> Stream {
    Stream::rindexer(STREAM).on(On::any().purge("auction:{transaction_information.address}"))
}

fn told() -> Stream {
    let address = "{transaction_information.address}";
    let sale = Announce::new("sale").subject(format!("auction:{address}"));
    let on = On::any().purge(format!("auction:{address}"));
    Stream::rindexer(STREAM).on(on.announce(sale))
}

/// Adds `count` entries in one step.
async fn publish(server: &RedisServer, count: usize) {
    let entry = Entry::made("AuctionSale", "0x9999999999999999999999999999999999999999");
    let mut command = vec![
        "EVAL",
        "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[3]) end",
        "1",
        STREAM,
    ];
    let count = count.to_string();
    command.push(&count);
    command.extend(entry.fields.iter().map(String::as_str));
    server.command(&command).await;
}

async fn until_all_acknowledged(house: &House) {
    until("all are read and acknowledged", async || {
        let groups = format!(
            "{:?}",
            house.server.run(&format!("XINFO GROUPS {STREAM}")).await
        );
        groups.contains("lag") && house.unacknowledged(STREAM).await == 0 && lag(house).await == 0
    })
    .await;
}

/// How many entries the group has not read.
async fn lag(house: &House) -> i64 {
    let groups = house.server.run(&format!("XINFO GROUPS {STREAM}")).await;
    let groups: Vec<BTreeMap<String, redis::Value>> = redis::from_redis_value(groups).unwrap();
    let ours = groups.iter().find(
        |group| matches!(&group["name"], redis::Value::BulkString(name) if &**name == b"tagcache"),
    );
    match ours.expect("the group")["lag"] {
        redis::Value::Int(lag) => lag,
        _ => 1,
    }
}

/// How often the server called each command of the group.
async fn calls(server: &RedisServer) -> u64 {
    let mut sum = 0;
    for command in OF_THE_GROUP {
        sum += server.calls(command).await;
    }
    sum
}

/// With a backlog, how many round trips and acknowledgements a node needs for `count` events.
async fn backlog(stream: fn() -> Stream, count: usize) -> (u64, u64) {
    let house = House::open();
    let first = house.node([stream()]).join(&house, STREAM).await;
    first.stop().await;
    publish(&house.server, count).await;
    let wire = Forwarder::start(house.server.addr()).await;
    let acknowledged = house.server.calls("xack").await;
    let node = house
        .node_with([stream()], |builder| builder.redis(wire.url()))
        .run();
    until_all_acknowledged(&house).await;
    let trips = wire.round_trips();
    let acknowledged = house.server.calls("xack").await - acknowledged;
    node.kill().await;
    (trips, acknowledged)
}

/// 32 entries for each acknowledgement and each round trip would be 125 of them, were there but one for each.
#[tokio::test]
async fn safety_145_a_backlog_is_purged_by_few_round_trips() {
    const EVENTS: usize = 4_000;
    let ((trips, quiet), (_, told)) = tokio::join!(backlog(quiet, EVENTS), backlog(told, EVENTS));
    assert!(trips < 125, "{trips} round trips");
    // Whoever announces asks the roll meanwhile, as often as there is time for.
    assert!(quiet < 50 && told < 50, "{quiet} and {told} times XACK");
}

/// Commands of the group for each event, of which one comes now and then, with so many consumers.
async fn trickle(consumers: usize) -> f64 {
    const EVENTS: u32 = 40;
    let house = House::open();
    let mut nodes: Vec<Node> = vec![house.node([quiet()]).join(&house, STREAM).await];
    for _ in 1..consumers {
        nodes.push(house.node([quiet()]).run());
    }
    until("all read", async || {
        nodes
            .iter()
            .all(|node| node.cache.streams()[0].silence.is_some())
    })
    .await;
    // Until each has taken its turn in looking at the group.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = calls(&house.server).await;
    for _ in 0..EVENTS {
        publish(&house.server, 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until_all_acknowledged(&house).await;
    let after = calls(&house.server).await;
    for node in nodes {
        node.kill().await;
    }
    (after - before) as f64 / f64::from(EVENTS)
}

#[tokio::test]
async fn safety_146_more_consumers_make_no_more_commands() {
    let (one, eight) = tokio::join!(trickle(1), trickle(8));
    assert!(
        eight < one * 1.5,
        "for each event {one:.1} with one consumer, {eight:.1} with eight"
    );
}
