//! The promises of `docs/DESIGN.md` on a real `redis-server`. Several nodes in one test are separate
//! caches with separate connections; some run their companion and some do not, because forgetting it
//! must cost speed and never truth.
//!
//! A test that is named after a rule of `docs/PROTOCOL.md` tells the history that the rule forbids.

#[path = "../support/mod.rs"]
mod support;

mod p1_fills;
