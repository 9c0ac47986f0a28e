//! [`FaceWords`]: how a face's messages speak of what people do there.

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
}
