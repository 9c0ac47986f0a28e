//! `[activity]` and `[[alerts]]`: what is read, what is refused with its line, and what is warned of.

use tower_tagcache::config::Loaded;

use super::{mistake, read};

/// A stream that announces sales and kicks.
const STREAM: &str = r#"
[[streams]]
name = "s"
format = "rindexer"
[[streams.on]]
event = "Sale"
announce = { type = "sale", subject = ["auction:{auction}"], fields = { amount = "paid", token = "token" } }
[[streams.on]]
event = "Kick"
announce = { type = "kick", subject = ["auction:{auction}"], fields = { kicker = "by" } }
"#;

/// What is advised about a file with that stream and `text`.
fn advised(text: &str) -> Vec<String> {
    let loaded = read(&format!("mode = \"mock\"\n{text}\n{STREAM}")).expect("it can be read");
    drop(loaded.build().expect("it can be built"));
    told(&loaded)
}

fn told(loaded: &Loaded) -> Vec<String> {
    let advice = loaded.advice();
    let line = |warning| loaded.line_of(warning).unwrap_or_default();
    let told = advice
        .iter()
        .map(|warning| format!("{}: {warning}", line(warning)));
    told.collect()
}

#[test]
fn every_form_of_activity_and_alerts_is_understood() {
    for text in [
        "[activity]",
        "[activity]\nentries = 1000\nsum = [\"amount\", \"fee\"]\nkeep = \"30d\"\nchannel = \"c\"",
        "[activity]\nsum = []\nkeep = \"1h\"",
        "[[alerts]]\nname = \"all\"",
        "[[alerts]]\nname = \"all\"\n[[alerts]]\nname = \"some\"",
        r#"
        [activity]
        [[alerts]]
        name = "big-sales"
        types = ["sale"]
        when = ["amount >= 1000.5", 'token in ["0xA0b8", "0xdAC1"]']
        decimals = { amount = { by = "token", of = { "0xA0b8" = 6 }, default = 18 } }
        limit = { alerts = 10, per = "1m" }
        message = "Sale of {amount} at {subject}"
        "#,
    ] {
        let loaded = read(text).unwrap_or_else(|error| panic!("{error:#}"));
        let (cache, _companion) = loaded.build().unwrap_or_else(|error| panic!("{error:#}"));
        assert!(cache.activity().is_some(), "{text}");
        // What is shown of it is a configuration that says the same.
        let effective = loaded.config.effective_text();
        let again = read(&effective).unwrap().config;
        assert_eq!(again.effective_text(), effective);
        assert_eq!(again.alerts, loaded.config.alerts);
    }
    let (cache, _companion) = read("").unwrap().build().unwrap();
    assert!(cache.activity().is_none());
}

const RULE: &str = "[[alerts]]\nname = \"big\"\n";

/// A file, `<rule>` in it standing for [`RULE`], and what is said about it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "[activty]",
        "t.toml:1:2: unknown key `activty`; did you mean `activity`?",
    ),
    (
        "[activity]\nentires = 5",
        "t.toml:2:1: unknown key `entires`; did you mean `entries`?",
    ),
    (
        "[activity]\nentries = 5",
        "t.toml:2:11: entries: not from 1000 to 50000 in \"5\"",
    ),
    (
        "[activity]\nkeep = \"90m\"",
        "t.toml:2:8: keep: not a whole number of hours, from 1h to 366d in \"90m\"",
    ),
    (
        "[activity]\nsum = [\"amount\", \"\"]",
        "t.toml:2:7: sum: no name of a field in \"\"",
    ),
    (
        "[activity]\nchannel = \"\"",
        "t.toml:2:11: channel: not 1 to 128 bytes long in \"\"",
    ),
    (
        "[[alerts]]\ntypes = []",
        "t.toml:1:1: the key `name` is missing",
    ),
    (
        "[[alerts]]\nname = \"a b\"",
        "t.toml:2:8: alert `a b`, name: not 1 to 64 ASCII letters, digits, `_`, `-` and `.` in \"a b\"",
    ),
    (
        "<rule><rule>",
        "t.toml:4:8: alert `big`, name: another alert has this name in \"big\"",
    ),
    (
        "<rule>webhook = [\"ops\"]",
        "t.toml:3:1: unknown key `webhook`; did you mean `webhooks`?",
    ),
    (
        "<rule>types = [\"sale\", \"a sale\"]",
        "t.toml:3:18: alert `big`, types: type of update \"a sale\" is not 1 to 64 ASCII letters, digits, `_`, `-` and \
         `.` in \"a sale\"",
    ),
    (
        "<rule>when = [\"amount > 1\", \"amount >= 1e18\"]",
        "t.toml:3:33: alert `big`, when: not a number (decimal, or hexadecimal after 0x); a text stands in quotes, after == \
         or != in \"amount >= 1e18\"",
    ),
    (
        "<rule>when = [\"amount > 1\"]\ndecimals = { amuont = 18 }",
        "t.toml:4:14: alert `big`, decimals: decimals of a field that no condition and no message reads; did you mean \
         `amount`? in \"amuont\"",
    ),
    (
        "<rule>when = [\"amount > 1\"]\ndecimals = { amount = 78 }",
        "t.toml:4:23: 78 is not a number of decimals from 0 to 77, or { by = \"token\", of = { \"0x...\" = 6 } }",
    ),
    (
        "<rule>push = true",
        "t.toml:3:8: alert `big`, push: nothing says who pushes: the table `push`, or `CacheBuilder::push` in \"true\"",
    ),
    (
        "<rule>webhooks = [\"ops\"]",
        "t.toml:3:13: alert `big`, webhooks: no webhook has this name; there are none in \"ops\"",
    ),
    (
        "<rule>limit = { alerts = 0, per = \"1m\" }",
        "t.toml:3:9: alert `big`, limit: no alert at all in \"0\"",
    ),
    (
        "<rule>limit = { alerts = 1, per = \"0s\" }",
        "t.toml:3:29: alert `big`, limit: no time at all in \"0s\"",
    ),
    (
        "<rule>message = \"Sale of {amount\"",
        "t.toml:3:20: alert `big`, message: unclosed `{` (a literal one is written `{{`) in \"Sale of {amount\"",
    ),
];

#[test]
fn each_mistake_is_told_with_its_line_and_column() {
    for (text, expected) in MISTAKES {
        let error = mistake(&text.replace("<rule>", RULE));
        assert_eq!(error.to_string(), *expected, "\n{text}\n{error:#}");
    }
}

#[test]
fn what_nothing_announces_is_warned_of() {
    let only = |text: &str| told(&read(text).unwrap());
    let both = only("[activity]\n[[alerts]]\nname = \"a\"\n[[alerts]]\nname = \"b\"");
    assert_eq!(both.len(), 2, "{both:#?}");
    assert!(
        both[0].starts_with("1: activity: no stream announces anything")
            && both[0].ends_with("nothing is kept"),
        "{both:#?}"
    );
    assert!(
        both[1].starts_with("3: alert `a`: no stream announces anything")
            && both[1].ends_with("no alert is ever raised"),
        "{both:#?}"
    );
    assert_eq!(only(""), [""; 0]);
    for good in [
        "[activity]",
        "[activity]\nsum = [\"amount\"]",
        "[[alerts]]\nname = \"a\"",
        "[[alerts]]\nname = \"a\"\nmessage = \"{type} of {subject}: {amount} by {kicker}\"",
        "[[alerts]]\nname = \"a\"\ntypes = [\"sale\", \"kick\"]\nwhen = [\"amount > 5\"]",
    ] {
        assert_eq!(advised(good), [""; 0], "{good}");
    }
}

#[test]
fn types_and_fields_that_nobody_tells_are_warned_of_with_what_was_meant() {
    for (text, expected) in [
        (
            "[activity]\nsum = [\"amuont\"]",
            "3: sum: no event that is announced tells a field `amuont` to add up; did you mean `amount`?",
        ),
        (
            "[[alerts]]\nname = \"a\"\ntypes = [\"sales\"]\nwhen = [\"whatever > 5\"]",
            "3: alert `a`: no event is announced as `sales`; did you mean `sale`?",
        ),
        (
            "[[alerts]]\nname = \"a\"\ntypes = [\"sale\", \"bid\"]",
            "3: alert `a`: no event is announced as `bid`; there are `kick`, `sale`",
        ),
        (
            "[[alerts]]\nname = \"a\"\ntypes = [\"sale\"]\nwhen = [\"amuont > 5\", \"amuont < 9\"]",
            "3: alert `a`: no event of the type sale tells a field `amuont`, which `when` reads, so that it is never \
             raised; did you mean `amount`?",
        ),
        (
            "[[alerts]]\nname = \"a\"\ntypes = [\"kick\"]\nmessage = \"{amount}\"",
            "3: alert `a`: no event of the type kick tells a field `amount`, which `message` reads, so that its message \
             has a `?` there; there are `kicker`",
        ),
        (
            "[[alerts]]\nname = \"a\"\nwhen = [\"amount > 5\"]\ndecimals = { amount = { by = \"tokn\", of = {} } }",
            "3: alert `a`: no event that is announced tells a field `tokn`, which `decimals` reads, so that amounts have \
             no known decimals; did you mean `token`?",
        ),
        (
            "[[alerts]]\nname = \"a\"\nwhen = ['type == \"sale\"']",
            "3: alert `a`: no event that is announced tells a field `type`, which `when` reads, so that it is never \
             raised; an update's type is asked for with `types`",
        ),
    ] {
        assert_eq!(advised(text), [expected], "{text}");
    }
}
