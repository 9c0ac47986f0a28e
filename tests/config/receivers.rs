//! `[[webhooks]]`, `[outgoing]` and `[push]`: what is read, what is refused with its line, and what is warned of.

use tower_tagcache::config::Loaded;

use super::{mistake, read};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const FILE: &str = r#"
[[alerts]]
name = "big"
webhooks = ["ops"]
[[webhooks]]
name = "ops"
url = "https://hooks.example.org/hunter2"
secrets = ["0123456789abcdef0123456789abcdef"]
timeout = "5s"
[outgoing]
hosts = ["hooks.example.org"]
connect_timeout = "1s"
"#;

fn advised(loaded: &Loaded) -> Vec<String> {
    let advice = loaded.advice();
    let line = |warning| loaded.line_of(warning).unwrap_or_default();
    let told = advice.iter().map(|one| format!("{}: {one}", line(one)));
    let told = told.filter(|told| !told.contains("no stream announces"));
    told.collect()
}

#[test]
fn webhooks_are_read_used_and_shown_without_their_secrets() {
    let loaded = read(FILE).unwrap_or_else(|error| panic!("{error:#}"));
    let (cache, _companion) = loaded.build().unwrap_or_else(|error| panic!("{error:#}"));
    let told = cache.explain_alerts()[0].to_string();
    assert!(told.contains("ops"), "{told}");
    assert_eq!(advised(&loaded), [""; 0]);
    let shown = loaded.config.effective_text();
    for line in [
        "[[webhooks]]",
        "name = \"ops\"",
        "url = \"***\"",
        "secrets = [\"***\"]",
        "timeout = \"5s\"",
        "[outgoing]",
        "allow_plain = false",
        "hosts = [\"hooks.example.org\"]",
        "connect_timeout = \"1s\"",
        "timeout = \"10s\"",
    ] {
        assert!(shown.contains(&format!("{line}\n")), "{line}\n{shown}");
    }
    assert_eq!(read(&shown).unwrap().config.effective_text(), shown);
    let shown = format!("{shown} {:?}", loaded.config);
    assert!(
        !shown.contains("hunter2") && !shown.contains(SECRET),
        "{shown}"
    );
    // Who says nothing has none of it.
    let shown = read("").unwrap().config.effective_text();
    assert!(!shown.contains("outgoing") && !shown.contains("webhooks"));
}

/// A file, `<hook>` in it standing for a webhook without a URL, and what is said about it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "[[webhook]]",
        "t.toml:1:3: unknown key `webhook`; did you mean `webhooks`?",
    ),
    (
        "[[webhooks]]\nname = \"a\"",
        "t.toml:1:1: the key `url` is missing",
    ),
    (
        "<hook>ulr = \"https://h.example/hunter2\"",
        "t.toml:4:1: unknown key `ulr`; did you mean `url`?",
    ),
    (
        "<hook>url = \"http://h.example/hunter2\"",
        "t.toml:4:7: webhook `a`, url: is not encrypted: use https in \"***\"",
    ),
    (
        "<hook>url = \"https://127.0.0.1/hunter2\"",
        "t.toml:4:7: webhook `a`, url: goes to 127.0.0.1, an address that is ",
    ),
    (
        "[[webhooks]]\nname = \"a\"\nurl = \"https://h.example/\"\nsecrets = [\"hunter2\"]",
        "t.toml:4:11: webhook `a`, secrets: is shorter than 32 bytes in \"***\"",
    ),
    (
        "[[webhooks]]\nname = \"a\"\nurl = \"https://h.example/\"",
        "t.toml:2:8: webhook `a`, secrets: there is none to sign with in \"\"",
    ),
    (
        "[[webhooks]]\nname = \"a\"\nurl = \"https://h.example/\"\nsecret_files = [\"/none/s\"]",
        "t.toml:4:17: webhook `a`, secret_files: cannot be read: ",
    ),
    (
        "<hook>url = \"https://h.example/\"\ntimeout = \"0s\"",
        "t.toml:5:11: webhook `a`, timeout: not above zero in \"0s\"",
    ),
    (
        "<hook>url = \"https://h.example/\"\n<hook>url = \"https://h.example/\"",
        "t.toml:6:8: webhook `a`, name: another webhook has this name in \"a\"",
    ),
    (
        "<hook>url = \"https://h.example/\"\n[[alerts]]\nname = \"b\"\nwebhooks = [\"ab\"]",
        "t.toml:7:13: alert `b`, webhooks: ",
    ),
    (
        "[outgoing]\nhost = [\"a\"]",
        "t.toml:2:1: unknown key `host`; did you mean `hosts`?",
    ),
    (
        "[outgoing]\nhosts = [\"h.example\", \"*\"]",
        "t.toml:2:23: hosts: neither a host such as hooks.example.org nor one such as *.example.org in \"*\"",
    ),
    (
        "[outgoing]\nnetworks = [\"10.0.0.0/99\"]",
        "t.toml:2:13: networks: no network such as 10.0.0.0/8 in \"10.0.0.0/99\"",
    ),
    (
        "[outgoing]\ntimeout = \"0s\"",
        "t.toml:2:11: timeout: not above zero in \"0s\"",
    ),
    (
        "[outgoing]\nroot_certificates_file = \"/none/c\"",
        "t.toml:2:26: root_certificates_file: cannot be read: ",
    ),
    (
        "[[alerts]]\nname = \"b\"\npush = true",
        "t.toml:3:8: alert `b`, push: nothing says who pushes: ",
    ),
];

#[test]
fn each_mistake_is_told_with_its_line_and_without_secrets() {
    let hook = format!("[[webhooks]]\nname = \"a\"\nsecrets = [\"{SECRET}\"]\n");
    for (text, expected) in MISTAKES {
        let error = mistake(&text.replace("<hook>", &hook));
        assert!(
            error.to_string().starts_with(expected),
            "\n{text}\n{error:#}"
        );
        let shown = format!("{error} {error:#} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn what_reaches_nobody_and_what_others_could_read_is_warned_of() {
    let unnamed = FILE.replace("webhooks = [\"ops\"]\n", "");
    let told = advised(&read(&unnamed).unwrap());
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with("5: webhook `ops`: no alert names it"),
        "{told:#?}"
    );
    let open = format!("{FILE}allow_plain = true\nnetworks = [\"10.1.0.0/16\"]\n");
    let told = advised(&read(&open).unwrap());
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("13: allow_plain: a URL may begin with http://"));
    assert!(told[1].starts_with("14: networks: requests may go to 10.1.0.0/16"));
    let told = advised(&read("[outgoing]\n").unwrap());
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].starts_with("1: outgoing: there is nobody to send to"));
}

#[cfg(not(feature = "push"))]
#[test]
fn push_is_refused_without_its_feature() {
    let error = mistake("[push]\nsubject = \"mailto:a@b.example\"");
    assert_eq!(error.line(), Some(1));
    assert!(
        error.message().contains("without the feature `push`"),
        "{error:#}"
    );
}

#[cfg(feature = "push")]
mod push {
    use super::*;
    use crate::read_with;

    /// 32 bytes in base64url, with which nothing is signed.
    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE";
    const PUSH: &str =
        "[[alerts]]\nname = \"b\"\npush = true\n[push]\nsubject = \"mailto:a@b.example\"\n";

    #[test]
    fn it_is_read_and_shown_without_its_key() {
        let loaded = read(&format!("{PUSH}key = \"{KEY}\"\n")).unwrap();
        drop(loaded.build().unwrap_or_else(|error| panic!("{error:#}")));
        assert_eq!(advised(&loaded), [""; 0]);
        let shown = loaded.config.effective_text();
        for line in [
            "[push]",
            "subject = \"mailto:a@b.example\"",
            "key = \"***\"",
            "[outgoing]",
        ] {
            assert!(shown.contains(&format!("{line}\n")), "{line}\n{shown}");
        }
        assert!(!format!("{:?}", loaded.config).contains(KEY));
        let unused = PUSH.replace("push = true\n", "");
        let told = advised(&read(&unused).unwrap());
        assert!(told[0].starts_with("4: push: no alert pushes"), "{told:#?}");
    }

    #[test]
    fn a_key_of_the_environment_beats_the_file_which_beats_the_key() {
        let builds = |text: &str, variables: &[(&str, &str)]| {
            let loaded = read_with(text, variables).unwrap();
            loaded.build().map(drop)
        };
        let no_file = format!("{PUSH}key = \"{KEY}\"\nkey_file = \"/none/k\"\n");
        let error = builds(&no_file, &[]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("t.toml:7:12: key_file: cannot be read"),
            "{error}"
        );
        assert_eq!(builds(&no_file, &[("TAGCACHE_PUSH_KEY", KEY)]), Ok(()));
        let error = builds(PUSH, &[("TAGCACHE_PUSH_KEY", "small")]).unwrap_err();
        assert_eq!(error.origin(), "TAGCACHE_PUSH_KEY");
        assert!(!format!("{error:#} {error:?}").contains("small"), "{error}");
        let error = builds(PUSH, &[]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("t.toml:4:1: key: there is none"),
            "{error}"
        );
        let error = builds(&format!("{PUSH}key = \"hunter2\"\n"), &[]).unwrap_err();
        assert_eq!(error.line(), Some(6));
        assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
    }
}

#[test]
fn the_schema_describes_each_key() {
    let schema = tower_tagcache::config::schema();
    for section in ["WebhookSettings", "OutgoingSettings"] {
        let properties = schema["$defs"][section]["properties"].as_object().unwrap();
        for (key, property) in properties {
            assert!(property["description"].is_string(), "{section}.{key}");
        }
    }
    for table in ["webhooks", "outgoing", "push", "feed", "push_service"] {
        assert!(schema["properties"][table].is_object(), "{table}");
    }
}
