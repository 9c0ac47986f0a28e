//! Files that are used.

use std::time::Duration;

use tower_tagcache::config::{Config, Mode, Period, Ttl};

use super::read;

/// The sample of `docs/DESIGN.md`, word for word.
fn sample() -> String {
    let design = include_str!("../../docs/DESIGN.md");
    let (_, rest) = design.split_once("```toml\n").expect("a sample");
    rest.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_sample_of_the_design_is_understood() {
    let loaded = read(&sample()).unwrap();
    let config = &loaded.config;
    assert_eq!(config.mode(), Mode::Dev);
    assert_eq!(config.rules.len(), 3);
    assert_eq!(config.rules[0].ttl, Some(Ttl::Of(Duration::from_secs(10))));
    assert_eq!(config.streams[0].on.len(), 3);
    let (cache, _companion) = loaded.build().unwrap();
    assert!(cache.warnings().is_empty(), "{:?}", cache.warnings());
}

#[test]
fn an_empty_file_is_one() {
    let loaded = read("").unwrap();
    assert_eq!(loaded.config, Config::default());
    drop(loaded.build().unwrap());
}

/// Every key of a rule that has more than one form, in all of them.
#[test]
fn every_form_of_a_rule_is_understood() {
    for line in [
        "ttl = \"short\"",
        "ttl = \"1h 30m\"",
        "ttl_for = { 404 = \"5s\", 4xx = \"long\" }",
        "override = true\nignore_no_store = true\nignore_private = true",
        "stale_while_revalidate = \"30s\"\nstale_if_error = \"1h\"",
        "lifetime_jitter = 10\nrefresh_early = 1.5",
        "refresh_early = 2\nfleet_coalesce = \"5s\"\nforward_limit = 8",
        "query = \"all\"",
        "query = \"sorted\"",
        "query = \"ignore\"",
        "query = { allow = [\"hours\"] }",
        "query = { deny = [\"utm_*\"] }",
        "headers = [\"accept-language\"]\nignore_headers = [\"x-forwarded-host\"]",
        "cookies = \"bypass\"",
        "cookies = \"ignore\"",
        "cookies = { ignore = [\"_ga*\"], key = [\"session\"] }",
        "cookies = { key = [\"session\"] }",
        "authorization = \"upstream\"",
        "authorization = \"ignore\"",
        "authorization = \"key\"",
        "host = \"ignore\"\nset_cookie = \"strip\"\nkeep_tag_headers = true",
        "host = \"key\"\nset_cookie = \"refuse\"",
        "tag_headers = [\"xkey\", { name = \"x-tags\", separator = \"space\" }]",
        "tag_headers = [{ name = \"x-tags\", separator = \"comma\" }]",
        "client = \"auto\"",
        "client = \"pass\"",
        "client = { set = \"max-age=5\" }",
        "honor_request_directives = true\nno_vary_search = true",
        "after_parameter = true",
        "query = \"sorted\"\nforward = \"keyed\"",
        "body_limit = 65536\nconsistency = \"strict\"",
        "body_limit = \"64 KiB\"\nconsistency = \"near\"",
        "methods = [\"GET\"]\nenabled = false",
        "tags = [\"a:{id}\", \"b\"]",
    ] {
        let text = format!("[[rules]]\nname = \"r\"\nroute = \"/{{id}}\"\n{line}\n");
        let loaded = read(&text).unwrap_or_else(|error| panic!("{error:#}"));
        let built = loaded.build();
        assert!(built.is_ok(), "{line}: {:#}", built.unwrap_err());
    }
}

#[test]
fn what_all_rules_share_is_understood() {
    let text = "[cache]\nnear_after = 3\nfleet_claim = \"2s\"\ncoalesce_timeout = \"5s\"\n[[rules]]\nname = \"r\"\nroute = \"/\"\nfleet_coalesce = ";
    drop(read(&format!("{text}\"2s\"")).unwrap().build().unwrap());
    let error = read(&format!("{text}\"3s\"")).unwrap().build();
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("2s for which a claim holds"), "{error}");
}

#[test]
fn every_form_of_a_stream_is_understood() {
    for line in [
        "format = \"rindexer\"\nsettle = \"2s\"\nreplay = true\nmax_entry_bytes = \"1 MiB\"\nbatch = 100\nclaim_after = \"5s\"\naway = \"2m\"",
        "format = \"debezium\"",
        "format = { kind = \"debezium\", payload = { field = \"value\" } }",
        "format = { kind = \"json\", payload = \"single\", events = \"list\", event_name = \"kind\", network = \"chain\", tombstone = \"-\" }",
        "format = { kind = \"text\", payload = \"all-fields\", event_name = \"kind\" }",
        "format = { kind = \"json\", payload = \"single-name\" }",
    ] {
        let text = format!(
            "[[streams]]\nname = \"s\"\n{line}\n[[streams.on]]\npurge = [\"a:{{id}}\"]\nwhen = [\"amount >= 5\"]\nsoft = true\n\
             announce = {{ type = \"b\", subject = [\"a:{{id}}\", \"c\"], fields = {{ amount = \"amount?\" }}, identity = \"{{no}}\" }}\n"
        );
        let loaded = read(&text).unwrap_or_else(|error| panic!("{error:#}"));
        let built = loaded.build();
        assert!(built.is_ok(), "{line}: {:#}", built.unwrap_err());
    }
}

/// What is shown of a configuration is a configuration: nothing is lost on the way but the secrets.
#[test]
fn what_is_written_is_read_as_the_same() {
    let loaded = read(&sample()).unwrap();
    let mut config = loaded.config;
    config.cache.lease = Some(Period(Duration::from_millis(500)));
    let written = toml::to_string(&config).unwrap();
    let again = read(&written).unwrap().config;
    config.redis.url = None;
    assert_eq!(again, config, "{written}");
}
