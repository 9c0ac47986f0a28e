//! `/activity`: what happened, newest first.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{AUCTION, CHECKSUMMED, House, OTHER, START, amounts, entries, happened};

#[tokio::test]
async fn what_is_announced_is_shown_newest_first_and_twenty_at_once() {
    for house in House::on_each() {
        assert_eq!(
            house.get("/activity").await,
            json!({ "entries": [], "next": null })
        );
        for n in 0..25 {
            house.announce(happened("sale", AUCTION, n)).await;
        }
        house.shows(25, "/activity?limit=1000").await;
        let page = house.get("/activity").await;
        assert_eq!(amounts(&page), (5..25).rev().collect::<Vec<_>>());
        let next = page["next"].as_str().unwrap();
        assert_eq!(next, entries(&page)[19]["id"]);
        let last = house.get(&format!("/activity/?cursor={next}")).await;
        assert_eq!(amounts(&last), [4, 3, 2, 1, 0]);
        assert_eq!(last["next"], Value::Null);
        assert_eq!(
            entries(&last)[0],
            json!({
                "id": entries(&last)[0]["id"],
                "type": "sale",
                "subject": format!("auction:{AUCTION}"),
                "auction_address": AUCTION,
                "amount": "4",
                "price": null,
                "timestamp": START + 4,
                "tx_hash": null,
            })
        );
    }
}

#[tokio::test]
async fn pages_have_no_holes_and_no_repeats_while_more_happens() {
    const THERE: u64 = 40;
    for house in House::on_each() {
        for n in 0..THERE {
            house.announce(happened("sale", AUCTION, n)).await;
        }
        house.shows(40, "/activity?limit=1000").await;
        let (mut read, mut target) = (Vec::new(), "/activity?limit=7".to_owned());
        for page_number in 0.. {
            let page = house.get(&target).await;
            read.extend(amounts(&page));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            target = format!("/activity?limit=7&cursor={next}");
            house
                .announce(happened("sale", AUCTION, THERE + page_number))
                .await;
            let newest = format!("/activity?limit={}", THERE + page_number + 1);
            house.shows(41 + page_number as usize, &newest).await;
        }
        assert_eq!(read, (0..THERE).rev().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn one_auction_is_asked_for_in_any_letters_and_some_types_by_name() {
    for house in House::on_each() {
        for (n, (kind, auction)) in (0..).zip([
            ("sale", AUCTION),
            ("kick", OTHER),
            ("sale", OTHER),
            ("kick", AUCTION),
            ("price_update", AUCTION),
        ]) {
            house.announce(happened(kind, auction, n)).await;
        }
        house.shows(5, "/activity").await;
        let upper = format!("0x{}", AUCTION[2..].to_uppercase());
        for auction in [AUCTION, CHECKSUMMED, &upper] {
            for name in ["auction=", "subject=auction:", "subject=auction%3A"] {
                let page = house.get(&format!("/activity?{name}{auction}")).await;
                assert_eq!(amounts(&page), [4, 3, 0], "{name}{auction}");
            }
        }
        for (query, expected) in [
            ("type=sale", &[2, 0][..]),
            ("type=sale,kick", &[3, 2, 1, 0]),
            ("type=kick&type=price_update", &[4, 3, 1]),
            ("type=sale&limit=1", &[2]),
            ("type=nothing", &[]),
            (&format!("type=kick&auction={OTHER}"), &[1]),
            ("subject=listing:7", &[]),
            ("reorged=false", &[4, 3, 2, 1, 0]),
        ] {
            let page = house.get(&format!("/activity?{query}")).await;
            assert_eq!(amounts(&page), expected, "{query}");
        }
    }
}

/// A payload of rindexer, with a sale in `block`.
fn sale_in(block: u64) -> String {
    let event = json!({
        "amountPaid": "1500000000000000000000",
        "price": "30",
        "transaction_information": {
            "address": CHECKSUMMED,
            "block_number": block,
            "block_timestamp": format!("{START:#x}"),
            "log_index": "0x0",
            "network": "local",
            "transaction_hash": format!("{block:#066x}"),
        },
    });
    let payload = json!({ "event_name": "AuctionSale", "event_data": [event], "network": "local" });
    payload.to_string()
}

#[tokio::test]
async fn what_a_reorg_undid_is_shown_to_who_asks_for_it() {
    for house in House::on_each() {
        let reorg = json!({ "fork_block": 133, "network": "local", "type": "reorg" });
        let reorg = json!({
            "event_name": "__rindexer_reorg", "event_data": [reorg], "network": "local",
        });
        for (id, payload) in [
            ("1-0", sale_in(132)),
            ("2-0", sale_in(133)),
            ("3-0", reorg.to_string()),
        ] {
            let fields = vec![("payload".into(), payload.into_bytes())];
            house
                .cache
                .events()
                .apply("sales", id, fields)
                .await
                .unwrap();
        }
        let blocks = async |target: &str| -> Vec<(Value, bool)> {
            let page = house.get(target).await;
            let block = |entry: &Value| (entry["block"].clone(), entry["reorged"] == true);
            entries(&page).iter().map(block).collect()
        };
        tagcache_test_support::until("the reorg is known", async || {
            blocks("/activity").await == [(json!(132), false)]
        })
        .await;
        assert_eq!(
            blocks("/activity?reorged=true").await,
            [(json!(133), true), (json!(132), false)]
        );
        let page = house.get("/activity").await;
        assert_eq!(
            entries(&page)[0],
            json!({
                "id": entries(&page)[0]["id"],
                "type": "sale",
                "subject": format!("auction:{AUCTION}"),
                "auction_address": AUCTION,
                "amount": "1500000000000000000000",
                "price": "30",
                "timestamp": START,
                "tx_hash": format!("{:#066x}", 132),
                "network": "local",
                "block": 132,
            })
        );
        let counters = house.get("/analytics").await;
        assert_eq!(counters["rows"][0]["count"], 1, "{counters}");
    }
}

/// What follows a page does not depend on what is read beside it.
#[tokio::test]
async fn each_page_of_types_has_as_many_as_are_asked_for() {
    for house in House::on_each() {
        for n in 0..30 {
            let kind = ["sale", "kick", "kick"][(n % 3) as usize];
            house.announce(happened(kind, AUCTION, n)).await;
        }
        house.shows(30, "/activity?limit=1000").await;
        let (mut read, mut cursor) = (HashSet::new(), String::new());
        loop {
            let target = format!("/activity?limit=4&type=sale{cursor}");
            let page = house.get(&target).await;
            assert!(amounts(&page).iter().all(|n| read.insert(*n)), "a repeat");
            let Some(next) = page["next"].as_str() else {
                break;
            };
            assert_eq!(entries(&page).len(), 4);
            cursor = format!("&cursor={next}");
        }
        assert_eq!(read, (0..30).step_by(3).collect());
    }
}
