//! The program `tagcache`: an HTTP cache that purges by tag, as a reverse proxy.

use std::process::ExitCode;

fn main() -> ExitCode {
    tagcache::cli::main()
}
