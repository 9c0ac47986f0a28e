//! What grows, and what must not: the program of `make bench-scale`. The driver is `run.py`.
//!
//! Each part runs in a process of its own, prints one line of JSON, and says on standard error what it is
//! doing. A part on Redis starts a server of its own. Nothing here fails because of time.

#![allow(unreachable_pub, missing_docs)]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should say where"
)]

mod bytes_held;
mod herd;
mod hits;
mod seen;
mod site;
mod storm;

use std::str::FromStr;

use serde_json::Value;

const USAGE: &str = "run by benches/scale/run.py; see `make bench-scale`
  hits KIND ENTRIES RULES TAGS HOT HITS   CPU of a hit, or instructions under callgrind (HITS > 0)
  storm KIND ENTRIES TAGS RATE SECONDS ROUNDS EVENTS
  seen PURGES
  herd KIND REQUESTS ROUNDS
  bytes ENTRIES";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found: Value = match arguments[..] {
        ["hits", kind, entries, rules, tags, hot, hits] => hits::run(&hits::Setting {
            kind,
            entries: number(entries),
            rules: number(rules),
            tags: number(tags),
            hot: number(hot),
            hits: number(hits),
        }),
        ["storm", kind, entries, tags, rate, seconds, rounds, events] => {
            storm::run(&storm::Setting {
                kind,
                entries: number(entries),
                tags: number(tags),
                rate: number(rate),
                seconds: number(seconds),
                rounds: number(rounds),
                events: number(events),
            })
        }
        ["seen", purges] => seen::run(number(purges)),
        // The other process of `seen`.
        ["watch", url] => return seen::watch(url),
        ["herd", kind, requests, rounds] => herd::run(kind, number(requests), number(rounds)),
        ["bytes", entries] => bytes_held::run(number(entries)),
        _ => {
            eprintln!("{USAGE}");
            return;
        }
    };
    println!("{found}");
}

fn number<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}
