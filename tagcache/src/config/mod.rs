//! The file with the environment laid over it: what [the library](tower_tagcache::config) reads of it, and the tables
//! `[proxy]`, `[admin]` and `[log]` of the program.
//!
//! Beside the variables of the library, which beat its keys:
//!
//! | variable | key |
//! |---|---|
//! | `TAGCACHE_ADMIN_LISTEN` | `admin.listen` |
//! | `TAGCACHE_ADMIN_TOKEN` | `admin.token` |
//! | `RUST_LOG` | `log.level` |

mod effective;
mod sections;
mod settings;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_tagcache::config::{self, Config, ConfigFileError};

pub use self::sections::{
    AccessFormatChoice, AccessLogSection, AdminSection, HealthSection, LimitsSection, ListenChoice,
    LogFormat, LogSection, ProtocolChoice, ProxySection, TimeoutsSection, TlsListen,
    UpstreamChoice, UpstreamHostChoice, UpstreamSection,
};
pub use self::settings::Assembled;

/// The tables of the program: how it listens, whom it asks, and what it writes about itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tables {
    /// The reverse proxy `tagcache proxy`.
    #[serde(default)]
    pub proxy: ProxySection,
    /// The admin listener of `tagcache proxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminSection>,
    /// What the program writes about itself.
    #[serde(default)]
    pub log: LogSection,
}

/// All that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the library reads, and the text that errors point to.
    pub file: config::Loaded,
    /// What the program reads.
    pub tables: Tables,
}

impl Loaded {
    /// Reads the file at `path`, or none, and lays the environment over it. `env` gives a variable's value.
    ///
    /// # Errors
    /// As of [`Config::load`], and the same about the program's tables.
    pub fn load(
        path: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigFileError> {
        Self::of(Config::load(path, env)?, env)
    }

    /// Takes the program's tables from the file that the library has read.
    ///
    /// # Errors
    /// An unknown key, or a value of the wrong type.
    pub fn of(
        file: config::Loaded,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigFileError> {
        let mut tables: Tables = file.tables()?;
        tables.lay_over(env)?;
        Ok(Self { file, tables })
    }
}

impl Tables {
    /// Lets each variable that is set beat its key.
    fn lay_over(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Result<(), ConfigFileError> {
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
            self.admin.get_or_insert_default().listen = Some(address);
        }
        if let Some(level) = set("RUST_LOG") {
            self.log.level = Some(level);
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
