//! The reverse proxy over real sockets, HTTP/1.1 and HTTP/2, with and without TLS.
//!
//! | SAFETY | where |
//! |---|---|
//! | 9 | `key` |
//! | 16, 33 | `fields` |
//! | 17, 18 | `smuggling`, `upgrades` |
//! | 19 | `key` |
//! | 25 | `faults` |
//! | 34 | `exact` |
//! | 54 | `upgrades`, `streams` |
//! | 55, 56 | `streams`, `limits` |
//! | 66, 67, 69, 70, 78, 80, 82, 83, 86, 87 | `edges` |

#![allow(
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tables of cases stand in their tests; a test that cannot go on should say where"
)]

mod client;
mod raw_origin;
mod site;

mod basics;
mod edges;
mod encodings;
mod exact;
mod failover;
mod faults;
mod fields;
mod key;
mod limits;
mod live;
mod odd_paths;
mod smuggling;
mod streams;
mod tls;
mod upgrades;
