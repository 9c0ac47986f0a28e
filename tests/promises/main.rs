//! The promises of `docs/DESIGN.md`, kept on a real `redis-server` and real sockets: each has a file, `p1` to `p7`, which
//! says what is promised and tests the heart of it, and modules below it for what else bears on it. Several nodes in
//! one test are separate caches with separate connections; some run their companion and some do not,
//! because forgetting it must cost speed and never truth.
//!
//! A test that is named after a rule of `docs/PROTOCOL.md` tells the history that the rule forbids. Each
//! rule's word in brackets stands in a test's name or comment, here, in `src/redis/tests`, beside
//! `src/log` and in `src/invalidation/consumer/tests`; the model test (`src/model`) takes
//! rules away, one at a time, and fails.

#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod captures;
mod house;
mod p1;
mod p2;
mod p3;
mod p4;
mod p5;
mod p6;
mod p7;
mod refill;
