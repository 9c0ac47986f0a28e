//! The bugs of `SAFETY.md` at the level of HTTP, on the embedded store.

mod exact;
mod exchange;
mod faults;
mod keys;
mod leaks;
mod load;
mod purges;
mod ranges;
mod revalidation;
mod sockets;
mod support;
mod wire;
mod wrong_response;
