//! How much is asked for at once: as much as arrives in the time that an answer has.

use std::time::Duration;

use crate::error::ErrorKind;
use crate::redis::Portion;

/// Fewer bytes are not asked for: below, one entry at a time is.
const LEAST_BYTES: usize = 16 * 1024;
/// The longest that a single entry may take to arrive.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// Halves after an answer that did not come in time, and grows again.
#[derive(Debug)]
pub(super) struct ReadPace {
    most: Portion,
    now: Portion,
}

impl ReadPace {
    /// At most so much at once; begins small, as the entries may be large.
    pub(super) const fn new(count: usize, bytes: usize, patience: Duration) -> Self {
        let most = Portion {
            count,
            bytes,
            patience,
        };
        Self {
            most,
            now: Portion { count: 1, ..most },
        }
    }

    pub(super) const fn portion(&self) -> Portion {
        self.now
    }

    /// An answer came with so many entries. One that was not full says nothing about a fuller one.
    pub(super) fn arrived(&mut self, entries: usize) {
        if entries == 0 {
            return;
        }
        let Portion { count, bytes, .. } = self.most;
        self.now.patience = self.most.patience;
        if entries >= self.now.count {
            self.now.count = (self.now.count * 2).min(count);
        }
        self.now.bytes = (self.now.bytes * 2).min(bytes);
    }

    /// No answer, for this reason.
    pub(super) fn failed(&mut self, kind: ErrorKind) {
        if kind != ErrorKind::Timeout {
            return;
        }
        if self.now.count == 1 {
            // Nothing smaller can be asked for: one entry that takes long must get through.
            self.now.patience = (self.now.patience * 2).min(MOST_PATIENCE);
        }
        self.now.count = (self.now.count / 2).max(1);
        self.now.bytes = (self.now.bytes / 2).max(LEAST_BYTES.min(self.most.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn safety_100_what_does_not_arrive_in_time_is_halved_and_grows_again() {
        let mut pace = ReadPace::new(32, 1 << 20, 2 * SECOND);
        assert_eq!(pace.portion().count, 1, "nothing is known of the entries");
        for expected in [2, 4, 8, 16, 32, 32] {
            pace.arrived(pace.portion().count);
            assert_eq!(pace.portion().count, expected);
        }
        for (count, bytes) in [(16, 1 << 19), (8, 1 << 18), (4, 1 << 17)] {
            pace.failed(ErrorKind::Timeout);
            let now = pace.portion();
            assert_eq!((now.count, now.bytes), (count, bytes));
            assert_eq!(now.patience, 2 * SECOND);
        }
        pace.failed(ErrorKind::Unavailable);
        assert_eq!(pace.portion().count, 4, "that says nothing of the size");
        for _ in 0..20 {
            pace.failed(ErrorKind::Timeout);
        }
        let least = pace.portion();
        assert_eq!((least.count, least.bytes), (1, LEAST_BYTES));
        assert_eq!(least.patience, MOST_PATIENCE);
        for _ in 0..10 {
            pace.arrived(pace.portion().count);
        }
        let now = pace.portion();
        assert_eq!(
            (now.count, now.bytes, now.patience),
            (32, 1 << 20, 2 * SECOND)
        );
    }
}
