//! What happens to the upstream.

use std::time::Duration;

use tokio::task::JoinSet;

use super::row;
use crate::bench::{Bench, COLD, Nodes, PAGES, Row, Upstream, run_all};
use crate::load::Connection;
use crate::upstream::liar;

const FAILS: (Upstream, Nodes) = (Upstream::Fails, Nodes::Two);

pub(super) const ROWS: &[Row] = &[
    row!(
        "upstream-dead",
        "the upstream refuses connections",
        Single,
        &[],
        FAILS,
        dead
    ),
    row!(
        "upstream-slow",
        "the upstream is 200 ms further away",
        Single,
        slow
    ),
    row!(
        "upstream-lying",
        "the upstream cuts bodies, lies about lengths, sends garbage and more than it was asked for",
        Single,
        &[],
        FAILS,
        lying
    ),
    row!(
        "upstream-hanging",
        "the upstream takes requests of 2,000 more clients and answers none",
        Single,
        &[],
        FAILS,
        hanging
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_152_whatever_the_upstream_does_no_answer_is_wrong_and_none_is_broken_once_it_is_back()
 {
    run_all(ROWS).await;
}

/// The upstream counts as down for a moment longer.
const PASSED_OVER: Duration = Duration::from_millis(700);

async fn dead(bench: &mut Bench) {
    bench.upstream.refuse();
    bench.lasts(700, 5_000).await;
    bench.upstream.resume();
    tokio::time::sleep(PASSED_OVER).await;
}

async fn slow(bench: &mut Bench) {
    bench.upstream.delay(Duration::from_millis(100));
    bench.lasts(1_000, 6_000).await;
    bench.upstream.delay(Duration::ZERO);
}

async fn lying(bench: &mut Bench) {
    let liar = liar(&bench.ledger).await;
    bench.upstream.switch(liar.address());
    bench.upstream.cut();
    tokio::join!(bench.lasts(1_000, 6_000), ask_for_cold_pages(bench));
    let lies = liar.calls();
    bench.notes.push(format!("{lies} lies"));
    assert!(lies > COLD, "few have asked");
    bench.upstream.switch(bench.origin.address);
    bench.upstream.cut();
    liar.stop();
    tokio::time::sleep(PASSED_OVER).await;
}

/// Each of them once at each node: what is answered as a whole has to be right.
async fn ask_for_cold_pages(bench: &Bench) {
    for (number, node) in bench.nodes.iter().enumerate() {
        let mut connection = Connection::to(node.address);
        for page in PAGES..PAGES + COLD {
            let question = bench.ledger.ask(number, page);
            let answer = connection.get(["near", "strict"][page % 2], page).await;
            if answer.is_ok() {
                bench.load.seen.note(&bench.ledger, question, answer);
            }
        }
    }
}

async fn hanging(bench: &mut Bench) {
    bench.upstream.stall();
    let mut clients = JoinSet::new();
    for number in 0..bench.form.number(200, 2_000) as usize {
        let to = bench.nodes[number % 2].address;
        // Some of them want the same.
        let page = PAGES + number / 2 % COLD;
        clients.spawn(async move {
            let rule = ["near", "strict"][number / 4 % 2];
            Connection::to(to).get(rule, page).await.is_ok()
        });
    }
    let clients = clients.join_all().await;
    let answered = clients.iter().filter(|ok| **ok).count();
    bench.notes.push(format!(
        "{} clients told that upstream hangs",
        clients.len() - answered
    ));
    assert_eq!(answered, 0, "upstream answers nobody");
    bench.upstream.resume();
    bench.upstream.cut();
    tokio::time::sleep(PASSED_OVER).await;
}
