//! Without the feature `push`: no browser gets alerts.

use std::sync::Arc;

use crate::activity::{ActivityStore, AlertQueue, Undelivered, WaitingAlert};
use crate::error::ConfigError;
use crate::outgoing::OutgoingClient;

/// Nothing.
#[derive(Debug, Default)]
pub(in crate::builder) struct BrowserPlan;

/// There is none.
#[derive(Debug)]
pub(super) enum BrowserSender {}

impl BrowserPlan {
    #[expect(clippy::unused_self, reason = "as with push")]
    pub(super) const fn is_there(&self) -> bool {
        false
    }

    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "as with push"
    )]
    pub(super) const fn check(
        &self,
        _client: &OutgoingClient,
    ) -> Result<Option<BrowserSender>, ConfigError> {
        Ok(None)
    }
}

impl BrowserSender {
    pub(super) fn keep_in(&mut self, _store: &Arc<dyn ActivityStore>, _rules: Vec<Box<str>>) {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as with push")]
    pub(super) async fn tell(
        &self,
        _queue: &AlertQueue,
        _alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        match *self {}
    }
}
