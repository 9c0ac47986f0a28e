//! What is in effect is shown, also what nobody has set.

use serde_json::Value;

use super::read;

/// Settings that mean nothing where they are not set.
const ABSENT: &[&str] = &[
    "username",
    "username_file",
    "password",
    "password_file",
    "sentinel",
    "tls",
    "max_connections",
    "relay",
    "ttl",
    "ttl_for",
    "stale_while_revalidate",
    "stale_if_error",
    "refresh_early",
    "fleet_coalesce",
    "forward_limit",
    "event",
    "network",
    "identity",
    "limit",
    "message",
    "root_certificates",
    "root_certificates_file",
    // A secret, which only the text for people has, masked.
    "url",
];

/// A setting that is new and forgotten here is found by the schema, which has them all.
#[test]
fn no_setting_is_missing_from_what_is_in_effect() {
    let text = "[redis]\nurl = \"redis://h:6379\"\n[[rules]]\nname = \"a\"\nroute = \"/\"\n\
                [[streams]]\nname = \"s\"\nformat = \"rindexer\"\non = [{ purge = [\"a\"], announce = { type = \"b\", subject = [\"a\"] } }]\n\
                [[alerts]]\nname = \"l\"\n[outgoing]\n";
    let effective = read(text).unwrap().config.effective();
    let shown = serde_json::to_value(&effective).unwrap();
    let schema = tower_tagcache::config::schema();
    let all = |section: &str| -> Vec<String> {
        let properties = &schema["$defs"][section]["properties"];
        properties.as_object().unwrap().keys().cloned().collect()
    };
    for (section, shown) in [
        ("RedisSection", &shown["redis"]),
        ("CacheSection", &shown["cache"]),
        ("RuleSettings", &shown["rules"][0]),
        ("StreamSettings", &shown["streams"][0]),
        ("On", &shown["streams"][0]["on"][0]),
        ("Announce", &shown["streams"][0]["on"][0]["announce"]),
        ("ActivitySettings", &shown["activity"]),
        ("AlertRule", &shown["alerts"][0]),
        ("OutgoingSettings", &shown["outgoing"]),
    ] {
        for key in all(section) {
            let value = shown.get(&key).unwrap_or(&Value::Null);
            let absent = ABSENT.contains(&key.as_str());
            assert_eq!(value.is_null(), absent, "{section}: {key} = {value}");
        }
    }
}

/// By the profile, where the rule does not say.
#[test]
fn what_the_profile_decides_is_shown() {
    for (profile, cookies, set_cookie) in [
        ("careful", "bypass", Some("refuse")),
        // It stores the field, for which a file has no word.
        ("rfc9111", "ignore", None),
    ] {
        let text = format!(
            "[cache]\nprofile = \"{profile}\"\nconsistency = \"strict\"\n[[rules]]\nname = \"a\"\nroute = \"/\"\n"
        );
        let effective = read(&text).unwrap().config.effective();
        let rule = &serde_json::to_value(&effective).unwrap()["rules"][0];
        assert_eq!(rule["cookies"], cookies, "{profile}");
        assert_eq!(rule["set_cookie"].as_str(), set_cookie, "{profile}");
        assert_eq!(rule["consistency"], "strict");
        assert_eq!(rule["body_limit"], "2 MiB");
    }
}
