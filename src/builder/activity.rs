//! What a builder says about activity and alerts, and what comes of it.

use std::sync::Arc;

use crate::activity::{
    ActivityBounds, ActivityFeed, ActivitySettings, ActivityStore, ChangeMaker, Keeper,
};
use crate::alerts::{AlertRule, AlertRules};
use crate::builder::CacheBuilder;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::log::{Log, Views};

/// What a builder was told of activity and alerts.
#[derive(Debug, Default)]
pub(super) struct ActivityPlan {
    settings: Option<ActivitySettings>,
    alerts: Vec<AlertRule>,
}

/// What is made of it.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) feed: ActivityFeed,
    pub(super) keeper: Keeper,
}

/// What a plan says, checked.
pub(super) struct CheckedPlan {
    pub(super) bounds: ActivityBounds,
    changes: ChangeMaker,
}

impl CacheBuilder {
    /// Keeps what is announced as activity feed, and counts it by type, subject and hour. See
    /// [`Cache::activity`](crate::Cache::activity). Default: nothing is kept.
    pub fn activity(mut self, settings: ActivitySettings) -> Self {
        self.activity.settings = Some(settings);
        self
    }

    /// Raises alerts about updates that pass `rule`. With it goes what [`activity`](Self::activity) keeps, by default settings
    /// if nothing else is said: it is how an alert is known to have been raised. Default: none.
    pub fn alert(mut self, rule: AlertRule) -> Self {
        self.activity.alerts.push(rule);
        self
    }
}

impl ActivityPlan {
    /// `None` if nothing is to be kept.
    pub(super) fn check(&mut self) -> Result<Option<CheckedPlan>, ConfigError> {
        if self.settings.is_none() && self.alerts.is_empty() {
            return Ok(None);
        }
        let settings = self.settings.take().unwrap_or_default();
        let (bounds, entries) = settings.compile()?;
        let alerts = AlertRules::compile(std::mem::take(&mut self.alerts), &[])?;
        let changes = ChangeMaker { entries, alerts };
        Ok(Some(CheckedPlan { bounds, changes }))
    }
}

impl CheckedPlan {
    pub(super) fn build(
        self,
        store: Arc<dyn ActivityStore>,
        log: &Arc<dyn Log>,
        views: &Arc<Views>,
        clock: &Arc<dyn Clock>,
    ) -> Activity {
        let feed = ActivityFeed::new(Arc::clone(&store), Arc::clone(clock), self.bounds.hours);
        let (log, views) = (Arc::clone(log), Arc::clone(views));
        let keeper = Keeper::new(store, log, views, Arc::clone(clock), self.changes);
        Activity { feed, keeper }
    }
}
