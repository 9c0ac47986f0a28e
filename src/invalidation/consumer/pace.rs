//! How much is asked for at once: as much as arrives in the time that an answer has, and several portions of it where one
//! after the other would be a round trip each (SAFETY 145).

use std::time::Duration;

use crate::error::ErrorKind;
use crate::redis::Portion;

/// Fewer bytes are not asked for: below, one entry at a time is.
const LEAST_BYTES: usize = 16 * 1024;
/// The longest that a single entry may take to arrive.
const MOST_PATIENCE: Duration = Duration::from_secs(60);
/// The most portions in one write. So much lies on the way of a server that is 40 ms away, at some 10,000 entries a second.
const MOST_TIMES: usize = 16;

/// Halves after an answer that did not come in time, and grows again.
#[derive(Debug)]
pub(super) struct ReadPace {
    most: Portion,
    now: Portion,
    /// How many portions are asked for at once: more than one only where those before were full.
    times: usize,
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
            times: 1,
        }
    }

    pub(super) const fn portion(&self) -> Portion {
        self.now
    }

    /// What to ask for where there is room for so many entries: a portion, and how often.
    pub(super) fn portions(&self, room: usize) -> (Portion, usize) {
        let mut portion = self.now;
        portion.count = portion.count.min(room).max(1);
        let times = self.times.min(room / portion.count).max(1);
        portion.bytes = (portion.bytes / times).max(LEAST_BYTES.min(portion.bytes));
        (portion, times)
    }

    /// An answer came with so many entries. One that was not full says nothing about a fuller one.
    pub(super) fn arrived(&mut self, entries: usize) {
        self.arrived_of(entries, self.now.count, 1);
    }

    /// Answers came with so many entries altogether, to so many portions of `count`.
    pub(super) fn arrived_of(&mut self, entries: usize, count: usize, times: usize) {
        let is_full = entries >= count * times;
        if entries * 2 <= count * times {
            self.times = (self.times / 2).max(1);
        }
        if entries == 0 {
            return;
        }
        self.now.patience = self.most.patience;
        if is_full && self.now.count < self.most.count {
            self.now.count = (self.now.count * 2).min(self.most.count);
        } else if is_full && times >= self.times {
            self.times = (self.times * 2).min(MOST_TIMES);
        }
        self.now.bytes = (self.now.bytes * 2).min(self.most.bytes);
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
        self.times = 1;
        self.now.count = (self.now.count / 2).max(1);
        self.now.bytes = (self.now.bytes / 2).max(LEAST_BYTES.min(self.most.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn safety_145_what_is_full_is_asked_for_more_often_at_once() {
        let mut pace = ReadPace::new(32, 1 << 20, 2 * SECOND);
        for _ in 0..5 {
            pace.arrived(pace.portion().count);
        }
        for expected in [1, 2, 4, 8, 16, 16] {
            let (portion, times) = pace.portions(1_000);
            assert_eq!((portion.count, times), (32, expected));
            assert!(portion.bytes * times <= 1 << 20);
            pace.arrived_of(32 * times, 32, times);
        }
        let (portion, times) = pace.portions(100);
        assert_eq!(
            (portion.count, times),
            (32, 3),
            "no more than there is room"
        );
        assert_eq!(pace.portions(7).0.count, 7);
        pace.arrived_of(300, 32, 16);
        assert_eq!(pace.portions(1_000).1, 16, "more than half");
        pace.arrived_of(200, 32, 16);
        assert_eq!(pace.portions(1_000).1, 8);
        pace.arrived_of(0, 32, 8);
        assert_eq!(pace.portions(1_000).1, 4);
        pace.failed(ErrorKind::Timeout);
        assert_eq!(pace.portions(1_000).1, 1);
    }

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
