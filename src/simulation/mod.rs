//! The simulation: nodes over a network that breaks, in one thread and in virtual time.
//!
//! What runs is what is shipped: cache, companion, engine, follower, roll, heartbeats, and all of `src/redis` with its
//! connections, trust and breakers. Only what it stands on is simulated: sockets ([`network`]), the Redis servers and a
//! Sentinel ([`server`]), clocks, and processes that stop, die and start ([`Process`](crate::sync::Process)). A history is a seed: how many
//! nodes, which leases, one server or a master with two replicas, who asks for what and purges what when, and at least
//! ten faults among that. After each answer a [`witness`] checks P1 (strict and near), P2 and P7, and when
//! all is mended that all calls end, that all was told, and that hits come back.
//!
//! What it does not have: event streams (P6, which real servers are for: `tests/promises/p6`), bodies in chunks, claims, and threads.
//!
//! `TAGCACHE_SEEDS` sets how many run, `TAGCACHE_FIRST_SEED` where they begin, and `TAGCACHE_SEED` runs one alone, with
//! its steps. `make simulate` runs many, optimised.

mod faults;
mod mending;
mod network;
mod node;
mod real;
mod server;
mod witness;
mod world;

use std::time::Duration;

use crate::weaken::{ProtocolRule, weaken};

use self::witness::Tally;
use self::world::{Ended, World};

/// Runs the history of `seed`.
fn run(seed: u64, traces: bool) -> Ended {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    // Which of several waiting tasks is woken first is left to chance by the runtime.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    let runtime = builder
        .build()
        .expect("a runtime without I/O can always be built");
    fastrand::seed(seed);
    runtime.block_on(async { World::new(seed, traces).run().await })
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

/// What came of many histories.
#[derive(Debug, Default)]
struct Sum {
    histories: u64,
    excused: u64,
    tally: Tally,
    virtual_time: Duration,
    /// The seeds that broke a promise.
    broken: Vec<u64>,
}

impl Sum {
    fn add(&mut self, seed: u64, ended: &Ended) {
        self.histories += 1;
        self.excused += u64::from(ended.is_excused);
        self.virtual_time += ended.virtual_time;
        self.tally.add(&ended.tally);
        if ended.violation.is_some() {
            self.broken.push(seed);
        }
    }

    fn merge(&mut self, other: Self) {
        self.histories += other.histories;
        self.excused += other.excused;
        self.virtual_time += other.virtual_time;
        self.tally.add(&other.tally);
        self.broken.extend(other.broken);
    }

    fn report(&self) {
        let tally = &self.tally;
        println!(
            "{} histories, {:.1} virtual hours, {} violations",
            self.histories,
            self.virtual_time.as_secs_f64() / 3_600.0,
            self.broken.len()
        );
        println!(
            "{} ended early: a log that was rolled back by hand had grown past where it was, unseen (PROTOCOL 9)",
            self.excused
        );
        println!(
            "purges: {}, of which {} returned everywhere, {} pending; updates told: {}",
            tally.purges, tally.everywhere, tally.pending, tally.told
        );
        println!(
            "reads: {} strict, {} near; {} of them hits",
            tally.strict, tally.near, tally.hits
        );
        println!("faults: {}", tally.faults.values().sum::<u64>());
        for (kind, number) in &tally.faults {
            println!("  {number:>9} {kind}");
        }
    }
}

/// Says what happened in a history that broke a promise.
fn tell(seed: u64) -> String {
    let again = run(seed, true);
    for step in &again.trace {
        println!("{step}");
    }
    let violation = again
        .violation
        .unwrap_or_else(|| "not again: run `make simulate SEED=…`".to_owned());
    format!("seed {seed}: {violation}\nrun it again with: make simulate SEED={seed}")
}

/// Runs so many histories, on as many threads as there are processors if there are many.
fn run_all(first: u64, histories: u64) -> Sum {
    let threads = match histories {
        0..1_000 => 1,
        _ => std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64,
    };
    let of_thread = |thread: u64| {
        let mut sum = Sum::default();
        let mut seed = first + thread;
        while seed < first + histories && sum.broken.len() < 3 {
            sum.add(seed, &run(seed, false));
            seed += threads;
        }
        sum
    };
    let mut all = Sum::default();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || of_thread(thread)))
            .collect();
        for thread in running {
            all.merge(thread.join().expect("a history panicked: run each alone"));
        }
    });
    all
}

/// SAFETY 148.
#[test]
fn safety_148_no_history_over_a_network_that_breaks_serves_a_purged_response() {
    if let Some(seed) = setting("TAGCACHE_SEED") {
        let ended = run(seed, true);
        ended.trace.iter().for_each(|step| println!("{step}"));
        println!("{:?}\nhistory {:016x}", ended.tally, ended.hash);
        assert_eq!(ended.violation, None, "seed {seed}");
        return;
    }
    let histories = setting("TAGCACHE_SEEDS").unwrap_or(10);
    let first = setting("TAGCACHE_FIRST_SEED").unwrap_or(1);
    let sum = run_all(first, histories);
    sum.report();
    if let Some(seed) = sum.broken.first() {
        panic!("{}", tell(*seed));
    }
    assert!(sum.tally.faults.values().sum::<u64>() >= histories * 9);
}

/// A seed is a history: without that none could be looked at again.
#[cfg(tokio_unstable)]
#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 1..=20 {
        let (one, other) = (run(seed, false), run(seed, false));
        assert_eq!(
            (one.hash, one.tally),
            (other.hash, other.tally),
            "seed {seed}"
        );
    }
}

/// The first seed that shows the absence of `rule`, and how.
fn caught(rule: ProtocolRule, seeds: u64) -> Option<(u64, String)> {
    weaken(Some(rule));
    let caught = (1..=seeds).find_map(|seed| Some((seed, run(seed, false).violation?)));
    weaken(None);
    caught
}

/// The rules whose absence is looked for, within so many histories.
const LOOKED_FOR: [ProtocolRule; 34] = [
    ProtocolRule::OlderEpoch,
    ProtocolRule::EpochCheck,
    ProtocolRule::TwoMarks,
    ProtocolRule::MarkFloor,
    ProtocolRule::BootFloor,
    ProtocolRule::Gap,
    ProtocolRule::OwnAck,
    ProtocolRule::StampBefore,
    ProtocolRule::StampPair,
    ProtocolRule::WaitTip,
    ProtocolRule::TipEpoch,
    ProtocolRule::TipFresh,
    ProtocolRule::Joiner,
    ProtocolRule::Ack,
    ProtocolRule::Strong,
    ProtocolRule::Lease,
    ProtocolRule::LeaseSend,
    ProtocolRule::CaughtUp,
    ProtocolRule::NearStamp,
    ProtocolRule::MarkFirst,
    ProtocolRule::PosNear,
    ProtocolRule::SoftPos,
    ProtocolRule::PosEpoch,
    ProtocolRule::RollTime,
    ProtocolRule::RollLongest,
    ProtocolRule::RollMark,
    ProtocolRule::RollToken,
    ProtocolRule::RollRemove,
    ProtocolRule::RollOk,
    ProtocolRule::RollApplied,
    ProtocolRule::RollFresh,
    ProtocolRule::RollGone,
    ProtocolRule::AnnounceEverywhere,
    ProtocolRule::AnnounceOnce,
];

/// Those of them whose absence shows within so many.
const SHOWN: [ProtocolRule; 12] = [
    ProtocolRule::OlderEpoch,
    ProtocolRule::EpochCheck,
    ProtocolRule::TwoMarks,
    ProtocolRule::MarkFloor,
    ProtocolRule::Gap,
    ProtocolRule::OwnAck,
    ProtocolRule::StampBefore,
    ProtocolRule::StampPair,
    ProtocolRule::WaitTip,
    ProtocolRule::TipEpoch,
    ProtocolRule::Joiner,
    ProtocolRule::Lease,
];

/// Which rules' absence shows, and in which history first.
#[test]
#[ignore = "half an hour; `make simulate` runs it"]
fn what_the_histories_show_without_each_rule() {
    let seeds = setting("TAGCACHE_RULE_SEEDS").unwrap_or(2_000);
    let mut overlooked = Vec::new();
    for rule in LOOKED_FOR {
        match caught(rule, seeds) {
            Some((seed, violation)) => {
                let short: String = violation.chars().take(150).collect();
                println!("without {rule:?}: seed {seed}: {short}");
            }
            None => {
                println!("without {rule:?}: nothing in {seeds} histories");
                overlooked.extend(SHOWN.contains(&rule).then_some(rule));
            }
        }
    }
    assert_eq!(overlooked, [], "without them nothing shows any more");
}
