//! Where a configuration comes from: a file, and the environment.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use crate::config::Configuration;

/// The file that is read if none is named and it is there.
pub(super) const DEFAULT_FILE: &str = "tagcache.toml";

/// Which configuration is used.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// The configuration [default: tagcache.toml, if it is there]
    #[arg(short, long, value_name = "FILE", env = "TAGCACHE_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The file, if there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        let default = || Some(Path::new(DEFAULT_FILE)).filter(|path| path.exists());
        self.config.as_deref().or_else(default)
    }

    pub(super) fn load(&self) -> Result<Configuration, Failure> {
        Ok(Configuration::load(self.path(), &variable)?)
    }
}

/// A variable of the environment.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
