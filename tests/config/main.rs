//! The configuration file and the environment: what is read, and what is said about mistakes.

mod activity;
mod effective;
mod environment;
mod good;
mod mistakes;
mod receivers;
mod reloaded;
mod replaced;

use std::collections::HashMap;
use std::path::Path;

use tower_tagcache::config::{Config, ConfigFileError, Loaded};

/// Reads `text` as the file `t.toml`, without any environment.
fn read(text: &str) -> Result<Loaded, ConfigFileError> {
    read_with(text, &[])
}

/// Reads `text` as the file `t.toml`, with these variables.
fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigFileError> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let env = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    Config::read(Some(Path::new("t.toml")), text.to_owned(), &env)
}

/// What is said about `text`, whether it cannot be read or cannot be used.
fn mistake(text: &str) -> ConfigFileError {
    read(text)
        .and_then(|loaded| loaded.build().map(drop))
        .expect_err(text)
}
