//! The tables, and how a row is run.

mod age;
mod authorization;
mod cache_control;
mod conditional;
mod freshness;
mod groups;
mod head;
mod invalidation;
mod no_vary_search;
mod partial;
mod profile;
mod range;
mod request_directives;
mod stale;
mod status;
mod storing;
mod targeted;
mod update_304;
mod vary;

use crate::script::{self, Row, ask, get, row, wait};
use crate::subject::{self, Layer, Subject};
use crate::{rows, run};

/// The time at which each row begins, as an HTTP date.
const DATE_NOW: &str = "Mon, 23 Nov 2026 00:00:00 GMT";
const HOUR_AGO: &str = "Sun, 22 Nov 2026 23:00:00 GMT";
const DAY_AGO: &str = "Sun, 22 Nov 2026 00:00:00 GMT";
const IN_AN_HOUR: &str = "Mon, 23 Nov 2026 01:00:00 GMT";

/// Runs each row against a subject of its own.
pub(crate) fn run_on<S: Subject>(make: &dyn Fn() -> S, rows: impl AsRef<[Row]>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for row in rows.as_ref() {
        runtime.block_on(async {
            let subject = make();
            row.run(&subject).await;
        });
    }
}
