//! [`Tables`]: what the program reads of the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_tagcache::config::{self, ConfigFileError};
use tower_tagcache::feed::ActivityServiceSettings;
use tower_tagcache::live::LiveSettings;
use tower_tagcache::outgoing::push::PushServiceSettings;

use crate::admin::AdminSettings;
use crate::proxy::ProxySettings;

/// The tables of the program: how it listens, whom it asks, and what it writes about itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tables {
    /// The reverse proxy `tagcache proxy`. Without it, and without `--upstream`, there is none.
    pub proxy: ProxySettings,
    /// Live updates, as server-sent events and by WebSocket, where clients connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveSettings>,
    /// What happened, over HTTP where clients connect: `/activity` and `/analytics`, of what `[activity]` keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<ActivityServiceSettings>,
    /// Where clients connect, `/push/key` and `/push/subscriptions` for browsers that `[push]` is to push to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_service: Option<PushServiceSettings>,
    /// The admin listener of `tagcache proxy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminSettings>,
    /// What the program writes about itself.
    pub log: LogSettings,
}

/// What the program writes about itself, to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// "text" for people, "json" for a log collector. Default: "text".
    pub format: LogFormat,
    /// The level ("error", "warn", "info", "debug", "trace"), or directives such as
    /// "info,tower_tagcache=debug". Default: "info". In the environment: RUST_LOG.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: "info".to_owned(),
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Tables {
    /// Lets each variable that is set beat its key.
    pub(super) fn lay_over(
        &mut self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigFileError> {
        let set = |name| {
            let value = env(name)?.trim().to_owned();
            Some(value).filter(|value| !value.is_empty())
        };
        let listen = "TAGCACHE_ADMIN_LISTEN";
        if let Some(text) = set(listen) {
            let expected = "an address and a port, such as 127.0.0.1:9180";
            let address = text.parse();
            let address =
                address.map_err(|_| ConfigFileError::variable(listen, &text, expected))?;
            self.admin.get_or_insert_default().listen = address;
        }
        if let Some(level) = set("RUST_LOG") {
            self.log.level = level;
        }
        Ok(())
    }
}

/// The JSON Schema of the whole file (draft 2020-12), for editors.
#[must_use]
pub fn schema() -> Value {
    let mut schema = config::schema();
    schema["description"] = "The file: what is cached, where, and how the program runs.".into();
    let own = schemars::schema_for!(Tables).to_value();
    for part in ["properties", "$defs"] {
        if let (Some(all), Some(own)) = (schema[part].as_object_mut(), own[part].as_object()) {
            all.extend(own.clone());
        }
    }
    schema
}
