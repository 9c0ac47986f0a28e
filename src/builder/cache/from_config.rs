//! A cache as a configuration file describes it.

use std::path::Path;

use crate::builder::{Cache, Companion};
use crate::config::{Config, ConfigFileError};

impl Cache {
    /// The cache that the TOML file at `path` describes, with the environment laid over it, and its
    /// companion. See [`config`](crate::config).
    ///
    /// # Errors
    /// The file cannot be read, or says something that cannot be used; the error has the line.
    pub fn from_config(path: impl AsRef<Path>) -> Result<(Self, Companion), ConfigFileError> {
        Config::load(Some(path.as_ref()), &|name| std::env::var(name).ok())?.build()
    }
}
