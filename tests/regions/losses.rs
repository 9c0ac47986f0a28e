//! What may have been missed is purged, and what cannot be is refused.

use tagcache_test_support::{Fleet, until};
use tower_tagcache::ErrorKind;

use crate::{Regions, Running};

#[tokio::test]
async fn safety_155_a_lost_log_purges_everything_in_the_other_region() {
    let regions = Regions::start();
    let relay = Running::between("us", &regions.us, &regions.eu);
    relay.begun().await;
    regions.in_eu.warm("/item/1").await;
    // What was purged a moment before may not have been read.
    regions.us.origin.set("v2");
    regions.us.run("FLUSHALL").await;
    until("it begins anew", async || (relay.status)().resets == 2).await;
    relay.is_level().await;
    assert_eq!(regions.far("/item/1").await, "v2");
}

#[tokio::test]
async fn safety_155_a_log_that_was_trimmed_before_it_was_read_purges_everything() {
    let regions = Regions::start();
    let first = Running::between("us", &regions.us, &regions.eu);
    first.begun().await;
    regions.in_eu.warm("/item/1").await;
    first.kill().await;
    for number in 1..=3 {
        regions.change("v2", &format!("item:{number}")).await;
    }
    regions.us.run("XTRIM LOG MAXLEN = 1").await;
    let second = Running::between("us", &regions.us, &regions.eu);
    second.is_level().await;
    assert_eq!((second.status)().resets, 1);
    assert_eq!(regions.far("/item/1").await, "v2");
}

#[tokio::test]
async fn safety_155_the_other_regions_log_that_was_lost_is_begun_anew() {
    let regions = Regions::start();
    let relay = Running::between("us", &regions.us, &regions.eu);
    relay.begun().await;
    regions.eu.run("FLUSHALL").await;
    until("it begins anew", async || (relay.status)().resets == 2).await;
    regions.in_eu.warm("/item/1").await;
    regions.change("v2", "item:1").await;
    relay.is_level().await;
    assert_eq!(regions.far("/item/1").await, "v2");
}

#[tokio::test]
async fn safety_159_both_ends_in_one_log_are_refused() {
    let fleet = Fleet::private();
    let _node = fleet.companied();
    let relay = Running::between("us", &fleet, &fleet);
    let error = relay.ended().await.expect_err("it cannot relay");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("one purge log"), "{error}");
}

#[tokio::test]
async fn safety_159_two_regions_of_one_name_are_told() {
    let regions = Regions::start();
    let other = Fleet::private();
    let _node = other.companied();
    let one = Running::between("us", &regions.us, &regions.eu);
    one.begun().await;
    assert_eq!((one.status)().trouble, None);
    let two = Running::between("us", &other, &regions.eu);
    for relay in [&one, &two] {
        until("it is told", async || {
            let trouble = (relay.status)().trouble;
            trouble.is_some_and(|why| why.contains("another purge log"))
        })
        .await;
    }
}
