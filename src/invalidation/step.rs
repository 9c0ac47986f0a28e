//! [`Step`]: a name in a path.

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A member, or in a list the place of this number.
    Plain(Box<str>),
    /// A member, whatever its name looks like.
    Quoted(Box<str>),
    /// The JSON in a string.
    Json,
}

impl Step {
    /// The member that it names.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Plain(name) | Self::Quoted(name) => Some(name),
            Self::Json => None,
        }
    }

    /// The place in a list that it names.
    pub(super) fn place(&self) -> Option<usize> {
        match self {
            Self::Plain(name) => name.parse().ok(),
            Self::Quoted(_) | Self::Json => None,
        }
    }
}
