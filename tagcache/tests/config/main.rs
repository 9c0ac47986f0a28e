//! The program's tables of the configuration file, and its variables in the environment.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod activity;
mod faces;
mod live;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tagcache::config::Configuration;
use tower_tagcache::config::{Config, ConfigFileError};

/// Reads `text` as the file `t.toml` with these variables.
fn read(text: &str, variables: &[(&str, &str)]) -> Result<Configuration, ConfigFileError> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let env = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let file = Config::read(Some(Path::new("t.toml")), text.to_owned(), &env)?;
    Configuration::of(file, &env)
}

/// A file of a test's own, removed when dropped.
struct NamedFile(PathBuf);

impl NamedFile {
    fn with(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tagcache-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for NamedFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A file, and what is said about it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "[proxy]\nlisten = [\"8080\"]",
        "t.toml:2:11: \"8080\" is not an IP address and a port, such as \"127.0.0.1:8080\"",
    ),
    (
        "[proxy.limits]\nconections = 5",
        "t.toml:2:1: unknown key `conections`; did you mean `connections`?",
    ),
    (
        "[proxy]\nupstreams = \"http://h\"",
        "t.toml:2:13: the text \"http://h\" where a list is expected; a list is written with brackets: `[\"…\", \"…\"]`",
    ),
];

#[test]
fn each_mistake_is_told_with_its_line_and_column() {
    for (text, expected) in MISTAKES {
        let error = read(text, &[]).unwrap_err();
        assert_eq!(error.to_string(), *expected, "\n{text}\n{error:#}");
    }
}

#[test]
fn a_misspelt_table_is_told_with_what_it_was_meant_to_be() {
    for (table, meant) in [
        ("porxy", "proxy"),
        ("adnim", "admin"),
        ("logs", "log"),
        ("lvie", "live"),
    ] {
        let error = read(&format!("[{table}]\n"), &[]).unwrap_err();
        let expected = format!("t.toml:1:2: unknown key `{table}`; did you mean `{meant}`?");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_password_or_token_is_never_shown() {
    let error = read("[admin]\ntokn = \"hunter2\"", &[]).unwrap_err();
    let shown = format!("{error} {error:#} {error:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let loaded = read("[admin]\ntoken = \"hunter2\"", &[]).unwrap();
    let shown = format!("{:?} {:?}", loaded.file.config, loaded.tables);
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_variable_beats_its_key() {
    let variables = [("TAGCACHE_ADMIN_LISTEN", "0.0.0.0:9180"), ("RUST_LOG", " ")];
    let tables = read("[log]\nlevel = \"warn\"", &variables).unwrap().tables;
    let admin = tables.admin.map(|admin| admin.listen);
    assert_eq!(
        admin.map(|listen| listen.to_string()).as_deref(),
        Some("0.0.0.0:9180")
    );
    assert_eq!(tables.log.level, "warn");
    let kept = read("", &[("RUST_LOG", "debug")]).unwrap().tables;
    assert_eq!(kept.admin, None, "without a section there is no listener");
    assert_eq!(kept.log.level, "debug");
    let error = read("", &[("TAGCACHE_ADMIN_LISTEN", "nowhere")]).unwrap_err();
    let expected = "environment variable TAGCACHE_ADMIN_LISTEN: \"nowhere\" is not an address and a port, \
                    such as 127.0.0.1:9180";
    assert_eq!(error.to_string(), expected);
}
