//! Secrets that stand in files.

use std::path::Path;

use crate::error::ConfigError;
use crate::place::ConfigPlace;

/// The text of the file that a setting names, without the spaces around it.
pub(super) fn read_secret(setting: ConfigPlace, path: &Path) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => {
            let why = format!("cannot be read: {error}");
            Err(ConfigError::new(setting, why, path.display().to_string()))
        }
    }
}
