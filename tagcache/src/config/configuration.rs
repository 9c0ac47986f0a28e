//! [`Configuration`]: all that was read.

pub(super) mod assemble;
mod faces;
mod live;
mod secrets;

use std::path::Path;

use tower_tagcache::config::{self, Config, ConfigFileError};

use super::Tables;
use crate::proxy::ProxySettings;

/// All that was read.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// What the library reads, and the text that errors point to.
    pub file: config::Loaded,
    /// What the program reads.
    pub tables: Tables,
}

impl Configuration {
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
        let listen = &mut tables.proxy.listen;
        if listen.is_empty() {
            // A list of none says as little as no list.
            *listen = ProxySettings::default().listen;
        }
        tables.lay_over(env)?;
        Ok(Self { file, tables })
    }

    /// What is in effect, with the defaults written out, as text for people: secrets are there, and masked.
    #[must_use]
    pub fn effective_text(&self) -> String {
        let merged = || -> Result<String, tower_tagcache::BoxError> {
            let mut all: toml::Table = toml::from_str(&self.file.config.effective_text())?;
            all.extend(toml::Table::try_from(&self.tables)?);
            Ok(toml::to_string(&all)?)
        };
        merged().unwrap_or_else(|error| format!("# {error}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_tagcache::config::Config;

    #[test]
    fn safety_117_what_is_in_effect_is_shown_with_its_defaults_and_without_secrets() {
        let text = "[redis]\nurl = \"redis://u:hunter2@h:6379\"\n[cache]\nshort_ttl = \"3s\"\n\
                    [proxy]\nupstreams = [\"http://127.0.0.1:9\"]\n[proxy.timeouts]\nconnect = \"9s\"\n\
                    [admin]\ntoken = \"hunter2hunter2hunter2\"\n\
                    [[rules]]\nname = \"a\"\nroute = \"/\"\nttl = \"short\"\n";
        let read = |text: String| {
            let file = Config::read(None, text, &|_| None).unwrap();
            Configuration::of(file, &|_| None).unwrap()
        };
        let loaded = read(text.to_owned());
        let effective = loaded.file.config.effective();
        let shown = loaded.effective_text();
        for line in [
            "url = \"redis://***@h:6379\"",
            "namespace = \"tagcache\"",
            "read_timeout = \"25ms\"",
            "token = \"***\"",
            "listen = [\"127.0.0.1:8080\"]",
            "listen = \"127.0.0.1:9180\"",
            "connect = \"9s\"",
            "response_head = \"1m\"",
            "ttl = \"3s\"",
            "consistency = \"near\"",
            "lifetime_ceiling = \"1day\"",
        ] {
            assert!(shown.contains(&format!("{line}\n")), "{line}\n{shown}");
        }
        assert!(!shown.contains("hunter2"), "{shown}");
        // What is shown is a configuration, and says all that it says.
        let again = read(shown);
        assert_eq!(again.file.config.effective().cache, effective.cache);
        assert_eq!(again.effective_text(), loaded.effective_text());
    }
}
