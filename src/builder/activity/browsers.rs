//! Browsers that get alerts by Web Push.

use std::sync::Arc;

use crate::activity::{ActivityStore, AlertQueue, Undelivered, WaitingAlert};
use crate::defaults::PUSH_SUBSCRIPTIONS;
use crate::error::ConfigError;
use crate::outgoing::OutgoingClient;
use crate::outgoing::push::{PushSender, PushSettings, Subscribers};

/// What a builder was told of browsers.
#[derive(Debug, Default)]
pub(in crate::builder) struct BrowserPlan(pub(in crate::builder) Option<PushSettings>);

/// Tells browsers.
#[derive(Debug)]
pub(super) struct BrowserSender {
    sender: PushSender,
    /// Once it is known where they are kept.
    subscribers: Option<Arc<Subscribers>>,
}

impl BrowserPlan {
    pub(super) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn check(
        &self,
        client: &OutgoingClient,
    ) -> Result<Option<BrowserSender>, ConfigError> {
        let sender = |settings| PushSender::new(client.clone(), settings);
        let sender = self.0.as_ref().map(sender).transpose()?;
        Ok(sender.map(|sender| BrowserSender {
            sender,
            subscribers: None,
        }))
    }
}

impl BrowserSender {
    pub(super) fn keep_in(&mut self, store: &Arc<dyn ActivityStore>, rules: Vec<Box<str>>) {
        let (sender, store) = (self.sender.clone(), Arc::clone(store));
        let subscribers = Subscribers::new(sender, store, rules, PUSH_SUBSCRIPTIONS);
        self.subscribers = Some(Arc::new(subscribers));
    }

    pub(super) const fn subscribers(&self) -> Option<&Arc<Subscribers>> {
        self.subscribers.as_ref()
    }

    pub(super) async fn tell(
        &self,
        queue: &AlertQueue,
        alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        match &self.subscribers {
            Some(subscribers) => subscribers.tell(queue, alert).await,
            None => Ok(()),
        }
    }
}
