//! The activity feed, analytics and alerts, on real servers.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod alerts;
mod exact;
mod push;
mod receiver;
