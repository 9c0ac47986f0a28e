//! `tagcache completions`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::failure::{Failure, print};

#[derive(Debug, Args)]
pub(super) struct CompletionArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionArgs, mut cli: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "tagcache", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())
}
