//! What happens where Redis has a replica: one that is promoted by hand, and one that Sentinels promote.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::row;
use crate::bench::{Bench, PAGES, Row, run_all};

/// How long a node believes what it heard, and some room for a slow machine.
const LEASE: Duration = Duration::from_millis(1_250);

pub(super) const ROWS: &[Row] = &[
    row!(
        "replica-lost",
        "the replica is killed, and comes back",
        Replica,
        replica_lost
    ),
    row!(
        "promoted-behind",
        "the master dies, and a replica without the last purges is promoted",
        Replica,
        promoted_behind
    ),
    row!(
        "split-brain",
        "one node is left with the old master, the other with the promoted replica",
        Replica,
        split_brain
    ),
    row!(
        "split-brain-guarded",
        "the same with min-replicas-to-write 1, min-replicas-max-lag 1",
        Replica,
        &[
            "--min-replicas-to-write",
            "1",
            "--min-replicas-max-lag",
            "1"
        ],
        split_brain_guarded
    ),
    row!(
        "sentinel-killed",
        "the master is killed, and its replica promoted",
        Sentinel,
        sentinel_killed
    ),
    row!(
        "sentinel-stopped",
        "the master is stopped, and its replica promoted",
        Sentinel,
        sentinel_stopped
    ),
    row!(
        "sentinel-failover",
        "a failover on demand",
        Sentinel,
        sentinel_failover
    ),
    row!(
        "sentinel-replica-lost",
        "the replica is killed, and comes back",
        Sentinel,
        sentinel_replica_lost
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_151_whatever_happens_to_master_and_replica_no_answer_is_wrong_and_no_client_sees_it()
 {
    run_all(ROWS).await;
}

async fn replica_lost(bench: &mut Bench) {
    bench.topology.replica_mut().stop();
    bench.lasts(700, 6_000).await;
    bench.topology.replica_mut().restart();
    bench.topology.replicate(1).await;
}

/// All nodes go to the new master.
fn follow(bench: &Bench) {
    for node in &bench.nodes {
        node.way.switch(bench.topology.target());
        node.way.cut();
    }
}

async fn promoted_behind(bench: &mut Bench) {
    // The replica hears nothing, and the master does not know: purges are in its log, and not acknowledged.
    bench.topology.replication().swallow();
    bench.lasts(700, 2_000).await;
    bench.topology.master_mut().stop();
    bench.lasts(300, 1_000).await;
    bench.topology.promote().await;
    follow(bench);
}

/// The first node is left with the old master; changes are purged by the second, which goes to the new one.
async fn split(bench: &mut Bench, excused: Duration) {
    bench.changes.only.store(1, Ordering::SeqCst);
    // What the first node has on its way is settled before.
    bench.settle().await;
    bench.warm().await;
    let now = Instant::now();
    bench.ledger.excuse(0, now, now + excused);
    bench.topology.replication().swallow();
    bench.topology.promote().await;
    bench.nodes[1].way.switch(bench.topology.target());
    bench.nodes[1].way.cut();
}

/// The old master becomes a replica of the new one, and its node finds the new one.
async fn heal(bench: &mut Bench) {
    let port = bench.topology.master().port();
    let old = bench.topology.replica();
    old.run("CONFIG SET min-replicas-to-write 0").await;
    old.run(&format!("REPLICAOF 127.0.0.1 {port}")).await;
    follow(bench);
    bench.changes.only.store(usize::MAX, Ordering::SeqCst);
}

/// Until purges by the node that has the new master have returned, and for a while more.
async fn purge_on_the_new_side(bench: &Bench) {
    let purges = (0..PAGES / 2).map(|page| bench.changes.change(&bench.ledger, 1, page));
    join_all(purges).await;
    bench.lasts(1_000, 5_000).await;
}

/// For as long as the split lasts, and until the node has noticed that it is over.
async fn split_brain(bench: &mut Bench) {
    split(bench, Duration::from_secs(3_600)).await;
    purge_on_the_new_side(bench).await;
    heal(bench).await;
    let now = Instant::now();
    bench.ledger.excuse(0, now, now + LEASE);
    sleep(LEASE).await;
}

/// Nothing is excused: a purge waits longer for a node that it does not hear than the old master takes to notice.
async fn split_brain_guarded(bench: &mut Bench) {
    // The promoted one has no replica yet.
    let promoted = bench.topology.replica();
    promoted.run("CONFIG SET min-replicas-to-write 0").await;
    split(bench, Duration::ZERO).await;
    purge_on_the_new_side(bench).await;
    heal(bench).await;
}

async fn sentinel_killed(bench: &mut Bench) {
    bench.topology.master_mut().stop();
    bench.topology.switched().await;
    bench.topology.replica_mut().restart();
}

async fn sentinel_stopped(bench: &mut Bench) {
    bench.topology.master().suspend();
    bench.topology.switched().await;
    bench.lasts(300, 2_000).await;
    // It is a master still, and believes that it is one, until a Sentinel tells it.
    bench.topology.replica().resume();
}

async fn sentinel_failover(bench: &mut Bench) {
    bench.topology.fail_over().await;
}

async fn sentinel_replica_lost(bench: &mut Bench) {
    bench.topology.replica_mut().stop();
    bench.lasts(1_500, 6_000).await;
    bench.topology.replica_mut().restart();
    bench.lasts(0, 2_000).await;
}
