//! Points in the purge log and their order.
//!
//! A record's id in the log *is* its position: *epoch*-*ordinal*. Epochs are compared for equality
//! only; ordinals only within one epoch. That is why [`Position`] has no `Ord`.

use std::fmt;
use std::str::FromStr;

/// The identity of one life of the purge log. Two epochs are equal or they are not; neither is "later".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch written as `raw` in the log.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The number as it stands in the log.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A point in the purge log, without holes within its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The life of the log that the ordinal counts in.
    pub epoch: Epoch,
    /// The record's number in that epoch; 0 is the record that opened it.
    pub ordinal: u64,
}

impl Position {
    /// The position `epoch`-`ordinal`.
    #[must_use]
    pub const fn new(epoch: u64, ordinal: u64) -> Self {
        Self {
            epoch: Epoch(epoch),
            ordinal,
        }
    }

    /// Whether this is at or past `other`; false across epochs.
    #[must_use]
    pub fn reaches(self, other: Self) -> bool {
        self.epoch == other.epoch && self.ordinal >= other.ordinal
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch.0, self.ordinal)
    }
}

/// The text was not *epoch*-*ordinal*, two decimal numbers of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsePositionError;

impl fmt::Display for ParsePositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position is two decimal numbers joined by `-`")
    }
}

impl std::error::Error for ParsePositionError {}

impl FromStr for Position {
    type Err = ParsePositionError;

    /// Strict: digits only, no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, ordinal) = text.split_once('-').ok_or(ParsePositionError)?;
        Ok(Self::new(decimal(epoch)?, decimal(ordinal)?))
    }
}

/// A number of 64 bits: digits only, no sign, no leading zero.
pub(crate) fn decimal(text: &str) -> Result<u64, ParsePositionError> {
    let canonical = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return Err(ParsePositionError);
    }
    text.parse().map_err(|_| ParsePositionError)
}

/// The position known *before* a response's generation began. An older one than the true one is
/// always safe: it can only make a good response look purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp(Position);

impl Stamp {
    /// The stamp taken at `position`.
    #[must_use]
    pub(crate) const fn at(position: Position) -> Self {
        Self(position)
    }

    /// The position it was taken at.
    #[must_use]
    pub(crate) const fn position(self) -> Position {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_reads_back_what_it_prints() {
        let position = Position::new(u64::MAX, 7);
        assert_eq!(position.to_string().parse(), Ok(position));
    }

    #[test]
    fn position_is_parsed_strictly() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "+1-2",
            "01-2",
            "1-02",
            "1-2-3",
            "1 -2",
            "18446744073709551616-0",
            "１-2",
        ] {
            assert!(text.parse::<Position>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_reached_across_epochs() {
        assert!(Position::new(1, 2).reaches(Position::new(1, 2)));
        assert!(!Position::new(1, 1).reaches(Position::new(1, 2)));
        assert!(!Position::new(2, 9).reaches(Position::new(1, 2)));
    }
}
