//! In which form a server is asked who it is (PROTOCOL 6): as it answers, and in full again once it may.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use ::redis::Pipeline;

use crate::clock::millis;
use crate::redis::info::Identity;

/// After so many milliseconds a server that refused `INFO` is asked again: rights are given back.
const ASK_AGAIN: u64 = 5_000;

/// `INFO server replication` (Redis 7), plain `INFO`, none at all.
const BY_SECTION: u8 = 0;
const PLAIN: u8 = 1;
const DENIED: u8 = 2;

/// In which form `INFO` was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form(u8);

/// How a server answers `INFO`; shared by all connections to it.
#[derive(Debug, Default)]
pub(crate) struct Inquiry {
    form: AtomicU8,
    /// When it was last asked in full, although it had refused that: milliseconds.
    asked_again: AtomicU64,
    /// Whether it said its `master_replid` when it was last asked.
    names_itself: AtomicBool,
}

impl Inquiry {
    /// Adds the question to `pipe`, and says in which form it is asked.
    pub(super) fn who(&self, pipe: &mut Pipeline, now: Duration) -> Form {
        let last = self.asked_again.load(Ordering::Relaxed);
        if millis(now).saturating_sub(last) >= ASK_AGAIN {
            self.again(now);
        }
        let form = self.form.load(Ordering::Relaxed);
        match form {
            BY_SECTION => drop(pipe.cmd("INFO").arg("server").arg("replication")),
            PLAIN => drop(pipe.cmd("INFO")),
            _ => {}
        }
        Form(form)
    }

    /// Asks in full next time, where that was refused.
    pub(super) fn again(&self, now: Duration) {
        let relaxed = Ordering::Relaxed;
        let denied = self
            .form
            .compare_exchange(DENIED, BY_SECTION, relaxed, relaxed);
        if denied.is_ok() {
            self.asked_again.store(millis(now), relaxed);
        }
    }

    /// It does not answer in this form. Several connections may learn that at a time, and each knows only that its own
    /// form was refused.
    pub(super) fn refused(&self, form: Form) {
        let next = (form.0 + 1).min(DENIED);
        self.form.fetch_max(next, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, identity: &Identity) {
        let names_itself = identity.replid.is_some();
        self.names_itself.store(names_itself, Ordering::Relaxed);
    }

    /// Whether a connection that was verified as leading to `identity` needs no second look: what it appends has to name
    /// the server, if that says its name by now. Who knows the name takes a log whose last record names none for another
    /// server's (PROTOCOL 7).
    pub(super) fn is_named(&self, identity: &Identity) -> bool {
        identity.replid.is_some() || !self.names_itself.load(Ordering::Relaxed)
    }
}
