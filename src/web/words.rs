//! [`FaceWords`]: how a face's messages speak of what people do there.

use crate::error::ConfigError;
use crate::place::Setting;

/// How a face's messages speak of what people do there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FaceWords {
    /// Its table in a configuration.
    pub(crate) table: &'static str,
    /// What people do: `listen`.
    pub(crate) act: &'static str,
    /// What they do with a subject: `listen to`.
    pub(crate) act_on: &'static str,
}

impl FaceWords {
    pub(crate) const fn setting(self, key: &'static str) -> Setting {
        Setting::of(self.table, key)
    }

    /// The path that the setting `key` says, without a slash at its end; "" for none. What has a meaning in a route, or would
    /// not be in a path as it comes, is refused.
    pub(crate) fn path(self, key: &'static str, path: &str) -> Result<String, ConfigError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        let is_path = path.is_empty() || path.starts_with('/');
        if is_path && path.bytes().all(plain) {
            return Ok(path.trim_end_matches('/').to_owned());
        }
        let why = "not a path such as /api, of letters, digits and -._~";
        Err(ConfigError::new(self.setting(key), why, path))
    }
}
