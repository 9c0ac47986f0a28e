//! The tables of `tests/rfc`, which say what the specifications of HTTP caching say, against the proxy over real
//! sockets.

#[path = "../../../tests/rfc/script.rs"]
mod script;
#[path = "../../../tests/rfc/subject.rs"]
#[allow(dead_code, reason = "also for the oracle, which asks the layer alone")]
mod subject;
#[path = "../../../tests/rfc/tables/mod.rs"]
mod tables;
mod wire;

/// Runs each row with the implicit rule and as RFC 9111 has it, in both versions of HTTP.
fn run(rows: Vec<script::Row>) {
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        println!("over {version:?}");
        tables::run_on(&|| wire::Wire::rfc9111(version), &rows);
    }
}
