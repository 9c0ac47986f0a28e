//! [`UpdateId`]: where an update stands, and [`UpdateCursor`]: up to where somebody was told.

use std::fmt;
use std::str::FromStr;

use crate::position::{Position, decimal};

/// Where an update stands: the position of its announcement in the purge log, and its place among those that were
/// announced there together. Written `epoch-ordinal.index`. As positions, ids are ordered within one epoch only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UpdateId {
    /// The record that announced it. A request that sends this position back (`Cache-After`) never gets what was purged up
    /// to there.
    pub position: Position,
    /// Its place among those that were announced together.
    pub index: u32,
}

impl UpdateId {
    /// Whether it stands behind `other`; false across epochs.
    #[must_use]
    pub fn is_after(self, other: Self) -> bool {
        match self.position == other.position {
            true => self.index > other.index,
            false => self.position.reaches(other.position),
        }
    }

    pub(crate) const fn new(position: Position, index: u32) -> Self {
        Self { position, index }
    }
}

impl fmt::Display for UpdateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.index)
    }
}

/// Up to where somebody has been told: an [update](UpdateId) and all before it, or all that was announced up to a
/// [position](Position). Written `epoch-ordinal.index` or `epoch-ordinal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UpdateCursor {
    pub(crate) position: Position,
    /// `None`: all of that record.
    index: Option<u32>,
}

impl UpdateCursor {
    /// Whether it stands behind `other`; false across epochs.
    pub(crate) fn is_after(self, other: Self) -> bool {
        let rank = |index: Option<u32>| index.map_or(u64::MAX, u64::from);
        match self.position == other.position {
            true => rank(self.index) > rank(other.index),
            false => self.position.reaches(other.position),
        }
    }
}

impl From<UpdateId> for UpdateCursor {
    fn from(UpdateId { position, index }: UpdateId) -> Self {
        Self {
            position,
            index: Some(index),
        }
    }
}

impl From<Position> for UpdateCursor {
    fn from(position: Position) -> Self {
        Self {
            position,
            index: None,
        }
    }
}

impl fmt::Display for UpdateCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}.{index}", self.position),
            None => self.position.fmt(f),
        }
    }
}

impl FromStr for UpdateCursor {
    type Err = ParseUpdateIdError;

    /// Strict, as an [`UpdateId`] is.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.contains('.') {
            true => text.parse::<UpdateId>().map(Self::from),
            false => match text.parse::<Position>() {
                Ok(position) => Ok(position.into()),
                Err(_) => Err(ParseUpdateIdError),
            },
        }
    }
}

/// The text was not the id of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseUpdateIdError;

impl fmt::Display for ParseUpdateIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an update's id is a position, a point and a number: 12-3.0")
    }
}

impl std::error::Error for ParseUpdateIdError {}

impl FromStr for UpdateId {
    type Err = ParseUpdateIdError;

    /// Strict, as a [`Position`] is.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (position, index) = text.split_once('.').ok_or(ParseUpdateIdError)?;
        let position = position.parse().map_err(|_| ParseUpdateIdError)?;
        let index = decimal(index).ok().and_then(|index| index.try_into().ok());
        Ok(Self::new(position, index.ok_or(ParseUpdateIdError)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_parsed_strictly() {
        let id = UpdateId::new(Position::new(7, 3), 12);
        assert_eq!(id.to_string(), "7-3.12");
        assert_eq!("7-3.12".parse(), Ok(id));
        for text in [
            "7-3",
            "7-3.",
            "7-3.+1",
            "7-3.01",
            "7-3.1.2",
            "7.3",
            "07-3.1",
            "7-3.4294967296",
        ] {
            assert!(text.parse::<UpdateId>().is_err(), "{text}");
        }
    }
}
