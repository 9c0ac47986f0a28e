//! `examples/deploy/tagcache.toml`: it is understood, and purges what captured events of rindexer name.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tower_tagcache::Cache;
use tower_tagcache::config::{Config, Loaded};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn deployed(mode: &'static str) -> Loaded {
    let env = move |name: &str| (name == "MODE").then(|| mode.to_owned());
    Config::load(Some(&here("examples/deploy/tagcache.toml")), &env).expect("it is understood")
}

/// The payloads of a capture, each with its event's name.
fn captured(file: &str) -> Vec<(String, String)> {
    let path = here("tests/fixtures/rindexer/v0.41.0").join(file);
    let entries: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let payload = |entry: &Value| {
        let payload = entry[1][1].as_str().unwrap().to_owned();
        let name = serde_json::from_str::<Value>(&payload).unwrap()["event_name"].clone();
        (name.as_str().unwrap().to_owned(), payload)
    };
    entries.as_array().unwrap().iter().map(payload).collect()
}

/// What `payload` purges on `stream`.
async fn purged(cache: &Cache, stream: &str, payload: &str) -> Vec<String> {
    let fields = vec![(b"payload".to_vec(), payload.as_bytes().to_vec())];
    let outcome = cache.events().apply(stream, "1-0", fields).await.unwrap();
    assert_eq!(outcome.scope_purged, None, "{payload}");
    outcome.targets.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_configuration_builds_in_every_mode_and_has_nothing_to_warn_of() {
    for mode in ["dev", "prod", "mock"] {
        let (cache, _companion) = deployed(mode).build().expect("it is usable");
        assert_eq!(cache.warnings(), [], "{mode}");
    }
}

#[tokio::test]
async fn each_captured_event_purges_its_auction_and_the_list() {
    let (cache, _companion) = deployed("mock").build().unwrap();
    let mut seen = 0;
    for (file, event, stream, history) in [
        ("auction-events.json", "AuctionSale", "auction_sales", true),
        (
            "auction-events.json",
            "AuctionRoundKicked",
            "auction_kicks",
            false,
        ),
        (
            "auction-factory.json",
            "DeployedNewAuction",
            "auction_deployments",
            false,
        ),
    ] {
        let entries = captured(file);
        let of_event = entries.iter().filter(|(name, _)| name == event);
        for (_, payload) in of_event {
            let targets = purged(&cache, stream, payload).await;
            let any = |start: &str| targets.iter().any(|target| target.starts_with(start));
            assert!(
                any("t:auction:0x") && any("t:auctions"),
                "{event}: {targets:?}"
            );
            assert_eq!(any("t:history:0x"), history, "{event}: {targets:?}");
            seen += 1;
        }
    }
    assert!(seen > 70, "{seen} events were in the captures");
}
