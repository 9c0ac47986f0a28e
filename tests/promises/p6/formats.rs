//! P6 with other publishers: each shape purges its row, through a real stream.

use std::collections::BTreeSet;

use serde_json::Value;
use tower_tagcache::{Format, On, Payload, Stream};

use crate::captures::{self, DERIVED, Entry};
use crate::house::{BYSTANDER, House, Told};

/// The entry with this label, as written by its publisher.
fn derived(label: &str) -> Entry {
    let items: Vec<Value> = serde_json::from_str(DERIVED).unwrap();
    let mut fitting = items
        .iter()
        .filter(|item| item["label"].as_str().unwrap().contains(label));
    let entry = &fitting.next().unwrap()["entry"];
    let (id, fields) = serde_json::from_value(entry.clone()).unwrap();
    Entry { id, fields }
}

fn debezium(payload: Payload) -> Stream {
    let on = On::any().purge("rows:{after.rindexer_id}");
    Stream::new("s", Format::debezium(payload)).on(on)
}

fn auction() -> String {
    format!("/auctions/{}", captures::AUCTIONS[0])
}

/// Which of the derived entries, the configuration that reads it, and the path that it purges.
fn publishers() -> Vec<(&'static str, Stream, String)> {
    let flat = |name: &str| Format::text(Payload::AllFields).event_name(name);
    vec![
        (
            "extended, schemas off",
            debezium(Payload::field("value")),
            "/rows/rows/1".into(),
        ),
        (
            "schemas on (the default)",
            debezium(Payload::field("value")),
            "/rows/rows/1".into(),
        ),
        (
            "compact (the default)",
            debezium(Payload::Single),
            "/rows/rows/1".into(),
        ),
        (
            "the row itself",
            Stream::json("s", Payload::field("value"))
                .on(On::any().purge("auction:{contract_address}")),
            auction(),
        ),
        (
            "Redis Data Integration",
            Stream::new("s", flat("op_code")).on(On::event("c").purge("invoice:{message_id}")),
            "/rows/invoice/42".into(),
        ),
        (
            "oura v2",
            Stream::json("s", Payload::Single).on(On::any().purge("tx:{hash}")),
            "/rows/tx/1f2e".into(),
        ),
        (
            "near/queryapi",
            Stream::text("s", Payload::AllFields).on(On::any().purge("block:{block_height}")),
            "/rows/block/102030405".into(),
        ),
        // Its address is checksummed, the response's tag is not (SAFETY 48).
        (
            "flat fields",
            Stream::new("s", flat("event")).on(On::event("AuctionSale").purge("auction:{auction}")),
            auction(),
        ),
        (
            "JSON field called data",
            Stream::json("s", Payload::field("data")).on(On::any().purge("auction:{auction}")),
            auction(),
        ),
    ]
}

#[tokio::test]
async fn each_publishers_entry_purges_the_row_that_it_names() {
    for (label, stream, purged) in publishers() {
        let house = House::open();
        let node = house.node([stream]).join(&house, "s").await;
        let paths: BTreeSet<String> = [
            &purged,
            "/rows/rows/2",
            "/rows/invoice/43",
            &format!("/auctions/{BYSTANDER}"),
            "/stats",
        ]
        .map(ToOwned::to_owned)
        .into();
        node.store(&paths).await;
        house.publish("s", &derived(label)).await;
        node.until(label, |told| told.len() == 2).await;
        assert!(matches!(node.told()[1], Told::Applied(_, _, 1)), "{label}");
        assert_eq!(node.missing(&paths).await, [purged].into(), "{label}");
    }
}

#[tokio::test]
async fn a_tombstone_purges_nothing_and_a_delete_what_it_may_have_named() {
    let house = House::open();
    let node = house
        .node([debezium(Payload::field("value"))])
        .join(&house, "s")
        .await;
    let rows: BTreeSet<String> = ["/rows/rows/1", "/rows/rows/2"].map(Into::into).into();
    let mut all = rows.clone();
    all.insert("/stats".into());
    node.store(&all).await;
    house.publish("s", &derived("tombstone").again()).await;
    node.tells(Told::Ignored("s".into(), "tombstone")).await;
    assert_eq!(node.missing(&all).await, BTreeSet::new());
    house.publish("s", &derived("delete with").again()).await;
    let aside = |told: &Told| matches!(told, Told::Quarantined(..));
    node.until("the delete is read", |told| told.iter().any(aside))
        .await;
    assert_eq!(node.missing(&all).await, rows);
}
