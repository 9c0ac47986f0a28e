//! The promises of `docs/DESIGN.md`, kept on a real `redis-server` and real sockets. Several nodes in
//! one test are separate caches with separate connections; some run their companion and some do not,
//! because forgetting it must cost speed and never truth.
//!
//! A test that is named after a rule of `docs/PROTOCOL.md` tells the history that the rule forbids. Each
//! rule's word in brackets stands in a test's name or comment, here, in `src/redis/tests`, beside
//! `src/log` and in `src/invalidation/consumer/tests`; the model test (`src/model`) takes
//! rules away, one at a time, and fails. Left to live updates: `pos_near`, `soft_pos`, `pos_epoch`.

#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod captures;
mod house;
mod p1_cancelled;
mod p1_coalescing;
mod p1_copies;
mod p1_fills;
mod p1_kinds;
mod p1_near;
mod p1_pending;
mod p1_positions;
mod p1_round_trips;
mod p1_settle;
mod p1_soft;
mod p2_lost;
mod p2_spoilt;
mod p3_drill;
mod p3_outages;
mod p3_told;
mod p3_user;
mod p4_bytes;
mod p4_large;
#[cfg(feature = "zstd")]
mod p4_packed;
mod p5_places;
mod p5_private;
mod p6_captures;
mod p6_claims;
mod p6_delivery;
mod p6_doubt;
mod p6_formats;
mod p6_gaps;
mod p6_nodes;
mod p6_quarantine;
mod p6_trimmed;
mod refill;
