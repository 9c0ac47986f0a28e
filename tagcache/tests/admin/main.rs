//! The admin listener over real sockets, and `PURGE` on the one that clients use.
//!
//! | SAFETY | where |
//! |---|---|
//! | 21 | `refusals`, `public`, `file`, `happened` |
//! | 55 | `bounds` |
//! | 98 | `telemetry` |

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod site;

mod bounds;
mod calls;
mod file;
mod happened;
mod public;
mod refusals;
mod telemetry;
