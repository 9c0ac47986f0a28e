//! Without the feature `alerts`: clients of live updates alone get alerts.

use std::sync::Arc;

use crate::activity::{ActivityStore, AlertQueue, Undelivered, WaitingAlert};
use crate::error::ConfigError;

/// Nothing.
#[derive(Debug, Default)]
pub(in crate::builder) struct ReceiverPlan;

/// Nobody.
#[derive(Debug)]
pub(super) struct Receivers;

impl ReceiverPlan {
    #[expect(clippy::unused_self, reason = "as with webhooks")]
    pub(super) const fn names(&self) -> Vec<String> {
        Vec::new()
    }

    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "as with webhooks"
    )]
    pub(super) const fn check(&self) -> Result<Receivers, ConfigError> {
        Ok(Receivers)
    }
}

impl Receivers {
    #[expect(clippy::unused_self, reason = "as with webhooks")]
    pub(super) const fn pushes(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "as with webhooks")]
    pub(super) fn keep_in(&mut self, _store: &Arc<dyn ActivityStore>, _rules: Vec<Box<str>>) {}

    #[expect(clippy::unused_self, clippy::unused_async, reason = "as with webhooks")]
    pub(super) async fn push(
        &self,
        _queue: &AlertQueue,
        _alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        Err(Undelivered::Never(
            "this program sends no Web Push".to_owned(),
        ))
    }

    #[expect(clippy::unused_self, clippy::unused_async, reason = "as with webhooks")]
    pub(super) async fn post(
        &self,
        name: &str,
        _queue: &AlertQueue,
        _alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        let why = format!("{name}: this program sends no webhooks");
        Err(Undelivered::Never(why))
    }
}
