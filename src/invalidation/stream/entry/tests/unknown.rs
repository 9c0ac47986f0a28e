//! Where it is not known what an entry changes, people are told that.

use super::told::{json, told};
use super::*;
use crate::invalidation::announce::Announce;
use crate::invalidation::update_template::MAX_ENTRY_UPDATES;

#[test]
fn what_cannot_be_told_is_told_as_unknown() {
    let on = |announce: Announce| On::event("AuctionSale").purge("x:{id}").announce(announce);
    let auctions = || Announce::new("sale").subject("auctions");
    for (name, announce, reason) in [
        (
            "subject",
            Announce::new("sale").subject("x:{gone}"),
            "no-update",
        ),
        ("field", auctions().field("a", "gone"), "no-update"),
        (
            "field that is an empty list",
            auctions().field("a", "list"),
            "no-update",
        ),
        (
            "field with two values",
            auctions().field("a", "ids"),
            "no-update",
        ),
        (
            "optional field with two values",
            auctions().field("a", "ids?"),
            "no-update",
        ),
        (
            "field that is an object",
            auctions().field("a", "transaction_information"),
            "no-update",
        ),
        ("identity", auctions().identity("{gone}"), "no-update"),
        (
            "identity with two values",
            auctions().identity("{ids}"),
            "no-update",
        ),
        (
            "identity with none",
            auctions().identity("{list}"),
            "no-update",
        ),
    ] {
        let reading = read(Stream::rindexer("s").on(on(announce)), SALE);
        let Exactness::Unreadable(unreadable) = &reading.exactness else {
            panic!("{name}");
        };
        assert_eq!(unreadable.reason, reason, "{name}: {unreadable}");
        assert_eq!(purged(&reading), ["f:x"], "{name}");
        let expected = format!("resync * s/1-0 reason={reason}");
        assert_eq!(told(&reading), [expected], "{name}");
    }
}

#[test]
fn a_placeholder_or_a_value_past_its_bound_is_told_as_unknown() {
    let long = "x".repeat(9_000);
    let announce = || Announce::new("sale").subject("auctions");
    for (name, announce, value, reason) in [
        ("field", announce().field("a", "v"), "n/a", "placeholder"),
        (
            "optional field",
            announce().field("a", "v?"),
            "null",
            "placeholder",
        ),
        (
            "field that was cut off",
            announce().field("a", "v"),
            "abc…",
            "placeholder",
        ),
        ("subject", announce().subject("x:{v}"), "n/a", "placeholder"),
        ("identity", announce().identity("{v}"), "n/a", "placeholder"),
        ("long field", announce().field("a", "v"), &long, "no-update"),
        (
            "long subject",
            announce().subject("x:{v}"),
            &long,
            "no-update",
        ),
        (
            "long identity",
            announce().identity("{v}"),
            &long,
            "no-update",
        ),
    ] {
        let format = Format::json(Payload::field("payload")).placeholder("n/a");
        let stream = Stream::new("own", format).on(On::any().announce(announce));
        let reading = read(stream, &format!(r#"{{"v":"{value}"}}"#));
        let expected = format!("resync * own/1-0 reason={reason}");
        assert_eq!(told(&reading), [expected], "{name}");
    }
    let stream = json(On::any().announce(announce().field("a", "v")));
    assert_eq!(
        told(&read(stream, r#"{"v":""}"#)),
        ["sale auctions own/1-0/0 a="]
    );
}

#[test]
fn too_many_updates_are_told_as_unknown() {
    let batch = |events: usize| {
        let events: Vec<String> = (0..events).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
        format!("[{}]", events.join(","))
    };
    let stream = || json(On::any().announce(Announce::new("sale").subject("x:{n}")));
    let most = read(stream(), &batch(MAX_ENTRY_UPDATES));
    assert_eq!(most.updates.len(), MAX_ENTRY_UPDATES);
    let values: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    for json in [
        batch(MAX_ENTRY_UPDATES + 1),
        format!(r#"{{"n":[{}]}}"#, values.join(",")),
    ] {
        let reading = read(stream(), &json);
        assert_eq!(reading.exactness, Exactness::Scope("too many updates"));
        assert_eq!(told(&reading), ["resync * own/1-0 reason=too many updates"]);
    }
}

#[test]
fn what_purges_the_scope_is_told_as_unknown_where_people_are_told_at_all() {
    let debezium = |on: On| Stream::new("s", Format::debezium(Payload::field("payload"))).on(on);
    let rindexer = |on: On| Stream::rindexer("s").on(on);
    let on = || On::any().purge("x:{id}");
    let telling = || on().announce(Announce::new("row").subject("x:{id}"));
    let many: Vec<String> = (0..=MAX_TARGETS)
        .map(|n| format!(r#"{{"id":{n}}}"#))
        .collect();
    let many = format!(r#"{{"event_name":"E","event_data":[{}]}}"#, many.join(","));
    for (stream, json, reason) in [
        (
            debezium as fn(On) -> Stream,
            r#"{"op":"t"}"#,
            "table truncated",
        ),
        (debezium, r#"{"op":"u"}"#, "no-row"),
        (rindexer, "{", "not-json"),
        (rindexer, SALE.split_at(40).0, "not-json"),
        (
            rindexer,
            r#"{"event_name":"__x"}"#,
            "unknown control message",
        ),
        (rindexer, r#"{"event_name":"__rindexer_reorg"}"#, "reorg"),
        (rindexer, &many, "too many targets"),
    ] {
        let reading = read(stream(telling()), json);
        let expected = format!("resync * s/1-0 reason={reason}");
        assert_eq!(told(&reading), [expected], "{json}");
        assert_eq!(read(stream(on()), json).updates, [], "{json}");
    }
    let stream = rindexer(telling()).compile().unwrap();
    let given_up = stream.give_up("7-1", Unreadable::new("too-many-deliveries", ""));
    assert_eq!(
        told(&given_up),
        ["resync * s/7-1 reason=too-many-deliveries"]
    );
}

#[test]
fn a_reorg_is_told_with_what_its_notice_names() {
    let stream = || {
        let on = |network: &str| On::any().network(network).purge("x:{id}");
        let announce = Announce::new("row").subject("x:{id}");
        Stream::rindexer("s")
            .on(on("main").announce(announce))
            .on(on("test"))
    };
    let hashes = |count: usize| vec![r#""0xh""#; count].join(",");
    let cut = hashes(65);
    for (notice, expected) in [
        (
            r#""fork_block":133,"depth":3,"events_deleted":2,"affected_tx_hashes":["0x1","0x2"]"#,
            " affected_tx_hashes=0x1,0x2 depth=3 events_deleted=2 fork_block=133 network=main",
        ),
        (
            r#""fork_block":"0x85","affected_tx_hashes":[]"#,
            " fork_block=0x85 network=main",
        ),
        // Some of the transactions would be taken for all.
        (
            &format!(r#""fork_block":133,"affected_tx_hashes":[{cut}]"#),
            " fork_block=133 network=main",
        ),
    ] {
        let json = format!(
            r#"{{"event_name":"__rindexer_reorg","network":"main","event_data":[{{"type":"reorg",{notice}}}]}}"#
        );
        let reading = read(stream(), &json);
        let told = told(&reading);
        let (head, rest) = told[0].split_once(" reason=reorg").unwrap();
        let (before, from) = head.split_at("resync * s/1-0".len());
        assert_eq!(before, "resync * s/1-0");
        assert_eq!(format!("{from}{rest}"), expected);
    }
    // On the other network nobody is told of anything.
    let elsewhere = r#"{"event_name":"__rindexer_reorg","network":"test"}"#;
    let reading = read(stream(), elsewhere);
    assert_eq!(
        (purged(&reading), reading.updates),
        (vec!["f:x".into()], vec![])
    );
}

#[test]
fn an_id_that_no_update_can_have_makes_it_like_no_other() {
    let on = On::any().announce(Announce::new("sale").subject("a:{id}"));
    let stream = Stream::rindexer("s").on(on).compile().unwrap();
    let read = |id: &str, json: &str| {
        let reading = stream.read(id, &payload(json));
        reading.updates[0].fingerprint()
    };
    for json in [SALE, "{"] {
        assert_eq!(read("1-0", json), read("1-0", json));
        assert_ne!(read("1-0", json), read("1-1", json));
        assert_ne!(read("a\n", json), read("a\n", json));
    }
}
