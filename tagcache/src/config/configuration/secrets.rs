//! Secrets of the program's tables: the variable beats the file, which beats the key.

use std::path::PathBuf;

use tower_tagcache::config::{ConfigFileError, Secret};
use tower_tagcache::{ConfigError, Setting};

use super::Configuration;
use crate::proxy::Listen;

/// The value of a variable, if it has one.
pub(super) type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Where a secret may be said.
pub(super) struct SecretKey {
    pub(super) setting: Setting,
    pub(super) file: Setting,
    pub(super) variable: &'static str,
}

impl Configuration {
    pub(super) fn secret(
        &self,
        key: &SecretKey,
        written: &Option<Secret>,
        file: Option<&PathBuf>,
        env: Env<'_>,
    ) -> Result<Option<Secret>, ConfigFileError> {
        let text = match (set(env, key.variable), file) {
            (Some(text), _) => text,
            (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
                let (why, shown) = (format!("cannot be read: {error}"), path.display());
                self.file
                    .refused(&ConfigError::new(key.file, why, shown.to_string()))
            })?,
            (None, None) => return Ok(written.clone()),
        };
        Ok(Some(Secret(text.trim().to_owned())))
    }

    /// `error` of a service, with the line, file or variable that has the secret it is about: of the `keys`, each with its
    /// file.
    pub(super) fn secret_refused(
        &self,
        error: &ConfigError,
        keys: &[(&SecretKey, Option<&PathBuf>)],
        env: Env<'_>,
    ) -> ConfigFileError {
        let mut keys = keys.iter();
        let about = keys.find(|(key, _)| error.place().setting() == Some(key.setting));
        let Some((key, path)) = about else {
            return self.file.refused(error);
        };
        if set(env, key.variable).is_some() {
            let mut file = self.file.clone();
            file.made_elsewhere(key.setting, key.variable);
            return file.refused(error);
        }
        match path {
            None => self.file.refused(error),
            Some(path) => {
                let (why, shown) = (error.message(), path.display().to_string());
                self.file.refused(&ConfigError::new(key.file, why, shown))
            }
        }
    }

    /// A listener that others than this machine can connect to.
    pub(super) fn exposed(&self) -> Option<&Listen> {
        let others = |listen: &&Listen| !listen.address.ip().to_canonical().is_loopback();
        self.tables.proxy.listen.iter().find(others)
    }
}

fn set(env: Env<'_>, variable: &str) -> Option<String> {
    env(variable).filter(|text| !text.trim().is_empty())
}
