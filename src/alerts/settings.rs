//! [`AlertRule`]: what the operator says about alerts.

use std::collections::BTreeMap;

use crate::alerts::decimals::Decimals;
#[cfg(feature = "config")]
use crate::alerts::{condition::FieldCondition, message::AlertMessage};
use crate::amount::Period;

/// Which updates raise an alert, and who is told of it.
///
/// ```
/// use std::time::Duration;
/// use tower_tagcache::AlertRule;
///
/// let rule = AlertRule::new("big-sales")
///     .types(["sale"])
///     .when("amount >= 1000.5")
///     .when(r#"network == "ethereum""#)
///     .decimals("amount", 18)
///     .webhooks(["ops"])
///     .limit(10, Duration::from_secs(60))
///     .message("Sale of {amount} at {auction}");
/// assert_eq!(rule.name, "big-sales");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct AlertRule {
    /// The name by which alerts, metrics and messages call it: 1 to 64 ASCII letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// The types of the updates that raise it: `["sale"]`. Default: all.
    #[cfg_attr(feature = "config", serde(default))]
    pub types: Vec<String>,
    /// Only updates for whose fields all of these hold: `"amount >= 1000.5"`, `'token in ["0xA0b8…", "0xdAC1…"]'`,
    /// `'network == "ethereum"'`. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub when: Vec<String>,
    /// The decimals of amounts, by field, so that conditions and the message have them in whole tokens:
    /// `{ amount = 18 }`, or `{ amount = { by = "token", of = { "0xA0b8…" = 6 }, default = 18 } }`. Default: none, numbers
    /// are as the field has them.
    #[cfg_attr(feature = "config", serde(default))]
    pub decimals: BTreeMap<String, Decimals>,
    /// The webhooks that are told, by name. Default: none, alerts go to the live channel.
    #[cfg_attr(feature = "config", serde(default))]
    pub webhooks: Vec<String>,
    /// `true`: Web Push subscriptions are told too. Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    pub push: bool,
    /// How many alerts are sent in which time: `{ alerts = 10, per = "1m" }`. More are counted, and not sent. Default: any
    /// number.
    #[cfg_attr(
        feature = "config",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub limit: Option<AlertLimit>,
    /// A text for people, with fields in braces: "Sale of {amount} at {auction}". `{type}` and `{subject}` are the
    /// update's; what is missing is written `?`. Default: none.
    #[cfg_attr(
        feature = "config",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub message: Option<String>,
}

/// How many alerts are sent in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct AlertLimit {
    /// So many, at least 1.
    pub alerts: u32,
    /// In this time: "1m".
    pub per: Period,
}

impl AlertRule {
    /// A rule called `name`, which every update raises: 1 to 64 ASCII letters, digits, `_`, `-` and `.`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            types: Vec::new(),
            when: Vec::new(),
            decimals: BTreeMap::new(),
            webhooks: Vec::new(),
            push: false,
            limit: None,
            message: None,
        }
    }

    /// Sets the types of the updates that raise it. Default: all.
    #[must_use]
    pub fn types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Only updates for which `condition` holds: a field, one of `>= <= == != > <`, and a number of any size, in decimal
    /// or `0x` hexadecimal, perhaps with a fraction; `==` or `!=` and a text in quotes; or `in` or `not in` and a list of
    /// both (`token in ["0xA0b8…", "0xdAC1…"]`). A field whose name has a space is written in quotes. Several conditions
    /// must all hold, and are asked in their order. Where a field is missing, or is no whole number and is compared with
    /// numbers, the rule is not raised, which is told once. Default: none.
    #[must_use]
    pub fn when(mut self, condition: impl Into<String>) -> Self {
        self.when.push(condition.into());
        self
    }

    /// The amount in `field` has so many decimals, from 0 to 77: conditions and the message have it in whole tokens.
    /// Default: a number is as the field has it.
    #[must_use]
    pub fn decimals(mut self, field: impl Into<String>, decimals: impl Into<Decimals>) -> Self {
        self.decimals.insert(field.into(), decimals.into());
        self
    }

    /// Sets the webhooks that are told, by name. Default: none, alerts go to the live channel.
    #[must_use]
    pub fn webhooks(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.webhooks = names.into_iter().map(Into::into).collect();
        self
    }

    /// Web Push subscriptions are told too. Default: they are not.
    #[must_use]
    pub const fn push(mut self) -> Self {
        self.push = true;
        self
    }

    /// At most so many `alerts` are sent `per` so long a time; more are counted, and not sent. Default: any number.
    #[must_use]
    pub fn limit(mut self, alerts: u32, per: impl Into<Period>) -> Self {
        let per = per.into();
        self.limit = Some(AlertLimit { alerts, per });
        self
    }

    /// Sets a text for people, with fields in braces; `{{` and `}}` are braces. Amounts with [decimals](Self::decimals)
    /// are written in whole tokens, `{type}` and `{subject}` are the update's, and what is missing is written `?`.
    /// Default: none.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.message = Some(text.into());
        self
    }
    /// The fields of updates that it reads, each with the key that does. What cannot be read itself reads none.
    #[cfg(feature = "config")]
    pub(crate) fn fields_read(&self) -> Vec<(&'static str, String)> {
        let conditions = self.when.iter();
        let conditions = conditions.filter_map(|text| FieldCondition::parse(text).ok());
        let message = self.message.as_deref();
        let message = message.and_then(|text| AlertMessage::parse(text).ok());
        let told = message.iter().flat_map(AlertMessage::fields);
        let tokens = self.decimals.values().filter_map(|of| match of {
            Decimals::ByToken(tokens) => Some(tokens.by.clone()),
            Decimals::Fixed(_) => None,
        });
        conditions
            .map(|condition| ("when", condition.field.into()))
            .chain(told.map(|field| ("message", field.to_owned())))
            .chain(tokens.map(|field| ("decimals", field)))
            .collect()
    }
}
