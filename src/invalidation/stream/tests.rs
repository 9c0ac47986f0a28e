use super::*;
use crate::invalidation::announce::Announce;
use crate::tag::{Tag, Target};

fn tag(text: &str) -> Target {
    Target::Tag(Tag::new(text).unwrap())
}

fn told() -> Announce {
    Announce::new("sale").subject("auctions")
}

fn sale() -> On {
    On::event("AuctionSale").purge("auction:{transaction_information.address}")
}

#[test]
fn bad_streams_are_refused_with_the_input_quoted() {
    let on = |on: On| Stream::rindexer("s").on(on);
    for (stream, expected) in [
        (
            Stream::rindexer(""),
            r#"stream ``: a stream needs a name in """#,
        ),
        (
            Stream::rindexer("s"),
            r#"stream `s`: nothing is purged on any event in "s""#,
        ),
        (
            on(On::event("E")),
            r#"stream `s`, on `E`: nothing is purged and nobody is told in "E""#,
        ),
        (
            on(On::event("E").purge("auction:{a..b}")),
            r#"stream `s`, on `E`, tag: empty name in the path `a..b` in "auction:{a..b}" at column 10"#,
        ),
        (
            on(On::event("E").purge("auction:{a")),
            r#"stream `s`, on `E`, tag: unclosed `{` (a literal one is written `{{`) in "auction:{a" at column 9"#,
        ),
        (
            on(sale().when("amountPaid >= lots")),
            r#"stream `s`, on `AuctionSale`, when: not a whole number (decimal, or hexadecimal after 0x); a text stands in quotes, after == or != in "amountPaid >= lots" at column 14"#,
        ),
        (
            on(On::event("__rindexer_reorg").purge("a")),
            r#"stream `s`, on `__rindexer_reorg`: a name that starts with `__` is a control message's in "__rindexer_reorg""#,
        ),
        (
            Stream::json("s", Payload::Single).on(On::event("E").purge("a")),
            r#"stream `s`, on `E`: the stream's format does not say where names are in "E""#,
        ),
        (
            Stream::json("s", Payload::Single).on(On::any().network("n").purge("a")),
            r#"stream `s`, on any event: the stream's format does not say where networks are in "n""#,
        ),
        (
            Stream::new("s", Format::json(Payload::Single).events("")).on(On::any().purge("a")),
            r#"stream `s`, events: empty name in the path `` in """#,
        ),
    ] {
        assert_eq!(stream.compile().unwrap_err().to_string(), expected);
    }
    let unknown = on(On::event("E").purge("a:{b:shout}"))
        .compile()
        .unwrap_err();
    assert!(
        unknown.to_string().contains("unknown normaliser `shout`"),
        "{unknown}"
    );
}

#[test]
fn bad_announcements_are_refused_with_the_input_quoted() {
    for (announce, expected) in [
        (
            Announce::new("a sale").subject("a"),
            r#"type: type of update "a sale" is not 1 to 64 ASCII letters, digits, `_`, `-` and `.` in "a sale""#,
        ),
        (
            Announce::new("resync").subject("a"),
            r#"type: type of update "resync" is the cache's own in "resync""#,
        ),
        (
            Announce::new("sale"),
            r#"subject: an update needs a subject in "sale""#,
        ),
        (
            told().subject("a:{b..c}"),
            r#"subject: empty name in the path `b..c` in "a:{b..c}" at column 4"#,
        ),
        (
            told().field("amount", "amount.."),
            r#"fields: empty name in the path `amount..` in "amount..""#,
        ),
        (
            told().field("", "amount"),
            r#"fields: field "" has no name in """#,
        ),
        (
            told().identity("sale"),
            r#"identity: no placeholder: all events would have one identity, and only the first would be told in "sale""#,
        ),
    ] {
        let stream = Stream::rindexer("s").on(sale().announce(announce));
        let expected = format!("stream `s`, on `AuctionSale`, announce {expected}");
        assert_eq!(stream.compile().unwrap_err().to_string(), expected);
    }
}

#[test]
fn two_streams_of_one_name_are_refused() {
    let stream = || Stream::rindexer("s").on(sale());
    let error = compile(vec![stream(), stream()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"stream `s`: a second stream of this name in "s""#
    );
}

#[test]
fn scope_names_all_that_the_stream_can_touch() {
    let family = |name: &str| Target::Family(name.into());
    for (name, purges, soft, expected) in [
        (
            "family",
            &["auction:{a}"][..],
            false,
            vec![family("auction")],
        ),
        ("plain tag", &["auctions"], false, vec![tag("auctions")]),
        (
            "tag written out",
            &["auction:all"],
            false,
            vec![tag("auction:all")],
        ),
        (
            "each once",
            &["a:{x}", "b", "a:{y}", "b"],
            false,
            vec![family("a"), tag("b")],
        ),
        (
            "family in a placeholder",
            &["{a}:{b}"],
            false,
            vec![Target::All],
        ),
        ("no family", &["auction-{a}"], false, vec![Target::All]),
        (
            "all includes the rest",
            &["a:{x}", "{y}", "b"],
            false,
            vec![Target::All],
        ),
        ("soft", &["a:{x}"], true, vec![family("a")]),
    ] {
        let on = purges
            .iter()
            .fold(On::event("E"), |on, purge| on.purge(*purge));
        let on = if soft { on.soft() } else { on };
        let scope = Stream::rindexer("s").on(on).compile().unwrap().scope();
        let (full, empty) = if soft {
            (scope.soft, scope.hard)
        } else {
            (scope.hard, scope.soft)
        };
        assert_eq!((full, empty), (expected, vec![]), "{name}");
    }
}

#[test]
fn scope_of_one_network_leaves_out_what_is_for_others() {
    let stream = Stream::rindexer("s")
        .on(On::event("A").network("main").purge("a:{x}"))
        .on(On::event("A").network("test").purge("b:{x}"))
        .on(On::event("A").purge("c"))
        .compile()
        .unwrap();
    let hard = |network| stream.scope_on(network).hard.len();
    assert_eq!(
        (hard(None), hard(Some("main")), hard(Some("other"))),
        (3, 2, 1)
    );
}

#[test]
fn a_stream_announces_what_one_of_its_mappings_does() {
    let stream = |on: On| Stream::rindexer("s").on(On::event("B").purge("b")).on(on);
    let announces = |on: On| stream(on).compile().unwrap().announces();
    assert!(!announces(sale()));
    assert!(announces(sale().announce(told())));
    // Nothing is purged, and people are told.
    assert!(announces(On::event("A").announce(told())));
}
