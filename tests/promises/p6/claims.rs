//! P6: whoever has an event in hand and dies, it is applied soon; whoever is slow, keeps it.

use std::time::{Duration, Instant};

use redis::Value;
use tagcache_test_support::until;
use tower_tagcache::{On, Stream};

use crate::captures::{self, Entry};
use crate::house::{House, Node, Told, applied, everything, sample};

const STREAM: &str = "auction_sales";

/// A node whose user may not write to the purge log, so that what it takes stays in its hand.
async fn stuck(house: &House) -> Node {
    let user = "ACL SETUSER stuck on >secret ~* &* +@all";
    house.server.run(user).await;
    let url = format!("redis://stuck:secret@127.0.0.1:{}", house.server.port());
    let node = house
        .node_with([sample(STREAM, "AuctionSale")], |builder| {
            builder.redis(url)
        })
        .join(house, STREAM)
        .await;
    house.server.run("ACL SETUSER stuck -xadd").await;
    node
}

/// How often the first entry that waits was delivered, and how long ago in milliseconds.
async fn first_waiting(house: &House) -> (i64, i64) {
    let command = format!("XPENDING {STREAM} tagcache - + 1");
    let rows: Vec<(String, String, i64, i64)> =
        redis::from_redis_value(house.server.run(&command).await).unwrap();
    (rows[0].3, rows[0].2)
}

/// With the settings that everybody has.
#[tokio::test]
async fn safety_93_events_of_a_consumer_that_died_are_in_force_within_five_seconds() {
    let house = House::open();
    let doomed = stuck(&house).await;
    let heir = house.node([sample(STREAM, "AuctionSale")]);
    heir.store(&everything()).await;
    let sales: Vec<Entry> = (0..32)
        .map(|n| Entry::made("AuctionSale", &format!("0x{n:040x}")))
        .collect();
    for sale in &sales {
        house.publish(STREAM, sale).await;
    }
    until("all are in its hand", async || {
        house.unacknowledged(STREAM).await == 32
    })
    .await;
    let heir = heir.run();
    until("the heir reads", async || {
        heir.cache.streams()[0].silence.is_some()
    })
    .await;
    // The longest time in which a living one says that it works on them.
    let (_, idle) = first_waiting(&house).await;
    assert!(idle < 3_000, "{idle}");
    let died = Instant::now();
    doomed.kill().await;
    heir.until("all are applied", |told| applied(told).len() == 32)
        .await;
    let took = died.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    until("all are acknowledged", async || {
        house.unacknowledged(STREAM).await == 0
    })
    .await;
}

#[tokio::test]
async fn safety_93_a_consumer_that_lives_and_is_slow_is_not_robbed() {
    let house = House::open();
    let slow = stuck(&house).await;
    house.publish(STREAM, &captures::first("AuctionSale")).await;
    slow.tells(Told::Waiting).await;
    let other = house
        .node_with([sample(STREAM, "AuctionSale")], |builder| {
            builder.redis(house.server.url())
        })
        .run();
    until("the other reads", async || {
        other.cache.streams()[0].silence.is_some()
    })
    .await;
    // Several times as long as the dead are given.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        let (times, idle) = first_waiting(&house).await;
        assert_eq!(times, 1);
        assert!(idle < 3_000, "not renewed for {idle} ms");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(applied(&other.told()).is_empty());
    house.server.run("ACL SETUSER stuck +xadd").await;
    slow.until("it is applied", |told| applied(told) == ["AuctionSale"])
        .await;
    assert_eq!(house.unacknowledged(STREAM).await, 0);
    assert!(applied(&other.told()).is_empty());
}

/// Everything that a consumer can do without, one at a time.
#[tokio::test]
async fn safety_103_a_refused_side_command_stops_nothing() {
    for denied in [
        "-xautoclaim",
        "-xclaim",
        "-xpending",
        "-xinfo|consumers",
        "-xinfo|groups",
        "-xinfo|stream",
        "-xinfo",
        "-xgroup|delconsumer",
        "-xgroup|setid",
        "-eval",
        "-@scripting",
        "-hkeys",
        "-hset",
        "-hdel",
        "-exists",
    ] {
        let house = House::open();
        let user = format!("ACL SETUSER poor on >secret ~* &* +@all {denied}");
        house.server.run(&user).await;
        let url = format!("redis://poor:secret@127.0.0.1:{}", house.server.port());
        let node = house
            .node_with([sample(STREAM, "AuctionSale")], |builder| {
                builder.redis(url)
            })
            .run();
        until("it reads", async || {
            !gaps(&node).is_empty() && node.cache.streams()[0].silence.is_some()
        })
        .await;
        for n in 0..5 {
            let sale = captures::first("AuctionSale").again();
            house.publish(STREAM, &sale).await;
            node.until(denied, |told| applied(told).len() > n).await;
        }
        until("all are acknowledged", async || {
            house.unacknowledged(STREAM).await == 0
        })
        .await;
        let gaps = gaps(&node);
        assert_eq!(gaps.len(), 1, "{denied}: only that of the start: {gaps:?}");
    }
}

/// Events that a dead consumer left, where nobody may claim: all that they can touch is purged.
#[tokio::test]
async fn safety_103_where_nothing_can_be_claimed_the_scope_is_purged() {
    let house = House::open();
    let user = "ACL SETUSER poor on >secret ~* &* +@all -xautoclaim";
    house.server.run(user).await;
    let url = format!("redis://poor:secret@127.0.0.1:{}", house.server.port());
    let stream = sample(STREAM, "AuctionSale").claim_after(Duration::from_millis(200));
    let node = house
        .node_with([stream], |builder| builder.redis(url))
        .join(&house, STREAM)
        .await;
    let script = "redis.call('XADD', KEYS[1], '*', ARGV[1], ARGV[2])
        return redis.call('XREADGROUP', 'GROUP', 'tagcache', 'dead', 'STREAMS', KEYS[1], '>')";
    let sale = captures::first("AuctionSale").again();
    let call = [
        "EVAL",
        script,
        "1",
        STREAM,
        &sale.fields[0],
        &sale.fields[1],
    ];
    house.server.command(&call).await;
    node.tells(Told::Gap(STREAM.into(), "events cannot be claimed"))
        .await;
    until("it is not left for ever", async || {
        house.unacknowledged(STREAM).await == 0
    })
    .await;
}

fn gaps(node: &Node) -> Vec<Told> {
    let told = node.told().into_iter();
    told.filter(|told| matches!(told, Told::Gap(..))).collect()
}

/// One entry is lost; twenty that come later, each of which trims the one before, are not.
#[tokio::test]
async fn safety_101_one_loss_is_one_gap_however_it_arose() {
    for (name, lose) in [
        ("an unread entry deleted", "XDEL"),
        ("all trimmed unread", "XTRIM"),
        ("the position set to the end", "XGROUP"),
    ] {
        let house = House::open();
        let node = house
            .node([sample(STREAM, "AuctionSale")])
            .join(&house, STREAM)
            .await;
        house
            .publish(STREAM, &captures::first("AuctionSale").again())
            .await;
        node.until("it reads", |told| applied(told).len() == 1)
            .await;
        let script = "local id = redis.call('XADD', KEYS[1], '*', 'payload', '{}')
            if ARGV[1] == 'XDEL' then return redis.call('XDEL', KEYS[1], id) end
            if ARGV[1] == 'XTRIM' then return redis.call('XTRIM', KEYS[1], 'MAXLEN', 0) end
            return redis.call('XGROUP', 'SETID', KEYS[1], 'tagcache', '$')";
        house
            .server
            .command(&["EVAL", script, "1", STREAM, lose])
            .await;
        for n in 0..20 {
            let sale = Entry::made("AuctionSale", &format!("0x{n:040x}"));
            let add = [
                "XADD",
                STREAM,
                "MAXLEN",
                "1",
                "*",
                &sale.fields[0],
                &sale.fields[1],
            ];
            house.server.command(&add).await;
            node.until(name, |told| applied(told).len() > n + 1).await;
        }
        let gaps = gaps(&node);
        assert!(gaps.len() <= 2, "{name}: {gaps:?}");
        if lose != "XGROUP" {
            assert_eq!(gaps.len(), 2, "{name}: that of the start, and the loss");
        }
    }
}

#[tokio::test]
async fn safety_106_a_key_that_is_evicted_again_and_again_costs_nothing() {
    let house = House::open();
    let node = house
        .node([sample(STREAM, "AuctionSale").away(Duration::from_secs(2))])
        .join(&house, STREAM)
        .await;
    let purges = house.purges().await;
    for n in 0..40 {
        house.server.run("DEL tagcache:heard:auction_sales").await;
        house
            .publish(STREAM, &captures::first("AuctionSale").again())
            .await;
        node.until("it is applied", |told| applied(told).len() > n)
            .await;
    }
    assert_eq!(gaps(&node).len(), 1, "only that of the start");
    assert_eq!(house.purges().await, purges + 40, "one for each event");
    // Another one that begins, while the first was given an entry lately, knows it from the group.
    house.server.run("DEL tagcache:heard:auction_sales").await;
    let next = house.node([sample(STREAM, "AuctionSale")]).run();
    until("it reads", async || {
        next.cache.streams()[0].silence.is_some()
    })
    .await;
    assert_eq!(gaps(&next), []);
}

/// Entries that are large, over a line that is slow.
#[tokio::test]
async fn safety_100_large_entries_over_a_slow_line_are_read() {
    let large = || {
        Stream::text("large", tower_tagcache::Payload::AllFields)
            .max_entry_bytes(32 << 20)
            .on(On::any().purge("auction:{auction}"))
    };
    for (count, bytes) in [(40, 100_000), (4, 1_000_000)] {
        let house = House::open();
        let wire = tagcache_test_support::Forwarder::start(house.server.addr()).await;
        let node = house
            .node_with([large()], |builder| builder.redis(wire.url()))
            .join(&house, "large")
            .await;
        wire.slow(1_000_000);
        let text = "x".repeat(bytes);
        for n in 0..count {
            let auction = n.to_string();
            let add = ["XADD", "large", "*", "auction", &auction, "text", &text];
            house.server.command(&add).await;
        }
        node.until("all are applied", |told| applied(told).len() >= count)
            .await;
        assert_eq!(gaps(&node).len(), 1, "only that of the start");
        let Value::Array(summary) = house.server.run("XPENDING large tagcache").await else {
            panic!("no summary");
        };
        until("all are acknowledged", async || {
            house.unacknowledged("large").await == 0
        })
        .await;
        drop(summary);
    }
}

/// A replica that is there and acknowledges nothing: each purge is in the log once and in force at once,
/// and its event is acknowledged when the replica is back.
#[tokio::test]
async fn safety_102_a_replica_that_is_away_holds_up_no_event() {
    let house = House::open();
    let replica = tagcache_test_support::RedisServer::start();
    replica.replica_of(&house.server).await;
    let node = house
        .node([sample(STREAM, "AuctionSale")])
        .join(&house, STREAM)
        .await;
    house
        .publish(STREAM, &captures::first("AuctionSale").again())
        .await;
    node.until("it reads", |told| applied(told).len() == 1)
        .await;
    let other = house.node([]).run();
    let before = house.purges().await;
    replica.suspend();
    for n in 0..6 {
        let address = format!("0x{n:040x}");
        let path = format!("/auctions/{address}");
        until("it is stored", async || !other.misses(&path).await).await;
        house.origin.change(&path);
        house
            .publish(STREAM, &Entry::made("AuctionSale", &address))
            .await;
        // The answer is always the newest, which `misses` checks.
        let tag = format!("t:auction:{address}");
        until("it is in the log", async || {
            house.purge_log().await.contains(&tag)
        })
        .await;
        assert!(other.misses(&path).await);
    }
    assert_eq!(house.unacknowledged(STREAM).await, 6, "no replica has them");
    assert_eq!(applied(&node.told()).len(), 1);
    // Asked about several times meanwhile.
    let asked = house.server.calls("wait").await;
    until("it asks again", async || {
        house.server.calls("wait").await > asked + 3
    })
    .await;
    assert_eq!(house.purges().await, before + 6, "each once");
    replica.resume();
    node.until("all are applied", |told| applied(told).len() == 7)
        .await;
    until("all are acknowledged", async || {
        house.unacknowledged(STREAM).await == 0
    })
    .await;
    assert_eq!(house.purges().await, before + 6, "each once");
}
