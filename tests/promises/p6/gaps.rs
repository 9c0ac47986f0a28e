//! P6: wherever events may be missing, everything that the stream can touch is purged.

use std::collections::BTreeSet;

use crate::captures::{self, Entry};
use crate::house::{House, Node, Told, applied, everything, sample, touchable};

const STREAM: &str = "auction_sales";

/// A node that reads, and where everything is stored.
async fn reading(house: &House) -> Node {
    let node = house
        .node([sample(STREAM, "AuctionSale")])
        .join(house, STREAM)
        .await;
    house.publish(STREAM, &captures::first("AuctionSale")).await;
    node.until("it reads", |told| !applied(told).is_empty())
        .await;
    node.store(&everything()).await;
    node
}

fn gap(reason: &'static str) -> Told {
    Told::Gap(STREAM.into(), reason)
}

/// Publishes a sale that no consumer will ever be given.
async fn publish_lost(house: &House) {
    let sale = captures::first("AuctionSale").again();
    for path in sale.named("AuctionSale") {
        house.origin.change(&path);
    }
    house.publish(STREAM, &sale).await;
}

/// The group works: an event purges what it names, and nothing else.
async fn goes_on(house: &House, node: &Node) {
    let kick = captures::first("AuctionRoundKicked").again();
    house.publish(STREAM, &kick).await;
    let kicked = |told: &[Told]| applied(told).contains(&"AuctionRoundKicked");
    node.until("it goes on", kicked).await;
    let missing = node.missing(&everything()).await;
    assert_eq!(
        missing,
        kick.named("AuctionSale"),
        "after the gap was closed: {:?}",
        node.told()
    );
    assert_eq!(house.unacknowledged(STREAM).await, 0);
}

#[tokio::test]
async fn a_lost_group_purges_what_its_stream_can_touch() {
    let house = House::open();
    let node = reading(&house).await;
    publish_lost_with(&house, "XGROUP DESTROY auction_sales tagcache").await;
    node.until("the gap is closed", |told| {
        told.iter().filter(|told| **told == gap("no group")).count() == 2
    })
    .await;
    assert_eq!(node.missing(&everything()).await, touchable());
    goes_on(&house, &node).await;
}

#[tokio::test]
async fn a_deleted_stream_purges_what_it_can_touch() {
    let house = House::open();
    let node = reading(&house).await;
    publish_lost_with(&house, "DEL auction_sales").await;
    node.until("the gap is closed", |told| {
        told.iter().filter(|told| **told == gap("no group")).count() == 2
    })
    .await;
    assert_eq!(node.missing(&everything()).await, touchable());
    goes_on(&house, &node).await;
}

/// One transaction: a sale is published, and lost by `command`.
async fn publish_lost_with(house: &House, command: &str) {
    let sale = captures::first("AuctionSale").again();
    for path in sale.named("AuctionSale") {
        house.origin.change(&path);
    }
    let script = "redis.call('XADD', KEYS[1], '*', ARGV[1], ARGV[2])
        local command = {}
        for word in string.gmatch(ARGV[3], '%S+') do table.insert(command, word) end
        return redis.call(unpack(command))";
    let (name, value) = (&sale.fields[0], &sale.fields[1]);
    let call = ["EVAL", script, "1", STREAM, name, value, command];
    house.server.command(&call).await;
}

#[tokio::test]
async fn safety_45_a_stream_trimmed_unread_purges_what_it_can_touch() {
    for (name, command) in [
        ("to nothing", "XTRIM auction_sales MAXLEN 0"),
        (
            "past the unread one",
            "XTRIM auction_sales MINID 99999999999999",
        ),
    ] {
        let house = House::open();
        let node = reading(&house).await;
        publish_lost_with(&house, command).await;
        node.tells(gap("trimmed unread")).await;
        assert_eq!(node.missing(&everything()).await, touchable(), "{name}");
        // Until an entry behind the loss is read, the group still looks as if it had lost some.
        house
            .publish(STREAM, &captures::first("AuctionSale").again())
            .await;
        node.until("it is read", |told| applied(told).len() == 2)
            .await;
        node.store(&everything()).await;
        goes_on(&house, &node).await;
    }
}

#[tokio::test]
async fn safety_45_a_stream_trimmed_while_nobody_read_purges_what_it_can_touch() {
    let house = House::open();
    let node = reading(&house).await;
    node.kill().await;
    for _ in 0..3 {
        publish_lost(&house).await;
    }
    // The newest of the three is left.
    house.server.run("XTRIM auction_sales MAXLEN 1").await;
    let next = house.node([sample(STREAM, "AuctionSale")]).run();
    next.tells(gap("trimmed unread")).await;
    next.until("the rest is read", |told| applied(told) == ["AuctionSale"])
        .await;
    assert_eq!(next.missing(&everything()).await, touchable());
    goes_on(&house, &next).await;
}

#[tokio::test]
async fn trimming_what_was_read_purges_nothing() {
    let house = House::open();
    let node = reading(&house).await;
    house.server.run("XTRIM auction_sales MAXLEN 0").await;
    goes_on(&house, &node).await;
    let gaps = node
        .told()
        .into_iter()
        .filter(|told| matches!(told, Told::Gap(..)));
    assert_eq!(gaps.collect::<Vec<_>>(), [gap("no group")]);
}

#[tokio::test]
async fn safety_47_entries_deleted_while_they_were_pending_purge_what_they_can_have_named() {
    let house = House::open();
    let node = reading(&house).await;
    node.kill().await;
    // Somebody took it, died, and it was deleted before anybody claimed it.
    publish_lost(&house).await;
    let take = "XREADGROUP GROUP tagcache dead COUNT 1 STREAMS auction_sales >";
    house.server.run(take).await;
    house.server.run("XTRIM auction_sales MAXLEN 0").await;
    let next = house.node_with([sample(STREAM, "AuctionSale")], |builder| {
        builder
            .redis(house.server.url())
            .claim_events_after(std::time::Duration::from_millis(20))
    });
    let next = next.run();
    next.tells(gap("pending entries deleted")).await;
    // The dead one was none of this cache's consumers.
    next.tells(gap("events were taken by others")).await;
    assert_eq!(next.missing(&everything()).await, touchable());
    goes_on(&house, &next).await;
}

#[tokio::test]
async fn a_gap_that_a_dead_consumer_found_is_closed_by_another() {
    let house = House::open();
    let node = reading(&house).await;
    node.kill().await;
    // It wrote the marker down and died (PROTOCOL 30 [gap_durable]).
    house
        .server
        .run("HSET tagcache:gaps:auction_sales dead found")
        .await;
    let next = house.node([sample(STREAM, "AuctionSale")]).run();
    next.tells(gap("found by another consumer")).await;
    assert_eq!(next.missing(&everything()).await, touchable());
    let left = house.server.run("EXISTS tagcache:gaps:auction_sales").await;
    assert_eq!(left, redis::Value::Int(0));
    goes_on(&house, &next).await;
}

#[tokio::test]
async fn events_before_the_first_consumer_are_a_gap_or_are_read() {
    let sale = captures::first("AuctionSale");
    for from_start in [false, true] {
        let house = House::open();
        let all = everything();
        let stream = sample(STREAM, "AuctionSale");
        let stream = if from_start { stream.replay() } else { stream };
        let node = house.node([stream]);
        node.store(&all).await;
        house.publish(STREAM, &sale).await;
        sale.named("AuctionSale")
            .iter()
            .for_each(|path| house.origin.change(path));
        let node = node.join(&house, STREAM).await;
        let missed: BTreeSet<String> = node.missing(&all).await;
        assert!(missed.is_superset(&sale.named("AuctionSale")), "{missed:?}");
        assert!(!missed.contains("/stats"));
        house
            .publish(STREAM, &Entry::made("AuctionRoundKicked", "0x1"))
            .await;
        let first = if from_start {
            "AuctionSale"
        } else {
            "AuctionRoundKicked"
        };
        node.until("it reads", |told| applied(told).first() == Some(&first))
            .await;
    }
}

#[tokio::test]
async fn a_purge_that_came_before_the_first_look_at_the_log_is_not_repeated() {
    let house = House::open();
    let node = house.node([]);
    // As a consumer's are that starts with a gap, before any request came.
    node.cache.purger().tag("auctions").await.unwrap();
    assert!(node.misses("/auctions").await);
    let (status, missed) = node.ask("/auctions").await;
    assert!(!missed, "{status}");
}
