use super::*;
use crate::invalidation::format::{Format, Payload};
use crate::invalidation::on::On;
use crate::invalidation::stream::Stream;
use crate::log::PurgeKind;
use crate::tag::Target;

mod captures;
mod others;
mod shapes;
mod told;
mod unknown;

const SALE: &str = r#"{"event_name":"AuctionSale","network":"local","event_data":[
    {"amountPaid":"5000000000000000000","id":7,"list":[],"ids":["a","b"],
     "transaction_information":{"address":"0xA16e02e87b7454126e5e10d957a927a7f5b5d2be"}}]}"#;

fn payload(json: &str) -> Fields {
    vec![(b"payload".to_vec(), json.as_bytes().to_vec())]
}

fn read(stream: Stream, json: &str) -> Reading {
    stream.compile().unwrap().read("1-0", &payload(json))
}

fn purged(reading: &Reading) -> Vec<String> {
    reading.plan.targets().map(ToString::to_string).collect()
}

fn on_sale(purge: &str) -> Stream {
    Stream::rindexer("s").on(On::event("AuctionSale").purge(purge))
}

#[test]
fn safety_48_address_in_any_case_is_one_tag() {
    let lower = "t:auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";
    for template in [
        "auction:{transaction_information.address}",
        "auction:{transaction_information.address:address}",
    ] {
        assert_eq!(
            purged(&read(on_sale(template), SALE)),
            [lower],
            "{template}"
        );
    }
}

#[test]
fn numbers_and_lists_make_tags() {
    for (template, expected) in [
        ("x:{id}", &["t:x:7"][..]),
        ("x:{amountPaid:int}", &["t:x:5000000000000000000"]),
        ("x:{ids}", &["t:x:a", "t:x:b"]),
        ("x:{ids.1}", &["t:x:b"]),
        ("x:{$.network}:{id}", &["t:x:local:7"]),
        ("x:{list}", &[]),
    ] {
        let reading = read(on_sale(template), SALE);
        assert_eq!(purged(&reading), expected, "{template}");
        assert_eq!(reading.exactness, Exactness::Exact, "{template}");
    }
    assert_eq!(
        read(on_sale("x:{list}"), SALE).ignored,
        ["names nothing to purge"]
    );
}

#[test]
fn guards_and_conditions_select() {
    let on = || On::event("AuctionSale").purge("x");
    for (name, on, fits) in [
        ("name", on(), true),
        ("another name", On::event("Sale").purge("x"), false),
        (
            "name in another case",
            On::event("auctionsale").purge("x"),
            false,
        ),
        ("any", On::any().purge("x"), true),
        ("network", on().network("local"), true),
        ("another network", on().network("ethereum"), false),
        (
            "large",
            on().when("amountPaid >= 5000000000000000000"),
            true,
        ),
        (
            "not large",
            on().when("amountPaid > 5000000000000000000"),
            false,
        ),
        (
            "both conditions",
            on().when("amountPaid > 1").when("id == 0x7"),
            true,
        ),
        (
            "one of two conditions",
            on().when("amountPaid > 1").when("id < 7"),
            false,
        ),
        // Another event's condition is not even looked at.
        (
            "other",
            On::event("Sale").when("nothing > 1").purge("x"),
            false,
        ),
    ] {
        let reading = read(Stream::rindexer("s").on(on), SALE);
        assert_eq!(purged(&reading).len(), usize::from(fits), "{name}");
        assert_eq!(reading.ignored.len(), usize::from(!fits), "{name}");
        assert_eq!(reading.exactness, Exactness::Exact, "{name}");
    }
}

#[test]
fn safety_47_what_cannot_be_judged_purges_the_scope() {
    let no_network = r#"{"event_name":"AuctionSale","event_data":[{}]}"#;
    for (name, on, json, reason) in [
        (
            "missing value",
            On::any().purge("x:{auction}"),
            SALE,
            "no-tag",
        ),
        ("a list", On::any().purge("x:{id:address}"), SALE, "no-tag"),
        (
            "unknown amount",
            On::any().when("amount_paid > 1").purge("x:{id}"),
            SALE,
            "no-number",
        ),
        (
            "not a number",
            On::any().when("ids.0 > 1").purge("x:{id}"),
            SALE,
            "no-number",
        ),
        (
            "no network",
            On::any().network("local").purge("x:{id}"),
            no_network,
            "no-network",
        ),
        ("not JSON", On::any().purge("x:{id}"), "{", "not-json"),
    ] {
        let stream = Stream::rindexer("s")
            .on(On::event("Other").purge("list"))
            .on(on);
        let reading = read(stream, json);
        assert_eq!(purged(&reading), ["t:list", "f:x"], "{name}");
        let Exactness::Unreadable(unreadable) = reading.exactness else {
            panic!("{name}");
        };
        assert_eq!(unreadable.reason, reason, "{name}");
    }
}

#[test]
fn too_many_targets_purge_the_scope() {
    let batch = |events: usize| {
        let data: Vec<String> = (0..events).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
        format!(r#"{{"event_name":"E","event_data":[{}]}}"#, data.join(","))
    };
    let stream = || Stream::rindexer("s").on(On::event("E").purge("x:{n}"));
    assert_eq!(
        purged(&read(stream(), &batch(MAX_TARGETS))).len(),
        MAX_TARGETS
    );
    let reading = read(stream(), &batch(MAX_TARGETS + 1));
    assert_eq!(purged(&reading), ["f:x"]);
    assert_eq!(reading.exactness, Exactness::Scope("too many targets"));
    let ids: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let list = format!(
        r#"{{"event_name":"E","event_data":[{{"n":[{}]}}]}}"#,
        ids.join(",")
    );
    assert_eq!(purged(&read(stream(), &list)), ["f:x"]);
}

#[test]
fn soft_and_hard_are_kept_apart_and_hard_wins() {
    let stream = Stream::rindexer("s")
        .on(On::event("AuctionSale").soft().purge("list").purge("a"))
        .on(On::event("AuctionSale").purge("a").purge("b"));
    let reading = read(stream, SALE);
    let purges: Vec<_> = reading.plan.purges().collect();
    let texts =
        |targets: &[Target]| -> Vec<String> { targets.iter().map(ToString::to_string).collect() };
    assert_eq!(purges.len(), 2);
    assert_eq!(
        (purges[0].0, texts(&purges[0].1)),
        (PurgeKind::Hard, vec!["t:a".into(), "t:b".into()])
    );
    assert_eq!(
        (purges[1].0, texts(&purges[1].1)),
        (PurgeKind::Soft, vec!["t:list".into()])
    );
}

#[test]
fn merged_plans_are_cut_into_bounded_purges() {
    let mut plan = Plan::default();
    for n in 0..MAX_TARGETS * 2 + 1 {
        plan.add(PurgeKind::Hard, Target::Family(n.to_string().into()));
    }
    let sizes: Vec<usize> = plan.purges().map(|(_, targets)| targets.len()).collect();
    assert_eq!(sizes, [MAX_TARGETS, MAX_TARGETS, 1]);
}

#[test]
fn reorg_of_one_network_spares_the_others() {
    let stream = || {
        Stream::rindexer("s")
            .on(On::event("A").network("main").purge("a:{x}"))
            .on(On::event("A").network("test").purge("b:{x}"))
    };
    let reorg = r#"{"event_name":"__rindexer_reorg","network":"main"}"#;
    assert_eq!(purged(&read(stream(), reorg)), ["f:a"]);
    let nowhere = r#"{"event_name":"__rindexer_reorg"}"#;
    assert_eq!(purged(&read(stream(), nowhere)), ["f:a", "f:b"]);
}

/// The fields of an entry as the fixtures write it: `[id, [name, value, …]]`.
fn fields_of(entry: &serde_json::Value) -> Fields {
    let flat = entry[1].as_array().unwrap();
    let bytes = |value: &serde_json::Value| value.as_str().unwrap().as_bytes().to_vec();
    flat.chunks(2)
        .map(|pair| (bytes(&pair[0]), bytes(&pair[1])))
        .collect()
}
