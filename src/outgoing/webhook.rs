//! [`WebhookSettings`]: where alerts are posted to. [`Webhook`]: one that is checked.

use std::path::PathBuf;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::amount::Period;
use crate::clock::Timestamp;
use crate::error::ConfigError;
use crate::outgoing::endpoint::{Endpoint, EndpointRules};
use crate::outgoing::failure::DeliveryFailure;
use crate::outgoing::signature::{WebhookKey, sign};
use crate::place::ConfigPlace;
use crate::secret::{Secret, read_secret};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ALERT: HeaderName = HeaderName::from_static("tagcache-alert");
const SIGNATURE: HeaderName = HeaderName::from_static("tagcache-signature");

/// A shorter secret can be guessed.
const SHORTEST_SECRET: usize = 32;
/// The new one and the old one, and a mistake.
const MOST_SECRETS: usize = 4;
/// What the name of a rule is written without in a field; the rest is as in a URL.
const NOT_IN_FIELDS: &AsciiSet = &CONTROLS.add(b'%');

/// Where alerts are posted to, and what they are signed with.
///
/// ```
/// use tower_tagcache::outgoing::WebhookSettings;
///
/// let settings = WebhookSettings::new("ops", "https://hooks.example.org/tagcache")
///     .secret("a secret of thirty-two bytes or more");
/// assert!(!format!("{settings:?}").contains("thirty-two"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct WebhookSettings {
    /// What it is called.
    pub name: String,
    /// URL that alerts are posted to. Messages show no more of it than its host.
    #[cfg_attr(
        feature = "config",
        serde(serialize_with = "crate::secret::masked"),
        schemars(extend("writeOnly" = true))
    )]
    pub url: Secret,
    /// What alerts are signed with: 32 bytes or more. With several, each signs, so that receivers can change from one to
    /// the next. Prefer `secret_files`. Default: none, but there must be one here or there.
    #[cfg_attr(
        feature = "config",
        serde(default, serialize_with = "all_masked", skip_serializing_if = "Vec::is_empty"),
        schemars(extend("writeOnly" = true))
    )]
    pub secrets: Vec<Secret>,
    /// Files with a secret each. Default: none.
    #[cfg_attr(
        feature = "config",
        serde(default, skip_serializing_if = "Vec::is_empty")
    )]
    pub secret_files: Vec<PathBuf>,
    /// How long an alert may take, if that is less than all outgoing requests may. Default: as long as those.
    #[cfg_attr(
        feature = "config",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub timeout: Option<Period>,
}

/// A webhook that alerts may be posted to. Made by [`OutgoingClient::webhook`](super::OutgoingClient::webhook).
#[derive(Debug, Clone)]
pub struct Webhook {
    name: String,
    pub(super) endpoint: Endpoint,
    pub(super) timeout: Option<Duration>,
    keys: Vec<WebhookKey>,
}

impl WebhookSettings {
    /// The webhook `name`, at `url`.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: Secret(url.into()),
            secrets: Vec::new(),
            secret_files: Vec::new(),
            timeout: None,
        }
    }

    /// Adds what alerts are signed with. Default: none, but there must be one.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(Secret(secret.into()));
        self
    }

    /// Sets how long an alert may take. Default: as long as all outgoing requests may.
    #[must_use]
    pub const fn timeout(mut self, most: Duration) -> Self {
        self.timeout = Some(Period(most));
        self
    }
}

impl Webhook {
    pub(super) fn new(
        settings: &WebhookSettings,
        rules: &EndpointRules,
    ) -> Result<Self, ConfigError> {
        let checked = || {
            let endpoint = rules.endpoint(&settings.url.0);
            let endpoint = endpoint.map_err(|why| ConfigError::new("url", why, "***"))?;
            let timeout = settings.timeout.map(|Period(time)| time);
            if timeout.is_some_and(|time| time.is_zero()) {
                return Err(ConfigError::new("timeout", "not above zero", "0s"));
            }
            Ok(Self {
                name: settings.name.clone(),
                endpoint,
                timeout,
                keys: keys(settings)?,
            })
        };
        checked().map_err(|error| error.within(ConfigPlace::webhook(&settings.name)))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The scheme, host and port of its URL; the rest may be a secret.
    #[must_use]
    pub fn origin(&self) -> String {
        self.endpoint.origin()
    }

    /// The fields of a request that posts `body`.
    pub(super) fn fields(
        &self,
        alert_id: &str,
        rule: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<HeaderMap, DeliveryFailure> {
        let value = |text: &str| {
            let why = |_| DeliveryFailure::Permanent("the alert's id is no field value".to_owned());
            HeaderValue::from_str(text).map_err(why)
        };
        let rule = utf8_percent_encode(rule, NOT_IN_FIELDS).to_string();
        Ok(HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (IDEMPOTENCY_KEY, value(alert_id)?),
            (ALERT, value(&rule)?),
            (SIGNATURE, value(&sign(&self.keys, body, now))?),
        ]))
    }
}

fn keys(settings: &WebhookSettings) -> Result<Vec<WebhookKey>, ConfigError> {
    let key = |setting: &'static str, secret: &str| {
        let why = "is shorter than 32 bytes";
        match secret.len() < SHORTEST_SECRET {
            true => Err(ConfigError::new(setting, why, "***")),
            false => Ok(WebhookKey::new(secret)),
        }
    };
    let said = settings
        .secrets
        .iter()
        .map(|secret| key("secrets", &secret.0));
    let files = settings.secret_files.iter().map(|path| {
        let secret = read_secret("secret_files", path)?;
        key("secret_files", &secret)
    });
    let keys = said.chain(files).collect::<Result<Vec<_>, _>>()?;
    let why = match keys.len() {
        0 => "there is none to sign with",
        1..=MOST_SECRETS => return Ok(keys),
        _ => "more than 4 secrets, with those of `secret_files`",
    };
    Err(ConfigError::new("secrets", why, ""))
}

#[cfg(feature = "config")]
fn all_masked<S: serde::Serializer>(secrets: &[Secret], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(secrets.iter().map(|_| "***"))
}

#[cfg(test)]
mod tests;
