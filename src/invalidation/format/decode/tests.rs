use proptest::prelude::*;

use super::*;
use crate::invalidation::format::Format;

const LIMIT: usize = 1024 * 1024;

fn entry(fields: &[(&str, &str)]) -> Fields {
    let pair = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    fields.iter().map(pair).collect()
}

fn payload(json: &str) -> Fields {
    entry(&[("payload", json)])
}

fn reason(decoder: &Decoder, fields: &Fields) -> Option<&'static str> {
    decoder
        .decode(fields, LIMIT, &Texts::default())
        .err()
        .map(|unreadable| unreadable.reason)
}

fn rindexer() -> Decoder {
    Format::rindexer().compile().unwrap()
}

#[test]
fn safety_47_malformed_entries_each_have_their_reason() {
    for (name, fields, expected) in [
        ("no fields", vec![], "no-payload"),
        ("another field", entry(&[("data", "{}")]), "no-payload"),
        (
            "payload twice",
            entry(&[("payload", "{}"), ("payload", "{}")]),
            "no-payload",
        ),
        ("empty", payload(""), "not-json"),
        ("not JSON", payload("hello"), "not-json"),
        (
            "truncated",
            payload(r#"{"event_name":"E","event_data":[{"a"#),
            "not-json",
        ),
        ("two documents", payload("{}{}"), "not-json"),
        (
            "bad escape",
            payload(r#"{"event_name":"\x","event_data":[]}"#),
            "not-json",
        ),
        ("control character", payload("{\"a\":\"\n\"}"), "not-json"),
        ("NaN", payload(r#"{"a":NaN}"#), "not-json"),
        (
            "not UTF-8",
            vec![(b"payload".to_vec(), b"{\"a\":\"\xff\"}".to_vec())],
            "not-utf8",
        ),
        ("a list", payload("[]"), "no-events"),
        ("a number", payload("5"), "no-events"),
        ("null", payload("null"), "no-events"),
        (
            "no event_data",
            payload(r#"{"event_name":"E"}"#),
            "no-events",
        ),
        (
            "event_data is null",
            payload(r#"{"event_name":"E","event_data":null}"#),
            "no-events",
        ),
        (
            "event_data is text",
            payload(r#"{"event_name":"E","event_data":"[]"}"#),
            "no-events",
        ),
    ] {
        assert_eq!(reason(&rindexer(), &fields), Some(expected), "{name}");
    }
}

#[test]
fn safety_47_event_without_a_name_has_its_reason() {
    for (name, fields, expected) in [
        (
            "no name",
            payload(r#"{"event_data":[{}]}"#),
            "no-event-name",
        ),
        (
            "name is null",
            payload(r#"{"event_name":null,"event_data":[{}]}"#),
            "no-event-name",
        ),
        (
            "name is a list",
            payload(r#"{"event_name":["A","B"],"event_data":[{}]}"#),
            "no-event-name",
        ),
    ] {
        assert_eq!(reason(&rindexer(), &fields), Some(expected), "{name}");
    }
}

#[test]
fn safety_47_entries_past_a_bound_each_have_their_reason() {
    let deep = "[".repeat(100_000);
    let deep_but_closed = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let many = format!(
        r#"{{"event_name":"E","event_data":[{}1]}}"#,
        "1,".repeat(20_000)
    );
    let huge = format!(
        r#"{{"event_name":"E","event_data":["{}"]}}"#,
        "x".repeat(LIMIT)
    );
    for (name, fields, expected) in [
        ("deep", payload(&deep), "too-deep"),
        ("deep and closed", payload(&deep_but_closed), "too-deep"),
        ("huge", payload(&huge), "too-large"),
        ("too many", payload(&many), "too-many-events"),
    ] {
        assert_eq!(reason(&rindexer(), &fields), Some(expected), "{name}");
    }
}

#[test]
fn single_payload_needs_exactly_one_field() {
    let single = Format::json(Payload::Single).compile().unwrap();
    let names = Format::json(Payload::SingleName).compile().unwrap();
    assert_eq!(reason(&single, &entry(&[])), Some("no-payload"));
    assert_eq!(
        reason(&single, &entry(&[("a", "{}"), ("b", "{}")])),
        Some("no-payload")
    );
    assert_eq!(reason(&single, &entry(&[("118442107", "{}")])), None);
    assert_eq!(reason(&names, &entry(&[("{}", "not read")])), None);
    assert_eq!(reason(&names, &entry(&[("a", "{}")])), Some("not-json"));
}

#[test]
fn documented_object_counts_as_a_list_of_one() {
    let decoder = rindexer();
    let fields = payload(r#"{"event_name":"E","network":"n","event_data":{"a":1}}"#);
    let texts = Texts::default();
    let Ok(EntryContent::Events(events, _)) = decoder.decode(&fields, LIMIT, &texts) else {
        panic!("not decoded");
    };
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].network.as_deref(), Some("n"));
}

#[test]
fn control_messages_need_nothing_but_their_name() {
    let decoder = rindexer();
    let json = Format::json(Payload::field("payload"));
    let flat = json.events("list").event_name("type").compile().unwrap();
    for (decoder, json, reason, network) in [
        (
            &decoder,
            r#"{"event_name":"__rindexer_reorg","network":"n"}"#,
            "reorg",
            Some("n"),
        ),
        (
            &decoder,
            r#"{"event_name":"__rindexer_reorg"}"#,
            "reorg",
            None,
        ),
        (
            &decoder,
            r#"{"event_name":"__new"}"#,
            "unknown control message",
            None,
        ),
        // Among the events of a batch as well.
        (
            &flat,
            r#"{"list":[{"type":"A"},{"type":"__x"}]}"#,
            "unknown control message",
            None,
        ),
    ] {
        let fields = payload(json);
        let texts = Texts::default();
        let decoded = decoder.decode(&fields, LIMIT, &texts).unwrap();
        let EntryContent::Control {
            reason: found,
            network: on,
            ..
        } = decoded
        else {
            panic!("{json}");
        };
        assert_eq!((found, on.as_deref()), (reason, network), "{json}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        fields in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..4),
        json in "[\\[\\]{}\",:0-9eE.+\\-a-z\\\\ ]{0,60}",
        cut in 0_usize..200,
    ) {
        let whole = r#"{"event_name":"Sale","network":"n","event_data":[{"a":{"b":["\u00e9",1]}}]}"#;
        let start: String = whole.chars().take(cut).collect();
        for format in [
            Format::rindexer(),
            Format::debezium(Payload::Single),
            Format::json(Payload::SingleName),
            Format::text(Payload::AllFields),
            Format::text(Payload::Single),
        ] {
            let decoder = format.compile().unwrap();
            for fields in [
                fields.clone(),
                payload(&json),
                payload(&start),
                payload(&(start.clone() + &json)),
            ] {
                let _ = decoder.decode(&fields, 100, &Texts::default());
                let _ = decoder.decode(&fields, LIMIT, &Texts::default());
            }
        }
    }
}
