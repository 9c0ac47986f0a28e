//! What a builder says about activity and alerts, and what comes of it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::activity::{
    ActivityBounds, ActivityFeed, ActivitySettings, ActivityStore, AlertQueue, AlertReceiver,
    AlertSender, ChangeMaker, Courier, Keeper, Undelivered, WaitingAlert, announce,
};
use crate::alerts::{AlertRule, AlertRules};
use crate::builder::CacheBuilder;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::log::Purges;
use crate::place::ConfigPlace;

mod receivers;

use self::receivers::{ReceiverPlan, Receivers};

/// What a builder was told of activity and alerts.
#[derive(Debug, Default)]
pub(super) struct ActivityPlan {
    settings: Option<ActivitySettings>,
    alerts: Vec<AlertRule>,
    receivers: ReceiverPlan,
    /// Where it is kept, for tests in which several nodes share it.
    #[cfg(test)]
    store: Option<Arc<dyn ActivityStore>>,
}

/// What is made of it.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) feed: ActivityFeed,
    keeper: Keeper,
    courier: Courier,
    #[cfg(feature = "push")]
    senders: Arc<Senders>,
}

impl Activity {
    pub(super) fn alerts(&self) -> &AlertRules {
        &self.keeper.changes().alerts
    }

    #[cfg(test)]
    pub(super) fn missed(&self) -> u64 {
        self.keeper.state().borrow().missed
    }

    /// Browsers that want alerts, if there is Web Push.
    #[cfg(feature = "push")]
    pub(super) fn subscribers(&self) -> Option<&Arc<crate::outgoing::push::Subscribers>> {
        self.senders.receivers.subscribers()
    }

    /// Keeps the feed and delivers alerts, until `stop`. What is on its way then ends while this node is still the keeper.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let delivered = CancellationToken::new();
        let deliver = async {
            self.courier.run(self.keeper.state(), stop).await;
            delivered.cancel();
        };
        tokio::join!(self.keeper.run(&delivered), deliver);
    }
}

/// Who brings alerts to their receivers.
#[derive(Debug)]
struct Senders {
    purges: Arc<Purges>,
    receivers: Receivers,
}

impl AlertSender for Senders {
    fn send<'a>(
        &'a self,
        queue: &'a AlertQueue,
        alert: &'a WaitingAlert,
    ) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            match &queue.receiver {
                AlertReceiver::Live => announce(&self.purges, queue, alert).await,
                AlertReceiver::Push => self.receivers.push(queue, alert).await,
                AlertReceiver::Webhook(name) => self.receivers.post(name, queue, alert).await,
            }
        })
    }
}

/// What a plan says, checked.
pub(super) struct CheckedPlan {
    bounds: ActivityBounds,
    changes: ChangeMaker,
    receivers: Receivers,
    #[cfg(test)]
    store: Option<Arc<dyn ActivityStore>>,
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

    /// Keeps what is kept of activity in `store`.
    #[cfg(test)]
    pub(crate) fn activity_in(mut self, store: Arc<dyn ActivityStore>) -> Self {
        self.activity.store = Some(store);
        self
    }

    /// Whether anything is to be kept.
    pub(super) fn keeps_activity(&self) -> bool {
        self.activity.is_wanted()
    }

    /// `needs`, with those of what is kept.
    #[cfg(feature = "redis")]
    pub(super) fn with_activity(&self, needs: crate::redis::Needs) -> crate::redis::Needs {
        if !self.keeps_activity() {
            return needs;
        }
        let settings = self.activity.settings.clone().unwrap_or_default();
        needs.publishing(settings.published_on())
    }

    /// Adds a webhook, which [alerts](Self::alert) name. Default: none.
    #[cfg(feature = "alerts")]
    pub fn webhook(mut self, webhook: crate::outgoing::WebhookSettings) -> Self {
        self.activity.receivers.webhooks.push(webhook);
        self
    }

    /// Sends [alerts](Self::alert) that [push](AlertRule::push) to browsers, with the VAPID identity of `settings`. Default: no rule may
    /// push.
    #[cfg(feature = "push")]
    pub fn push(mut self, settings: crate::outgoing::push::PushSettings) -> Self {
        self.activity.receivers.push = Some(settings);
        self
    }

    /// Where webhooks and pushes may go. Default: by `https` to public addresses.
    #[cfg(feature = "alerts")]
    pub fn outgoing(mut self, settings: crate::outgoing::OutgoingSettings) -> Self {
        self.activity.receivers.outgoing = settings;
        self
    }
}

impl ActivityPlan {
    fn is_wanted(&self) -> bool {
        self.settings.is_some() || !self.alerts.is_empty() || !self.receivers.is_empty()
    }

    /// `None` if nothing is to be kept.
    pub(super) fn check(&self) -> Result<Option<CheckedPlan>, ConfigError> {
        let webhooks = self.receivers.names();
        let receivers = self.receivers.check()?;
        if !self.is_wanted() {
            return Ok(None);
        }
        let settings = self.settings.clone().unwrap_or_default();
        let (bounds, entries) = settings.compile()?;
        let alerts = AlertRules::compile(self.alerts.clone(), &webhooks)?;
        if let Some(rule) = alerts
            .iter()
            .find(|rule| rule.push() && !receivers.has_push())
        {
            let why = "nothing says who pushes: the table `push`, or `CacheBuilder::push`";
            let error = ConfigError::new("push", why, "true");
            return Err(error.within(ConfigPlace::alert(rule.name())));
        }
        Ok(Some(CheckedPlan {
            bounds,
            changes: ChangeMaker { entries, alerts },
            receivers,
            #[cfg(test)]
            store: self.store.clone(),
        }))
    }
}

impl CheckedPlan {
    /// How much is kept.
    pub(super) fn bounds(&self) -> ActivityBounds {
        self.bounds.clone()
    }

    /// Where it is kept, if a test says that.
    #[cfg(test)]
    pub(super) fn given_store(&self) -> Option<Arc<dyn ActivityStore>> {
        self.store.clone()
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests give one")]
    pub(super) fn given_store(&self) -> Option<Arc<dyn ActivityStore>> {
        None
    }

    pub(super) fn build(
        mut self,
        store: Arc<dyn ActivityStore>,
        purges: &Arc<Purges>,
        clock: &Arc<dyn Clock>,
    ) -> Activity {
        let pushing = self.changes.alerts.iter().filter(|rule| rule.push());
        let pushing = pushing.map(|rule| rule.name().into()).collect();
        self.receivers.keep_in(&store, pushing);
        let senders = Arc::new(Senders {
            purges: Arc::clone(purges),
            receivers: self.receivers,
        });
        let feed = ActivityFeed::new(Arc::clone(&store), Arc::clone(clock), self.bounds.hours);
        let sender = Arc::clone(&senders) as _;
        let courier = Courier::new(Arc::clone(&store), Arc::clone(clock), sender);
        let keeper = Keeper::new(store, purges, Arc::clone(clock), self.changes);
        Activity {
            feed,
            keeper,
            courier,
            #[cfg(feature = "push")]
            senders,
        }
    }
}
