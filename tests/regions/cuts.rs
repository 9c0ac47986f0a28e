//! What a cut between two regions means, and that nothing is lost by it.

use std::time::Duration;

use tagcache_test_support::{Forwarder, until};

use crate::{Regions, Running};

const MAX_CUT: Duration = Duration::from_secs(30);

/// How a way is spoilt.
type Spoil = fn(&Forwarder);

#[tokio::test]
async fn safety_155_after_a_cut_it_goes_on_where_it_was() {
    for (end, spoil) in [
        ("from", (|way| way.refuse()) as Spoil),
        ("from", |way| way.stall()),
        ("from", |way| way.swallow()),
        ("to", |way| way.refuse()),
        ("to", |way| way.stall()),
    ] {
        let regions = Regions::start();
        let (near, far) = (
            Forwarder::start(regions.us.server.addr()).await,
            Forwarder::start(regions.eu.server.addr()).await,
        );
        let relay = Running::start("us", (&regions.us, near.url()), (&regions.eu, far.url()));
        relay.begun().await;
        for number in 0..20 {
            regions.in_eu.warm(&format!("/item/{number}")).await;
        }
        let cut = if end == "from" { &near } else { &far };
        spoil(cut);
        for number in 0..20 {
            regions.change("v2", &format!("item:{number}")).await;
        }
        // Without `max_cut`, what is stored in the far region is served meanwhile.
        let meanwhile = regions.in_eu.get("/item/0").await;
        assert!(
            meanwhile.is_hit() && meanwhile.text() == "v1",
            "{end}: {}",
            meanwhile.how()
        );
        cut.resume();
        cut.cut();
        relay.is_level().await;
        for number in 0..20 {
            let path = format!("/item/{number}");
            assert_eq!(regions.far(&path).await, "v2", "{end}: {path}");
        }
        assert_eq!((relay.status)().resets, 1, "{end}: nothing was missed");
    }
}

#[tokio::test]
async fn safety_155_one_that_is_killed_is_followed_by_one_that_goes_on() {
    let regions = Regions::start();
    let first = Running::between("us", &regions.us, &regions.eu);
    first.begun().await;
    for number in 0..60 {
        regions.in_eu.warm(&format!("/item/{number}")).await;
    }
    regions.in_eu.warm("/item/else").await;
    first.kill().await;
    // Each is killed somewhere in the middle of what it does.
    for number in 0..60 {
        let relay = Running::between("us", &regions.us, &regions.eu);
        regions.change("v2", &format!("item:{number}")).await;
        for _ in 0..number * 3 {
            tokio::task::yield_now().await;
        }
        assert!(
            (relay.status)().resets == 0,
            "it knows where the last one was"
        );
        relay.kill().await;
    }
    let (last, beside) = (
        Running::between("us", &regions.us, &regions.eu),
        Running::between("us", &regions.us, &regions.eu),
    );
    last.is_level().await;
    beside.is_level().await;
    for number in 0..60 {
        let path = format!("/item/{number}");
        assert_eq!(regions.far(&path).await, "v2", "{path}");
    }
    assert_eq!(((last.status)().resets, (beside.status)().resets), (0, 0));
    assert_eq!(regions.far("/item/else").await, "v1", "it was not purged");
}

#[tokio::test]
async fn safety_157_a_region_that_is_cut_off_for_too_long_serves_nothing_from_the_cache() {
    let mut regions = Regions::start();
    let watching = regions.eu.builder().max_cut(["us"], MAX_CUT);
    regions.in_eu = regions.eu.companied_by(watching);
    let unheard = regions.in_eu.get("/item/1").await;
    assert!(!unheard.is_hit(), "{}", unheard.how());
    until("it is told", async || {
        let troubles = regions.in_eu.cache.health().troubles;
        troubles
            .iter()
            .any(|trouble| trouble.part == "regions" && trouble.message.contains("us"))
    })
    .await;
    let way = Forwarder::start(regions.us.server.addr()).await;
    let relay = Running::start(
        "us",
        (&regions.us, way.url()),
        (&regions.eu, regions.eu.server.url()),
    );
    relay.begun().await;
    // As soon as two beats are heard.
    regions.in_eu.warm("/item/1").await;
    assert_eq!(regions.in_eu.cache.health().troubles, []);
    way.refuse();
    until("it notices", async || (relay.status)().trouble.is_some()).await;
    regions.change("v2", "item:1").await;
    let within = regions.in_eu.get("/item/1").await;
    assert!(within.is_hit() && within.text() == "v1", "{}", within.how());
    // By the node's own clock.
    regions.eu.clock.advance(MAX_CUT);
    let past = regions.in_eu.get("/item/1").await;
    assert!(!past.is_hit(), "{}", past.how());
    assert_eq!((past.text(), past.detail()), ("v2", "region-cut"));
    assert!(
        !regions.in_eu.get("/item/1").await.is_hit(),
        "what is stored meanwhile neither"
    );
    way.resume();
    relay.is_level().await;
    let again = regions.in_eu.warm("/item/1").await;
    assert_eq!(again.text(), "v2");
    assert_eq!((relay.status)().resets, 1);
}
