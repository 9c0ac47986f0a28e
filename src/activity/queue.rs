//! [`AlertQueue`]: whose alerts of which rule wait for whom.

use std::fmt;
use std::str::FromStr;

use crate::alerts::CompiledAlert;

/// Alerts of a rule on their way to a receiver, which gets them in order: a receiver that is away holds up no other. Written
/// `rule/live`, `rule/push` or `rule/webhook/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AlertQueue {
    pub(crate) rule: Box<str>,
    pub(crate) receiver: AlertReceiver,
}

/// Who gets alerts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum AlertReceiver {
    /// Clients of live updates.
    Live,
    /// Web Push subscriptions.
    Push,
    /// The webhook of this name.
    Webhook(Box<str>),
}

impl AlertQueue {
    /// Those that an alert of `rule` is put into.
    pub(crate) fn of(rule: &CompiledAlert) -> impl Iterator<Item = Self> {
        let push = rule.push().then_some(AlertReceiver::Push);
        let webhooks = rule.webhooks().iter();
        let webhooks = webhooks.map(|name| AlertReceiver::Webhook(name.as_str().into()));
        let receivers = std::iter::once(AlertReceiver::Live)
            .chain(push)
            .chain(webhooks);
        receivers.map(|receiver| Self {
            rule: rule.name().into(),
            receiver,
        })
    }
}

impl fmt::Display for AlertQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = &self.rule;
        match &self.receiver {
            AlertReceiver::Live => write!(f, "{rule}/live"),
            AlertReceiver::Push => write!(f, "{rule}/push"),
            AlertReceiver::Webhook(name) => write!(f, "{rule}/webhook/{name}"),
        }
    }
}

/// The text named no queue.
#[derive(Debug)]
pub(crate) struct NoQueue;

impl FromStr for AlertQueue {
    type Err = NoQueue;

    fn from_str(text: &str) -> Result<Self, NoQueue> {
        let (rule, receiver) = text.split_once('/').ok_or(NoQueue)?;
        let receiver = match receiver.split_once('/') {
            None if receiver == "live" => AlertReceiver::Live,
            None if receiver == "push" => AlertReceiver::Push,
            Some(("webhook", name)) => AlertReceiver::Webhook(name.into()),
            _ => return Err(NoQueue),
        };
        let rule = rule.into();
        Ok(Self { rule, receiver })
    }
}
