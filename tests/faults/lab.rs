//! The fault laboratory: nodes of the program under load while what they rest on breaks, in each way that we know.
//!
//! Clients ask two nodes for pages of two rules, near and strict, over loopback. Pages change, and each change is followed by
//! a purge. The origin answers with the page's version, which only grows, so that every answer can be judged: a reader
//! notes before it asks which version must be visible at least, because the purge of it had returned ([`ledger`]).
//! Meanwhile something happens to Redis, to the upstream, or to a node ([`rows`]), through a TCP forwarder, signals and
//! commands. What is judged in each row:
//!
//! - no wrong answer: another page's, a mixed or cut one, or one that the origin never gave;
//! - no answer that a purge should have ended, but for the split brain that `docs/DESIGN.md` names;
//! - no client error where the upstream lives.
//!
//! As tests the rows are short, and only counts are judged. `make faults` runs them at full length, measures times too,
//! and writes `docs/faults.md`; `make soak-faults` mixes them for ten minutes and looks at what grows.
//!
//! ```sh
//! TAGCACHE_ROWS=killed,half-open cargo test -p tagcache --test faults -- --nocapture
//! make faults ROWS=stopped
//! ```

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod bench;
mod form;
mod judges;
mod ledger;
mod load;
mod measured;
mod node;
#[path = "../../tagcache/tests/proxy/raw_origin.rs"]
#[allow(dead_code, reason = "also for the tests of the proxy, which say more")]
mod raw_origin;
mod rows;
mod soak;
mod upstream;
