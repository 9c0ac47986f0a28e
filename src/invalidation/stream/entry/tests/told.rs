//! What people are told of an entry.

use super::*;
use crate::invalidation::announce::Announce;

fn sale() -> Announce {
    Announce::new("sale").subject("auction:{transaction_information.address}")
}

fn on_sale_telling(announce: Announce) -> Stream {
    let on = On::event("AuctionSale").purge("auction:{transaction_information.address}");
    Stream::rindexer("s").on(on.announce(announce))
}

pub(super) fn json(on: On) -> Stream {
    Stream::json("own", Payload::field("payload")).on(on)
}

/// Each update in one line: type, subject, identity and fields.
pub(super) fn told(reading: &Reading) -> Vec<String> {
    let line = |update: &Update| {
        let fields = update
            .fields()
            .map(|(name, value)| format!(" {name}={value}"));
        let [kind, subject, identity] = [update.kind(), update.subject(), update.identity()];
        format!("{kind} {subject} {identity}{}", fields.collect::<String>())
    };
    reading.updates.iter().map(line).collect()
}

#[test]
fn an_event_tells_its_type_subjects_fields_and_identity() {
    let address = "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";
    for (name, announce, expected) in [
        ("subject", sale(), vec![format!("sale {address} s/1-0/0")]),
        (
            "several subjects",
            sale().subject("auctions"),
            vec![
                format!("sale {address} s/1-0/0"),
                "sale auctions s/1-0/0".into(),
            ],
        ),
        (
            "a subject with several values",
            Announce::new("sale").subject("x:{ids}"),
            vec!["sale x:a s/1-0/0".into(), "sale x:b s/1-0/0".into()],
        ),
        (
            "a subject with no value",
            Announce::new("sale")
                .subject("x:{list}")
                .subject("y:{id:int}"),
            vec!["sale y:7 s/1-0/0".into()],
        ),
        (
            "fields",
            Announce::new("sale")
                .subject("auctions")
                .field("amount", "amountPaid")
                .field("on", "$.network")
                .field("first", "ids.0")
                .field("none", "gone?")
                .field("empty", "list?"),
            vec!["sale auctions s/1-0/0 amount=5000000000000000000 first=a on=local".into()],
        ),
        (
            "identity",
            Announce::new("sale")
                .subject("auctions")
                .identity("{$.network}-{id}"),
            vec!["sale auctions local-7".into()],
        ),
    ] {
        let reading = read(on_sale_telling(announce), SALE);
        assert_eq!(told(&reading), expected, "{name}");
        assert_eq!(reading.exactness, Exactness::Exact, "{name}");
        assert_eq!(reading.applied.len(), 1, "{name}");
    }
}

#[test]
fn an_event_that_is_told_and_purges_nothing_is_applied() {
    let on = || On::event("AuctionSale");
    for (name, on, updates, ignored) in [
        ("told", on().announce(sale()), 1, &[][..]),
        (
            "told, with an empty list to purge",
            on().purge("x:{list}").announce(sale()),
            1,
            &[],
        ),
        (
            "neither",
            on().announce(Announce::new("sale").subject("x:{list}")),
            0,
            &["names nothing to purge"],
        ),
        (
            "another event",
            On::event("Kick").announce(sale()),
            0,
            &["no mapping fits"],
        ),
    ] {
        let reading = read(Stream::rindexer("s").on(on), SALE);
        assert_eq!(reading.updates.len(), updates, "{name}");
        assert_eq!(reading.ignored, ignored, "{name}");
        let applied = vec![("AuctionSale".into(), 0); updates];
        assert_eq!(reading.applied, applied, "{name}");
        assert_eq!(purged(&reading), [""; 0], "{name}");
    }
}

#[test]
fn rindexer_events_are_told_apart_by_chain_block_transaction_and_log() {
    let log = r#""block_hash":"0xb","transaction_hash":"0xt","log_index":"0xA""#;
    for (name, about, expected) in [
        (
            "chain",
            format!(r#""chain_id":1,"network":"main",{log}"#),
            "1/0xb/0xt/10",
        ),
        (
            "network",
            format!(r#""network":"main",{log}"#),
            "main/0xb/0xt/10",
        ),
        ("network of the entry", log.to_owned(), "local/0xb/0xt/10"),
        (
            "no block",
            r#""chain_id":1,"block_hash":null,"transaction_hash":"0xt","log_index":"0x0""#.into(),
            "s/1-0/0",
        ),
        ("nothing", String::new(), "s/1-0/0"),
    ] {
        let json = format!(
            r#"{{"event_name":"AuctionSale","network":"local","event_data":[{{"transaction_information":{{{about}}}}}]}}"#
        );
        let announce = Announce::new("sale").subject("auctions");
        let on = On::event("AuctionSale").announce(announce);
        let reading = read(Stream::rindexer("s").on(on), &json);
        assert_eq!(
            told(&reading),
            [format!("sale auctions {expected}")],
            "{name}"
        );
    }
}

#[test]
fn the_order_is_that_of_the_events_and_nothing_is_told_twice() {
    let event = |id: u8, no: u8| format!(r#"{{"id":{id},"no":{no}}}"#);
    let events = [event(2, 1), event(1, 1), event(2, 1), event(2, 2)].join(",");
    let announce = || Announce::new("sale").subject("x:{id}");
    for (announce, expected) in [
        (
            announce().identity("{no}"),
            &["sale x:2 1", "sale x:1 1", "sale x:2 2"][..],
        ),
        // Without an identity of its own each event is another one.
        (
            announce(),
            &[
                "sale x:2 own/1-0/0",
                "sale x:1 own/1-0/1",
                "sale x:2 own/1-0/2",
                "sale x:2 own/1-0/3",
            ],
        ),
    ] {
        let on = || On::any().announce(announce.clone());
        let stream = json(on()).on(on());
        let reading = read(stream, &format!("[{events}]"));
        assert_eq!(told(&reading), expected);
        assert_eq!(reading.applied.len(), 4);
    }
}
