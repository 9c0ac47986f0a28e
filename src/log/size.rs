//! How large the log is, as one reader of all its records knows it.

use std::collections::VecDeque;

use crate::position::{Epoch, Position};

/// Bytes between two places that are remembered.
const STEP: u64 = 64 * 1024;
/// Places that are remembered: enough for a log of 256 MiB, should nobody trim it.
const MAX_PLACES: usize = 4_096;
/// What a record takes beside its values, about.
pub(crate) const OVERHEAD: u64 = 32;

/// The bytes of the records from some ordinal on. Records that came before the first one that was seen
/// are not counted: they are older, and go by number and by age.
#[derive(Debug, Default)]
pub(crate) struct LogSize {
    epoch: Option<Epoch>,
    last: u64,
    /// Bytes of all records seen.
    total: u64,
    /// Records whose end is at these bytes, in ascending order; what stands before the first is gone.
    places: VecDeque<(u64, u64)>,
}

impl LogSize {
    /// A record at `position` takes `bytes`. Records that were seen already count once.
    pub(crate) fn note(&mut self, position: Position, bytes: u64) {
        if self.epoch != Some(position.epoch) {
            *self = Self {
                epoch: Some(position.epoch),
                last: position.ordinal,
                total: 0,
                places: VecDeque::from([(position.ordinal.saturating_sub(1), 0)]),
            };
        } else if position.ordinal <= self.last {
            return;
        }
        self.last = position.ordinal;
        self.total += bytes;
        let place = self.places.back().map_or(0, |(_, end)| *end);
        if self.total - place >= STEP {
            self.places.push_back((self.last, self.total));
            if self.places.len() > MAX_PLACES {
                self.places.pop_front();
            }
        }
    }

    /// Whether it has grown by a quarter past `records` or `bytes`: then trimming is worth a command.
    pub(crate) fn is_over(&self, records: usize, bytes: u64) -> bool {
        let Some((first, start)) = self.places.front() else {
            return false;
        };
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.total - start > bytes.saturating_add(bytes / 4)
            || self.last - first > records.saturating_add(records / 4)
    }

    /// The first record to keep so that about `bytes` are left, and never none (PROTOCOL 2); `None` if
    /// they are fewer.
    pub(crate) fn keep_from(&self, bytes: u64) -> Option<Position> {
        let (_, start) = self.places.front()?;
        if self.total - start <= bytes {
            return None;
        }
        let fits = |(_, end): &&(u64, u64)| self.total - end <= bytes;
        let behind = self.places.iter().find(fits);
        let from = behind.map_or(self.last, |(ordinal, _)| ordinal + 1);
        Some(Position {
            epoch: self.epoch?,
            ordinal: from.min(self.last),
        })
    }

    /// What stands before the newest `records`, or before `kept`, is gone.
    pub(crate) fn trimmed(&mut self, records: usize, kept: Option<Position>) {
        let by_number = self
            .last
            .saturating_sub(u64::try_from(records).unwrap_or(u64::MAX));
        let gone = kept
            .map_or(0, |kept| kept.ordinal.saturating_sub(1))
            .max(by_number);
        while self.places.get(1).is_some_and(|(end, _)| *end <= gone) {
            self.places.pop_front();
        }
        if let Some((first, _)) = self.places.front_mut() {
            *first = (*first).max(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ordinal: u64) -> Position {
        Position::new(7, ordinal)
    }

    #[test]
    fn safety_99_the_log_is_cut_where_about_so_many_bytes_are_left() {
        let mut size = LogSize::default();
        assert_eq!(size.keep_from(0), None);
        for ordinal in 1..=1_000 {
            size.note(at(ordinal), 10_000);
            size.note(at(ordinal), 10_000);
        }
        assert_eq!(size.keep_from(10_000_000), None);
        assert!(!size.is_over(1_000, 10_000_000) && !size.is_over(1_000, 8_000_000));
        assert!(size.is_over(1_000, 7_000_000) && size.is_over(700, 10_000_000));
        let kept = size.keep_from(1_000_000).unwrap();
        assert!((900..=907).contains(&kept.ordinal), "{kept}");
        size.trimmed(100_000, Some(kept));
        assert!(!size.is_over(1_000, 1_000_000), "told once");
        assert_eq!(size.keep_from(1_000_000), None);
        size.note(Position::new(8, 3), 10);
        assert_eq!(size.keep_from(1_000), None, "a new epoch is a new log");
    }

    #[test]
    fn safety_99_one_record_stays_however_large() {
        let mut size = LogSize::default();
        size.note(at(5), 1_000_000);
        assert_eq!(size.keep_from(1_000), Some(at(5)));
        size.note(at(6), 1_000_000);
        assert_eq!(size.keep_from(1_000), Some(at(6)));
        assert_eq!(size.keep_from(1_500_000), Some(at(6)));
    }

    #[test]
    fn places_are_bounded() {
        let mut size = LogSize::default();
        for ordinal in 0..10_000 {
            size.note(at(ordinal), STEP);
        }
        assert_eq!(size.places.len(), MAX_PLACES);
        size.trimmed(10, None);
        assert!(size.places.len() <= 11 && !size.is_over(10, u64::MAX));
    }
}
