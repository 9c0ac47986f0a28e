use super::*;

fn tip() -> Tip {
    Tip {
        position: Position::new(7, 3),
        replicas: 0,
    }
}

fn hash(fields: &[(&str, &str)]) -> Value {
    let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    let pairs = fields.iter();
    Value::Array(
        pairs
            .flat_map(|(field, value)| [text(field), text(value)])
            .collect(),
    )
}

#[test]
fn a_roll_is_read_as_it_was_written() {
    let entry = RollEntry {
        name: "ab".into(),
        lease: Duration::from_millis(1_500),
        beat: 9,
        position: Position::new(7, 2),
    };
    let value = node_value(&entry);
    let fields = [
        ("n:ab", &*value),
        ("p:ab", "7-2"),
        ("mark", "7"),
        ("token", "7-12"),
    ];
    let call = parse(hash(&fields), tip()).unwrap();
    assert_eq!(call.entries, [entry]);
    assert_eq!(call.head.mark, Some(Epoch::new(7)));
    let token = Token {
        epoch: Epoch::new(7),
        random: 12,
    };
    assert_eq!(call.head.token, Some(token));
    assert_eq!(token.to_string(), "7-12");
}

#[test]
fn an_empty_roll_is_one() {
    let call = parse(hash(&[]), tip()).unwrap();
    assert_eq!((call.head, call.entries), (RollHead::default(), Vec::new()));
}

#[test]
fn a_node_that_is_read_between_its_two_fields_has_acknowledged_nothing() {
    let call = parse(hash(&[("n:ab", "1 1000 9")]), tip()).unwrap();
    assert!(!call.entries[0].acknowledges(Position::new(7, 0)));
}

#[test]
fn what_is_not_ours_is_no_roll() {
    for fields in [
        &[("mark", "x")][..],
        &[("token", "7")],
        &[("n:ab", "1 1000"), ("p:ab", "7-2")],
        &[("n:ab", "1 1000 9"), ("p:ab", "later")],
        &[("p:ab", "7-2")],
        &[("somebody", "else")],
        &[("q:ab", "7-2")],
    ] {
        assert!(parse(hash(fields), tip()).is_none(), "{fields:?}");
    }
}

#[test]
fn a_later_version_may_say_more() {
    let fields = [("n:ab", "2 1000 9 zone=a"), ("p:ab", "7-2")];
    assert_eq!(parse(hash(&fields), tip()).unwrap().entries.len(), 1);
}
