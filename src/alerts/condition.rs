//! [`FieldCondition`]: a condition on a field of an update, `amount >= 1000.5`.

use std::fmt;

use crate::alerts::field::{FieldTrouble, FieldTroubleKind, text};
use crate::alerts::number::Decimal;
use crate::alerts::units::Units;
use crate::error::ConfigError;
use crate::rules::comparison::Comparison;
use crate::update::Update;

/// A comparison of a field of an update with constants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldCondition {
    pub(super) field: Box<str>,
    comparison: Comparison<Decimal>,
    written: Box<str>,
}

impl FieldCondition {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let refused = |(at, why): (usize, String)| ConfigError::new("when", why, text).at(at);
        let (name, comparison) = Comparison::parse(text).map_err(refused)?;
        let Some(field) = field_name(name) else {
            let why =
                format!("`{name}` is not the name of a field (one with a space stands in quotes)");
            return Err(refused((0, why)));
        };
        Ok(Self {
            field: field.into(),
            comparison,
            written: text.trim().into(),
        })
    }

    pub(super) fn holds(&self, update: &Update, units: &Units) -> Result<bool, FieldTrouble> {
        let text = text(update, &self.field)?;
        let number = match self.compares_numbers() {
            false => None,
            true => match units.amount(update, &self.field, text) {
                Ok(amount) => Some(amount),
                // It may be one of the texts of a list that has numbers too.
                Err(trouble) if trouble.kind == FieldTroubleKind::NoNumber => None,
                Err(trouble) => return Err(trouble),
            },
        };
        let holds = self.comparison.holds(text, number);
        holds.ok_or_else(|| FieldTrouble::no_number(&self.field, text))
    }

    pub(super) fn compares_numbers(&self) -> bool {
        self.comparison.has_numbers()
    }
}

impl fmt::Display for FieldCondition {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The field that `name` names: what stands in quotes of either kind, or one word.
fn field_name(name: &str) -> Option<&str> {
    let quoted = |quote: char| name.strip_prefix(quote)?.strip_suffix(quote);
    let is_part = |char: char| !char.is_whitespace() && !matches!(char, '"' | '\'');
    let field = match quoted('"').or_else(|| quoted('\'')) {
        Some(inner) => Some(inner).filter(|inner| !inner.contains(['"', '\'', '\\'])),
        None => Some(name).filter(|name| name.chars().all(is_part)),
    };
    field.filter(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_fields_by_their_names() {
        for (text, field) in [
            ("amount >= 1", "amount"),
            ("amount>=1.5", "amount"),
            ("  a.b.c == 1", "a.b.c"),
            ("\"paid by\" == 'x'", "paid by"),
            ("'a>b' in [1]", "a>b"),
            ("token not in ['x']", "token"),
        ] {
            let condition = FieldCondition::parse(text).unwrap();
            assert_eq!(&*condition.field, field, "{text}");
            assert_eq!(condition.to_string(), text.trim());
        }
    }

    #[test]
    fn bad_conditions_are_refused_with_the_place() {
        for (text, at) in [
            ("", 0),
            (">= 5", 0),
            ("paid by == 5", 0),
            ("\"\" == 5", 0),
            ("'a'b == 5", 0),
            ("amount", 6),
            ("amount = 5", 7),
            ("amount >= ", 9),
            ("amount >= 1e18", 9),
            ("amount >= .5", 9),
            ("amount >= 5.", 9),
            ("amount >= 1000,5", 9),
            ("amount > \"c\"", 8),
            ("network == ethereum", 10),
            ("network in []", 11),
            ("network in [1.5, x]", 11),
            ("network in [\"a\"", 11),
        ] {
            let error = FieldCondition::parse(text).unwrap_err();
            assert_eq!((error.input(), error.offset()), (text, Some(at)), "{error}");
            assert_eq!(error.place(), "when");
        }
        let error = FieldCondition::parse("amount >= 1e18").unwrap_err();
        assert!(
            error.message().starts_with("not a number (decimal"),
            "{error}"
        );
    }
}
