//! [`Secret`]: text that is never shown.

use std::fmt;
#[cfg(any(feature = "activity", feature = "live"))]
use std::path::Path;

#[cfg(any(feature = "activity", feature = "live"))]
use crate::error::ConfigError;
#[cfg(any(feature = "activity", feature = "live"))]
use crate::place::ConfigPlace;

/// Text that messages and `Debug` never show: a URL with a password, a token. What is serialised has it in clear.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(transparent)
)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The text of the file that `setting` names, without the spaces around it.
#[cfg(any(feature = "activity", feature = "live"))]
pub(crate) fn read_secret(
    setting: impl Into<ConfigPlace>,
    path: &Path,
) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => {
            let why = format!("cannot be read: {error}");
            Err(ConfigError::new(setting, why, path.display().to_string()))
        }
    }
}

/// Serialises a setting of a secret, for people.
#[cfg(all(feature = "config", any(feature = "activity", feature = "live")))]
pub(crate) fn masked<T, S: serde::Serializer>(_: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str("***")
}
