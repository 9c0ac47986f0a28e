//! Why a client cannot go on, or is not told more.

use crate::update::UpdateCursor;

/// Why a client cannot go on where it was, and where it goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct LostPlace {
    pub(super) reason: &'static str,
    /// Up to where it counts as told.
    pub(super) from: Option<UpdateCursor>,
}

/// Why a feed ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndReason {
    /// It was too slow to be told everything.
    TooSlow,
    /// Its ticket has expired.
    Expired,
    /// This server ends.
    Closing,
}

impl EndReason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TooSlow => "too slow",
            Self::Expired => "the ticket has expired",
            Self::Closing => "the server is shutting down; connect again",
        }
    }
}
