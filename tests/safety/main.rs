//! The bugs of `SAFETY.md` that a layer could have, on the embedded store, through the public API:
//! `oneshot` around inner services written by hand, and real sockets where the row is about bytes on
//! the wire. Time stands still (`ManualClock`), or is Tokio's and paused; nothing sleeps.
//!
//! | row | tests |
//! |---|---|
//! | 1–8 | `leaks`; private responses among nodes in `promises` (P5) |
//! | 9–15 | `keys` |
//! | 16, 19, 20 | `exchange` |
//! | 17 | left to the proxy: the layer never parses HTTP |
//! | 18 | `exchange` (never answered from the store), `wire` (pipelined); draining is the server's, hence the rest is left to the proxy |
//! | 21 | `keys` (no request purges); the admin listener and `PURGE`: `tests/admin` |
//! | 22 | `wrong_response`, `wire` |
//! | 23, 27, 29, 30, 33, 35 | `wrong_response`; 30 between nodes with Redis in `promises` |
//! | 24 | `ranges`, with what clients ask under conditions |
//! | 25, 26 | `faults` |
//! | 28, 36 (P4) | `exact` |
//! | 31 | `stale` |
//! | 32, and PROTOCOL 17 | `revalidation` |
//! | 34 | `exact`, `wire` |
//! | 37, 40, 41 | `purges`; every fill path and several nodes in `promises` (P1) and in the model test |
//! | 38, 39, 42–46 | left to `promises`: they need nodes or Redis; near copies (38, 39) are left to the near copy |
//! | 47 | `promises` (P6) |
//! | 48 | `tags`, with where tags come from |
//! | 49, 50 | `src/validity`, where the bounds are |
//! | 51, 52, 53, 60 | `load` |
//! | 54 | `streams`, `wire` |
//! | 55, 56 | `streams` |
//! | 57–59, 62 | left to the fault laboratory; 62 to `tests/promises`: it needs nodes |
//! | 61 | `refill` |
//! | 63 | `src/entry/codec` |
//! | 64 | left to live updates |
//! | 65 | left to the tests of the Redis client's use |
//! | 66–119 | each row of `SAFETY.md` names its tests; here `edges`, `superseded`, `misses`, and rows of the others |
//! | 119 | `misses` |
//! | 68, 77, 79, 81, 84, 85 | `superseded` |
//! | 66, 67, 69, 70, 86, 87 | `edges`; with 78, 80, 82 and 83 in `tests/proxy` |
//!
//! Without a number: `Cache-Status` reasons, settling, negative caching and nested layers in `purges`;
//! what browsers are told in `exact`.

mod bodies;
mod edges;
mod exact;
mod exchange;
mod faults;
mod keys;
mod leaks;
mod load;
mod misses;
mod purges;
mod ranges;
mod refill;
mod revalidation;
mod samples;
mod sockets;
mod stale;
mod streams;
mod superseded;
mod tags;
mod wire;
mod wrong_response;
