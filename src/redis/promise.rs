//! [`Promise`]: what this cache promises, and a server can spoil.

use std::fmt;

/// What this cache promises. `docs/DESIGN.md` says each in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Promise {
    /// No stale answer after a purge.
    P1,
    /// What is lost turns hits into misses, never into stale answers.
    P2,
    /// Redis never takes the site down.
    P3,
    /// Caching is invisible.
    P4,
    /// Private stays private.
    P5,
    /// No published event is lost, and none does harm twice.
    P6,
    /// People are told of a change after its purge.
    P7,
}

impl Promise {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::P1,
        Self::P2,
        Self::P3,
        Self::P4,
        Self::P5,
        Self::P6,
        Self::P7,
    ];

    /// What it says, in a few words.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::P1 => "no stale answer after a purge",
            Self::P2 => "what is lost is a miss, never a stale answer",
            Self::P3 => "Redis never takes the site down",
            Self::P4 => "caching is invisible",
            Self::P5 => "private stays private",
            Self::P6 => "no event is lost, none does harm twice",
            Self::P7 => "people are told after the purge",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
