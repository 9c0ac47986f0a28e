//! P1 while Redis is away: a purge that cannot be appended says so, is in force at once in this
//! process, and on every node when it has been appended (PROTOCOL 23, 24).

use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::{Fleet, Forwarder, Said, path, until};
use tower_tagcache::{Error, ErrorKind, Purged};

/// Lets the server take anything but records of the purge log, or that as well.
async fn takes_records(fleet: &Fleet, takes: bool) {
    let rule = if takes { "+xadd" } else { "-xadd" };
    let denied = fleet.run(&format!("ACL SETUSER default {rule}")).await;
    assert_eq!(denied, Value::Okay);
}

fn assert_pending(purged: Result<Purged, Error>) {
    let error = purged.expect_err("it is not in the log");
    assert_eq!(error.kind(), ErrorKind::Pending, "{error:?}");
}

fn purged(said: &Said) -> bool {
    matches!(said, Said::Purged(_))
}

/// > node cut off, purge queued, "returned" · other nodes still have Redis · v1 hit there.
#[tokio::test]
async fn rule_24_a_pending_purge_is_never_ok_and_in_force_at_once_here() {
    let fleet = Fleet::private();
    let (a, b) = (fleet.companied(), fleet.node());
    a.warm("/item/7").await;
    b.warm("/item/7").await;
    fleet.origin.set("v2");
    takes_records(&fleet, false).await;
    assert_pending(a.purger().tag("item:7").await);
    a.notices.heard(1, |said| *said == Said::PurgePending).await;

    let here = a.get("/item/7").await;
    assert_eq!(here.body, "v2");
    assert_eq!(here.detail(), "purge-pending", "{}", here.how());
    fleet.stored(1).await;
    // A mark above every stamp: those of fills that begin now as well.
    let again = a.get("/item/7").await;
    assert!(!again.is_hit(), "{}", again.how());

    takes_records(&fleet, true).await;
    a.notices.heard(1, purged).await;
    for node in [&a, &b] {
        assert_eq!(node.warm("/item/7").await.body, "v2", "and hits again");
    }
}

#[tokio::test]
async fn rule_24_other_nodes_see_a_pending_purge_once_it_is_appended() {
    for companion in [false, true] {
        let fleet = Fleet::private();
        let (a, b) = (fleet.companied(), fleet.node_if(companion));
        a.warm("/item/7").await;
        b.warm("/item/7").await;
        fleet.origin.set("v2");
        takes_records(&fleet, false).await;
        let length = fleet.log_length().await;
        for purge in 0..3 {
            assert_pending(a.purger().tag(format!("item:{}", 7 + purge)).await);
        }
        let there = b.get("/item/7").await;
        assert_eq!(there.body, "v1", "nobody said that it is in force there");

        takes_records(&fleet, true).await;
        a.notices.heard(1, purged).await;
        until("it is in force there", async || {
            b.get("/item/7").await.body == "v2"
        })
        .await;
        until("nothing waits", async || a.cache.health().waiting == 0).await;
        let appended = fleet.log_length().await - length;
        // Those that wait together may be one record.
        assert!((1..=3).contains(&appended), "all that waited, and no more");
    }
}

/// A fill that began before a pending purge is not valid when that has become a record.
#[tokio::test]
async fn safety_37_rule_24_a_fill_from_before_a_pending_purge() {
    let fleet = Fleet::private();
    let (a, b) = (fleet.companied(), fleet.node());
    let mut held = fleet.origin.hold();
    let filling = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    takes_records(&fleet, false).await;
    assert_pending(a.purger().tag("item:7").await);
    let late = a.get("/item/7").await;
    assert_eq!(late.body, "v2", "it does not join: {}", late.how());
    held.release();
    filling.await.expect("it is answered");
    fleet.stored(1).await;
    assert_eq!(a.get("/item/7").await.body, "v2");
    takes_records(&fleet, true).await;
    a.notices.heard(1, purged).await;
    for node in [&a, &b] {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{}", answer.how());
    }
}

#[tokio::test]
async fn rule_24_everything_that_a_purge_can_name_can_be_pending() {
    for name in ["tag", "family", "rule", "url", "glob", "all"] {
        let fleet = Fleet::private();
        let (a, b) = (fleet.companied(), fleet.node());
        a.warm("/item/7").await;
        fleet.origin.set("v2");
        takes_records(&fleet, false).await;
        let purger = a.purger();
        assert_pending(match name {
            "tag" => purger.tag("item:7").await,
            "family" => purger.family("item").await,
            "rule" => purger.rule("item").await,
            "url" => purger.url("/item/7").await,
            "glob" => purger.glob("/item/*").await,
            _ => purger.all().await,
        });
        let here = a.get("/item/7").await;
        assert_eq!(here.body, "v2", "{name}: {}", here.how());
        takes_records(&fleet, true).await;
        a.notices.heard(1, purged).await;
        let there = b.get("/item/7").await;
        assert_eq!(there.body, "v2", "{name}: {}", there.how());
    }
}

/// PROTOCOL 23 `[ack]`: no answer is no acknowledgement, even if the record did arrive.
#[tokio::test]
async fn rule_23_ack_a_purge_without_an_answer_is_pending_and_repeated() {
    let fleet = Fleet::new();
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let budget = Duration::from_millis(100);
    let a = fleet.builder_at(forwarder.url()).purge_timeout(budget);
    let a = fleet.companied_by(a);
    let b = fleet.node();
    until("A can purge", async || {
        a.purger().tag("item:1").await.is_ok()
    })
    .await;
    b.warm("/item/7").await;
    let (said, length) = (a.notices.count(purged), fleet.log_length().await);
    fleet.origin.set("v2");

    forwarder.stall();
    assert_pending(a.purger().tag("item:7").await);
    assert_eq!(b.get("/item/7").await.body, "v1");
    forwarder.resume();
    let appended = async || {
        // The pauses between connections are told by this clock.
        fleet.clock.advance(Duration::from_secs(1));
        a.notices.count(purged) > said
    };
    until("it is acknowledged", appended).await;
    let there = b.get("/item/7").await;
    assert_eq!(there.body, "v2", "{}", there.how());
    // The one that had no answer may be there as well: a double record does no harm.
    assert!(fleet.log_length().await > length);
}

#[tokio::test]
async fn rule_24_a_purge_whose_caller_gives_up_is_in_force_and_appended() {
    let fleet = Fleet::private();
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let a = fleet.companied_by(fleet.builder_at(forwarder.url()));
    let b = fleet.node();
    a.purger().tag("item:1").await.expect("redis is there");
    b.warm("/item/7").await;
    fleet.origin.set("v2");
    forwarder.stall();
    {
        let purger = a.purger();
        let purge = purger.tag("item:7");
        let given_up = tokio::time::timeout(Duration::from_millis(20), purge).await;
        assert!(given_up.is_err(), "nothing passes");
    }
    forwarder.resume();
    a.notices.heard(2, purged).await;
    for node in [&a, &b] {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{}", answer.how());
    }
}

/// PROTOCOL 23 `[ack]`: what returned `Ok` is in the log, at the position that was returned.
#[tokio::test]
async fn rule_23_ack_a_purge_that_returned_is_in_the_log() {
    let fleet = Fleet::new();
    let a = fleet.node();
    for ordinal in 1..=3 {
        let purged = a.purger().tag("item:7").await.expect("redis is there");
        assert_eq!(purged.position.ordinal, ordinal);
        let record = fleet
            .run(&format!("XRANGE LOG {0} {0}", purged.position))
            .await;
        let found: Vec<(String, Vec<String>)> =
            ::redis::from_redis_value(record).expect("a list of records");
        assert!(found[0].1.contains(&"t:item:7".to_owned()), "{found:?}");
    }
}
