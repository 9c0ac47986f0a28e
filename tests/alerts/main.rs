//! What is made of events for people who are not looking: alerts to webhooks, browsers and the live channel, beside feed and
//! counters.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod counts;
mod exact;
mod push;
mod receiver;
mod webhooks;
