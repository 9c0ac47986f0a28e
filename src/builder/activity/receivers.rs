//! [`Receivers`]: who gets alerts, beside clients of live updates.

use std::collections::BTreeMap;
use std::sync::Arc;

use self::browsers::{BrowserPlan, BrowserSender};
use crate::activity::{ActivityStore, AlertQueue, Undelivered, WaitingAlert};
use crate::error::ConfigError;
#[cfg(feature = "push")]
use crate::outgoing::push::Subscribers;
use crate::outgoing::{
    DeliveryFailure, OutgoingClient, OutgoingSettings, Webhook, WebhookSettings,
};
use crate::place::ConfigPlace;

#[cfg_attr(feature = "push", path = "browsers.rs")]
#[cfg_attr(not(feature = "push"), path = "no_browsers.rs")]
mod browsers;

/// What a builder was told of receivers.
#[derive(Debug, Default)]
pub(in crate::builder) struct ReceiverPlan {
    pub(super) outgoing: OutgoingSettings,
    pub(super) webhooks: Vec<WebhookSettings>,
    pub(super) push: BrowserPlan,
}

/// Who gets alerts.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    /// `None` where there is no receiver.
    client: Option<OutgoingClient>,
    webhooks: BTreeMap<String, Webhook>,
    push: Option<BrowserSender>,
}

impl ReceiverPlan {
    pub(super) fn names(&self) -> Vec<String> {
        self.webhooks
            .iter()
            .map(|webhook| webhook.name.clone())
            .collect()
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.webhooks.is_empty() && !self.pushes()
    }

    fn pushes(&self) -> bool {
        self.push.is_there()
    }

    fn push_sender(&self, client: &OutgoingClient) -> Result<Option<BrowserSender>, ConfigError> {
        self.push.check(client)
    }

    pub(super) fn check(&self) -> Result<Receivers, ConfigError> {
        let mut receivers = Receivers::default();
        if self.is_empty() {
            return Ok(receivers);
        }
        let client = OutgoingClient::new(&self.outgoing)?;
        receivers.push = self.push_sender(&client)?;
        for settings in &self.webhooks {
            let webhook = client.webhook(settings)?;
            let name = &settings.name;
            if receivers.webhooks.insert(name.clone(), webhook).is_some() {
                let error = ConfigError::new("name", "another webhook has this name", &**name);
                return Err(error.within(ConfigPlace::webhook(&**name)));
            }
        }
        receivers.client = Some(client);
        Ok(receivers)
    }
}

impl Receivers {
    /// Whether browsers are told.
    pub(super) const fn pushes(&self) -> bool {
        self.push.is_some()
    }

    /// Browsers are kept in `store`, and want the alerts of `rules`.
    pub(super) fn keep_in(&mut self, store: &Arc<dyn ActivityStore>, rules: Vec<Box<str>>) {
        if let Some(push) = &mut self.push {
            push.keep_in(store, rules);
        }
    }

    /// Browsers that want alerts.
    #[cfg(feature = "push")]
    pub(super) fn subscribers(&self) -> Option<&Arc<Subscribers>> {
        self.push.as_ref()?.subscribers()
    }

    pub(super) async fn push(
        &self,
        queue: &AlertQueue,
        alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        match &self.push {
            Some(push) => push.tell(queue, alert).await,
            None => Err(Undelivered::Never(
                "there is no Web Push any more".to_owned(),
            )),
        }
    }

    pub(super) async fn post(
        &self,
        name: &str,
        queue: &AlertQueue,
        alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        let webhook = self.webhooks.get(name);
        let Some((client, webhook)) = self.client.as_ref().zip(webhook) else {
            let why = format!("no webhook is called {name} any more");
            return Err(Undelivered::Never(why));
        };
        let id = format!("{:032x}", alert.id);
        let sent = client.post_webhook(webhook, &id, &queue.rule, alert.body());
        sent.await.map_err(|failure| match failure {
            DeliveryFailure::Permanent(why) => Undelivered::Never(why),
            DeliveryFailure::Retry { reason, after } => Undelivered::Later(reason, after),
        })
    }
}
