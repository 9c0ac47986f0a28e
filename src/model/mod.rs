//! The model test: random histories on three nodes against a naive reference.
//!
//! Each history is a seed. Three nodes, each with its own view and flights, share one log and one
//! store; an origin answers when the history says so; requests, purges (hard, soft, settling, globs),
//! lag, lost logs, trims, restarts, outages and passing time come in any order. The reference knows
//! when each response's generation began, and each purge was called and returned; after every
//! response it checks P1 as it is written:
//!
//! - once a hard purge has returned, no request that arrives later gets a response whose generation
//!   began before that purge was called;
//! - after a soft one it gets such a response only as stale;
//! - after a settling one, when its time is over, it gets nothing made from data older than the purge.
//!
//! A request that names the position of a purge which has returned is checked by P7 as well: at once under near
//! rules too, never stale, and also on a node that was cut off together with an old master.
//!
//! Strict rules are tried on a store that answers at once, and on one that has to be waited for, from
//! copies of it. Near rules too serve nothing old once a purge has returned, which is when it is everywhere; one that is
//! waited for in the log only they may lag behind by the lease and no longer. Their histories have heartbeats, late
//! replies to them, moments shorter than a lease, unequal leases, and a roll that is lost, refused and made again.
//!
//! In the last kind people are told of purges: from then on no request anywhere gets what was there before, and whatever
//! happens (purgers that die, lost logs, restarts), each node tells of each announcement once, or that it may have missed some.
//!
//! `TAGCACHE_HISTORIES` sets how many run (of the last kind a third), `TAGCACHE_FIRST_SEED` where they begin, and `TAGCACHE_SEED` runs
//! one alone. A history that breaks P1 fails with the steps that led there. That the test can fail is
//! shown by taking one protocol rule away at a time.

mod check;
mod faulty_log;
mod histories;
mod node;
mod origin;
mod roll;
mod world;

use std::ops::RangeInclusive;

use crate::weaken::{ProtocolRule, weaken};

use self::node::Lookups;
use self::world::World;

/// Runs the history of `seed`; `Err` is the violation, with the steps that led to it.
fn run(seed: u64, lookups: Lookups) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O can always be built");
    runtime.block_on(World::new(seed, lookups).run())
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

/// The histories that are asked for.
fn seeds(one: Option<u64>) -> RangeInclusive<u64> {
    if let Some(seed) = one {
        return seed..=seed;
    }
    let histories = setting("TAGCACHE_HISTORIES").unwrap_or(10_000);
    let first = setting("TAGCACHE_FIRST_SEED").unwrap_or(1);
    first..=first + histories - 1
}

fn run_all(lookups: Lookups) {
    run_each(seeds(setting("TAGCACHE_SEED")), lookups);
}

/// Runs the histories of `seeds`.
///
/// # Panics
/// One of them broke P1.
fn run_each(seeds: RangeInclusive<u64>, lookups: Lookups) {
    let (first, last) = (seeds.start(), seeds.end());
    println!("model test, {lookups:?}: seeds {first} to {last}");
    for seed in seeds {
        if let Err(violation) = run(seed, lookups) {
            panic!("seed {seed}, {lookups:?}: {violation}\nrun it again with TAGCACHE_SEED={seed}");
        }
    }
}

#[test]
fn p1_no_history_serves_a_purged_response() {
    run_all(Lookups::Strict);
}

#[test]
fn p1_no_history_serves_a_purged_response_from_a_copy_that_the_log_was_asked_about() {
    run_all(Lookups::Copied);
}

#[test]
fn p1_no_history_serves_a_purged_response_from_a_near_copy_beyond_the_lease() {
    run_all(Lookups::Near);
}

#[test]
fn p1_no_history_serves_a_purged_response_on_any_node_of_the_roll() {
    run_all(Lookups::Rolled);
}

#[test]
fn p7_no_history_shows_who_was_told_of_a_purge_what_was_there_before() {
    let one = setting("TAGCACHE_SEED");
    let all = seeds(one);
    // They take three times as long as others.
    let third = all.start() + (all.end() - all.start()) / 3;
    run_each(*all.start()..=third, Lookups::Told);
}

/// The seed that catches `rule`'s absence, within a bounded search.
fn caught(rule: ProtocolRule, lookups: Lookups) -> Option<u64> {
    weaken(Some(rule));
    let caught = (1..=20_000).find(|seed| run(*seed, lookups).is_err());
    weaken(None);
    caught
}

#[test]
fn a_seed_that_is_run_alone_fails_if_its_history_breaks_the_promise() {
    let seed = caught(ProtocolRule::StampBefore, Lookups::Strict).expect("the rule is needed");
    weaken(Some(ProtocolRule::StampBefore));
    let failed = std::panic::catch_unwind(|| run_each(seeds(Some(seed)), Lookups::Strict));
    weaken(None);
    let message = failed.expect_err("the history breaks P1");
    let message = message.downcast_ref::<String>().expect("a message");
    let again = format!("TAGCACHE_SEED={seed}");
    assert!(
        message.contains("despite") && message.contains(&again),
        "{message}"
    );
}

macro_rules! each_rule_is_needed {
    ($lookups:ident: $($test:ident: $rule:ident,)+) => {$(
        #[test]
        fn $test() {
            let caught = caught(ProtocolRule::$rule, Lookups::$lookups);
            println!("without {:?}: caught by seed {caught:?}", ProtocolRule::$rule);
            assert!(caught.is_some(), "the model test does not notice the absence of {:?}", ProtocolRule::$rule);
        }
    )+};
}

each_rule_is_needed! {
    Strict:
    without_epoch_check_the_model_test_fails: EpochCheck,
    without_two_marks_the_model_test_fails: TwoMarks,
    without_mark_floor_the_model_test_fails: MarkFloor,
    without_boot_floor_the_model_test_fails: BootFloor,
    without_gap_the_model_test_fails: Gap,
    without_own_ack_the_model_test_fails: OwnAck,
    without_stamp_before_the_model_test_fails: StampBefore,
    without_stamp_pair_the_model_test_fails: StampPair,
    without_wait_tip_the_model_test_fails: WaitTip,
    without_tip_epoch_the_model_test_fails: TipEpoch,
    without_joiner_the_model_test_fails: Joiner,
    without_settle_start_the_model_test_fails: SettleStart,
    without_soft_pos_the_model_test_fails: SoftPos,
}

each_rule_is_needed! {
    Copied:
    without_tip_fresh_the_model_test_fails: TipFresh,
    without_pos_epoch_the_model_test_fails: PosEpoch,
}

each_rule_is_needed! {
    Near:
    without_the_lease_the_model_test_fails: Lease,
    without_caught_up_the_model_test_fails: CaughtUp,
    without_near_stamp_the_model_test_fails: NearStamp,
    without_pos_near_the_model_test_fails: PosNear,
}

each_rule_is_needed! {
    Rolled:
    without_roll_time_the_model_test_fails: RollTime,
    without_roll_longest_the_model_test_fails: RollLongest,
    without_roll_mark_the_model_test_fails: RollMark,
    without_roll_remove_the_model_test_fails: RollRemove,
    without_roll_applied_the_model_test_fails: RollApplied,
    without_roll_gone_the_model_test_fails: RollGone,
}

each_rule_is_needed! {
    Told:
    without_announce_everywhere_the_model_test_fails: AnnounceEverywhere,
    without_announce_settle_the_model_test_fails: AnnounceSettle,
    without_announce_once_the_model_test_fails: AnnounceOnce,
}
