//! P1 for near rules on other nodes: once a purge has returned it is everywhere, and no node serves what was stored before,
//! from copies too (PROTOCOL 33 to 37).
//!
//! `make everywhere` runs the pairs of purge and read by the hundred thousand, and says how long a purge takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tagcache_test_support::{Fleet, Forwarder, Node, RedisServer, item_rule, until};
use tower_tagcache::{Everywhere, Purger, SystemClock};

const PATH: &str = "/item/7";
const TAG: &str = "item:7";

/// How many pairs of purge and read, unless `TAGCACHE_PAIRS` says otherwise.
fn pairs(default: usize) -> usize {
    let given = std::env::var("TAGCACHE_PAIRS").ok();
    given.map_or(default, |given| given.parse().expect("a number"))
}

/// Near rules, copies, and a clock that goes on.
struct Nodes {
    fleet: Fleet,
    nodes: Vec<Node>,
    /// The way of each node to Redis.
    ways: Vec<Forwarder>,
    version: usize,
}

impl Nodes {
    async fn start() -> Self {
        Self::on(0).await
    }

    /// Each reaches Redis in a way of its own, which the test can spoil.
    async fn apart() -> Self {
        Self::on(3).await
    }

    async fn on(ways: usize) -> Self {
        let fleet = Fleet::private().copying().rule(item_rule().near());
        let mut all = Self {
            fleet,
            nodes: Vec::new(),
            ways: Vec::new(),
            version: 0,
        };
        for _ in 0..ways {
            let way = Forwarder::start(all.fleet.server.addr()).await;
            all.ways.push(way);
        }
        for number in 0..3 {
            let node = all.node(number);
            all.nodes.push(node);
        }
        all.marked().await;
        all
    }

    /// A process, on the way of this number if it has one.
    fn node(&self, number: usize) -> Node {
        let way = self.ways.get(number).map(Forwarder::url);
        let url = way.unwrap_or_else(|| self.fleet.server.url());
        let builder = self.fleet.builder_at(url);
        self.fleet.companied_by(builder.clock(SystemClock::new()))
    }

    /// A replica takes the place of the server, which dies.
    async fn fail_over(&mut self) {
        let replica = RedisServer::start();
        replica.replica_of(&self.fleet.server).await;
        replica.run("REPLICAOF NO ONE").await;
        for way in &self.ways {
            way.switch(replica.addr());
            way.cut();
        }
        self.fleet.server = Arc::new(replica);
    }

    fn roll(&self) -> String {
        format!("{{{}}}:roll", self.fleet.log_key())
    }

    /// The roll knows that it is complete: from then on purges need not wait for the time.
    async fn marked(&self) {
        let command = format!("HEXISTS {} mark", self.roll());
        until("the roll has its mark", async || {
            self.fleet.run(&command).await == redis::Value::Int(1)
        })
        .await;
    }

    /// Every node has a copy of what there is.
    async fn warm(&self) {
        for node in &self.nodes {
            node.get(PATH).await;
        }
    }

    /// The data change, and are purged; how that ended.
    async fn purge(&mut self, by: &Purger) -> Option<Everywhere> {
        self.version += 1;
        self.fleet.origin.set(&format!("v{}", self.version));
        let purged = by.tag(TAG).await.expect("the log takes it");
        purged.everywhere
    }

    /// Whether node `number` answers with what was there before the last purge.
    async fn is_old(&self, number: usize) -> bool {
        let answer = self.nodes[number].get(PATH).await;
        answer.text() != format!("v{}", self.version)
    }

    /// Purges on one node and reads on another, `pairs` times: how many of the reads were old, and how long each
    /// purge took.
    async fn rounds(
        &mut self,
        pairs: usize,
        purger: fn(&Node) -> Purger,
    ) -> (usize, Vec<Duration>) {
        let (mut old, mut took) = (0, Vec::with_capacity(pairs));
        for round in 0..pairs {
            self.warm().await;
            let by = purger(&self.nodes[round % 3]);
            let began = Instant::now();
            self.purge(&by).await;
            took.push(began.elapsed());
            old += usize::from(self.is_old((round + 1 + round / 3 % 2) % 3).await);
        }
        took.sort_unstable();
        (old, took)
    }
}

fn everywhere(node: &Node) -> Purger {
    node.cache.purger()
}

fn in_log(node: &Node) -> Purger {
    node.cache.purger().in_log()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn after_a_purge_has_returned_no_other_node_answers_near_with_what_was_purged() {
    let mut nodes = Nodes::start().await;
    let pairs = pairs(1_000);
    let (early, _) = nodes.rounds(pairs.min(10_000), in_log).await;
    let (old, took) = nodes.rounds(pairs, everywhere).await;
    let at = |percent: usize| took[(pairs - 1) * percent / 100];
    println!(
        "{pairs} pairs: {old} old; a purge took {:?} (p50), {:?} (p99); in the log only: {early} of {} old",
        at(50),
        at(99),
        pairs.min(10_000),
    );
    assert_eq!(old, 0);
}

#[tokio::test]
async fn a_node_that_has_stopped_is_waited_out_and_answers_near_no_more() {
    let mut nodes = Nodes::start().await;
    for round in 0..3 {
        nodes.warm().await;
        nodes.nodes[1].kill().await;
        let by = everywhere(&nodes.nodes[0]);
        let began = Instant::now();
        let how = nodes.purge(&by).await.expect("it is everywhere");
        println!("round {round}: {how:?} after {:?}", began.elapsed());
        // Another one may be late on a machine that has other work.
        assert!(how.waited_out >= 1, "{how:?}");
        assert!(!nodes.is_old(1).await, "round {round}");
        nodes.nodes[1] = nodes.node(1);
    }
}

/// Whatever happens to nodes, roll, log and server: a purge that has returned is everywhere. Seeded, and the seed is
/// printed; `TAGCACHE_FAULTS` says how many.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whatever_happens_a_purge_that_has_returned_is_everywhere() {
    let faults = std::env::var("TAGCACHE_FAULTS").ok();
    let faults = faults.map_or(8, |given| given.parse().expect("a number"));
    let seed = std::env::var("TAGCACHE_SEED").ok();
    let seed = seed.map_or_else(
        || fastrand::u64(..),
        |given| given.parse().expect("a number"),
    );
    println!("TAGCACHE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut nodes = Nodes::apart().await;
    let (mut stopped, mut hanging) = (None, 0);
    for round in 0..faults {
        nodes.warm().await;
        nodes.ways[hanging].resume();
        let fault = random.usize(..7);
        let which = random.usize(..3);
        match fault {
            0 => drop(nodes.fleet.run(&format!("DEL {}", nodes.roll())).await),
            1 => drop(nodes.fleet.run("DEL LOG").await),
            2 => drop(nodes.fleet.run("FLUSHALL").await),
            3 => drop(nodes.fleet.run("CLIENT PAUSE 200 ALL").await),
            // It hears and says nothing any more, and is asked all the same.
            4 if stopped.is_none() => {
                nodes.nodes[which].kill().await;
                stopped = Some(which);
            }
            // Its follower hangs, and it has heartbeats.
            5 => {
                hanging = which;
                nodes.ways[which].hold_waiting();
            }
            _ => {
                if let Some(stopped) = stopped.take() {
                    nodes.nodes[stopped] = nodes.node(stopped);
                }
            }
        }
        for pair in 0..5 {
            let by = (0..3)
                .find(|node| Some(*node) != stopped)
                .expect("one runs");
            let by = everywhere(&nodes.nodes[by]);
            nodes.purge(&by).await;
            for node in 0..3 {
                let old = nodes.is_old(node).await;
                assert!(
                    !old,
                    "round {round}, fault {fault} to {which}, pair {pair}, node {node}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_purge_that_has_returned_is_everywhere_when_the_server_has_failed_over() {
    let given = std::env::var("TAGCACHE_FAILOVERS").ok();
    let failovers: usize = given.map_or(2, |given| given.parse().expect("a number"));
    let mut nodes = Nodes::apart().await;
    let mut reads = 0;
    for failover in 0..failovers {
        nodes.warm().await;
        nodes.fail_over().await;
        for pair in 0..5 {
            let by = everywhere(&nodes.nodes[(failover + pair) % 3]);
            nodes.purge(&by).await;
            for node in 0..3 {
                assert!(
                    !nodes.is_old(node).await,
                    "failover {failover}, pair {pair}, node {node}"
                );
                reads += 1;
            }
        }
    }
    println!("{failovers} failovers: 0 of {reads} reads old");
}

#[tokio::test]
async fn a_roll_that_is_lost_or_is_none_makes_purges_slow_and_never_early() {
    let mut nodes = Nodes::start().await;
    let roll = nodes.roll();
    for (what, command) in [
        ("deleted", format!("DEL {roll}")),
        ("of another type", format!("SET {roll} somebody")),
        ("with a foreign field", format!("HSET {roll} somebody else")),
        ("with a foreign mark", format!("HSET {roll} mark soon")),
    ] {
        nodes.marked().await;
        nodes.warm().await;
        nodes.fleet.run(&command).await;
        let by = everywhere(&nodes.nodes[0]);
        nodes.purge(&by).await.expect("it is everywhere");
        assert!(!nodes.is_old(1).await, "{what}");
        assert!(!nodes.is_old(2).await, "{what}");
    }
    // It is made anew by itself.
    nodes.marked().await;
    nodes.warm().await;
    let by = everywhere(&nodes.nodes[0]);
    let how = nodes.purge(&by).await.expect("it is everywhere");
    assert_eq!((how.acknowledged, how.by_time), (3, false), "{how:?}");
}

#[tokio::test]
async fn without_the_right_to_run_scripts_a_purge_waits_for_the_longest_lease_and_that_is_told() {
    let mut nodes = Nodes::start().await;
    nodes.fleet.run("ACL SETUSER default -eval").await;
    nodes.warm().await;
    let by = everywhere(&nodes.nodes[0]);
    nodes.purge(&by).await.expect("it is everywhere");
    assert!(!nodes.is_old(1).await);
    until("readiness says why", async || {
        let health = nodes.nodes[1].cache.health();
        health.troubles.iter().any(|trouble| trouble.part == "roll")
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_the_log_only_makes_nobody_write() {
    let mut nodes = Nodes::start().await;
    nodes.warm().await;
    let before = nodes.fleet.server.calls("eval").await;
    let (_, _) = nodes.rounds(100, in_log).await;
    let after = nodes.fleet.server.calls("eval").await;
    assert_eq!(after - before, 0, "acknowledgements that nobody asked for");
    let records = nodes.fleet.server.calls("xadd").await;
    nodes.rounds(100, everywhere).await;
    assert_eq!(nodes.fleet.server.calls("xadd").await - records, 100);
    let said = nodes.fleet.server.calls("eval").await - after;
    assert!(
        (100..=300).contains(&said),
        "one write by each node at the most: {said}"
    );
}
