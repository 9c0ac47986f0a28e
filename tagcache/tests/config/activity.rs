//! `[activity]` and `[[alerts]]`: as the program reads, shows and describes them.

use tower_tagcache::ConfigPlace;

use super::read;

const FILE: &str = "[activity]\nkeep = \"30d\"\n[[alerts]]\nname = \"big\"\ntypes = [\"sale\"]\npush = true\n\
                    [push]\nsubject = \"mailto:a@b.example\"\nkey = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"\n";

#[test]
fn what_is_in_effect_has_the_settings_with_their_defaults() {
    let shown = read(FILE, &[]).unwrap().effective_text();
    for line in [
        "[activity]",
        "entries = 20000",
        "sum = [\"amount\"]",
        "keep = \"30days\"",
        "channel = \"activity:new\"",
        "[[alerts]]",
        "name = \"big\"",
        "types = [\"sale\"]",
        "push = true",
        "webhooks = []",
        "key = \"***\"",
    ] {
        assert!(shown.contains(&format!("{line}\n")), "{line}\n{shown}");
    }
    // What is shown is a configuration, and says all that it says.
    let again = read(&shown, &[]).unwrap();
    assert_eq!(again.effective_text(), shown);
    // Alerts need the feed; without either nothing is kept.
    let shown = read("[[alerts]]\nname = \"big\"\n", &[]).unwrap();
    assert!(shown.effective_text().contains("[activity]\n"));
    let without = read("", &[]).unwrap().effective_text();
    assert!(!without.contains("activity") && !without.contains("alerts"));
}

#[test]
fn the_cache_of_the_program_keeps_what_the_file_says() {
    let assemble = |text: &str| {
        let loaded = read(text, &[]).unwrap();
        let builder = loaded.file.config.cache_builder();
        loaded.assemble(builder, &|_| None)
    };
    let cache = assemble(FILE).unwrap().cache;
    assert_eq!(cache.activity().map(|feed| feed.hours()), Some(30 * 24));
    let alerts = cache.explain_alerts();
    assert_eq!(
        alerts[0].to_string(),
        "big: updates of the type sale, to Web Push subscriptions"
    );
    let cache = assemble("").unwrap().cache;
    assert!(cache.activity().is_none() && cache.explain_alerts().is_empty());
    let error = assemble(&FILE.replace("sale", "a sale")).unwrap_err();
    assert_eq!((error.line(), error.column()), (Some(5), Some(10)));
    assert!(
        error.message().starts_with("alert `big`, types: "),
        "{error}"
    );
}

#[test]
fn a_misspelt_table_is_told_with_what_it_was_meant_to_be() {
    for (table, meant) in [("[activty]", "activity"), ("[[alrets]]", "alerts")] {
        let error = read(&format!("{table}\n"), &[]).unwrap_err();
        let expected = format!("did you mean `{meant}`?");
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
}

#[test]
fn what_nobody_announces_is_advised_of_with_its_line() {
    let loaded = read(FILE, &[]).unwrap().file;
    let advice = loaded.advice();
    let lines: Vec<_> = advice.iter().map(|one| loaded.line_of(one)).collect();
    assert_eq!(lines, [Some(1), Some(4)]);
    assert_eq!(*advice[1].place(), ConfigPlace::alert("big"));
}

#[test]
fn the_schema_describes_each_key() {
    let schema = tagcache::config::schema();
    for (section, keys) in [
        (
            "ActivitySettings",
            &["entries", "sum", "keep", "channel"][..],
        ),
        (
            "AlertRule",
            &[
                "name", "types", "when", "decimals", "webhooks", "push", "limit", "message",
            ],
        ),
        ("AlertLimit", &["alerts", "per"]),
        ("TokenDecimals", &["by", "of", "default"]),
    ] {
        let properties = &schema["$defs"][section]["properties"];
        for key in keys {
            let described = properties[key]["description"].is_string();
            assert!(described, "{section}.{key}: {properties:#}");
        }
    }
    assert!(schema["properties"]["activity"].is_object());
    assert!(schema["properties"]["alerts"].is_object());
}
