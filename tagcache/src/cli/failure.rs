//! How a command ends that does not do what it was asked.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};
use tower_tagcache::config::ConfigFileError;

/// Why a command ends, and with which status.
#[derive(Debug)]
pub(super) struct Failure {
    /// For people; empty if all was said already.
    message: String,
    status: u8,
}

impl Failure {
    /// It was tried and did not work: status 1.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { message, status: 1 }
    }

    /// It cannot be tried with these arguments or this configuration: status 2.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { message, status: 2 }
    }

    /// It is in force where it was asked for, and not everywhere yet: status 3.
    pub(super) fn pending(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { message, status: 3 }
    }

    /// Prints why, and returns the status.
    pub(super) fn tell(&self) -> ExitCode {
        if !self.message.is_empty() {
            let word = match self.status {
                3 => "pending",
                _ => "error",
            };
            let (on, off) = colours(io::stderr().is_terminal(), "31;1");
            // Nobody is left to tell that this failed.
            let _ = writeln!(io::stderr(), "{on}{word}:{off} {}", self.message);
        }
        ExitCode::from(self.status)
    }
}

impl From<ConfigFileError> for Failure {
    fn from(error: ConfigFileError) -> Self {
        Self::usage(format!("{error:#}"))
    }
}

/// What a command waits with.
pub(super) fn runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    let built = builder.enable_all().build();
    built.map_err(|error| Failure::failed(format!("no runtime: {error}")))
}

/// What switches a colour on and off, where colours are wanted: on a terminal, unless `NO_COLOR` is set
/// (<https://no-color.org>).
pub(super) fn colours(terminal: bool, code: &str) -> (String, &'static str) {
    if terminal && wants_colour() {
        (format!("\u{1b}[{code}m"), "\u{1b}[0m")
    } else {
        (String::new(), "")
    }
}

/// Whether `NO_COLOR` is not set.
pub(super) fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints `text` as a line. A reader that has gone (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}
