//! P6 on the recorded captures: each entry purges exactly what its events name.

use std::collections::BTreeSet;

use crate::captures::{self, Entry};
use crate::house::{House, Node, Told, applied, everything, sample, touchable};

/// What a replay came to.
#[derive(Debug, PartialEq, Eq, Default)]
struct Counts {
    entries: usize,
    /// Events that purged something.
    applied: usize,
    /// Entries without events.
    empty: usize,
    /// Events that no mapping names.
    unmapped: usize,
    reorgs: usize,
    /// Requests that missed because of events; those after a reorg notice are left out.
    missed: usize,
}

/// Replays `capture` as `stream` on a node where everything is stored, entry by entry, and asks for
/// everything after each.
async fn replay(house: &House, stream: &str, sale: &str, capture: &str) -> Counts {
    let node = house.node([sample(stream, sale)]).join(house, stream).await;
    let mut counts = Counts::default();
    let mut tellings = node.told().len();
    node.store(&everything()).await;
    for entry in captures::entries(capture) {
        let named = entry.named(sale);
        // As rindexer does: its database first, then the stream.
        named.iter().for_each(|path| house.origin.change(path));
        house.publish(stream, &entry).await;
        tellings += entry.tellings();
        node.until(&entry.id, |told| told.len() >= tellings).await;
        let missed = node.missing(&everything()).await;
        counts.entries += 1;
        if entry.is_reorg() {
            assert_eq!(missed, touchable(), "{entry:?}");
        } else {
            let told = node.told();
            let lately = &told[told.len().saturating_sub(6)..];
            assert_eq!(missed, named, "{entry:?} after {lately:?}");
            counts.missed += missed.len();
        }
    }
    assert_eq!(house.unacknowledged(stream).await, 0, "{stream}");
    count_told(&node, stream, &mut counts);
    counts
}

fn count_told(node: &Node, stream: &str, counts: &mut Counts) {
    let told = node.told();
    // The first was the making of the group.
    for told in &told[1..] {
        assert!(told.is_of(stream), "{told:?}");
        match told {
            Told::Applied(..) => counts.applied += 1,
            Told::Ignored(_, "no events") => counts.empty += 1,
            Told::Ignored(_, "no mapping fits") => counts.unmapped += 1,
            Told::Gap(_, "reorg") => counts.reorgs += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn each_captured_entry_purges_exactly_what_its_events_name() {
    let house = House::open();
    // Entries, events applied, empty entries, events without a mapping, reorg notices, misses.
    for (stream, sale, capture, [entries, applied, empty, unmapped, reorgs, missed]) in [
        (
            "auction:events",
            "AuctionSale",
            captures::EVENTS,
            [73, 226, 0, 0, 3, 201],
        ),
        (
            "auction:factory",
            "AuctionSale",
            captures::FACTORY,
            [5, 4, 0, 0, 1, 8],
        ),
        (
            "auction:finalized",
            "AuctionSale",
            captures::FINALIZED,
            [59, 64, 0, 0, 3, 160],
        ),
        (
            "auction:sales:large",
            "LargeSale",
            captures::LARGE,
            [60, 32, 29, 0, 3, 88],
        ),
        (
            "auction:sales",
            "Sale",
            captures::SALES,
            [60, 213, 0, 0, 3, 175],
        ),
        (
            "auction:settled",
            "AuctionSale",
            captures::SETTLED,
            [4, 0, 0, 1, 3, 0],
        ),
        (
            "auction:minimal",
            "AuctionSale",
            captures::MINIMAL,
            [46, 62, 0, 0, 0, 139],
        ),
    ] {
        let expected = Counts {
            entries,
            applied,
            empty,
            unmapped,
            reorgs,
            missed,
        };
        let counts = replay(&house, stream, sale, capture).await;
        assert_eq!(counts, expected, "{stream}");
    }
}

#[test]
fn applied_events_differ_from_the_chain_by_one_dropped_and_three_undone() {
    let chain = captures::canonical();
    let published: Vec<_> = captures::entries(captures::EVENTS)
        .iter()
        .flat_map(Entry::identities)
        .collect();
    // What the replay above applied, event by event.
    assert_eq!((chain.len(), published.len()), (221, 226));
    let known: BTreeSet<_> = published.iter().map(|(identity, _)| identity).collect();
    let missing = chain.iter().filter(|(event, _)| !known.contains(event));
    let missing: Vec<u64> = missing.map(|(_, block)| *block).collect();
    assert_eq!(missing, [141], "dropped by the indexer in the outage");
    let canonical: BTreeSet<_> = chain.iter().map(|(identity, _)| identity).collect();
    let undone = published
        .iter()
        .filter(|(event, _)| !canonical.contains(event));
    let undone: BTreeSet<u64> = undone.map(|(_, block)| *block).collect();
    assert_eq!(undone, [133, 134, 135].into(), "undone by the reorg");
    assert_eq!(published.len() - known.len(), 3, "published twice");
}

#[tokio::test]
async fn safety_47_a_repeated_event_costs_misses_and_nothing_else() {
    let house = House::open();
    let stream = "auction:events";
    let node = house
        .node([sample(stream, "AuctionSale")])
        .join(&house, stream)
        .await;
    node.store(&everything()).await;
    let sale = captures::first("AuctionSale");
    let named = sale.named("AuctionSale");
    // The data change once; `missing` checks that no answer is older.
    named.iter().for_each(|path| house.origin.change(path));
    for time in 1..=3 {
        house.publish(stream, &sale.clone().again()).await;
        node.until("applied", |told| applied(told).len() == time)
            .await;
        assert_eq!(node.missing(&everything()).await, named);
    }
}

#[tokio::test]
async fn an_undone_event_is_forgotten_after_the_reorg_notice() {
    let house = House::open();
    let stream = "auction:events";
    let node = house
        .node([sample(stream, "AuctionSale")])
        .join(&house, stream)
        .await;
    node.store(&everything()).await;
    // The fixture's case: the reorg undoes a sale of this auction, and no event names it again.
    let vanished = format!("/auctions/{}", captures::AUCTIONS[1]);
    house.origin.change(&vanished);
    let mut notices = captures::entries(captures::EVENTS).into_iter();
    let notice = notices.find(Entry::is_reorg).unwrap();
    assert!(!format!("{notice:?}").contains(captures::AUCTIONS[1]));
    house.publish(stream, &notice).await;
    node.tells(Told::Gap(stream.into(), "reorg")).await;
    assert!(node.misses(&vanished).await);
}
