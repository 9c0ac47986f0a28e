//! **P6 — No published event is lost, and none does harm twice.** Events are acknowledged after their purge is in the
//! log, and taken over from the dead; what cannot be understood is put aside and told. Wherever events may be missing,
//! everything that their stream can touch is purged.
//!
//! Here: every published event is applied at least once, whoever dies and whatever is cut. Beside it, who takes over
//! (`claims`), what events name (`recorded` from a chain, in the `formats` of other publishers), what may be missing
//! (`gaps`, `doubt`, `trimmed`), what is put aside (`quarantine`), and what it all costs (`pace`).

mod claims;
mod doubt;
mod formats;
mod gaps;
mod pace;
mod quarantine;
mod recorded;
mod trimmed;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tagcache_test_support::{Forwarder, eventually, until};

use crate::captures::{self, Entry};
use crate::house::{House, Node, Told, applied, everything, sample};

const STREAM: &str = "auction_sales";
/// After which time the tests' consumers count as dead.
const DEAD_AFTER: Duration = Duration::from_millis(50);

/// A node that reads as the server's user `mortal`, from whom a test can take away a command.
fn mortal(house: &House) -> Node {
    let url = format!("redis://mortal:secret@127.0.0.1:{}", house.server.port());
    house.node_with([sample(STREAM, "AuctionSale")], |builder| {
        builder.redis(url)
    })
}

fn survivor(house: &House) -> Node {
    let streams = [sample(STREAM, "AuctionSale")];
    house.node_with(streams, |builder| {
        builder
            .redis(house.server.url())
            .claim_events_after(DEAD_AFTER)
    })
}

fn unix_millis() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is past 1970").as_millis()
}

async fn allow(house: &House, rules: &str) {
    let command = format!("ACL SETUSER mortal on >secret ~* &* {rules}");
    house.server.run(&command).await;
}

/// PROTOCOL 29 `[reclaim]`
/// > event read · consumer dies · nobody takes what it left pending · v1 hit for ever.
#[tokio::test]
async fn safety_47_event_that_a_dead_consumer_took_and_did_not_purge_is_claimed() {
    let house = House::open();
    allow(&house, "+@all").await;
    let mortal = mortal(&house).join(&house, STREAM).await;
    let sale = captures::first("AuctionSale");
    let named = sale.named("AuctionSale");
    mortal.store(&everything()).await;
    // It can read, but not write to the purge log.
    allow(&house, "-xadd").await;
    named.iter().for_each(|path| house.origin.change(path));
    house.publish(STREAM, &sale).await;
    mortal.tells(Told::Waiting).await;
    mortal.kill().await;
    assert_eq!(house.unacknowledged(STREAM).await, 1);
    assert!(applied(&mortal.told()).is_empty());

    let survivor = survivor(&house).run();
    survivor
        .until("it is claimed", |told| applied(told) == ["AuctionSale"])
        .await;
    assert_eq!(house.unacknowledged(STREAM).await, 0);
    assert_eq!(survivor.missing(&everything()).await, named);
}

#[tokio::test]
async fn safety_47_event_that_a_dead_consumer_did_not_acknowledge_is_purged_again() {
    let house = House::open();
    allow(&house, "+@all").await;
    let mortal = mortal(&house).join(&house, STREAM).await;
    mortal.store(&everything()).await;
    allow(&house, "-xack").await;
    let sale = captures::first("AuctionSale");
    let named = sale.named("AuctionSale");
    named.iter().for_each(|path| house.origin.change(path));
    let purges = house.purges().await;
    house.publish(STREAM, &sale).await;
    // Once it is purged it must be acknowledged, which fails.
    until("it is purged", async || house.purges().await > purges).await;
    mortal.kill().await;
    assert_eq!(house.unacknowledged(STREAM).await, 1);

    let survivor = survivor(&house);
    assert_eq!(survivor.missing(&everything()).await, named, "purged once");
    let survivor = survivor.run();
    survivor
        .until("it is claimed", |told| applied(told) == ["AuctionSale"])
        .await;
    assert_eq!(house.unacknowledged(STREAM).await, 0);
    assert_eq!(survivor.missing(&everything()).await, named, "and again");
}

/// PROTOCOL 29 `[ack_after]`
/// > event read and acknowledged · consumer dies before the purge is in the log · v1 hit for ever.
#[tokio::test]
async fn event_is_acknowledged_only_after_its_purge_is_in_the_log() {
    let house = House::open();
    allow(&house, "+@all").await;
    let node = mortal(&house).join(&house, STREAM).await;
    allow(&house, "-xadd").await;
    house.publish(STREAM, &captures::first("AuctionSale")).await;
    node.tells(Told::Waiting).await;
    assert_eq!(house.unacknowledged(STREAM).await, 1);
    assert!(!house.purge_log().await.contains(captures::AUCTIONS[0]));

    allow(&house, "+xadd").await;
    node.until("it is applied", |told| applied(told) == ["AuctionSale"])
        .await;
    assert!(house.purge_log().await.contains(captures::AUCTIONS[0]));
    assert_eq!(house.unacknowledged(STREAM).await, 0);
}

#[tokio::test]
async fn safety_47_consumers_killed_at_any_moment_lose_no_event() {
    consumers_killed_at_any_moment_lose_no_event(House::open()).await;
}

#[tokio::test]
async fn safety_47_consumers_killed_at_any_moment_lose_no_event_by_sentinels() {
    consumers_killed_at_any_moment_lose_no_event(House::on("sentinel")).await;
}

/// Stream and purge log are in slots of two nodes.
#[tokio::test]
async fn safety_47_consumers_killed_at_any_moment_lose_no_event_in_a_cluster() {
    consumers_killed_at_any_moment_lose_no_event(House::on("cluster")).await;
}

async fn consumers_killed_at_any_moment_lose_no_event(house: House) {
    survivor(&house).join(&house, STREAM).await.kill().await;
    let mut published = Vec::new();
    for victim in 0..40 {
        let address = format!("0x{victim:040x}");
        let entry = Entry::made("AuctionSale", &address);
        house.publish(STREAM, &entry).await;
        published.push(unix_millis());
        let node = survivor(&house).run();
        // Each lives a little longer than the one before: from not connected yet to well after the
        // acknowledgement.
        for _ in 0..victim * 8 {
            tokio::task::yield_now().await;
        }
        node.kill().await;
    }
    let survivor = survivor(&house).run();
    let last = format!("0x{:040x}", 39);
    house
        .publish(STREAM, &Entry::made("AuctionSale", &last))
        .await;
    survivor
        .until("the last is applied", |told| !applied(told).is_empty())
        .await;
    // By itself, or with all that the stream can touch, should Redis have been away for too long in between.
    eventually(async || {
        let purged = house.purged().await;
        let has_purged = |victim: usize| {
            let tag = format!("t:auction:0x{victim:040x}");
            purged.iter().any(|(at, targets)| {
                let mut lines = targets.lines();
                lines.any(|line| line == tag || line == "f:auction" && *at > published[victim])
            })
        };
        let missing: Vec<_> = (0..40).filter(|victim| !has_purged(*victim)).collect();
        missing
            .is_empty()
            .then_some(())
            .ok_or_else(|| format!("{missing:?} in {purged:?}"))
    })
    .await;
    until("all are acknowledged", async || {
        house.unacknowledged(STREAM).await == 0
    })
    .await;
}

#[tokio::test]
async fn two_consumers_share_a_stream_and_lose_nothing() {
    consumers_share_a_stream_and_lose_nothing(House::open()).await;
}

#[tokio::test]
async fn two_consumers_share_a_stream_of_a_cluster_and_lose_nothing() {
    consumers_share_a_stream_and_lose_nothing(House::on("cluster")).await;
}

async fn consumers_share_a_stream_and_lose_nothing(house: House) {
    let one = house.node([shared()]).join(&house, STREAM).await;
    let two = house.node([shared()]).run();
    let mut published = 0;
    while applied(&one.told()).is_empty() || applied(&two.told()).is_empty() || published < 200 {
        assert!(published < 20_000, "only one of them ever gets an event");
        house
            .publish(STREAM, &Entry::made(&format!("E{published}"), "0x1"))
            .await;
        published += 1;
    }
    let all: BTreeSet<String> = (0..published).map(|n| format!("E{n}")).collect();
    let names = || {
        let (one, two) = (one.told(), two.told());
        let both = applied(&one).into_iter().chain(applied(&two));
        both.map(ToOwned::to_owned).collect::<BTreeSet<String>>()
    };
    until("all are acknowledged", async || {
        house.unacknowledged(STREAM).await == 0
    })
    .await;
    until("each is applied", async || names() == all).await;
    // Both work for the group: neither found the stream to be its own.
    let gaps = |node: &Node| -> Vec<Told> {
        let told = node.told().into_iter();
        told.filter(|told| matches!(told, Told::Gap(..))).collect()
    };
    let made = Told::Gap(STREAM.into(), "no group");
    assert_eq!((gaps(&one), gaps(&two)), (vec![made], Vec::new()));
}

fn shared() -> tower_tagcache::Stream {
    let on = tower_tagcache::On::any().purge("auction:{transaction_information.address}");
    tower_tagcache::Stream::rindexer(STREAM).on(on)
}

#[tokio::test]
async fn safety_46_events_published_while_the_connection_is_cut_are_applied() {
    let house = House::open();
    let wire = Forwarder::start(house.server.addr()).await;
    let node = house
        .node_with([sample(STREAM, "AuctionSale")], |builder| {
            builder.redis(wire.url())
        })
        .join(&house, STREAM)
        .await;
    node.store(&everything()).await;
    let (sale, kick) = (
        captures::first("AuctionSale"),
        captures::first("AuctionRoundKicked"),
    );
    wire.refuse();
    let named: BTreeSet<String> = sale.named("AuctionSale");
    named.iter().for_each(|path| house.origin.change(path));
    house.publish(STREAM, &kick).await;
    house.publish(STREAM, &sale).await;
    wire.resume();
    node.until("both are applied", |told| applied(told).len() == 2)
        .await;
    // Each is noted when its own purge has ended, and both are on their way at once.
    let told = node.told();
    let both: BTreeSet<_> = applied(&told).into_iter().collect();
    assert_eq!(both, BTreeSet::from(["AuctionRoundKicked", "AuctionSale"]));
    // Lookups were cut off as well: until they are answered again, everything misses.
    until("lookups work again", async || !node.misses("/stats").await).await;
    let missing = node.missing(&everything()).await;
    assert_eq!(missing, named, "{:?}", node.told());
    assert_eq!(house.unacknowledged(STREAM).await, 0);
}

#[tokio::test]
async fn safety_46_events_published_between_two_lives_of_a_node_are_applied() {
    let house = House::open();
    let first = house
        .node([sample(STREAM, "AuctionSale")])
        .join(&house, STREAM)
        .await;
    first.store(&everything()).await;
    first.kill().await;
    let sale = captures::first("AuctionSale");
    house.publish(STREAM, &sale).await;
    let second = house.node([sample(STREAM, "AuctionSale")]).run();
    second
        .until("it is applied", |told| applied(told) == ["AuctionSale"])
        .await;
    assert_eq!(
        second.missing(&everything()).await,
        sale.named("AuctionSale")
    );
}

#[tokio::test]
async fn companion_that_is_told_to_stop_finishes_and_leaves_nothing_pending() {
    let house = House::open();
    let node = house
        .node([sample(STREAM, "AuctionSale")])
        .join(&house, STREAM)
        .await;
    for entry in captures::entries(captures::EVENTS) {
        house.publish(STREAM, &entry).await;
    }
    node.until("some are applied", |told| !applied(told).is_empty())
        .await;
    node.stop().await;
    assert_eq!(house.unacknowledged(STREAM).await, 0);
}
