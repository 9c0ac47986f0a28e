//! **P7 — Purge before notify.** Nobody hears of a change before it is purged everywhere: whoever asks again because of
//! what he heard, on whichever node, never gets the old response.
//!
//! Whoever receives updates is in `told`; who names the position that he was told, in `after`. Here is what else there is
//! to hear by: the notice that an event was applied, and the outcome of an event that is handed in, with the position of its
//! purge. That a purge has returned only once it is in the log is in `p1::pending`; that an event is acknowledged only
//! then, in `p6`.

use tagcache_test_support::until;
use tower_tagcache::{ErrorKind, Fields};

use crate::captures::{self, AUCTIONS, Entry};
use crate::house::{House, Node, applied, everything, sample, touchable};

mod after;
mod told;

const STREAM: &str = "auction_sales";

fn fields(entry: &Entry) -> Fields {
    let pairs = entry.fields.chunks_exact(2);
    let bytes = |text: &String| text.clone().into_bytes();
    pairs
        .map(|pair| (bytes(&pair[0]), bytes(&pair[1])))
        .collect()
}

#[tokio::test]
async fn safety_39_every_node_misses_after_an_event() {
    let house = House::open();
    let node = || house.node([sample(STREAM, "AuctionSale")]);
    let consumer = node().join(&house, STREAM).await;
    // One whose companion runs as well, and one that forgot to spawn it.
    let nodes = [consumer, node().run(), node()];
    let path = format!("/auctions/{}", AUCTIONS[0]);
    for (turn, first) in nodes.iter().enumerate() {
        for each in &nodes {
            each.store(&everything()).await;
        }
        house.origin.change(&path);
        let applied_by = |nodes: &[Node]| -> usize {
            nodes.iter().map(|node| applied(&node.told()).len()).sum()
        };
        let before = applied_by(&nodes);
        house
            .publish(STREAM, &captures::first("AuctionRoundKicked").again())
            .await;
        until("it is applied", async || applied_by(&nodes) > before).await;
        // Whichever is asked first finds the response purged.
        let (status, missed) = first.ask(&path).await;
        assert!(missed, "node {turn}");
        assert!(
            status.contains("fwd=stale") && status.contains("detail=purged"),
            "{status}"
        );
        // And then all of them have the new one, which `ask` checks.
        for each in &nodes {
            each.ask(&path).await;
        }
    }
}

#[tokio::test]
async fn safety_39_an_event_handed_in_on_one_node_is_known_on_all() {
    let house = House::open();
    let node = || house.node([sample(STREAM, "AuctionSale")]);
    let (one, two) = (node(), node());
    two.store(&everything()).await;
    let sale = captures::first("AuctionSale");
    let named = sale.named("AuctionSale");
    named.iter().for_each(|path| house.origin.change(path));
    let outcome = one
        .cache
        .events()
        .apply(STREAM, &sale.id, fields(&sale))
        .await
        .unwrap();
    assert_eq!((outcome.applied, outcome.ignored), (1, 0));
    assert_eq!((outcome.targets.len(), outcome.scope_purged), (3, None));
    assert!(outcome.purged.is_some());
    assert_eq!(two.missing(&everything()).await, named);
}

#[tokio::test]
async fn events_handed_in_say_what_became_of_them() {
    let house = House::open();
    // Without Redis, everything is in this process.
    let node = house.node_with([sample(STREAM, "AuctionSale")], |builder| builder);
    let events = node.cache.events();
    node.store(&everything()).await;

    let unknown = Entry::made("AuctionEnabled", AUCTIONS[0]);
    let outcome = events.apply(STREAM, "1-0", fields(&unknown)).await.unwrap();
    assert_eq!((outcome.applied, outcome.ignored), (0, 1));
    assert!(outcome.purged.is_none());
    assert!(node.missing(&everything()).await.is_empty());

    let kick = captures::first("AuctionRoundKicked");
    let outcome = events.apply(STREAM, &kick.id, fields(&kick)).await.unwrap();
    assert_eq!((outcome.applied, outcome.targets.len()), (1, 2));
    assert_eq!(node.missing(&everything()).await, kick.named("AuctionSale"));

    let poison = Entry::with(&[("payload", "{")]);
    let outcome = events.apply(STREAM, "2-0", fields(&poison)).await.unwrap();
    assert!(outcome.scope_purged.unwrap().starts_with("not-json"));
    assert_eq!(node.missing(&everything()).await, touchable());

    let error = events
        .apply("auction_kicks", "3-0", Fields::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("\"auction_kicks\""), "{error}");
}
