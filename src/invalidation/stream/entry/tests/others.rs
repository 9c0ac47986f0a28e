//! The shapes of other publishers, each with the configuration that reads it.

use serde_json::Value;

use super::*;

const DERIVED: &str = include_str!("../../../../../tests/fixtures/other-publishers/derived.json");
const AUCTION: &str = "t:auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";

fn any(format: Format, purge: &str) -> Stream {
    Stream::new("s", format).on(On::any().purge(purge))
}

/// The configuration for the entry with this label, and what it must purge.
fn expectation(label: &str) -> (Stream, &'static [&'static str]) {
    let has = |part: &str| label.contains(part);
    let after = "auction:{after.contract_address}";
    let flat = |name: &str| Format::text(Payload::AllFields).event_name(name);
    if has("tombstone") {
        (any(Format::debezium(Payload::field("value")), after), &[])
    } else if has("delete") {
        // The row is gone and its values with it: everything that it can have touched.
        (
            any(Format::debezium(Payload::field("value")), after),
            &["f:auction"],
        )
    } else if has("ExtractNewRecordState") {
        let row = Format::json(Payload::field("value"));
        (any(row, "auction:{contract_address}"), &[AUCTION])
    } else if has("extended") {
        (
            any(Format::debezium(Payload::field("value")), after),
            &[AUCTION],
        )
    } else if has("compact") {
        (any(Format::debezium(Payload::Single), after), &[AUCTION])
    } else if has("Redis Data Integration") {
        let on = On::event("c")
            .when("message_id >= 42")
            .purge("invoice:{message_id}");
        (Stream::new("s", flat("op_code")).on(on), &["t:invoice:42"])
    } else if has("oura") {
        (
            any(Format::json(Payload::Single), "tx:{hash}"),
            &["t:tx:1f2e"],
        )
    } else if has("near/queryapi") {
        let fields = Format::text(Payload::AllFields);
        (any(fields, "block:{block_height}"), &["t:block:102030405"])
    } else if has("flat fields") {
        let on = On::event("AuctionSale").purge("auction:{auction}");
        (Stream::new("s", flat("event")).on(on), &[AUCTION])
    } else if has("JSON field called data") {
        (
            any(Format::json(Payload::field("data")), "auction:{auction}"),
            &[AUCTION],
        )
    } else {
        panic!("no configuration for {label:?}")
    }
}

#[test]
fn entries_of_other_publishers_are_read_by_configuration() {
    let items: Vec<Value> = serde_json::from_str(DERIVED).unwrap();
    assert_eq!(items.len(), 13);
    for item in &items {
        let label = item["label"].as_str().unwrap();
        let (stream, expected) = expectation(label);
        let reading = stream
            .compile()
            .unwrap()
            .read("1-0", &fields_of(&item["entry"]));
        assert_eq!(purged(&reading), expected, "{label}");
    }
}

#[test]
fn record_key_in_the_field_name_is_read() {
    let items: Vec<Value> = serde_json::from_str(DERIVED).unwrap();
    let is_compact = |item: &&Value| item["label"].as_str().unwrap().contains("field NAME");
    let fields = fields_of(&items.iter().find(is_compact).unwrap()["entry"]);
    for (format, template) in [
        (Format::json(Payload::SingleName), "row:{rindexer_id}"),
        (Format::text(Payload::Single), "row:{name.rindexer_id}"),
        (
            Format::text(Payload::Single),
            "row:{value.after.rindexer_id}",
        ),
    ] {
        let reading = any(format, template)
            .compile()
            .unwrap()
            .read("1-0", &fields);
        assert_eq!(purged(&reading), ["t:row:1"], "{template}");
    }
}
