//! P6 while events cannot be read: what they can touch is in doubt, and not served from the cache.

use std::time::Duration;

use tagcache_test_support::until;
use tower_tagcache::{Rule, Stream};

use crate::captures;
use crate::house::{House, Node, Told, applied, everything, sample, touchable};

const STREAM: &str = "auction_sales";
/// Short, so that the tests need not wait long; long enough for a slow machine to read in between.
const AWAY: Duration = Duration::from_secs(2);

fn hasty() -> Stream {
    sample(STREAM, "AuctionSale").away(AWAY)
}

/// How often each of a kind was told.
fn doubts(node: &Node, begins: bool) -> usize {
    let told = node.told();
    let of = |told: &&Told| matches!(told, Told::Doubt(_, b) if *b == begins);
    told.iter().filter(of).count()
}

/// What the node says of its only stream.
fn health(node: &Node) -> tower_tagcache::StreamHealth {
    node.cache.streams().remove(0)
}

/// Nothing that the stream can touch hits, however often it is asked for; the rest does.
async fn nothing_hits(node: &Node) {
    for _ in 0..3 {
        assert_eq!(node.missing(&everything()).await, touchable());
    }
    // The purge that begins the doubt may be the one that is named first.
    until("it says why", async || {
        let (status, _) = node.ask("/auctions").await;
        status.contains("detail=events-unread") || status.contains("detail=purge-pending")
    })
    .await;
}

async fn all_hits(node: &Node) {
    until("everything hits again", async || {
        node.missing(&everything()).await.is_empty()
    })
    .await;
}

/// A doubt that lasts writes nothing to the log, while the keeper looks at it four times.
///
/// A server that can be asked, and not read, counts as a gap as well: the scope is purged for that once
/// in each `away`, at any time beside the doubt. An append that is answered late is made again.
async fn stays_quiet(house: &House) {
    until("it writes no more to the log", async || {
        let purges = house.purges().await;
        tokio::time::sleep(AWAY / 2).await;
        house.purges().await == purges
    })
    .await;
}

/// While `break_it` holds, nothing of the scope hits past `away`; after `mend`, everything does, and
/// events are read.
async fn in_doubt_while(house: &House, node: &Node, break_it: &[&str], mend: &[&str], why: &str) {
    all_hits(node).await;
    let before = house.purges().await;
    for command in break_it {
        house.server.run(command).await;
    }
    let begun = doubts(node, true);
    node.until("the doubt begins", |_| doubts(node, true) > begun)
        .await;
    let told = health(node);
    assert!(
        told.doubt
            .as_deref()
            .is_some_and(|doubt| doubt.contains(why)),
        "{told:?}"
    );
    nothing_hits(node).await;
    until("the scope is purged once, for others", async || {
        house.purges().await > before
    })
    .await;
    nothing_hits(node).await;
    stays_quiet(house).await;
    nothing_hits(node).await;
    let ended = doubts(node, false);
    assert_eq!(ended, begun, "it lasts");
    for command in mend {
        house.server.run(command).await;
    }
    node.until("the doubt ends", |_| doubts(node, false) > begun)
        .await;
    all_hits(node).await;
    assert_eq!(health(node).doubt, None);
    let before = applied(&node.told()).len();
    house
        .publish(STREAM, &captures::first("AuctionRoundKicked").again())
        .await;
    node.until("events are read", |told| applied(told).len() > before)
        .await;
}

#[tokio::test]
async fn safety_98_while_the_key_is_no_stream_nothing_that_it_can_touch_hits() {
    let house = House::open();
    let node = house.node([hasty()]).join(&house, STREAM).await;
    let spoil = ["DEL auction_sales", "SET auction_sales 1"];
    in_doubt_while(&house, &node, &spoil, &["DEL auction_sales"], "WRONGTYPE").await;
}

#[tokio::test]
async fn safety_98_while_the_server_refuses_to_read_nothing_that_it_can_touch_hits() {
    for (denied, why) in [
        ("-xreadgroup", "xreadgroup"),
        ("-xack", "xack"),
        ("-xgroup|create", "xgroup|create"),
    ] {
        let house = House::open();
        house
            .server
            .run("ACL SETUSER reader on >secret ~* &* +@all")
            .await;
        let url = format!("redis://reader:secret@127.0.0.1:{}", house.server.port());
        let node = house
            .node_with([hasty()], |builder| builder.redis(url))
            .join(&house, STREAM)
            .await;
        let deny = format!("ACL SETUSER reader {denied}");
        let allow = format!("ACL SETUSER reader +{}", &denied[1..]);
        let mut spoil = vec![deny.as_str()];
        let sale = "XADD auction_sales * payload {\"event_name\":\"Other\",\"event_data\":[]}";
        spoil.push(match denied {
            "-xgroup|create" => "XGROUP DESTROY auction_sales tagcache",
            _ => sale,
        });
        in_doubt_while(&house, &node, &spoil, &[&allow], why).await;
    }
}

/// One node takes an event and cannot write its purge, as where Redis is full; the other reads well, and
/// sees that the event waits.
#[tokio::test]
async fn safety_98_while_an_event_cannot_be_applied_no_node_serves_what_it_may_have_touched() {
    let house = House::open();
    house
        .server
        .run("ACL SETUSER node on >secret ~* &* +@all")
        .await;
    let url = format!("redis://node:secret@127.0.0.1:{}", house.server.port());
    let node = || house.node_with([hasty()], |builder| builder.redis(url.clone()));
    let one = node().join(&house, STREAM).await;
    let two = node().run();
    until("the other reads", async || health(&two).silence.is_some()).await;
    all_hits(&one).await;
    all_hits(&two).await;
    house.server.run("ACL SETUSER node -xadd").await;
    let sale = captures::first("AuctionSale").again();
    let named = sale.named("AuctionSale");
    named.iter().for_each(|path| house.origin.change(path));
    house.publish(STREAM, &sale).await;
    let taken_by = |node: &Node| node.told().contains(&Told::Waiting);
    until("one takes it", async || taken_by(&one) || taken_by(&two)).await;
    let (holder, other) = if taken_by(&one) {
        (&one, &two)
    } else {
        (&two, &one)
    };
    assert!(!taken_by(other), "it is not taken from the living");
    // In force at once where it was taken; past `away` for the other.
    assert!(holder.missing(&everything()).await.is_superset(&named));
    other
        .until("the doubt begins", |_| doubts(other, true) == 1)
        .await;
    nothing_hits(other).await;
    house.server.run("ACL SETUSER node +xadd").await;
    other
        .until("the doubt ends", |_| doubts(other, false) == 1)
        .await;
    all_hits(holder).await;
    all_hits(other).await;
}

#[tokio::test]
async fn safety_98_copies_in_this_process_do_not_hit_either() {
    let house = House::open();
    let near = Rule::new("near", "/near/{table}/{id}")
        .ttl(Duration::from_secs(60))
        .near()
        .tag("auction:{id}");
    let node = house.node_with([hasty()], |builder| {
        builder.rule(near).redis(house.server.url())
    });
    let node = node.join(&house, STREAM).await;
    let path = "/near/auction/7";
    until("it is stored", async || !node.misses(path).await).await;
    house.server.run("DEL auction_sales").await;
    house.server.run("SET auction_sales 1").await;
    node.until("the doubt begins", |_| doubts(&node, true) == 1)
        .await;
    for _ in 0..3 {
        assert!(node.misses(path).await);
    }
    house.server.run("DEL auction_sales").await;
    node.until("the doubt ends", |_| doubts(&node, false) == 1)
        .await;
    until("it hits again", async || !node.misses(path).await).await;
}
