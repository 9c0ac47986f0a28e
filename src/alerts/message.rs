//! [`AlertMessage`]: what an alert says to people, `Sale of {amount} at {auction}`.

use crate::alerts::field::{FieldTrouble, text};
use crate::alerts::units::Units;
use crate::error::ConfigError;
use crate::rules::template::Piece;
use crate::update::Update;

/// What stands where a field cannot be read.
const UNKNOWN: &str = "?";

/// A text with fields of an update in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AlertMessage(Box<[Segment]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Kind,
    Subject,
    Field(Box<str>),
}

impl AlertMessage {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let refused = |at: usize, why: &str| ConfigError::new("message", why, text).at(at);
        let (mut segments, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let (piece, length) = Piece::first_of(&text[at..]).map_err(|why| refused(at, why))?;
            segments.push(match piece {
                Piece::Text(text) => Segment::Literal(text.into()),
                Piece::Placeholder(inner) => match inner.trim() {
                    "" => return Err(refused(at + 1, "empty placeholder")),
                    "type" => Segment::Kind,
                    "subject" => Segment::Subject,
                    field => Segment::Field(field.into()),
                },
            });
            at += length;
        }
        match segments.is_empty() {
            true => Err(refused(0, "an empty text")),
            false => Ok(Self(segments.into())),
        }
    }

    /// The fields that it reads.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Field(field) => Some(&**field),
            _ => None,
        })
    }

    /// The text for `update`; `told` hears of each field that cannot be read.
    pub(super) fn fill(
        &self,
        update: &Update,
        units: &Units,
        mut told: impl FnMut(FieldTrouble),
    ) -> String {
        let mut filled = String::new();
        for segment in &self.0 {
            match segment {
                Segment::Literal(text) => filled.push_str(text),
                Segment::Kind => filled.push_str(update.kind()),
                Segment::Subject => filled.push_str(update.subject()),
                Segment::Field(field) => match value(update, units, field) {
                    Ok(value) => filled.push_str(&value),
                    Err(trouble) => {
                        told(trouble);
                        filled.push_str(UNKNOWN);
                    }
                },
            }
        }
        filled
    }
}

/// A field as people read it: an amount that has decimals in whole tokens.
fn value(update: &Update, units: &Units, field: &str) -> Result<String, FieldTrouble> {
    let text = text(update, field)?;
    match units.get(field) {
        None => Ok(text.to_owned()),
        Some(_) => Ok(units.amount(update, field, text)?.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_messages_are_refused_with_the_place() {
        for (text, at) in [
            ("", 0),
            ("{", 0),
            ("Sale of {amount", 8),
            ("Sale of {a{b}}", 8),
            ("Sale of }", 8),
            ("Sale of {}", 9),
            ("Sale of { }", 9),
        ] {
            let error = AlertMessage::parse(text).unwrap_err();
            assert_eq!((error.input(), error.offset()), (text, Some(at)), "{error}");
            assert_eq!(error.place(), "message");
        }
    }
}
