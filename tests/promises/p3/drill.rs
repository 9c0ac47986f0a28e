//! P3: a fault drill in counts; `make faults` has the times. Eight clients ask for 400 URLs while Redis hangs,
//! vanishes and comes back: what is counted is how many lookups waited for it, and who finds out that it is
//! back. No clock is moved, so that nothing depends on a pause that ends (SAFETY 88, 89).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tagcache_test_support::{Fleet, Forwarder, Node, Said, item_rule, until};
use tower_tagcache::{CacheBuilder, ErrorKind, Rule};

const CLIENTS: usize = 8;
const URLS: usize = 400;
/// Failures in a row after which a breaker is open without heartbeats.
const STREAK: usize = 5;
/// Of lookups and heartbeats.
const BUDGET: Duration = Duration::from_millis(200);

fn waited(said: &Said) -> bool {
    matches!(said, Said::StoreFailed("get", ErrorKind::Timeout))
}

fn opened(said: &Said) -> bool {
    matches!(said, Said::BreakerOpened)
}

fn closed(said: &Said) -> bool {
    matches!(said, Said::BreakerClosed)
}

fn purged(said: &Said) -> bool {
    matches!(said, Said::Purged(_))
}

fn hasty(builder: CacheBuilder) -> CacheBuilder {
    let builder = builder.read_timeout(BUDGET).write_timeout(BUDGET);
    builder.purge_timeout(BUDGET)
}

/// All clients ask for all URLs, each beginning elsewhere; how many hits there were. Each answer is whole and of
/// `version`.
async fn round(node: &Node, version: &str) -> usize {
    let hits = AtomicUsize::new(0);
    let client = async |first: usize| {
        for turn in 0..URLS / CLIENTS {
            let url = (first * URLS / CLIENTS + turn) % URLS;
            let answer = node.get(&format!("/item/{url}")).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (200, version));
            hits.fetch_add(usize::from(answer.is_hit()), Ordering::SeqCst);
        }
    };
    join_all((0..CLIENTS).map(client)).await;
    hits.load(Ordering::SeqCst)
}

async fn hit_again(node: &Node, version: &str) {
    until("nine of ten are hits", async || {
        round(node, version).await >= URLS * 9 / 10
    })
    .await;
}

/// One fault, from its beginning to its end.
async fn drill(rule: Rule, copies: bool, away: impl AsyncFn(&Fleet, &Forwarder, bool)) {
    let fleet = Fleet::private().rule(rule);
    let fleet = if copies { fleet.copying() } else { fleet };
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let node = fleet.companied_by(hasty(fleet.builder_at(forwarder.url())));
    fleet.origin.set("v1");
    hit_again(&node, "v1").await;
    let before = (node.notices.count(opened), node.notices.count(closed));
    let lookups = node.notices.count(waited);

    away(&fleet, &forwarder, true).await;
    // Waits for a budget, or not at all; in force here whatever comes of it.
    fleet.origin.set("v2");
    node.purger().all().await.expect_err("redis is away");
    until("the breaker is open", async || {
        round(&node, "v2").await;
        node.notices.count(opened) > before.0
    })
    .await;
    let known = node.notices.count(waited);
    for _ in 0..5 {
        round(&node, "v2").await;
    }
    assert_eq!(
        node.notices.count(waited),
        known,
        "nobody waits for what is known"
    );
    assert!(
        known - lookups <= 2 * STREAK,
        "{} lookups waited",
        known - lookups
    );
    assert_eq!(node.cache.health().troubles[0].part, "heartbeat");

    let appended = node.notices.count(purged);
    away(&fleet, &forwarder, false).await;
    node.notices.heard(appended + 1, purged).await;
    hit_again(&node, "v2").await;
    assert!(node.notices.count(closed) > before.1);
    assert_eq!(node.cache.health().waiting, 0);
    until("all is well", async || {
        node.cache.health().troubles.is_empty()
    })
    .await;
}

async fn hang(fleet: &Fleet, _: &Forwarder, away: bool) {
    match away {
        true => fleet.server.suspend(),
        false => fleet.server.resume(),
    }
}

async fn half_open(_: &Fleet, forwarder: &Forwarder, away: bool) {
    match away {
        true => forwarder.swallow(),
        false => forwarder.resume(),
    }
}

/// Connections are closed as they come. The pause between two of them is told by the fleet's clock.
async fn refused(fleet: &Fleet, forwarder: &Forwarder, away: bool) {
    if away {
        return forwarder.refuse();
    }
    forwarder.resume();
    let clock = fleet.clock.clone();
    tokio::spawn(async move {
        loop {
            clock.advance(Duration::from_millis(10));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[tokio::test]
async fn safety_88_strict_hits_on_copies_wait_for_a_redis_that_hangs_a_counted_number_of_times() {
    drill(item_rule(), true, hang).await;
}

#[tokio::test]
async fn safety_88_lookups_wait_for_a_redis_that_hangs_a_counted_number_of_times() {
    drill(item_rule(), false, hang).await;
}

#[tokio::test]
async fn safety_88_near_rules_do_not_wait_for_a_redis_that_hangs() {
    drill(item_rule().near(), true, hang).await;
}

#[tokio::test]
async fn safety_89_a_half_open_connection_is_given_up_and_what_waits_is_woken() {
    drill(item_rule(), true, half_open).await;
}

#[tokio::test]
async fn safety_89_connections_that_are_closed_as_they_come_are_told_and_given_up() {
    drill(item_rule(), true, refused).await;
}
