//! `[live]`: who may listen, whose secrets count, and what is wrong with a setting.

use tagcache::config::Assembly;
use tower_tagcache::config::ConfigFileError;

use super::{NamedFile, read};

const TOKEN: &str = "0123456789abcdef";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHERS: &str = "[proxy]\nlisten = [\"127.0.0.1:80\", \"0.0.0.0:81\"]\n";

fn assemble(text: &str, variables: &[(&str, &str)]) -> Result<Assembly, ConfigFileError> {
    let loaded = read(text, variables)?;
    loaded.assemble(loaded.file.config.cache_builder(), &values(variables))
}

/// The environment.
fn values<'v>(variables: &'v [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'v {
    |name| {
        let found = variables.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

/// Whether everybody may listen; an error, as it is told.
fn is_open(text: &str, variables: &[(&str, &str)]) -> Result<Option<bool>, String> {
    let loaded = read(text, variables).map_err(|error| error.to_string())?;
    let settings = loaded.live_settings(&values(variables));
    let settings = settings.map_err(|error| error.to_string())?;
    Ok(settings.expect("there are live updates").open)
}

/// A key of `[live]`, and what is said about it: always with its line.
const MISTAKES: &[(&str, &str)] = &[
    ("opne = true", "unknown key `opne`; did you mean `open`?"),
    (
        "open = \"yes\"",
        "the text \"yes\" where true or false is expected",
    ),
    (
        "open = false",
        "open: nobody could listen: set `token` or `ticket_key`, or `open` for everybody in \"false\"",
    ),
    (
        "token = \"tiny\"",
        "token: is shorter than 16 characters in \"***\"",
    ),
    (
        "ticket_key = \"tiny\"",
        "ticket_key: is shorter than 32 bytes in \"***\"",
    ),
    ("token_file = \"/none/t\"", "token_file: cannot be read: "),
    (
        "ticket_key_file = \"/none/t\"",
        "ticket_key_file: cannot be read: ",
    ),
    (
        "origins = [\"a.example\"]",
        "origins: not an origin as browsers write it",
    ),
    ("path = \"events\"", "path: not a path such as /events"),
    ("event = \"resync\"", "event: is the name of another event"),
    (
        "event = \"position\"",
        "event: is the name of another event",
    ),
    (
        "subjects = [\"\"]",
        "subjects: not like `auction:{address}`",
    ),
    ("subjects = []", "subjects: names nothing"),
    ("connections = 0", "connections: not above zero"),
    ("connections = -1", "the number -1 where a whole number"),
    (
        "connections_per_address = 0",
        "connections_per_address: not above zero",
    ),
    (
        "keep_alive = \"1ms\"",
        "keep_alive: not between 10ms and 1h",
    ),
    ("keep_alive = \"soon\"", ""),
    ("retry = \"2h\"", "retry: not between 10ms and 1h"),
    (
        "trusted_proxies = [\"10.0.0.0/8\"]",
        "unknown key `trusted_proxies`",
    ),
];

#[test]
fn each_bad_key_is_told_with_its_line() {
    for (line, expected) in MISTAKES {
        let text = format!("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[live]\n{line}\n");
        let error = assemble(&text, &[]).expect_err(line);
        assert!(
            error.message().starts_with(expected) || error.to_string().contains(expected),
            "{line}: {error:#}"
        );
        assert_eq!(error.line(), Some(4), "{line}: {error:#}");
        let shown = format!("{error} {error:#} {error:?}");
        assert!(!shown.contains("tiny"), "{shown}");
    }
}

#[test]
fn who_may_listen_is_everybody_on_this_machine_or_has_to_be_said() {
    assert_eq!(is_open("[live]", &[]), Ok(Some(true)));
    let here = "[proxy]\nlisten = [\"[::1]:80\", \"127.0.0.2:81\"]\n[live]";
    assert_eq!(is_open(here, &[]), Ok(Some(true)));
    let refused = is_open(&format!("{OTHERS}[live]\npath = \"/e\"\n"), &[]).unwrap_err();
    assert!(
        refused.starts_with("t.toml:3:1: open: nobody says who may listen to live updates")
            && refused.contains("`open = true`")
            && refused.ends_with("\"0.0.0.0:81\""),
        "{refused}"
    );
    let said = format!("{OTHERS}[live]\nopen = true\n");
    assert_eq!(is_open(&said, &[]), Ok(Some(true)));
    // Whoever has a secret has said who may listen.
    for more in [
        format!("token = \"{TOKEN}\""),
        format!("ticket_key = \"{KEY}\""),
    ] {
        let text = format!("{OTHERS}[live]\n{more}\n");
        assert_eq!(is_open(&text, &[]), Ok(None), "{more}");
        assert_eq!(is_open(&format!("[live]\n{more}\n"), &[]), Ok(None));
    }
    let variables = [("TAGCACHE_LIVE_TOKEN", TOKEN)];
    assert_eq!(is_open(&format!("{OTHERS}[live]\n"), &variables), Ok(None));
}

#[test]
fn open_to_others_is_warned_of_and_so_are_rules_that_are_never_asked() {
    let rule = |name: &str, route: &str| {
        format!("[[rules]]\nname = \"{name}\"\nroute = \"{route}\"\nttl = \"1s\"\n")
    };
    let rules = [
        rule("one", "/events/auction/{id}"),
        rule("all", "/events"),
        rule("rest", "/events/market/{*rest}"),
        rule("short", "/events/{id}"),
        rule("other", "/eventsx"),
        rule("any", "/{*path}"),
    ];
    let warned = |text: &str| {
        let assembly = assemble(text, &[]).unwrap();
        let told = assembly.warnings.iter().map(ToString::to_string);
        told.collect::<Vec<_>>()
    };
    let text = format!("{OTHERS}[live]\nopen = true\n{}", rules.concat());
    let told = warned(&text);
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(told[0].starts_with("open: whoever can connect to 0.0.0.0:81 may listen"));
    for (told, name) in told[1..].iter().zip(["one", "all", "rest", "short"]) {
        assert!(
            told.starts_with(&format!("rule `{name}`: live updates")),
            "{told}"
        );
    }
    assert_eq!(warned("[live]\nopen = true\n"), [""; 0]);
    let guarded = format!("{OTHERS}[live]\ntoken = \"{TOKEN}\"\n");
    assert_eq!(warned(&guarded), [""; 0]);
    let loaded = read(&text, &[]).unwrap();
    let warnings = assemble(&text, &[]).unwrap().warnings;
    assert_eq!(loaded.file.line_of(&warnings[0]), Some(4));
}

#[test]
fn a_secret_of_the_environment_beats_the_file_which_beats_the_key() {
    let (token, key) = (
        NamedFile::with("fedcba9876543210\n"),
        NamedFile::with("tiny\n"),
    );
    let secrets = |text: &str, variables: &[(&str, &str)]| {
        let loaded = read(text, variables).unwrap();
        let settings = loaded.live_settings(&values(variables)).unwrap().unwrap();
        settings.token.map(|token| token.0)
    };
    let written = format!("[live]\ntoken = \"{TOKEN}\"\n");
    let both = format!("{written}token_file = \"{}\"\n", token.path());
    assert_eq!(secrets(&written, &[]).as_deref(), Some(TOKEN));
    assert_eq!(secrets(&both, &[]).as_deref(), Some("fedcba9876543210"));
    let variables = [("TAGCACHE_LIVE_TOKEN", " aaaabbbbccccdddd ")];
    assert_eq!(
        secrets(&both, &variables).as_deref(),
        Some("aaaabbbbccccdddd")
    );
    assert_eq!(
        secrets(&both, &[("TAGCACHE_LIVE_TOKEN", " ")]).as_deref(),
        Some("fedcba9876543210")
    );
    // A bad one is told where it is, and not shown.
    let text = format!("[live]\nticket_key_file = \"{}\"\n", key.path());
    let error = assemble(&text, &[]).unwrap_err();
    let expected = "t.toml:2:19: ticket_key_file: is shorter than 32 bytes in ";
    assert!(error.to_string().starts_with(expected), "{error}");
    let error = assemble(&text, &[("TAGCACHE_LIVE_TICKET_KEY", "small")]).unwrap_err();
    assert_eq!(error.origin(), "TAGCACHE_LIVE_TICKET_KEY");
    assert!(!format!("{error:#} {error:?}").contains("small"), "{error}");
}

#[test]
fn what_is_in_effect_has_the_settings_and_no_secret() {
    let text = format!("[live]\ntoken = \"{TOKEN}\"\nticket_key = \"{KEY}\"\n");
    let loaded = read(&text, &[]).unwrap();
    let shown = loaded.effective_text();
    for line in [
        "[live]",
        "token = \"***\"",
        "ticket_key = \"***\"",
        "path = \"/events\"",
        "event = \"auction_update\"",
        "connections = 10000",
        "keep_alive = \"15s\"",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let shown = format!("{shown} {:?} {:?}", loaded.tables, loaded.file.config);
    assert!(!shown.contains("0123456789"), "{shown}");
    let without = read("", &[]).unwrap();
    assert!(assemble("", &[]).unwrap().live.is_none());
    assert!(!without.effective_text().contains("[live]"));
}

#[test]
fn the_schema_describes_each_key() {
    let schema = tagcache::config::schema();
    let live = &schema["$defs"]["LiveSettings"]["properties"];
    for key in [
        "open",
        "token",
        "token_file",
        "ticket_key",
        "ticket_key_file",
        "origins",
        "path",
        "event",
        "subjects",
        "connections",
        "connections_per_address",
        "keep_alive",
        "retry",
    ] {
        assert!(live[key]["description"].is_string(), "{key}: {live:#}");
    }
    assert!(live["trusted_proxies"].is_null());
    assert!(schema["properties"]["live"].is_object());
}
