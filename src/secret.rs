//! [`Secret`]: text that is never shown.

use std::fmt;

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
