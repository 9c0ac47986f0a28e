//! Activity in memory.

use std::sync::Arc;

use super::Fixture;
use crate::activity::contract::{ActivityFixture, activity_contract};
use crate::activity::{ActivityBounds, ActivityStore};
use crate::embedded::EmbeddedActivity;

impl ActivityFixture for Fixture {
    fn store(&self, bounds: ActivityBounds) -> Arc<dyn ActivityStore> {
        Arc::new(EmbeddedActivity::new(bounds))
    }
}

activity_contract!(super::fixture());
