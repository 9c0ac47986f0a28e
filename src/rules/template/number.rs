//! [`WholeNumber`]: an integer of any size.

use std::cmp::Ordering;

use super::Normaliser;

/// A whole number of any size (a `uint256` has 78 digits), as decimal digits without leading zeros, after a minus sign if
/// it is below zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WholeNumber(Box<str>);

impl WholeNumber {
    /// Reads a number in decimal or `0x` hexadecimal.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(Self(Normaliser::Int.apply(text.into())?.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialOrd for WholeNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WholeNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_size = |a: &str, b: &str| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        match (self.0.strip_prefix('-'), other.0.strip_prefix('-')) {
            (None, None) => by_size(&self.0, &other.0),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(own), Some(other)) => by_size(other, own),
        }
    }
}
