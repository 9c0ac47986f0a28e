//! [`Subscribers`]: browsers that want alerts, kept in the store, and telling all of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::message::{PushMessage, Urgency};
use super::sender::{PushOutcome, PushSender};
use super::subscription::{BASE64, PushSubscription};
use crate::activity::{
    ActivityStore, AlertQueue, KeptSubscription, Subscribed, Undelivered, WaitingAlert,
};
use crate::error::{Error, ErrorKind};
use crate::outgoing::failure::DeliveryFailure;
use crate::update::fingerprint_of;

/// How many browsers are read at once.
const PAGE: usize = 200;
/// How many are told at once.
const AT_ONCE: usize = 32;
/// The pauses behind the tries of one: it holds up the next alert.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::ZERO];
/// After so many failures of one push service it is left alone for the rest of the alert.
const GIVEN_UP_AFTER: u32 = 20;
/// The longest that telling all of one alert takes; who was not told by then is not.
const ALERT_TIME: Duration = Duration::from_secs(300);
/// The most rules that one names.
const MAX_RULES: usize = 100;

/// Browsers that want alerts.
pub(crate) struct Subscribers {
    sender: PushSender,
    store: Arc<dyn ActivityStore>,
    /// The rules that push; a browser may name some of them.
    rules: Vec<Box<str>>,
    /// So many at most.
    most: usize,
    /// Which alert of a rule is on its way, and from which browser on it is to be told: where the store fails in between.
    progress: Mutex<HashMap<Box<str>, (u128, u128)>>,
}

/// How the push services do while all are told of one alert.
#[derive(Debug, Default)]
struct Pass(Mutex<HashMap<String, u32>>);

impl Pass {
    fn is_given_up(&self, origin: &str) -> bool {
        let failures = self.0.lock();
        failures
            .get(origin)
            .is_some_and(|failures| *failures >= GIVEN_UP_AFTER)
    }

    fn note_failure(&self, origin: &str) {
        *self.0.lock().entry(origin.to_owned()).or_default() += 1;
    }
}

/// What became of a browser that wants no alerts any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsubscribed {
    Gone,
    Unknown,
    /// The secret is not that of the subscription.
    NotYours,
}

impl Subscribers {
    pub(crate) fn new(
        sender: PushSender,
        store: Arc<dyn ActivityStore>,
        rules: Vec<Box<str>>,
        most: usize,
    ) -> Self {
        Self {
            sender,
            store,
            rules,
            most,
            progress: Mutex::default(),
        }
    }

    /// The public key that pages subscribe with.
    pub(crate) fn public_key(&self) -> &str {
        self.sender.public_key()
    }

    /// Keeps the browser of `subscription`, which wants the alerts of `rules`; of all that push, if it names none.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: it is no subscription, or a rule is not there. Or the store fails.
    pub(crate) async fn subscribe(
        &self,
        subscription: &Value,
        rules: &[String],
    ) -> Result<Subscribed, Error> {
        let subscription = self.sender.subscription(&subscription.to_string())?;
        let invalid = |why: String| Err(Error::new(ErrorKind::Invalid, why));
        if rules.len() > MAX_RULES {
            return invalid(format!("more than {MAX_RULES} rules"));
        }
        let unknown = |rule: &&String| !self.rules.iter().any(|known| **known == ***rule);
        if let Some(unknown) = rules.iter().find(unknown) {
            let (unknown, known) = (crate::spelling::shown(unknown), self.rules.join(", "));
            return invalid(format!(
                "no rule {unknown:?} pushes; those that do: {known}"
            ));
        }
        if let Some(known) = self.known(subscription.endpoint()).await?
            && !known.has_secret(&subscription.keys.auth)
        {
            return invalid("another subscription has this `endpoint`".to_owned());
        }
        let kept = json!({ "subscription": subscription.to_json(), "rules": rules });
        let id = id_of(subscription.endpoint());
        self.store
            .subscribe(&(id, kept.to_string()), self.most)
            .await
    }

    /// The subscription that is kept of the browser at `endpoint`.
    async fn known(&self, endpoint: &str) -> Result<Option<PushSubscription>, Error> {
        let id = id_of(endpoint);
        let found = self.store.subscriptions(id, 1).await?;
        let kept = found.first().filter(|(there, _)| *there == id);
        Ok(kept
            .and_then(|kept| self.read(kept))
            .map(|(known, _)| known))
    }

    /// Forgets the browser at `endpoint`, for who knows its secret.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn unsubscribe(
        &self,
        endpoint: &str,
        auth: &str,
    ) -> Result<Unsubscribed, Error> {
        let Some(known) = self.known(endpoint).await? else {
            return Ok(Unsubscribed::Unknown);
        };
        let given = BASE64.decode(auth).unwrap_or_default();
        if !known.has_secret(&given) {
            return Ok(Unsubscribed::NotYours);
        }
        let id = id_of(endpoint);
        match self.store.unsubscribe(id).await? {
            true => Ok(Unsubscribed::Gone),
            false => Ok(Unsubscribed::Unknown),
        }
    }

    /// Tells all who want it of `alert`. Who cannot be told after some tries is not told; who is gone is forgotten.
    pub(crate) async fn tell(
        &self,
        queue: &AlertQueue,
        alert: &WaitingAlert,
    ) -> Result<(), Undelivered> {
        let message = message(alert).map_err(|error| Undelivered::Never(error.to_string()))?;
        let known = self.progress.lock().get(&queue.rule).copied();
        let pass = Pass::default();
        let deadline = Instant::now() + ALERT_TIME;
        let mut from = match known {
            Some((id, from)) if id == alert.id => from,
            _ => 0,
        };
        loop {
            let page = self.store.subscriptions(from, PAGE).await;
            let page = page.map_err(|error| Undelivered::Later(error.to_string(), None))?;
            let last = page.last().and_then(|(id, _)| id.checked_add(1));
            let is_last = page.len() < PAGE;
            let tell = |kept: KeptSubscription| async {
                self.tell_one(kept, &queue.rule, &message, &pass).await
            };
            let told = stream::iter(page).for_each_concurrent(AT_ONCE, tell);
            if timeout_at(deadline, told).await.is_err() {
                tracing::warn!(
                    rule = &*queue.rule,
                    "push services are slow: not all browsers were told of an alert"
                );
                break;
            }
            let Some(next) = last.filter(|_| !is_last) else {
                break;
            };
            from = next;
            let mut progress = self.progress.lock();
            progress.insert(queue.rule.clone(), (alert.id, next));
        }
        self.progress.lock().remove(&queue.rule);
        Ok(())
    }

    async fn tell_one(
        &self,
        kept: KeptSubscription,
        rule: &str,
        message: &PushMessage,
        pass: &Pass,
    ) {
        // One that cannot be read now may be by another node, or with other settings.
        let Some((subscription, rules)) = self.read(&kept) else {
            return;
        };
        if !rules.is_empty() && !rules.iter().any(|wanted| wanted == rule) {
            return;
        }
        let origin = subscription.endpoint.origin();
        for pause in PAUSES {
            if pass.is_given_up(&origin) {
                return;
            }
            match self.sender.send(&subscription, message).await {
                Ok(PushOutcome::Sent) => return,
                Ok(PushOutcome::Gone) => return self.forget(kept.0).await,
                Err(DeliveryFailure::Permanent(why) | DeliveryFailure::Refused(why)) => {
                    return tracing::debug!(why, "a browser was not told of an alert");
                }
                Err(DeliveryFailure::Retry { reason, .. }) => {
                    tracing::debug!(why = reason, "a browser was not told of an alert yet");
                    pass.note_failure(&origin);
                }
            }
            sleep(pause).await;
        }
    }

    async fn forget(&self, id: u128) {
        // If that fails, it is found gone again.
        if let Err(error) = self.store.unsubscribe(id).await {
            tracing::debug!(%error, "a subscription that is gone was not forgotten");
        }
    }

    /// The subscription that is kept, and the rules that it wants.
    fn read(&self, (_, kept): &KeptSubscription) -> Option<(PushSubscription, Vec<String>)> {
        let kept: Value = serde_json::from_str(kept).ok()?;
        let subscription = self
            .sender
            .subscription(kept["subscription"].as_str()?)
            .ok()?;
        let rules = kept["rules"].as_array()?.iter();
        let rules = rules.filter_map(|rule| rule.as_str().map(str::to_owned));
        Some((subscription, rules.collect()))
    }
}

impl fmt::Debug for Subscribers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscribers({})", self.rules.join(", "))
    }
}

/// The number of the browser at `endpoint`.
fn id_of(endpoint: &str) -> u128 {
    fingerprint_of(&["push", endpoint])
}

/// What browsers are told: the alert, without the fields of its event if there is no room for them.
fn message(alert: &WaitingAlert) -> Result<PushMessage, Error> {
    let body = alert.body();
    let message = PushMessage::new(body.clone()).or_else(|error| {
        let json: Map<String, Value> = serde_json::from_str(&body).map_err(|_| error)?;
        let short = json.into_iter().filter(|(name, _)| name != "data");
        PushMessage::new(Value::from(short.collect::<Map<_, _>>()).to_string())
    })?;
    // One that is sent again takes the place of the first.
    let topic = format!("{:032x}", alert.id);
    Ok(message.urgency(Urgency::High).topic(&topic))
}
