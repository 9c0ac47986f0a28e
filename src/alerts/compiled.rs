//! [`CompiledAlert`]: a rule of alerts that has been read.

use crate::alerts::condition::FieldCondition;
use crate::alerts::field::FieldTrouble;
use crate::alerts::message::AlertMessage;
use crate::alerts::settings::{AlertLimit, AlertRule};
use crate::alerts::units::Units;
use crate::error::ConfigError;
use crate::spelling::{nearest, written};
use crate::update::{Update, WORD, check_kind, is_word};

/// A rule of alerts that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CompiledAlert {
    name: Box<str>,
    types: Box<[String]>,
    conditions: Box<[FieldCondition]>,
    units: Units,
    message: Option<AlertMessage>,
    webhooks: Box<[String]>,
    push: bool,
    limit: Option<AlertLimit>,
}

impl CompiledAlert {
    /// Reads `rule`, which may name the webhooks `webhook_names`.
    pub(super) fn compile(rule: AlertRule, webhook_names: &[String]) -> Result<Self, ConfigError> {
        if !is_word(&rule.name) {
            return Err(ConfigError::new("name", format!("not {WORD}"), rule.name));
        }
        check_types(&rule.types)?;
        check_webhooks(&rule.webhooks, webhook_names)?;
        check_limit(rule.limit)?;
        let conditions = rule.when.iter().map(|text| FieldCondition::parse(text));
        let conditions: Box<[_]> = conditions.collect::<Result<_, _>>()?;
        let message = rule
            .message
            .as_deref()
            .map(AlertMessage::parse)
            .transpose()?;
        let compared = conditions
            .iter()
            .filter(|condition| condition.compares_numbers());
        let told = message.iter().flat_map(AlertMessage::fields);
        let read: Vec<&str> = compared
            .map(|condition| &*condition.field)
            .chain(told)
            .collect();
        Ok(Self {
            units: Units::compile(rule.decimals, &read)?,
            name: rule.name.into(),
            types: rule.types.into(),
            conditions,
            message,
            webhooks: rule.webhooks.into(),
            push: rule.push,
            limit: rule.limit,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The webhooks that are told; with none, and without [`push`](Self::push), the alert is for the live channel alone.
    pub(crate) fn webhooks(&self) -> &[String] {
        &self.webhooks
    }

    /// Whether Web Push subscriptions are told.
    pub(crate) const fn push(&self) -> bool {
        self.push
    }

    /// How many are sent in which time; none, if any number.
    pub(crate) const fn limit(&self) -> Option<AlertLimit> {
        self.limit
    }

    /// Whether `update` raises it. Conditions are asked in their order, up to one that does not hold: what only some
    /// updates have is read after a condition that picks these.
    pub(super) fn is_raised_by(&self, update: &Update) -> Result<bool, FieldTrouble> {
        let of_type = |one: &String| *one == update.kind();
        if !self.types.is_empty() && !self.types.iter().any(of_type) {
            return Ok(false);
        }
        for condition in &self.conditions {
            if !condition.holds(update, &self.units)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What people are told of `update`; `told` hears of each field that cannot be read.
    pub(super) fn message(
        &self,
        update: &Update,
        told: impl FnMut(FieldTrouble),
    ) -> Option<String> {
        let message = self.message.as_ref()?;
        Some(message.fill(update, &self.units, told))
    }

    /// In words: `updates of the type sale, amount >= 1000.5 tokens (18 decimals), to the webhook ops, at most 10 a
    /// minute`.
    pub(crate) fn explain(&self) -> String {
        let mut parts = vec![match self.types.is_empty() {
            true => "all updates".to_owned(),
            false => format!("updates of the type {}", self.types.join(" or ")),
        }];
        parts.extend(self.conditions.iter().map(|condition| {
            let units = self.units.get(&condition.field);
            match units.filter(|_| condition.compares_numbers()) {
                None => condition.to_string(),
                Some(decimals) => format!("{condition} tokens ({})", decimals.explain()),
            }
        }));
        parts.push(self.receivers());
        parts.extend(self.limit.map(limit_in_words));
        parts.join(", ")
    }

    /// Who is told, in words.
    fn receivers(&self) -> String {
        let webhooks = self.webhooks.join(" and ");
        let mut receivers = match self.webhooks.len() {
            0 => Vec::new(),
            1 => vec![format!("the webhook {webhooks}")],
            _ => vec![format!("the webhooks {webhooks}")],
        };
        if self.push {
            receivers.push("Web Push subscriptions".to_owned());
        }
        match receivers.is_empty() {
            true => "to the live channel alone".to_owned(),
            false => format!("to {}", receivers.join(" and ")),
        }
    }
}

fn limit_in_words(limit: AlertLimit) -> String {
    let alerts = limit.alerts;
    match written(limit.per.0).as_str() {
        "1s" => format!("at most {alerts} a second"),
        "1m" => format!("at most {alerts} a minute"),
        "1h" => format!("at most {alerts} an hour"),
        "24h" => format!("at most {alerts} a day"),
        other => format!("at most {alerts} in {other}"),
    }
}

fn check_types(types: &[String]) -> Result<(), ConfigError> {
    for kind in types {
        check_kind(kind).map_err(|error| ConfigError::new("types", error.to_string(), kind))?;
    }
    Ok(())
}

fn check_webhooks(webhooks: &[String], known: &[String]) -> Result<(), ConfigError> {
    let refused = |why: String, name: &str| Err(ConfigError::new("webhooks", why, name));
    for (at, name) in webhooks.iter().enumerate() {
        if !known.contains(name) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let help = match nearest(name, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "there are none".to_owned(),
                None => format!("there are `{}`", known.join("`, `")),
            };
            return refused(format!("no webhook has this name; {help}"), name);
        }
        if webhooks[..at].contains(name) {
            return refused("the webhook is named twice".to_owned(), name);
        }
    }
    Ok(())
}

fn check_limit(limit: Option<AlertLimit>) -> Result<(), ConfigError> {
    let (why, input) = match limit {
        Some(limit) if limit.alerts == 0 => ("no alert at all", limit.alerts.to_string()),
        Some(limit) if limit.per.0.is_zero() => ("no time at all", written(limit.per.0)),
        _ => return Ok(()),
    };
    Err(ConfigError::new("limit", why, input))
}
