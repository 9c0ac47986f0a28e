//! What the specifications of HTTP caching say, as tables: each row a short conversation with a cache
//! before a scripted origin, and the section that it is about.
//!
//! A row runs against any [`Subject`], by a clock that moves by hand: the layer in this process, and the
//! proxy over real sockets, HTTP/1.1 and HTTP/2. What no row can say stands in `tests/proxy`: trailers
//! (RFC 9110 §6.5) in `exact` and `streams`, interim responses (RFC 9110 §15.2) in `fields`.

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
#[cfg(feature = "proxy")]
mod wire;

use script::{Row, ask, get, row, wait};
use subject::{Layer, Subject};

/// The time at which each row begins, as an HTTP date.
const DATE_NOW: &str = "Mon, 23 Nov 2026 00:00:00 GMT";
const HOUR_AGO: &str = "Sun, 22 Nov 2026 23:00:00 GMT";
const DAY_AGO: &str = "Sun, 22 Nov 2026 00:00:00 GMT";
const IN_AN_HOUR: &str = "Mon, 23 Nov 2026 01:00:00 GMT";

/// Runs each row with the implicit rule and as RFC 9111 has it.
fn run(rows: Vec<Row>) {
    run_on(&|| Layer::rfc9111(), &rows);
    run_on_the_wire(&rows);
}

#[cfg(feature = "proxy")]
fn run_on_the_wire(rows: &[Row]) {
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        println!("over {version:?}");
        run_on(&|| wire::Wire::rfc9111(version), rows);
    }
}

#[cfg(not(feature = "proxy"))]
fn run_on_the_wire(_: &[Row]) {}

/// Runs each row against a subject of its own.
fn run_on<S: Subject>(make: &dyn Fn() -> S, rows: impl AsRef<[Row]>) {
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
