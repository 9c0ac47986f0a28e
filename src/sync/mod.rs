//! The locks and atomics of what requests and the follower share, and what ends with its holder.
//!
//! The locks and atomics are `parking_lot`'s and `std`'s. In unit tests each operation on them is also a point at which
//! `shuttle` may let another thread go on, so that a test can try the interleavings of the code that
//! is shipped, not of a copy of it. Tasks are [`owned`] by the process that spawns them, so that the simulation can stop
//! one process while others go on.

#[cfg(test)]
mod interleaved;
mod on_drop;
#[cfg(test)]
mod process;

#[cfg(test)]
pub(crate) use self::interleaved::{AtomicU64, AtomicUsize, Mutex, RwLock, check, point};
pub(crate) use self::on_drop::OnDrop;
#[cfg(all(test, feature = "redis"))]
pub(crate) use self::process::Socket;
#[cfg(test)]
pub(crate) use self::process::{Process, owned};
#[cfg(not(test))]
pub(crate) use parking_lot::{Mutex, RwLock};
#[cfg(not(test))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize};

/// `future` as a task of the process that calls: there is one only.
#[cfg(not(test))]
#[inline]
pub(crate) const fn owned<F: Future>(future: F) -> F {
    future
}
