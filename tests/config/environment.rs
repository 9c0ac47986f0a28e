//! The variables of the requirement (§7), and which beats which.

use std::time::Duration;

use tower_tagcache::config::{Period, Secret};

use super::{read, read_with};

const FILE: &str = "[redis]\nurl = \"redis://file\"\n";

#[test]
fn the_server_is_named_by_mode_then_in_general_then_by_host_then_by_the_file() {
    let uri = ("REDIS_CONNECTION_URI", "redis://general");
    let dev = ("DEV_REDIS_CONNECTION_URI", "redis://dev");
    let prod = ("PROD_REDIS_CONNECTION_URI", "redis://prod");
    let mock = ("MOCK_REDIS_CONNECTION_URI", "redis://mock");
    let empty = ("MOCK_REDIS_CONNECTION_URI", "");
    let host = ("REDIS_HOST", "cache");
    let port = ("REDIS_PORT", "6380");
    for (variables, url) in [
        (vec![], Some("redis://file")),
        (vec![uri], Some("redis://general")),
        (vec![uri, host, port], Some("redis://general")),
        (vec![host], Some("redis://cache:6379")),
        (vec![port], Some("redis://localhost:6380")),
        (vec![host, port], Some("redis://cache:6380")),
        (vec![("REDIS_HOST", "::1")], Some("redis://[::1]:6379")),
        // Without a mode it is production.
        (vec![uri, dev, prod, mock], Some("redis://prod")),
        (vec![uri, dev, prod, ("MODE", "dev")], Some("redis://dev")),
        (vec![uri, prod, ("MODE", "dev")], Some("redis://general")),
        // The mock mode needs no Redis, whatever else names one.
        (vec![uri, host, dev, ("MODE", "mock")], None),
        (vec![uri, empty, ("MODE", "mock")], None),
        (vec![uri, mock, ("MODE", "mock")], Some("redis://mock")),
    ] {
        let loaded = read_with(FILE, &variables).unwrap();
        let named = loaded.config.redis.url.map(|Secret(url)| url);
        assert_eq!(named.as_deref(), url, "{variables:?}");
    }
}

#[test]
fn the_mode_of_the_file_counts_unless_the_environment_has_one() {
    let file = "mode = \"mock\"\n[redis]\nurl = \"redis://file\"\n";
    assert_eq!(read(file).unwrap().config.redis.url, None);
    let loaded = read_with(file, &[("MODE", "dev")]).unwrap();
    let named = loaded.config.redis.url.map(|Secret(url)| url);
    assert_eq!(named.as_deref(), Some("redis://file"));
}

#[test]
fn every_other_variable_beats_its_key() {
    let file = "[cache]\ndefault_ttl = \"1s\"\n[redis]\nmax_connections = 9\n";
    let config = read_with(
        file,
        &[
            ("REDIS_MAX_CONNECTIONS", "50"),
            ("REDIS_TIMEOUT", "5"),
            ("CACHE_DEFAULT_TTL", "30"),
            ("CACHE_LONG_TTL", "300"),
            ("CACHE_SHORT_TTL", "0.5"),
            ("ENABLE_REDIS_STREAMS", "false"),
            ("STREAM_CONSUMER_GROUP", "auction_api"),
        ],
    )
    .unwrap()
    .config;
    let seconds = |seconds| Some(Period(Duration::from_secs(seconds)));
    assert_eq!(config.redis.max_connections, Some(50));
    assert_eq!(config.redis.connect_timeout, seconds(5));
    assert_eq!(config.cache.default_ttl, seconds(30));
    assert_eq!(config.cache.long_ttl, seconds(300));
    let short = Some(Period(Duration::from_millis(500)));
    assert_eq!(config.cache.short_ttl, short);
    assert_eq!(config.redis.streams, Some(false));
    assert_eq!(config.redis.consumer_group.as_deref(), Some("auction_api"));
    let kept = read(file).unwrap().config;
    assert_eq!(kept.cache.default_ttl, seconds(1));
    assert_eq!(kept.redis.max_connections, Some(9));
}

#[test]
fn a_variable_that_cannot_be_used_is_named_with_what_was_expected() {
    for (name, value, expected) in [
        (
            "MODE",
            "production",
            "\"production\" is not \"dev\", \"prod\" or \"mock\"",
        ),
        (
            "REDIS_PORT",
            "70000",
            "\"70000\" is not a port, from 1 to 65535",
        ),
        (
            "REDIS_TIMEOUT",
            "5s",
            "\"5s\" is not a number of seconds, such as 30",
        ),
        (
            "CACHE_LONG_TTL",
            "-1",
            "\"-1\" is not a number of seconds, such as 30",
        ),
        (
            "REDIS_MAX_CONNECTIONS",
            "many",
            "\"many\" is not a whole number",
        ),
        (
            "ENABLE_REDIS_STREAMS",
            "maybe",
            "\"maybe\" is not true or false",
        ),
    ] {
        let error = read_with("", &[(name, value)]).unwrap_err();
        let message = format!("environment variable {name}: {expected}");
        assert_eq!(error.to_string(), message);
    }
}
