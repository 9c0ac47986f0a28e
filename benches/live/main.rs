//! Thousands of clients of live updates on one process: the program of `make bench-live`. The driver is `run.py`.
//!
//! `server` answers clients with server-sent events, and tells them what its standard input says. `load` is clients, and
//! says when all of them have an update. `stuck` is clients that read nothing.

#![allow(unreachable_pub, missing_docs)]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should say where"
)]

mod bare;
mod load;
mod server;

use std::fmt::Display;
use std::io::{Write, stdout};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

const USAGE: &str = "run by benches/live/run.py; see `make bench-live`
  server KIND                   KIND: tagcache, axum or hyper
  load ADDRESS SOURCE CLIENTS
  stuck ADDRESS SOURCE CLIENTS";

/// What an update has once, and nothing else that is sent.
const MARK: u8 = b'@';

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server", kind] => server::run(kind),
        ["load", address, source, clients] => {
            load::run(read(address), read(source), read(clients));
        }
        ["stuck", address, source, clients] => {
            load::stick(read(address), read(source), read(clients));
        }
        _ => eprintln!("{USAGE}"),
    }
}

fn read<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("what is {text}?"))
}

/// Nanoseconds by a clock that all processes have.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_nanos().try_into().unwrap()
}

/// Tells the driver.
fn say(line: impl Display) {
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}
