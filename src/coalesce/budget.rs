//! How many bytes all fills under way may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a chunk counts as at the least: its place among the others costs more than a few bytes.
const LEAST: usize = 64;

/// One for all flights, those that nobody joins included. What a fill has taken goes back with the last reader of
/// it, or once it is dropped: clients that read nothing hold what was read for them, and no more than that.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    taken: AtomicU64,
    /// Fills that were not stored as there was no more to take.
    unstored: AtomicU64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            taken: AtomicU64::new(0),
            unstored: AtomicU64::new(0),
        })
    }

    /// Takes so many bytes, if there are as many. A quarter is left for what passes unstored, and for what client
    /// libraries and an allocator hold beside each response.
    pub(super) fn take(&self, bytes: u64) -> bool {
        self.take_up_to(self.limit - self.limit / 4, bytes)
    }

    /// Takes so many bytes of all that there is, the last quarter included.
    pub(super) fn take_last(&self, bytes: u64) -> bool {
        self.take_up_to(self.limit, bytes)
    }

    fn take_up_to(&self, limit: u64, bytes: u64) -> bool {
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= limit);
        bytes == 0 || self.taken.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    pub(super) fn give_back(&self, bytes: u64) {
        if bytes > 0 {
            self.taken.fetch_sub(bytes, Relaxed);
        }
    }

    pub(crate) fn note_unstored(&self) {
        self.unstored.fetch_add(1, Relaxed);
    }

    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    pub(crate) fn unstored(&self) -> u64 {
        self.unstored.load(Relaxed)
    }
}

/// What a chunk of so many bytes takes.
pub(super) fn cost(length: usize) -> u64 {
    length.max(LEAST) as u64
}
