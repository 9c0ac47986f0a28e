//! What happens to a node: its clock is a day off, or it is stopped and goes on.

use super::row;
use crate::bench::{Bench, Nodes, Row, Upstream, run_all};

const WITH_PROCESS: (Upstream, Nodes) = (Upstream::Lives, Nodes::OneAndProcess);
const DAY: i64 = 24 * 3_600;

pub(super) const ROWS: &[Row] = &[
    row!(
        "clock-ahead",
        "the clock of one node is a day ahead",
        Single,
        ahead
    ),
    row!(
        "clock-behind",
        "the clock of one node is a day behind",
        Single,
        behind
    ),
    row!(
        "node-stopped",
        "a node is stopped (SIGSTOP), and goes on with what it knew",
        Single,
        &[],
        WITH_PROCESS,
        stopped
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_121_a_node_that_is_wrong_about_the_time_or_sleeps_answers_with_nothing_that_was_purged()
 {
    run_all(ROWS).await;
}

async fn ahead(bench: &mut Bench) {
    wrong(bench, DAY).await;
}

async fn behind(bench: &mut Bench) {
    wrong(bench, -DAY).await;
}

async fn wrong(bench: &mut Bench, seconds: i64) {
    bench.nodes[0].clock.jump(seconds);
    bench.lasts(1_000, 6_000).await;
    bench.nodes[0].clock.jump(0);
}

async fn stopped(bench: &mut Bench) {
    let process = bench.process.as_ref().expect("one is started");
    for _ in 0..bench.form.number(1, 3) {
        process.signal("STOP");
        // Longer than a purge waits for a node that does not answer.
        bench.lasts(6_500, 8_000).await;
        process.signal("CONT");
        bench.lasts(300, 2_000).await;
    }
}
