use std::time::Duration;

use crate::builder::Cache;
use crate::invalidation::{Announce, Format, On, Payload, Stream};
use crate::rules::Rule;

const MINUTE: Duration = Duration::from_secs(60);

fn told(tags: &[&str], stream: Stream) -> Vec<String> {
    let rule = Rule::new("auction", "/auctions/{address}").ttl(MINUTE);
    let rule = tags.iter().fold(rule, |rule, tag| rule.tag(*tag));
    let builder = Cache::builder().rule(rule).stream(stream);
    let (cache, _) = builder.build().unwrap();
    cache.warnings().iter().map(ToString::to_string).collect()
}

fn warnings(tag: &str, purge: &str) -> Vec<String> {
    told(
        &[tag],
        Stream::rindexer("sales").on(On::event("Sale").purge(purge)),
    )
}

#[test]
fn a_tag_that_no_event_can_purge_is_a_warning_that_names_the_rule() {
    let told = warnings("auktion:{address}", "auction:{address}");
    for word in ["`auction`", "auktion:{address}", "no event purges"] {
        assert!(told[0].contains(word), "{told:?}");
    }
}

#[test]
fn safety_105_a_tag_that_no_rule_makes_is_a_warning_that_names_the_stream() {
    let told = warnings("auktion:{address}", "auction:{address}");
    assert_eq!(told.len(), 2, "{told:?}");
    for word in ["stream `sales`", "auction:{address}", "no rule makes it"] {
        assert!(told[1].contains(word), "{told:?}");
    }
}

#[test]
fn a_tag_that_an_event_can_purge_is_none() {
    for (tag, purge) in [
        ("auction:{address}", "auction:{id}"),
        ("auction:{address:address}", "auction:{id}"),
        ("auction:{address:int}", "auction:{id:int}"),
        ("auctions", "auctions"),
        ("auction:{address}", "auction:all"),
    ] {
        assert_eq!(warnings(tag, purge), [""; 0], "{tag} and {purge}");
    }
}

#[test]
fn safety_105_two_ways_to_write_one_value_are_told() {
    for (tag, purge, ways) in [
        ("item:{address:int}", "item:{id}", "(`int` and `auto`)"),
        (
            "item:{address:lower}",
            "item:{id:upper}",
            "(`lower` and `upper`)",
        ),
        ("item:{address}", "item:{id:upper}", "(`auto` and `upper`)"),
        (
            "item:{address:address}",
            "item:{id:int}",
            "(`address` and `int`)",
        ),
    ] {
        let told = warnings(tag, purge);
        assert_eq!(told.len(), 1, "{told:?}");
        for word in [ways, tag, purge, "stream `sales`"] {
            assert!(told[0].contains(word), "{told:?}");
        }
    }
}

#[test]
fn safety_105_tags_with_other_parts_never_meet() {
    let told = warnings("auction:{address}:bids", "auction:{id}");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("never is the same"), "{told:?}");
    assert!(told[1].contains("no rule makes it"), "{told:?}");
}

#[test]
fn safety_105_a_family_is_compared_as_well() {
    let family = |name: &str| Stream::rindexer("sales").on(On::event("Sale").purge_family(name));
    assert_eq!(told(&["auction:{address}"], family("auction")), [""; 0]);
    assert_eq!(told(&["auction:{address}"], family("{kind}")), [""; 0]);
    assert_eq!(told(&["auction:{address}"], family("auctions")).len(), 2);
    // A tag without a colon is of no family.
    assert_eq!(told(&["auctions"], family("auctions")).len(), 2);
}

#[test]
fn safety_105_where_only_the_upstream_gives_tags_nothing_is_compared() {
    let stream = Stream::rindexer("sales").on(On::event("Sale").purge("auction:{id}"));
    assert_eq!(told(&[], stream), [""; 0]);
}

#[test]
fn safety_105_event_names_that_the_format_cannot_have_are_told() {
    let debezium = || Stream::new("rows", Format::debezium(Payload::Single));
    let tag = &["item:{address}"];
    for (event, meant) in [
        ("delete", "\"d\""),
        ("INSERT", "\"c\""),
        ("truncate", "\"t\""),
    ] {
        let stream = debezium().on(On::event(event).purge("item:{after.id}"));
        let told = told(tag, stream);
        assert_eq!(told.len(), 1, "{told:?}");
        for word in [event, meant, "stream `rows`"] {
            assert!(told[0].contains(word), "{told:?}");
        }
    }
    for event in ["c", "u", "d", "r", "t"] {
        let stream = debezium().on(On::event(event).purge("item:{after.id}"));
        assert_eq!(told(tag, stream), [""; 0], "{event}");
    }
    // Where a configuration says that names are elsewhere, they are not operations.
    let format = Format::debezium(Payload::Single).event_name("source.table");
    let stream = Stream::new("rows", format).on(On::event("items").purge("item:{after.id}"));
    assert_eq!(told(tag, stream), [""; 0]);
    let stream =
        Stream::rindexer("sales").on(On::event("Sale(address,uint256)").purge("item:{id}"));
    let told = told(tag, stream);
    assert!(told.len() == 1 && told[0].contains("\"Sale\""), "{told:?}");
}

#[test]
fn safety_105_a_path_beside_the_row_is_told() {
    let stream = Stream::new("rows", Format::debezium(Payload::Single));
    let told = told(&["item:{address}"], stream.on(On::any().purge("item:{id}")));
    assert!(
        told.len() == 1 && told[0].contains("{after.id}"),
        "{told:?}"
    );
}

#[test]
fn safety_105_an_event_that_writes_a_tag_in_another_way_is_told_beside_one_that_does_not() {
    let stream = |second: On| {
        let first = On::event("Sale").purge("item:{id:int}");
        Stream::rindexer("sales").on(first).on(second)
    };
    let told_of = |second| told(&["item:{address:int}"], stream(second));
    let other = told_of(On::event("Kick").purge("item:{id}"));
    assert_eq!(other.len(), 1, "{other:?}");
    assert!(other[0].contains("(`int` and `auto`)"), "{other:?}");
    // While a rule is about to change, one event purges both.
    let both = On::event("Kick").purge("item:{id}").purge("item:{id:int}");
    assert_eq!(told_of(both), [""; 0]);
}

#[test]
fn safety_105_values_beside_text_are_compared_as_well() {
    let told = warnings("item-{address:int}", "item-{id}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("(`int` and `auto`)"), "{told:?}");
    assert_eq!(warnings("item-{address}", "bid-{id}").len(), 2);
    assert_eq!(warnings("item-{address}", "item-{id}"), [""; 0]);
}

#[test]
fn what_people_are_told_of_needs_no_rule() {
    let told_of = |announce: Announce| {
        let on = On::event("Sale").purge("auction:{id}").announce(announce);
        told(&["auction:{address}"], Stream::rindexer("sales").on(on))
    };
    let sale = || Announce::new("sale").subject("bidder:{taker}");
    assert_eq!(told_of(sale()), [""; 0]);
    assert_eq!(told_of(sale().identity("{$.message_id}/{no}")), [""; 0]);
    let one = told_of(sale().identity("{$.message_id}"));
    assert!(
        one.len() == 1 && one[0].contains("{$.message_id}"),
        "{one:?}"
    );
}

#[test]
fn a_told_path_beside_the_row_is_a_warning_as_well() {
    let on = On::any().purge("item:{after.id}");
    let on = on.announce(
        Announce::new("row")
            .subject("item:{after.id}")
            .field("name", "name"),
    );
    let stream = Stream::new("rows", Format::debezium(Payload::Single)).on(on);
    let told = told(&["item:{address}"], stream);
    assert!(
        told.len() == 1 && told[0].contains("{after.name}"),
        "{told:?}"
    );
}
