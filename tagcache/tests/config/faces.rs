//! `[feed]` and `[push_service]`: who may ask, whose secrets count, and what is wrong with a setting.

use tagcache::config::Assembly;
use tower_tagcache::config::ConfigFileError;

use super::{NamedFile, read};

const TOKEN: &str = "0123456789abcdef";
const FEED: &str = "[activity]\n[feed]\n";
const PUSH: &str = "[push]\nsubject = \"mailto:a@b.example\"\nkey = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"\n[push_service]\n";
const OTHERS: &str = "[proxy]\nlisten = [\"127.0.0.1:80\", \"0.0.0.0:81\"]\n";

fn assemble(text: &str, variables: &[(&str, &str)]) -> Result<Assembly, ConfigFileError> {
    let loaded = read(text, variables)?;
    let env = |name: &str| {
        let found = variables.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    loaded.assemble(loaded.file.config.cache_builder(), &env)
}

/// A key of a table, and what is said about it: always with its line.
const MISTAKES: &[(&str, &str)] = &[
    ("opne = true", "unknown key `opne`; did you mean `open`?"),
    ("open = false", "open: nobody could "),
    (
        "token = \"tiny\"",
        "token: is shorter than 16 characters in \"***\"",
    ),
    ("token_file = \"/none/t\"", "token_file: cannot be read: "),
    (
        "origins = [\"a.example\"]",
        "origins: not an origin as browsers write it",
    ),
    ("below = \"api\"", "below: not a path such as /api"),
];

#[test]
fn each_bad_key_is_told_with_its_line() {
    for table in [FEED, PUSH] {
        for (line, expected) in MISTAKES {
            let error = assemble(&format!("{table}{line}\n"), &[]).expect_err(line);
            assert!(error.to_string().contains(expected), "{line}: {error:#}");
            let last = table.lines().count() + 1;
            assert_eq!(error.line(), Some(last), "{line}: {error:#}");
            assert!(!format!("{error:#} {error:?}").contains("tiny"));
        }
    }
    let error = assemble(&format!("{FEED}subjects = []\n"), &[]).unwrap_err();
    assert!(
        error.message().contains("subjects: names nothing"),
        "{error}"
    );
    // What there is nothing to tell of, or nobody to push by.
    let error = assemble("[feed]\n", &[]).unwrap_err();
    assert!(
        error.message().contains("see the table `activity`"),
        "{error}"
    );
    assert_eq!(error.line(), Some(1));
    let error = assemble("[push_service]\n", &[]).unwrap_err();
    assert!(
        error.message().contains("nothing says who pushes"),
        "{error}"
    );
    assert_eq!(error.line(), Some(1));
}

#[test]
fn who_may_ask_is_everybody_on_this_machine_or_has_to_be_said() {
    for (table, variable) in [(FEED, "TAGCACHE_FEED_TOKEN"), (PUSH, "TAGCACHE_PUSH_TOKEN")] {
        let warnings = |text: &str, variables: &[(&str, &str)]| {
            let assembly = assemble(text, variables)?;
            Ok::<_, ConfigFileError>(assembly.warnings.len())
        };
        assert_eq!(warnings(table, &[]), Ok(0));
        let exposed = format!("{OTHERS}{table}");
        let refused = warnings(&exposed, &[]).unwrap_err();
        assert!(
            refused.message().contains("open: nobody says who may"),
            "{refused}"
        );
        assert_eq!(refused.line(), Some(exposed.lines().count()));
        // Open to others is warned of.
        assert_eq!(warnings(&format!("{exposed}open = true\n"), &[]), Ok(1));
        assert_eq!(
            warnings(&format!("{exposed}token = \"{TOKEN}\"\n"), &[]),
            Ok(0)
        );
        assert_eq!(warnings(&exposed, &[(variable, TOKEN)]), Ok(0));
        let refused = warnings(&exposed, &[(variable, "small")]).unwrap_err();
        assert_eq!(refused.origin(), variable);
        assert!(!format!("{refused:#}").contains("small"), "{refused}");
        let file = NamedFile::with("tiny\n");
        let text = format!(
            "{table}token = \"{TOKEN}\"\ntoken_file = \"{}\"\n",
            file.path()
        );
        let refused = warnings(&text, &[]).unwrap_err();
        assert!(
            refused.message().starts_with("token_file: is shorter"),
            "{refused}"
        );
    }
}

#[test]
fn rules_that_are_never_asked_are_warned_of() {
    let rule = "[[rules]]\nname = \"a\"\nroute = \"/{name}\"\nttl = \"1s\"\n\
                [[rules]]\nname = \"b\"\nroute = \"/activity\"\nttl = \"1s\"\n";
    let told = assemble(&format!("{FEED}{rule}"), &[]).unwrap().warnings;
    assert_eq!(told.len(), 1, "{told:?}");
    let told = told[0].to_string();
    assert!(
        told.starts_with("rule `b`: activity is answered where its route is"),
        "{told}"
    );
}

#[test]
fn what_is_in_effect_and_the_schema_have_each_key_and_no_secret() {
    let loaded = read(
        &format!("{FEED}token = \"{TOKEN}\"\n{PUSH}token = \"{TOKEN}\"\n"),
        &[],
    )
    .unwrap();
    let shown = loaded.effective_text();
    for line in [
        "[feed]",
        "[push_service]",
        "token = \"***\"",
        "below = \"\"",
        "origins = []",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert!(
        !format!("{shown} {:?}", loaded.tables).contains(TOKEN),
        "{shown}"
    );
    let schema = tagcache::config::schema();
    for section in [
        "ActivityServiceSettings",
        "PushServiceSettings",
        "WebhookSettings",
        "OutgoingSettings",
        "PushSettings",
    ] {
        let properties = schema["$defs"][section]["properties"].as_object();
        for (key, property) in properties.unwrap_or_else(|| panic!("{section}")) {
            assert!(property["description"].is_string(), "{section}.{key}");
        }
    }
}
