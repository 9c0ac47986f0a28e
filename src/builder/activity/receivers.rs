//! [`Receivers`]: who gets alerts, beside clients of live updates.

#[cfg(feature = "alerts")]
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::activity::{ActivityStore, AlertQueue, Undelivered, WaitingAlert};
#[cfg(feature = "push")]
use crate::defaults::PUSH_SUBSCRIPTIONS;
use crate::error::ConfigError;
#[cfg(feature = "push")]
use crate::outgoing::push::{PushSender, PushSettings, Subscribers};
#[cfg(feature = "alerts")]
use crate::outgoing::{
    DeliveryFailure, OutgoingClient, OutgoingSettings, Webhook, WebhookSettings,
};
#[cfg(feature = "alerts")]
use crate::place::ConfigPlace;

/// What a builder was told of receivers.
#[derive(Debug, Default)]
pub(in crate::builder) struct ReceiverPlan {
    #[cfg(feature = "alerts")]
    pub(super) outgoing: OutgoingSettings,
    #[cfg(feature = "alerts")]
    pub(super) webhooks: Vec<WebhookSettings>,
    #[cfg(feature = "push")]
    pub(super) push: Option<PushSettings>,
}

/// Who gets alerts.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    /// `None` where there is no receiver.
    #[cfg(feature = "alerts")]
    client: Option<OutgoingClient>,
    #[cfg(feature = "alerts")]
    webhooks: BTreeMap<String, Webhook>,
    #[cfg(feature = "push")]
    push: Option<PushSender>,
    /// Once it is known where they are kept.
    #[cfg(feature = "push")]
    subscribers: Option<Arc<Subscribers>>,
}

#[cfg(not(feature = "alerts"))]
#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "as with webhooks"
)]
impl ReceiverPlan {
    pub(super) const fn names(&self) -> Vec<String> {
        Vec::new()
    }

    pub(super) const fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn check(&self) -> Result<Receivers, ConfigError> {
        Ok(Receivers::default())
    }
}

#[cfg(feature = "alerts")]
impl ReceiverPlan {
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.webhooks.iter().map(|webhook| webhook.name.clone());
        names.collect()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.webhooks.is_empty() && !self.has_push()
    }

    pub(super) fn check(&self) -> Result<Receivers, ConfigError> {
        let mut receivers = Receivers::default();
        // What is said of it is looked at, also where nobody is sent to.
        if self.is_empty() && self.outgoing == OutgoingSettings::default() {
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
        self.add_push(&mut receivers)?;
        receivers.client = Some(client);
        Ok(receivers)
    }
}

#[cfg(feature = "push")]
impl ReceiverPlan {
    const fn has_push(&self) -> bool {
        self.push.is_some()
    }

    /// By a client of its own, as push services are other hosts than webhooks.
    fn add_push(&self, receivers: &mut Receivers) -> Result<(), ConfigError> {
        let Some(push) = &self.push else {
            return Ok(());
        };
        let mut outgoing = self.outgoing.clone();
        outgoing.hosts.clone_from(&push.hosts);
        let client = OutgoingClient::new(&outgoing)?;
        receivers.push = Some(PushSender::new(client, push)?);
        Ok(())
    }
}

#[cfg(all(feature = "alerts", not(feature = "push")))]
#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "as with push"
)]
impl ReceiverPlan {
    const fn has_push(&self) -> bool {
        false
    }

    const fn add_push(&self, _receivers: &mut Receivers) -> Result<(), ConfigError> {
        Ok(())
    }
}

#[cfg(feature = "alerts")]
impl Receivers {
    /// Posts `alert` to the webhook `name`.
    pub(super) async fn post(
        &self,
        name: &str,
        queue: &AlertQueue,
        alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        let webhook = self.webhooks.get(name);
        let Some((client, webhook)) = self.client.as_ref().zip(webhook) else {
            let why = format!("no webhook is called {name} any more");
            // Another node may know it: one that began with a newer file.
            return Err(Undelivered::Later(why, None));
        };
        let id = format!("{:032x}", alert.id);
        let sent = client.post_webhook(webhook, &id, &queue.rule, alert.body());
        sent.await.map_err(|failure| match failure {
            DeliveryFailure::Permanent(why) => Undelivered::Never(why),
            DeliveryFailure::Refused(why) => Undelivered::Refused(why),
            DeliveryFailure::Retry { reason, after } => Undelivered::Later(reason, after),
        })
    }
}

#[cfg(not(feature = "alerts"))]
impl Receivers {
    pub(super) async fn post(
        &self,
        name: &str,
        _queue: &AlertQueue,
        _alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        let why = format!("{name}: this program sends no webhooks");
        Err(Undelivered::Later(why, None))
    }
}

#[cfg(feature = "push")]
impl Receivers {
    /// Whether browsers are told.
    pub(super) const fn has_push(&self) -> bool {
        self.push.is_some()
    }

    /// Browsers are kept in `store`, and want the alerts of `rules`.
    pub(super) fn keep_in(&mut self, store: &Arc<dyn ActivityStore>, rules: Vec<Box<str>>) {
        let subscribers = |sender: &PushSender| {
            let (sender, store) = (sender.clone(), Arc::clone(store));
            Arc::new(Subscribers::new(sender, store, rules, PUSH_SUBSCRIPTIONS))
        };
        self.subscribers = self.push.as_ref().map(subscribers);
    }

    /// Browsers that want alerts.
    pub(super) const fn subscribers(&self) -> Option<&Arc<Subscribers>> {
        self.subscribers.as_ref()
    }

    pub(super) async fn push(
        &self,
        queue: &AlertQueue,
        alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        match &self.subscribers {
            Some(subscribers) => subscribers.tell(queue, alert).await,
            None => Err(Undelivered::Never(
                "there is no Web Push any more".to_owned(),
            )),
        }
    }
}

#[cfg(not(feature = "push"))]
#[expect(clippy::unused_self, reason = "as with push")]
impl Receivers {
    pub(super) const fn has_push(&self) -> bool {
        false
    }

    pub(super) fn keep_in(&mut self, _store: &Arc<dyn ActivityStore>, _rules: Vec<Box<str>>) {}

    pub(super) async fn push(
        &self,
        _queue: &AlertQueue,
        _alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        Err(Undelivered::Never(
            "this program sends no Web Push".to_owned(),
        ))
    }
}
