//! The histories that are run, and that each rule is missed.

use super::{Shape, World};
use crate::weaken::{ProtocolRule, weaken};

fn run(seed: u64, shape: Shape) -> Result<(), String> {
    World::new(seed, shape).run()
}

fn histories(shape: Shape) {
    let number = std::env::var("TAGCACHE_HISTORIES").ok();
    let number = number.map_or(1_000, |number| number.parse().expect("a number"));
    for seed in 1..=number {
        if let Err(violation) = run(seed, shape) {
            panic!("seed {seed}, {shape:?}: {violation}");
        }
    }
}

fn caught(rule: ProtocolRule, shape: Shape) {
    weaken(Some(rule));
    let caught = (1..=20_000).find(|seed| run(*seed, shape).is_err());
    weaken(None);
    println!("without {rule:?}: caught by seed {caught:?}");
    assert!(
        caught.is_some(),
        "the model test does not notice the absence of {rule:?}"
    );
}

#[test]
fn safety_155_no_history_of_two_regions_serves_what_was_relayed_as_purged() {
    histories(Shape::Pair);
}

#[test]
fn safety_156_no_history_of_a_ring_of_three_relays_for_ever_or_loses_a_purge() {
    histories(Shape::Ring);
}

#[test]
fn safety_157_no_history_serves_what_was_purged_elsewhere_longer_ago_than_the_cut_may_be() {
    histories(Shape::Watched);
}

macro_rules! each_rule_is_needed {
    ($($test:ident: $rule:ident, $shape:ident;)+) => {$(
        #[test]
        fn $test() {
            caught(ProtocolRule::$rule, Shape::$shape);
        }
    )+};
}

each_rule_is_needed! {
    without_relay_join_the_model_test_fails: RelayJoin, Pair;
    without_relay_join_first_the_model_test_fails: RelayJoinFirst, Pair;
    without_relay_join_settle_the_model_test_fails: RelayJoinSettle, Pair;
    without_relay_epoch_the_model_test_fails: RelayEpoch, Pair;
    without_relay_gap_the_model_test_fails: RelayGap, Pair;
    without_relay_claim_the_model_test_fails: RelayClaim, Pair;
    without_relay_path_the_model_test_fails: RelayPath, Ring;
    without_relay_base_the_model_test_fails: RelayBase, Watched;
}
