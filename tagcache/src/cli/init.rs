//! `tagcache init`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::failure::{Failure, print};
use super::source::DEFAULT_FILE;

/// The starter file; a test checks it.
const STARTER: &str = include_str!("starter.toml");

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where it is written; `-` is the standard output
    #[arg(default_value = DEFAULT_FILE)]
    file: PathBuf,
    /// Overwrites a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &InitArgs) -> Result<(), Failure> {
    if args.file.as_os_str() == "-" {
        return print(STARTER.trim_end());
    }
    let shown = args.file.display();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !args.force {
        options.create_new(true);
    }
    let written = options
        .open(&args.file)
        .and_then(|mut file| file.write_all(STARTER.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::failed(format!("{shown} is there already (--force overwrites it)"))
        }
        _ => Failure::failed(format!("{shown} cannot be written: {error}")),
    })?;
    print(&format!(
        "{shown} written; next: tagcache check && tagcache proxy"
    ))
}
