//! What the specifications of HTTP caching say, as tables: each row a short conversation with a cache
//! before a scripted origin, and the section that it is about.
//!
//! A row runs against any [`Subject`](subject::Subject), by a clock that moves by hand: here the layer in this
//! process, and in `tagcache/tests/rfc` the proxy over real sockets, HTTP/1.1 and HTTP/2. What no row can say stands in
//! `tagcache/tests/proxy`: trailers (RFC 9110 §6.5) in `exact` and `streams`, interim responses (RFC 9110 §15.2) in
//! `fields`.

mod oracle;
mod script;
mod subject;
mod tables;

/// Runs each row with the implicit rule and as RFC 9111 has it.
fn run(rows: Vec<script::Row>) {
    tables::run_on(&|| subject::Layer::rfc9111(), rows);
}
