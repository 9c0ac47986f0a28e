//! What publishers usually write that is not one plain value at one plain place.

use super::*;

fn debezium(on: On) -> Stream {
    Stream::new("rows", Format::debezium(Payload::field("payload"))).on(on)
}

fn json(on: On) -> Stream {
    Stream::json("own", Payload::field("payload")).on(on)
}

/// What is purged, and whether that is what the event names.
fn outcome(stream: Stream, json: &str) -> (Vec<String>, bool) {
    let reading = read(stream, json);
    (purged(&reading), reading.exactness == Exactness::Exact)
}

fn exact(targets: &[&str]) -> (Vec<String>, bool) {
    (targets.iter().map(ToString::to_string).collect(), true)
}

fn scope(targets: &[&str]) -> (Vec<String>, bool) {
    (targets.iter().map(ToString::to_string).collect(), false)
}

#[test]
fn safety_108_before_or_after_may_be_null() {
    let both = || {
        debezium(
            On::any()
                .purge("item:{before?.id}")
                .purge("item:{after?.id}"),
        )
    };
    for (json, expected) in [
        (
            r#"{"op":"c","before":null,"after":{"id":7}}"#,
            exact(&["t:item:7"]),
        ),
        (
            r#"{"op":"d","before":{"id":7},"after":null}"#,
            exact(&["t:item:7"]),
        ),
        (
            r#"{"op":"u","before":{"id":7},"after":{"id":8}}"#,
            exact(&["t:item:7", "t:item:8"]),
        ),
        // Without a row nothing is named, and the table has changed all the same.
        (r#"{"op":"t"}"#, scope(&["f:item"])),
        (r#"{"op":"u","before":null}"#, scope(&["f:item"])),
        // A message of the database is about no row.
        (r#"{"op":"m","message":{}}"#, exact(&[])),
        (
            r#"{"op":"u","before":null,"after":{"name":"x"}}"#,
            scope(&["f:item"]),
        ),
    ] {
        assert_eq!(outcome(both(), json), expected, "{json}");
    }
    let truncated = debezium(On::event("t").purge_family("rows"));
    assert_eq!(outcome(truncated, r#"{"op":"t"}"#), exact(&["f:rows"]));
}

#[test]
fn safety_108_a_path_that_finds_nothing_where_it_may_is_no_error() {
    let stream = json(On::any().purge("item:{id}").purge("parent:{parent?}"));
    assert_eq!(
        outcome(stream, r#"{"id":7,"parent":null}"#),
        exact(&["t:item:7"])
    );
    let alone = read(json(On::any().purge("parent:{parent?}")), "{}");
    assert_eq!(alone.ignored, ["names nothing to purge"]);
}

#[test]
fn safety_108_json_in_a_string_dotted_names_and_lists_of_events_in_a_string() {
    for (purge, event, expected) in [
        ("item:{body.id}", r#"{"body":"{\"id\":7}"}"#, "t:item:7"),
        (
            r#"item:{"a.b".id:int}"#,
            r#"{"a.b":{"id":"0x7"}}"#,
            "t:item:7",
        ),
        (r#"item:{"a:b"}"#, r#"{"a:b":7}"#, "t:item:7"),
    ] {
        let found = outcome(json(On::any().purge(purge)), event);
        assert_eq!(found, exact(&[expected]), "{purge}");
    }
    let format = Format::json(Payload::field("payload"))
        .events("Message.records")
        .event_name("type");
    let stream = Stream::new("sns", format).on(On::event("sold").purge("item:{id}"));
    let event = r#"{"Message":"{\"records\":[{\"type\":\"sold\",\"id\":1},{\"type\":\"seen\",\"id\":2}]}"}"#;
    assert_eq!(outcome(stream, event), exact(&["t:item:1"]));
    // The whole payload is JSON in a string.
    let format = Format::json(Payload::field("payload")).event_name("type");
    let stream = Stream::new("twice", format).on(On::event("sold").purge("item:{id}"));
    let event = r#""{\"type\":\"sold\",\"id\":1}""#;
    assert_eq!(outcome(stream, event), exact(&["t:item:1"]));
}

#[test]
fn safety_108_conditions_on_text_select() {
    let on = |when: &str| json(On::any().when(when).purge("item:{id}"));
    let event = r#"{"id":7,"op":"u","live":true,"to":null}"#;
    for (when, fits) in [
        (r#"op in ["c", "u"]"#, true),
        (r#"op not in ["d"]"#, true),
        (r#"op == "u""#, true),
        (r#"op == "c""#, false),
        ("live == true", true),
        (r#"to? == "x""#, false),
        (r#"to? != "x""#, true),
        (r#"gone? not in ["x"]"#, true),
        (r#"gone? in ["x"]"#, false),
        ("gone? > 1", false),
    ] {
        let expected = if fits {
            exact(&["t:item:7"])
        } else {
            exact(&[])
        };
        assert_eq!(outcome(on(when), event), expected, "{when}");
    }
    assert_eq!(outcome(on(r#"to == "x""#), event), scope(&["f:item"]));
}

#[test]
fn safety_108_a_family_is_purged_whole() {
    let stream = || {
        json(
            On::any()
                .purge_family("item")
                .purge_family("{table}")
                .purge("list"),
        )
    };
    assert_eq!(
        outcome(stream(), r#"{"table":"orders"}"#),
        exact(&["t:list", "f:item", "f:orders"])
    );
    assert_eq!(outcome(stream(), r#"{"table":"a:b"}"#), scope(&["*"]));
    let fixed = json(On::any().purge_family("item"));
    assert_eq!(outcome(fixed, "{"), scope(&["f:item"]));
    for on in [On::any().purge("item:*"), On::any().purge_family("item:7")] {
        assert!(json(on).compile().is_err());
    }
}

#[test]
fn safety_105_a_placeholder_purges_the_scope() {
    for event in [
        r#"{"id":"__debezium_unavailable_value"}"#,
        r#"{"id":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="}"#,
        r#"{"id":["__debezium_unavailable_value"]}"#,
        r#"{"id":"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565"}"#,
        r#"{"id":"a long text…truncated"}"#,
        r#"{"id":"null"}"#,
        r#"{"id":"undefined"}"#,
        r#"{"id":"****"}"#,
        r#"{"id":"n/a"}"#,
    ] {
        for purge in ["item:{id}", "item:{id?}"] {
            let format = Format::json(Payload::field("payload")).placeholder("n/a");
            let stream = Stream::new("s", format).on(On::any().purge(purge));
            let reading = read(stream, event);
            assert_eq!(purged(&reading), ["f:item"], "{event}");
            let Exactness::Unreadable(unreadable) = reading.exactness else {
                panic!("{event}");
            };
            assert_eq!(unreadable.reason, "placeholder", "{event}");
        }
    }
}

#[test]
fn safety_105_a_condition_or_name_with_a_placeholder_decides_nothing() {
    let read_as = |event: &str| {
        let format = Format::json(Payload::field("payload")).placeholder("n/a");
        let on = On::event("sold").when(r#"state in ["paid", "***"]"#);
        let stream = Stream::new("s", format.event_name("type")).on(on.purge("item:{id}"));
        purged(&read(stream, event))
    };
    for (state, expected) in [
        ("paid", &["t:item:7"][..]),
        ("***", &["t:item:7"]),
        ("draft", &[]),
        ("none", &[]),
        ("n/a", &["f:item"]),
        ("****", &["f:item"]),
        ("pa...", &["f:item"]),
        ("__debezium_unavailable_value", &["f:item"]),
    ] {
        let event = format!(r#"{{"type":"sold","id":7,"state":"{state}"}}"#);
        assert_eq!(read_as(&event), expected, "{state}");
    }
    for name in ["n/a", "__debezium_unavailable_value"] {
        let event = format!(r#"{{"type":"{name}","id":7,"state":"paid"}}"#);
        assert_eq!(read_as(&event), ["f:item"], "{name}");
    }
}

#[test]
fn safety_105_fields_with_json_values_are_read_without_their_quotes() {
    let read = |format: Format| {
        let stream = Stream::new("s", format).on(On::any().purge("item:{id}"));
        let fields = vec![(b"id".to_vec(), br#""7""#.to_vec())];
        let reading = stream.compile().unwrap().read("1-0", &fields);
        (purged(&reading), reading.exactness == Exactness::Exact)
    };
    assert_eq!(read(Format::json(Payload::AllFields)), exact(&["t:item:7"]));
    assert_eq!(read(Format::text(Payload::AllFields)), scope(&["f:item"]));
}
