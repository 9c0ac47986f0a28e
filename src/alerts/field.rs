//! [`FieldTrouble`]: why a field of an update cannot be read.

use std::fmt;

use crate::rules::template::WholeNumber;
use crate::spelling::shown;
use crate::update::Update;

/// Why what a rule reads of an update cannot be read: for want of which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldTrouble {
    pub(super) field: Box<str>,
    pub(super) kind: FieldTroubleKind,
    /// The beginning of what the field has.
    found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FieldTroubleKind {
    Missing,
    NoNumber,
    /// No token whose decimals are known.
    UnknownToken,
}

impl FieldTrouble {
    pub(super) fn missing(field: &str) -> Self {
        Self::new(field, FieldTroubleKind::Missing, "")
    }

    pub(super) fn no_number(field: &str, found: &str) -> Self {
        Self::new(field, FieldTroubleKind::NoNumber, found)
    }

    pub(super) fn unknown_token(field: &str, found: &str) -> Self {
        Self::new(field, FieldTroubleKind::UnknownToken, found)
    }

    fn new(field: &str, kind: FieldTroubleKind, found: &str) -> Self {
        Self {
            field: field.into(),
            kind,
            found: shown(found),
        }
    }
}

impl fmt::Display for FieldTrouble {
    /// What is said of the field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.found;
        match self.kind {
            FieldTroubleKind::Missing => f.write_str("is missing"),
            FieldTroubleKind::NoNumber => write!(f, "is no whole number: {found:?}"),
            FieldTroubleKind::UnknownToken => {
                write!(f, "is a token whose decimals are not known: {found:?}")
            }
        }
    }
}

/// The text of a field.
pub(super) fn text<'u>(update: &'u Update, field: &str) -> Result<&'u str, FieldTrouble> {
    update
        .get(field)
        .ok_or_else(|| FieldTrouble::missing(field))
}

/// The number that `text` is, if it is one.
pub(super) fn number(field: &str, text: &str) -> Result<WholeNumber, FieldTrouble> {
    WholeNumber::parse(text).ok_or_else(|| FieldTrouble::no_number(field, text))
}
