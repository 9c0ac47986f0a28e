//! `[[webhooks]]`, `[outgoing]` and `[push]`: who gets alerts, and what of it deserves a second look.

use super::{Config, push};
use crate::{CacheBuilder, ConfigPlace, Setting, Warning};

const PLAIN: Setting = Setting::of("outgoing", "allow_plain");
const NETWORKS: Setting = Setting::of("outgoing", "networks");
const OUTGOING: Setting = Setting::of("outgoing", "hosts").called("outgoing");
const PUSH: Setting = Setting::of("push", "subject").called("push");

impl Config {
    /// Whether anything may be sent to others.
    pub(super) const fn has_receivers(&self) -> bool {
        !self.webhooks.is_empty() || self.push.is_some()
    }
}

pub(super) fn apply(config: &Config, to: CacheBuilder) -> CacheBuilder {
    let webhooks = config.webhooks.iter().cloned();
    let to = webhooks.fold(to, CacheBuilder::webhook);
    let outgoing = config.outgoing.iter().cloned();
    let to = outgoing.fold(to, CacheBuilder::outgoing);
    push::apply(config, to)
}

/// What reaches nobody, and what others could read.
pub(super) fn advice(config: &Config) -> Vec<Warning> {
    let mut advice = Vec::new();
    for webhook in &config.webhooks {
        let names = |alert: &crate::AlertRule| alert.webhooks.contains(&webhook.name);
        if !config.alerts.iter().any(names) {
            let message =
                "no alert names it (`webhooks` of [[alerts]]): nothing is ever posted to it";
            let place = ConfigPlace::webhook(&*webhook.name);
            advice.push(Warning::new(place, message));
        }
    }
    if config.push.is_some() && !config.alerts.iter().any(|alert| alert.push) {
        let message = "no alert pushes (`push = true` under [[alerts]]): browsers are told nothing";
        advice.push(Warning::new(PUSH, message));
    }
    let Some(outgoing) = &config.outgoing else {
        return advice;
    };
    if !config.has_receivers() {
        let message = "there is nobody to send to: no [[webhooks]], and no [push]";
        advice.push(Warning::new(OUTGOING, message));
    }
    if outgoing.allow_plain {
        let message =
            "a URL may begin with http://: alerts that go there can be read and changed on the way";
        advice.push(Warning::new(PLAIN, message));
    }
    if !outgoing.networks.is_empty() {
        let networks = outgoing.networks.join(", ");
        let message = format!(
            "requests may go to {networks}, also those to URLs that browsers bring when they subscribe"
        );
        let message = match config.push.is_some() {
            true => message,
            false => format!(
                "requests may go to {networks}, wherever the name of a webhook's host leads"
            ),
        };
        advice.push(Warning::new(NETWORKS, message));
    }
    advice
}
