//! What the specifications of HTTP caching say, as tables: each row a short conversation with a cache
//! before a scripted origin, and the section that it is about.
//!
//! A row runs against any [`Subject`]: here the layer in this process, by a clock that moves by hand.

mod age;
mod authorization;
mod cache_control;
mod conditional;
mod freshness;
mod groups;
mod head;
mod invalidation;
mod no_vary_search;
mod oracle;
mod partial;
mod profile;
mod range;
mod request_directives;
mod script;
mod stale;
mod status;
mod storing;
mod subject;
mod targeted;
mod update_304;
mod vary;

use script::{Row, ask, get, row, wait};
use subject::{Layer, Subject};

/// The time at which each row begins, as an HTTP date.
const DATE_NOW: &str = "Mon, 23 Nov 2026 00:00:00 GMT";
const HOUR_AGO: &str = "Sun, 22 Nov 2026 23:00:00 GMT";
const DAY_AGO: &str = "Sun, 22 Nov 2026 00:00:00 GMT";
const IN_AN_HOUR: &str = "Mon, 23 Nov 2026 01:00:00 GMT";

/// Runs each row against the layer, with the implicit rule and as RFC 9111 has it.
fn run(rows: Vec<Row>) {
    run_on(&|| Layer::rfc9111(), rows);
}

/// Runs each row against a subject of its own.
fn run_on<S: Subject>(make: &dyn Fn() -> S, rows: Vec<Row>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    for row in rows {
        runtime.block_on(async {
            let subject = make();
            row.run(&subject).await;
        });
    }
}
