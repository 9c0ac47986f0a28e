//! PROTOCOL 6 to 8, 22 and 23 where replicas exist.

use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::{Forwarder, RedisServer};

use super::{Budgets, Node, PATIENT, eventually, kind};
use crate::error::ErrorKind;
use crate::log::contract::purge;
use crate::position::Position;

const LOG: &str = "test:purges";

/// Does not wait for a replica for long.
const HASTY: Budgets = Budgets {
    purge: Duration::from_millis(500),
    ..PATIENT
};

/// A master with one replica that is in step.
async fn pair() -> (RedisServer, RedisServer) {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    replica.replica_of(&master).await;
    (master, replica)
}

/// `[role]`
/// > purge @1 on the master · lookup on a replica that lags at 0 · tip agrees · v1 hit.
#[tokio::test]
async fn rule_07_a_replica_is_never_used() {
    let (master, replica) = pair().await;
    Node::new(&master.url()).append("a").await;
    let node = Node::new(&replica.url());
    assert_eq!(kind(node.lookup().await), Some(ErrorKind::Unavailable));
    assert_eq!(kind(node.tip().await), Some(ErrorKind::Unavailable));
    assert_eq!(
        kind(node.log().append(&purge("a", 1)).await),
        Some(ErrorKind::Unavailable)
    );
    assert_eq!(kind(node.log().tail(1).await), Some(ErrorKind::Unavailable));
}

/// The history of rule 6: the promoted replica lacks a purge that was acknowledged.
#[tokio::test]
async fn rule_06_a_promoted_replica_is_another_epoch() {
    let first = purge("a", 1);
    for access in ["lookup", "heartbeat", "append"] {
        let (mut master, replica) = pair().await;
        let forwarder = Forwarder::start(master.addr()).await;
        let node = Node::with(&forwarder.url(), HASTY);
        let opened = eventually(|| node.log().append(&first)).await;
        let old = opened.position.epoch;
        replica.run("REPLICAOF NO ONE").await;
        // Acknowledged by the old master alone.
        let lost = node.log().append(&purge("b", 1)).await;
        assert!(lost.is_ok_and(|lost| !lost.durable), "no replica has it");
        forwarder.switch(replica.addr());
        master.stop();
        let new = match access {
            "lookup" => eventually(|| node.lookup()).await,
            "heartbeat" => eventually(|| node.tip()).await,
            _ => {
                let record = purge("c", 1);
                eventually(|| node.log().append(&record)).await.position
            }
        };
        assert_ne!(old, new.epoch, "{access}");
    }
}

/// An idle connection to a demoted master lives on and reads a lagging replica.
#[tokio::test]
async fn rule_08_a_demoted_master_is_noticed_on_live_connections() {
    for access in ["heartbeat", "append", "follower"] {
        let (master, replica) = pair().await;
        let node = Node::new(&master.url());
        let before = node.append("a").await;
        node.lookup().await.unwrap();
        assert!(
            node.log()
                .read_after(before, Duration::ZERO)
                .await
                .unwrap()
                .is_empty()
        );
        replica.run("REPLICAOF NO ONE").await;
        master.replica_of(&replica).await;
        let noticed = match access {
            "heartbeat" => kind(node.tip().await),
            "append" => kind(node.log().append(&purge("b", 1)).await),
            _ => kind(node.log().read_after(before, Duration::from_secs(60)).await),
        };
        assert_eq!(noticed, Some(ErrorKind::Unavailable), "{access}");
        // One noticed; no other connection is used any more.
        assert_eq!(
            kind(node.lookup().await),
            Some(ErrorKind::Unavailable),
            "{access}"
        );
    }
}

#[tokio::test]
async fn rule_08_a_blocked_follower_is_told_of_a_demotion() {
    let (master, replica) = pair().await;
    let node = Node::new(&master.url());
    let tip = node.append("a").await;
    node.lookup().await.unwrap();
    let reading = node.log().read_after(tip, Duration::from_secs(60));
    let demote = async {
        while !master.info("clients").await.contains("blocked_clients:1") {}
        replica.run("REPLICAOF NO ONE").await;
        master.replica_of(&replica).await;
    };
    let (read, ()) = tokio::join!(reading, demote);
    let error = read.unwrap_err();
    assert!(error.to_string().contains("UNBLOCKED"), "{error}");
    assert_eq!(kind(node.lookup().await), Some(ErrorKind::Unavailable));
}

/// `master_replid` changes on live connections when the first replica attaches: all nodes agree on
/// one new epoch, whenever each of them connected.
#[tokio::test]
async fn rule_07_nodes_agree_after_the_first_replica_attached() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    let (old, other) = (Node::new(&master.url()), Node::new(&master.url()));
    let before = old.append("a").await;
    assert_eq!(other.lookup().await.unwrap(), before);
    replica.replica_of(&master).await;
    let newer = Node::new(&master.url());
    let opened = newer.lookup().await.unwrap();
    assert_ne!(opened.epoch, before.epoch);
    for node in [&old, &other, &newer] {
        assert_eq!(node.tip().await.unwrap(), opened);
        assert_eq!(node.lookup().await.unwrap(), opened);
    }
    let position = old.append("b").await;
    for node in [&old, &other, &newer] {
        assert_eq!(node.lookup().await.unwrap(), position);
    }
}

#[tokio::test]
async fn rule_23_where_replicas_exist_a_purge_waits_for_one() {
    let (master, _replica) = pair().await;
    let node = Node::new(&master.url());
    let mut appended = node.log().append(&purge("a", 1)).await.unwrap();
    if !appended.durable {
        // On a slow machine, later.
        let confirmed = eventually(|| node.log().confirm(appended.position)).await;
        appended = confirmed.expect("the log is the same");
    }
    assert_eq!(appended.replicas, 1);
    assert_eq!(node.log().tip().await.unwrap().replicas, 1);
    assert_eq!(node.store().get(&[]).await.unwrap().tip.replicas, 1);
}

#[tokio::test]
async fn rule_23_a_purge_that_no_replica_has_is_not_acknowledged() {
    let (master, replica) = pair().await;
    let node = Node::with(&master.url(), HASTY);
    eventually(|| node.tip()).await;
    // Alive, but it acknowledges nothing.
    replica.suspend();
    // On a slow machine an append may be late and made again; what is appended is in the log.
    let record = purge("b", 1);
    let appended = eventually(|| node.log().append(&record)).await;
    assert!(!appended.durable);
    let length = master.command(&["XLEN", LOG]).await;
    assert_ne!(length, Value::Int(1), "not even in the log");
    assert!(node.log().confirm(appended.position).await.is_err());
    replica.resume();
    let confirmed = eventually(|| node.log().confirm(appended.position)).await;
    let confirmed = confirmed.expect("the log is the same");
    assert_eq!((confirmed.replicas, confirmed.durable), (1, true));
    // However often it was asked about.
    assert_eq!(master.command(&["XLEN", LOG]).await, length);
    let earlier = Position::new(appended.position.epoch.get() + 1, 0);
    assert_eq!(node.log().confirm(earlier).await.unwrap(), None);
}

#[tokio::test]
async fn rule_22_a_master_cut_off_from_its_replicas_ends_heartbeats_and_purges() {
    let (master, mut replica) = pair().await;
    let node = Node::new(&master.url());
    node.append("a").await;
    assert_eq!(
        master.command(&["EXISTS", "{test:purges}:hb"]).await,
        Value::Int(0)
    );
    node.tip().await.unwrap();
    assert_eq!(
        master.command(&["EXISTS", "{test:purges}:hb"]).await,
        Value::Int(1)
    );
    master.run("CONFIG SET min-replicas-to-write 2").await;
    let error = node.tip().await.unwrap_err();
    assert!(error.to_string().contains("NOREPLICAS"), "{error}");
    let refused = node.log().append(&purge("b", 1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    master.run("CONFIG SET min-replicas-to-write 1").await;
    eventually(|| {
        node.clock.advance(Duration::from_secs(5));
        node.tip()
    })
    .await;
    replica.stop();
}

/// PROTOCOL 22 `[hb_write]`, `[strict_lease]`: a master that has forgotten the replicas that it is cut
/// off from still demands them, so that a process started only now does without heartbeats too.
#[tokio::test]
async fn rule_22_a_process_started_on_a_cut_off_master_knows_that_replicas_exist() {
    let server = RedisServer::start();
    Node::new(&server.url()).append("a").await;
    server.run("CONFIG SET min-replicas-to-write 1").await;
    let node = Node::new(&server.url());
    let found = node.store().get(&[]).await.unwrap();
    assert_eq!(found.tip.replicas, 1, "lookups need the lease");
    let error = node.log().tip().await.unwrap_err();
    assert!(error.to_string().contains("NOREPLICAS"), "{error}");
}

#[tokio::test]
async fn rule_08_a_server_that_turns_read_only_under_us_is_left() {
    let (master, replica) = pair().await;
    let forwarder = Forwarder::start(master.addr()).await;
    let node = Node::new(&forwarder.url());
    let before = node.append("a").await;
    while replica.command(&["XLEN", LOG]).await != Value::Int(2) {}
    replica.run("REPLICAOF NO ONE").await;
    master.replica_of(&replica).await;
    // New connections lead to the new master, the old ones still to the old.
    forwarder.switch(replica.addr());
    let position = node.append("b").await;
    assert_ne!(position.epoch, before.epoch);
    assert_eq!(node.lookup().await.unwrap(), position);
    assert_eq!(replica.command(&["XLEN", LOG]).await, Value::Int(4));
}
