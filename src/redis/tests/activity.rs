//! Activity on a real server.

use std::sync::Arc;

use super::{Fixture, fixture};
use crate::activity::contract::{ActivityFixture, activity_contract};
use crate::activity::{ActivityBounds, ActivityStore};
use crate::chance::unique_word;
use crate::clock::SystemClock;
use crate::observe::SharedObserver;
use crate::redis::RedisPlaces;
use crate::store::Budgets;

impl ActivityFixture for Fixture {
    /// One of its own.
    fn store(&self, bounds: ActivityBounds) -> Arc<dyn ActivityStore> {
        let places = RedisPlaces::open(
            &self.0.url(),
            &unique_word(),
            Budgets::default(),
            Arc::new(SystemClock::new()),
            SharedObserver::new(()),
            None,
            false,
        );
        Arc::new(places.unwrap().activity(bounds))
    }
}

activity_contract!(fixture());
