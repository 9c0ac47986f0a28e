//! [`Receivers`]: who gets alerts, beside clients of live updates.

use std::collections::BTreeMap;

use crate::activity::{AlertQueue, Undelivered, WaitingAlert};
use crate::error::ConfigError;
use crate::outgoing::{
    DeliveryFailure, OutgoingClient, OutgoingSettings, Webhook, WebhookSettings,
};
use crate::place::ConfigPlace;

/// What a builder was told of receivers.
#[derive(Debug, Default)]
pub(in crate::builder) struct ReceiverPlan {
    pub(super) outgoing: OutgoingSettings,
    pub(super) webhooks: Vec<WebhookSettings>,
}

/// Who gets alerts.
#[derive(Debug)]
pub(super) struct Receivers {
    /// `None` where there is no webhook.
    client: Option<OutgoingClient>,
    webhooks: BTreeMap<String, Webhook>,
}

impl ReceiverPlan {
    pub(super) fn names(&self) -> Vec<String> {
        self.webhooks
            .iter()
            .map(|webhook| webhook.name.clone())
            .collect()
    }

    pub(super) fn check(&self) -> Result<Receivers, ConfigError> {
        let mut receivers = Receivers {
            client: None,
            webhooks: BTreeMap::new(),
        };
        if self.webhooks.is_empty() {
            return Ok(receivers);
        }
        let client = OutgoingClient::new(&self.outgoing)?;
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
