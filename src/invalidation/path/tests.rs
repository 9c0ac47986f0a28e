use super::*;
use crate::invalidation::node::parse;

fn found(path: &str, json: &str) -> Option<Vec<String>> {
    let node = Node::new(parse(json).unwrap());
    let values = Path::parse(path).unwrap().values(&node).ok()?;
    Some(values.into_iter().map(Into::into).collect())
}

fn one(text: &str) -> Option<Vec<String>> {
    Some(vec![text.to_owned()])
}

const NOTHING: Option<Vec<String>> = Some(Vec::new());

#[test]
fn values_are_found_by_path() {
    for (name, path, json, expected) in [
        ("member", "a", r#"{"a":"x"}"#, one("x")),
        ("nested", "a.b", r#"{"a":{"b":"x"}}"#, one("x")),
        ("escapes", "a", r#"{"a":"x\u0041"}"#, one("xA")),
        ("boolean", "a", r#"{"a":true}"#, one("true")),
        ("number", "a", r#"{"a":1}"#, one("1")),
        ("number as string", "a", r#"{"a":"1"}"#, one("1")),
        (
            "number past 64 bits keeps its digits",
            "a",
            r#"{"a":100000000000000000000000000001}"#,
            one("100000000000000000000000000001"),
        ),
        ("minus zero", "a", r#"{"a":-0}"#, one("0")),
        ("fraction", "a", r#"{"a":1.0}"#, None),
        ("exponent", "a", r#"{"a":1e3}"#, None),
        ("null", "a", r#"{"a":null}"#, None),
        ("object", "a", r#"{"a":{}}"#, None),
        ("absent", "b", r#"{"a":1}"#, None),
        ("below a string", "a.b", r#"{"a":"x"}"#, None),
        ("place in a list", "a.1", r#"{"a":[1,2]}"#, one("2")),
        ("place past the end", "a.2", r#"{"a":[1,2]}"#, None),
        ("empty list", "a", r#"{"a":[]}"#, NOTHING),
        ("not an object", "a", "[1]", None),
    ] {
        assert_eq!(found(path, json), expected, "{name}");
    }
}

#[test]
fn path_through_a_list_finds_each_element() {
    let json = r#"{"fills":[{"taker":"a"},{"taker":"b"}],"all":["c","d"]}"#;
    let both = |a: &str, b: &str| Some(vec![a.to_owned(), b.to_owned()]);
    assert_eq!(found("fills.taker", json), both("a", "b"));
    assert_eq!(found("all", json), both("c", "d"));
    // One element without it: no value at all, rather than some of them.
    assert_eq!(found("f.t", r#"{"f":[{"t":"a"},{}]}"#), None);
}

#[test]
fn safety_108_an_optional_path_may_find_nothing_where_it_says_so() {
    let update = r#"{"before":null,"after":{"id":7,"tag":null}}"#;
    for (path, json, expected) in [
        ("before.id?", update, NOTHING),
        ("before?.id", update, NOTHING),
        ("before.id", update, None),
        ("after.id?", update, one("7")),
        ("after?.id", update, one("7")),
        ("after.tag?", update, NOTHING),
        ("after.absent?", update, NOTHING),
        // Only what stands before the mark may be missing.
        ("after?.absent", update, None),
        ("before?.id", "{}", NOTHING),
        ("before?.id", r#"{"before":{"id":null}}"#, None),
        ("before?.id", r#"{"before":"x"}"#, None),
        ("before?.id", r#"{"before":{"id":1.5}}"#, None),
        ("ids.3?", r#"{"ids":[1]}"#, NOTHING),
        ("ids?", r#"{"ids":[1,null]}"#, None),
        ("rows.id?", r#"{"rows":[{"id":1},{},{"id":3}]}"#, {
            Some(vec!["1".to_owned(), "3".to_owned()])
        }),
    ] {
        assert_eq!(found(path, json), expected, "{path} in {json}");
    }
}

#[test]
fn safety_108_json_in_a_string_is_read() {
    let json = r#"{"data":"{\"id\":7,\"deep\":\"{\\\"x\\\":\\\"y\\\"}\"}","ids":"[1,2]",
        "text":"plain","twice":"\"{}\"","bomb":"[[1]]"}"#;
    for (path, expected) in [
        ("data.id", one("7")),
        ("data.@json.id", one("7")),
        ("data.deep.x", one("y")),
        ("data.@json.deep.@json.x", one("y")),
        ("ids", one("[1,2]")),
        ("ids.@json", Some(vec!["1".to_owned(), "2".to_owned()])),
        ("ids.1", one("2")),
        ("text.id", None),
        ("text.@json", None),
        ("twice.id", None),
        ("data.gone?", NOTHING),
        ("data.gone?.x", NOTHING),
    ] {
        assert_eq!(found(path, json), expected, "{path}");
    }
    let deep = format!(r#"{{"a":"{}1{}"}}"#, "[".repeat(65), "]".repeat(65));
    assert_eq!(found("a.@json", &deep), None);
}

#[test]
fn safety_108_a_quoted_name_is_taken_as_it_is() {
    let json = r#"{"a.b":{"c":1},"id?":2,"@json":3,"q\"q":4,"rows":[{"0":5}],"\\":6}"#;
    for (path, expected) in [
        (r#""a.b".c"#, one("1")),
        (r#""id?""#, one("2")),
        (r#""@json""#, one("3")),
        (r#""q\"q""#, one("4")),
        (r#"rows."0""#, one("5")),
        (r#""\\""#, one("6")),
        (r#""gone.x"?"#, NOTHING),
        (r#""gone.x"?.y"#, NOTHING),
        ("a.b.c", None),
    ] {
        assert_eq!(found(path, json), expected, "{path}");
    }
}

#[test]
fn safety_105_a_placeholder_is_no_value_and_not_nothing() {
    let bytes: Vec<String> = b"__debezium_unavailable_value"
        .iter()
        .map(ToString::to_string)
        .collect();
    let ints = format!("[{}]", bytes.join(","));
    for json in [
        r#""__debezium_unavailable_value""#,
        r#""X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==""#,
        r#"["__debezium_unavailable_value"]"#,
        r#"{"__debezium_unavailable_value":"__debezium_unavailable_value"}"#,
        &ints,
    ] {
        let json = format!(r#"{{"a":{json}}}"#);
        let node = Node::new(parse(&json).unwrap());
        for path in ["a?", "a.b?"] {
            let values = Path::parse(path).unwrap().values(&node);
            // Below a text or a list of texts there is nothing that could be optional.
            assert!(values.is_err(), "{path} in {json}: {values:?}");
        }
    }
}

#[test]
fn fields_hold_text_or_json() {
    let fields = vec![("id", "7"), ("value", r#"{"a":{"b":9}}"#), ("x", "1")];
    let node = Node::Fields {
        named: fields,
        json: false,
    };
    let value = |path: &str| Path::parse(path).unwrap().value(&node);
    assert_eq!(value("id").as_deref(), Some("7"));
    assert_eq!(value("value.a.b").as_deref(), Some("9"));
    assert_eq!(value("value.@json.a.b").as_deref(), Some("9"));
    assert_eq!(value("id.b"), None);
    let twice = Node::Fields {
        named: vec![("id", "7"), ("id", "8")],
        json: false,
    };
    assert_eq!(Path::parse("id").unwrap().value(&twice), None);
    assert!(Path::parse("id?").unwrap().values(&twice).is_err());
}

#[test]
fn safety_105_a_field_in_json_quotes_is_read_or_told() {
    let found = |path: &str, json: bool| {
        let named = vec![
            ("id", r#""7""#),
            ("ids", "[1,2]"),
            ("plain", "c"),
            ("gone", "null"),
            ("empty", ""),
            ("bad", "\"x"),
        ];
        let node = Node::Fields { named, json };
        let values = Path::parse(path).unwrap().values(&node).ok()?;
        Some(values.into_iter().map(Into::into).collect::<Vec<String>>())
    };
    for (path, as_json, as_text) in [
        ("id", one("7"), None),
        ("ids", Some(vec!["1".into(), "2".into()]), one("[1,2]")),
        ("plain", one("c"), one("c")),
        ("gone", None, one("null")),
        ("gone?", NOTHING, NOTHING),
        ("empty?", NOTHING, NOTHING),
        ("absent?", NOTHING, NOTHING),
        ("bad", None, one("\"x")),
    ] {
        assert_eq!(found(path, true), as_json, "{path} as JSON");
        assert_eq!(found(path, false), as_text, "{path} as text");
    }
}

#[test]
fn bad_paths_are_refused() {
    for path in [
        "", "a..b", ".a", "a.", "$", "$a", "$.", " a", "a. b", "?", "a.?", "\"a", "\"\"", "\"a\"b",
        "\"a\".",
    ] {
        assert!(Path::parse(path).is_err(), "{path:?}");
    }
}
