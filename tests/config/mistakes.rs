//! Files that cannot be used, and the one line that says so.

use tower_tagcache::config::Config;

use super::{mistake, read};

const RULE: &str = "[[rules]]\nname = \"a\"\nroute = \"/a/{id}\"\n";

const ANNOUNCE: &str = "[[streams]]\nname = \"s\"\nformat = \"debezium\"\n[[streams.on]]\npurge = [\"a\"]\n[streams.on.announce]\n";

/// A file, `<rule>` and `<announce>` in it standing for [`RULE`] and [`ANNOUNCE`], and what is said about it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "mode = \"dev",
        "t.toml:1:12: invalid basic string, expected `\"`",
    ),
    (
        "moed = \"dev\"",
        "t.toml:1:1: unknown key `moed`; did you mean `mode`?",
    ),
    (
        "mode = \"development\"",
        "t.toml:1:8: unknown word `development`; known are `dev`, `prod`, `mock`",
    ),
    ("mode = 5", "t.toml:1:8: expected a word or a table"),
    (
        "mode = \"dev\"\nmode = \"prod\"",
        "t.toml:2:1: duplicate key",
    ),
    (
        "[rules]\nname = \"a\"",
        "t.toml:1:1: a table where a list is expected; a list of tables is written `[[name]]`",
    ),
    (
        "[[rules]]\nroute = \"/\"",
        "t.toml:1:1: the key `name` is missing",
    ),
    (
        "[redis]\nurl = \"rediss://h\"\n[redis.tls]\nca_file = \"/nowhere.pem\"",
        "t.toml:4:11: ca_file: cannot be read: No such file or directory (os error 2) in \"/nowhere.pem\"",
    ),
    (
        "[redis]\nurl = \"rediss://h\"\ntls = { certificate_file = \"/nowhere.pem\" }",
        "t.toml:3:28: certificate_file: needs its private key, as `key_file` in \"/nowhere.pem\"",
    ),
    (
        "[redis]\nurl = \"rediss://h\"\ntls = { cafile = \"/nowhere.pem\" }",
        "t.toml:3:9: unknown key `cafile`; did you mean `ca_file`?",
    ),
    (
        "[redis]\nurl = \"redis://h\"\n[redis.tls]\nserver_name = \"a\"",
        "t.toml:3:1: tls: is for TLS, which the URL does not ask for: write rediss:// there in \"redis://h\"",
    ),
    (
        "[redis]\nurl = \"localhost\"",
        "t.toml:2:7: redis url: redis url did not parse in \"localhost\"",
    ),
    (
        "[redis]\nnamespace = \"a b\"\nurl = \"redis://h\"",
        "t.toml:2:15: redis namespace: must not have a brace, a space or a control character in \"a b\"",
    ),
    (
        "[redis]\nurl = \"redis://h\"\nmax_connections = 3",
        "t.toml:3:19: max_connections: fewer than the 4 needed: four, two for each stream, and one for activity in \"3\"",
    ),
    (
        "[[streams]]\nname = \"s\"\nformat = \"debezium\"\nbatch = 0\n[[streams.on]]\npurge = [\"a\"]",
        "t.toml:4:9: stream `s`, batch: not between 1 and 1000 in \"0\"",
    ),
    (
        "[[streams]]\nname = \"s\"\nformat = \"debezium\"\nclaim_after = \"1ms\"\n[[streams.on]]\npurge = [\"a\"]",
        "t.toml:4:15: stream `s`, claim_after: not between 10ms and 1h in \"1ms\"",
    ),
    (
        "[[streams]]\nname = \"s\"\nformat = \"debezium\"\naway = \"2d\"\n[[streams.on]]\npurge = [\"a\"]",
        "t.toml:4:8: stream `s`, away: not between 100ms and 24h in \"2d\"",
    ),
    (
        "[[streams]]\nname = \"s\"\nformat = \"debezium\"\n[[streams.on]]\npurge = [\"a:{before..id}\"]",
        "t.toml:5:14: stream `s`, on any event, tag: empty name in the path `before..id` in \"a:{before..id}\"",
    ),
    (
        "[[streams]]\nname = \"s\"\nformat = \"debezium\"\n[[streams.on]]\npurge = [\"a:*\"]",
        "t.toml:5:10: stream `s`, on any event, purge: a tag with a star is a tag like others; the whole family is purged by purge_family `a` in \"a:*\"",
    ),
    (
        "[[streams]]\nname = \"s\"\nformat = \"debezium\"\n[[streams.on]]\npurge_family = [\"a:b\"]",
        "t.toml:5:17: stream `s`, on any event, purge_family: a family is what stands before the first colon of a tag in \"a:b\"",
    ),
    (
        "[[streams]]\nname = \"s\"\nformat = \"debezium\"\n[[streams.on]]\nwhen = ['op in [c]']\npurge = [\"a\"]",
        "t.toml:5:16: stream `s`, on any event, when: `c` is neither a whole number nor a text in quotes in \"op in [c]\"",
    ),
    (
        "[[streams]]\nname = \"s\"\nformat = \"debezium\"\n[[streams.on]]\nevent = \"c\"",
        "t.toml:5:9: stream `s`, on `c`: nothing is purged and nobody is told in \"c\"",
    ),
    (
        "<announce>subject = [\"a\"]",
        "t.toml:6:1: the key `type` is missing",
    ),
    (
        "<announce>type = \"sale\"",
        "t.toml:6:1: the key `subject` is missing",
    ),
    (
        "<announce>type = \"sale\"\nsubject = []",
        "t.toml:7:8: stream `s`, on any event, announce subject: an update needs a subject in \"sale\"",
    ),
    (
        "<announce>type = \"a sale\"\nsubject = [\"a\"]",
        "t.toml:7:8: stream `s`, on any event, announce type: type of update \"a sale\" is not 1 to 64 ASCII letters, digits, `_`, `-` and `.` in \"a sale\"",
    ),
    (
        "<announce>type = \"sale\"\nsubject = [\"a\", \"a:{after.id\"]",
        "t.toml:8:20: stream `s`, on any event, announce subject: unclosed `{` (a literal one is written `{{`) in \"a:{after.id\"",
    ),
    (
        "<announce>type = \"sale\"\nsubject = [\"a\"]\nfields = { amount = \"after..paid\" }",
        "t.toml:9:21: stream `s`, on any event, announce fields: empty name in the path `after..paid` in \"after..paid\"",
    ),
    (
        "<announce>type = \"sale\"\nsubject = [\"a\"]\nfields = { amount = 5 }",
        "t.toml:9:21: the number 5 where a text in quotes is expected",
    ),
    (
        "<announce>type = \"sale\"\nsubject = [\"a\"]\nidentity = \"sale\"",
        "t.toml:9:12: stream `s`, on any event, announce identity: no placeholder: all events would have one identity, and only the first would be told in \"sale\"",
    ),
    (
        "<announce>type = \"sale\"\nsubjects = [\"a\"]",
        "t.toml:8:1: unknown key `subjects`; did you mean `subject`?",
    ),
    (
        "<rule>lifetime_jitter = 60",
        "t.toml:4:19: rule `a`, lifetime_jitter: takes away more than 50 % of a lifetime in \"60\"",
    ),
    (
        "<rule>refresh_early = -1.0",
        "t.toml:4:17: rule `a`, refresh_early: a factor above 0 is needed, and at most 100 in \"-1\"",
    ),
    (
        "<rule>after_parameter = true\ntags = [\"t:{query.after}\"]",
        "t.toml:4:19: rule `a`, after_parameter: a tag reads this query parameter, which the rule leaves out of the key in \"after\"",
    ),
    (
        "<rule>headers = [\"Cache-After\"]",
        "t.toml:4:12: rule `a`, header: `Cache-After` selects no response in \"Cache-After\"",
    ),
    (
        "<rule>forward_limit = 0",
        "t.toml:4:17: rule `a`, forward_limit: forwards nothing (disable the rule to forward without a cache) in \"0\"",
    ),
    (
        "<rule>fleet_coalesce = \"1m\"",
        "t.toml:4:18: rule `a`, fleet_coalesce: longer than the 30s for which a claim holds in \"1m\"",
    ),
    (
        "[cache]\nlease = \"5ms\"",
        "t.toml:2:9: lease: shorter than 30 ms, which no heartbeat can keep in \"5ms\"",
    ),
    (
        "[cache]\nlease = \"0s\"",
        "t.toml:2:9: lease: shorter than 30 ms, which no heartbeat can keep in \"0s\"",
    ),
    (
        "<rule>[cache]\nstore_bytes = 100",
        "t.toml:5:15: rule `a`, store bytes: fewer than 65536 bytes hold no response in \"100\"",
    ),
    (
        "<rule>fleet_coalesce = \"16s\"",
        "t.toml:4:18: rule `a`, fleet_coalesce: longer than half of the 30s that a request waits for others in \"16s\"",
    ),
    (
        "<rule>stale_while_revalidate = \"25h\"",
        "t.toml:4:26: rule `a`, stale_while_revalidate: longer than the lifetime ceiling of 24h in \"25h\"",
    ),
    (
        "<rule>ttl = \"9000000000y\"",
        "t.toml:4:7: rule `a`, ttl: longer than the lifetime ceiling of 24h in \"9000000000y\"",
    ),
    (
        "[redis]\nmax_connections = \"9\"",
        "t.toml:2:19: the text \"9\" where a whole number, not negative and not too large, is expected",
    ),
    (
        "<rule>tll = \"5s\"",
        "t.toml:4:1: unknown key `tll`; did you mean `ttl`?",
    ),
    (
        "<rule>ttl = \"5\"",
        "t.toml:4:7: \"5\" is not \"default\", \"long\", \"short\", or a time with its unit such as \"10s\"",
    ),
    (
        "<rule>ttl = 5",
        "t.toml:4:7: 5 is not \"default\", \"long\", \"short\", or a time such as \"10s\"",
    ),
    (
        "<rule>ttl = \"25h\"",
        "t.toml:4:7: rule `a`, ttl: longer than the lifetime ceiling of 24h in \"25h\"",
    ),
    (
        "<rule>ttl_for = { 99 = \"5s\" }",
        "t.toml:4:13: \"99\" is not a status such as 404 or a class such as \"4xx\"",
    ),
    (
        "<rule>ttl_for = { 304 = \"5s\" }",
        "t.toml:4:13: rule `a`, ttl_for: a status that answers one request and is never stored in \"304\"",
    ),
    (
        "<rule>query = \"some\"",
        "t.toml:4:9: unknown word `some`; known are `all`, `sorted`, `ignore`, `allow`, `deny`",
    ),
    (
        "<rule>query = { alow = [\"a\"] }",
        "t.toml:4:11: unknown word `alow`; did you mean `allow`?",
    ),
    (
        "<rule>query = { allow = [\"a*b\"] }",
        "t.toml:4:22: rule `a`, query: `*` before the end in \"a*b\"",
    ),
    (
        "<rule>cookies = \"yes\"",
        "t.toml:4:11: \"yes\" is not \"bypass\", \"ignore\" or { ignore = [...], key = [...] }",
    ),
    (
        "<rule>cookies = { ignor = [] }",
        "t.toml:4:13: unknown key `ignor`; did you mean `ignore`?",
    ),
    (
        "<rule>body_limit = \"5 XB\"",
        "t.toml:4:14: \"5 XB\" is not a number of bytes, such as 65536 or \"64 KiB\"",
    ),
    (
        "<rule>headers = [\"a\", \"no good\"]",
        "t.toml:4:17: rule `a`, header: no header name in \"no good\"",
    ),
    (
        "<rule>tags = [\"x\", \"auction:{address}\"]",
        "t.toml:4:24: rule `a`, tag: unknown capture `address` (the route has `id`) in \"auction:{address}\"",
    ),
    (
        "<rule>tags = [\"auction:{id\"]",
        "t.toml:4:18: rule `a`, tag: unclosed `{` (a literal one is written `{{`) in \"auction:{id\"",
    ),
    (
        "<rule>client = { set = \"\\u0001\" }",
        "t.toml:4:18: rule `a`, client: no header value in \"\\u{1}\"",
    ),
    (
        "<rule><rule>",
        "t.toml:5:8: rules: rules 1 and 2 have the same name in \"a\"",
    ),
    (
        "[[rules]]\nname = \"a\"\nroute = \"/a/{id\"\n",
        "t.toml:3:13: rule `a`, route: unclosed `{` (a literal one is written `{{`) in \"/a/{id\"",
    ),
];

#[test]
fn each_mistake_is_told_with_its_line_and_column() {
    for (text, expected) in MISTAKES {
        let text = text.replace("<rule>", RULE).replace("<announce>", ANNOUNCE);
        let error = mistake(&text);
        assert_eq!(error.to_string(), *expected, "\n{text}\n{error:#}");
    }
}

#[test]
fn the_line_is_quoted_and_the_place_marked() {
    let error = mistake(&format!(
        "# é\n{RULE}tags = [\"ü\", \"auction:{{address}}\"]\n"
    ));
    let expected = [
        "t.toml:5:24: rule `a`, tag: unknown capture `address` (the route has `id`) in \"auction:{address}\"",
        "  |",
        "5 | tags = [\"ü\", \"auction:{address}\"]",
        "  |                        ^",
    ];
    assert_eq!(format!("{error:#}"), expected.join("\n"));
    assert_eq!((error.line(), error.column()), (Some(5), Some(24)));
    let error = mistake(&format!("{RULE}tll = \"5s\"\n"));
    assert_eq!(error.help(), Some("did you mean `ttl`?"));
    assert!(format!("{error:#}").ends_with("4 | tll = \"5s\"\n  | ^^^ did you mean `ttl`?"));
}

#[test]
fn a_password_or_token_is_never_shown() {
    for text in [
        "[redis]\nurl = \"redis://:hunter2@h:x\"",
        "[redis]\nurl = \"http://user:hunter2@h\"",
        "[redis]\nur = \"redis://:hunter2@h\"",
        "[redis]\nurl = \"redis://:hunter2@h",
        "[redis]\nurl = [\"redis://:hunter2@h\"]",
    ] {
        let error = mistake(text);
        let shown = format!("{error} {error:#} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn what_is_secret_is_not_in_the_debug_form_either() {
    let loaded = read("[redis]\nurl = \"redis://:hunter2@h\"").unwrap();
    let shown = format!("{:?}", loaded.config);
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_file_that_is_not_there_is_told_in_one_line() {
    let path = std::path::Path::new("/nowhere/t.toml");
    let error = Config::load(Some(path), &|_| None).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("/nowhere/t.toml: cannot be read: "),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1);
}
