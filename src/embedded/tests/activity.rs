//! Activity in memory.

use std::sync::Arc;

use super::Fixture;
use crate::activity::contract::{
    ActivityFixture, activity_contract, history_differs, is_told_again,
};
use crate::activity::{ActivityBounds, ActivityStore};
use crate::embedded::EmbeddedActivity;
use crate::weaken::{ProtocolRule, weaken};

impl ActivityFixture for Fixture {
    fn store(&self, bounds: ActivityBounds) -> Arc<dyn ActivityStore> {
        Arc::new(EmbeddedActivity::new(bounds))
    }
}

activity_contract!(super::fixture());

#[tokio::test]
async fn each_rule_of_what_is_kept_is_missed_when_it_is_taken_away() {
    let fixture = super::fixture();
    let store = || {
        fixture.store(ActivityBounds {
            entries: 10_000,
            feed: 1_000,
            subject_feed: 100,
            hours: 48,
            channel: "new".into(),
        })
    };
    for rule in [
        ProtocolRule::KeptOnce,
        ProtocolRule::KeptStream,
        ProtocolRule::KeptCopies,
    ] {
        weaken(Some(rule));
        let mut noticed = false;
        for seed in 0..40 {
            noticed |= history_differs(&store(), seed).await.is_some();
        }
        weaken(None);
        assert!(noticed, "without {rule:?} nothing goes wrong");
    }
    weaken(Some(ProtocolRule::KeptBehind));
    let told_again = is_told_again(&store()).await;
    weaken(None);
    assert!(told_again, "without KeptBehind nothing goes wrong");
}
