//! Conditions on whole numbers in an event: `amountPaid >= 1000000000000000000`.

use std::cmp::Ordering;

use crate::error::ConfigError;
use crate::invalidation::path::Path;
use crate::rules::template::Normaliser;

/// A comparison of the number at a path with a constant. Numbers have any size (a `uint256` has 78
/// digits) and may be written as a number or a string, in decimal or `0x` hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) path: Path,
    operator: Operator,
    /// In its one decimal form.
    constant: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    AtMost,
    Equal,
    NotEqual,
    Above,
    Below,
}

impl Operator {
    /// The longer ones first, since `>` is how `>=` begins.
    const ALL: [(&'static str, Self); 6] = [
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        (">", Self::Above),
        ("<", Self::Below),
    ];
}

impl Condition {
    /// Reads `path operator number`.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let error = |message: &str, at| Err(ConfigError::new("when", message, text).at(at));
        let Some(at) = text.find(['>', '<', '=', '!']) else {
            let message = "no comparison (one of >= <= == != > < and a whole number)";
            return error(message, text.len());
        };
        let rest = &text[at..];
        let known = |(symbol, _): &&(&str, Operator)| rest.starts_with(symbol);
        let Some((symbol, operator)) = Operator::ALL.iter().find(known) else {
            return error("unknown comparison (known are >= <= == != > <)", at);
        };
        let path = match Path::parse(text[..at].trim()) {
            Ok(path) => path,
            Err(message) => return error(&message, 0),
        };
        let number = rest[symbol.len()..].trim();
        let Some(constant) = whole_number(number) else {
            let message = "not a whole number (decimal, or hexadecimal after 0x)";
            return error(message, at + symbol.len());
        };
        Ok(Self {
            path,
            operator: *operator,
            constant: constant.into(),
        })
    }

    /// Whether `value` passes; `None` if it is no whole number.
    pub(crate) fn holds(&self, value: &str) -> Option<bool> {
        let order = compare(&whole_number(value)?, &self.constant);
        Some(match self.operator {
            Operator::AtLeast => order.is_ge(),
            Operator::AtMost => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Above => order.is_gt(),
            Operator::Below => order.is_lt(),
        })
    }
}

/// `text` as decimal digits without leading zeros, after a minus sign if it is below zero.
fn whole_number(text: &str) -> Option<String> {
    Some(Normaliser::Int.apply(text.into())?.into_owned())
}

/// The order of two numbers in the form that [`whole_number`] gives.
fn compare(a: &str, b: &str) -> Ordering {
    let by_size = |a: &str, b: &str| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    match (a.strip_prefix('-'), b.strip_prefix('-')) {
        (None, None) => by_size(a, b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(a), Some(b)) => by_size(b, a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_and_spelling_are_compared() {
        const ETHER: &str = "a >= 1000000000000000000";
        const MAX: &str = "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
        for (condition, value, expected) in [
            (ETHER, "1000000000000000000", Some(true)),
            (ETHER, "999999999999999999", Some(false)),
            (ETHER, "0xde0b6b3a7640000", Some(true)),
            (ETHER, "0xde0b6b3a763ffff", Some(false)),
            (ETHER, "000000000000000000001", Some(false)),
            (ETHER, MAX, Some(true)),
            (ETHER, "-1000000000000000000", Some(false)),
            (ETHER, "1.5", None),
            (ETHER, "many", None),
            (ETHER, "", None),
            ("a<-5", "-6", Some(true)),
            ("a < -5", "-5", Some(false)),
            ("a < -5", "3", Some(false)),
            ("a > -5", "0x0", Some(true)),
            ("a==0x10", "16", Some(true)),
            ("a != 16", "0X10", Some(false)),
            ("a <= 0", "-0", Some(true)),
        ] {
            let parsed = Condition::parse(condition).unwrap();
            assert_eq!(parsed.holds(value), expected, "{condition} with {value:?}");
        }
    }

    #[test]
    fn bad_conditions_are_refused_with_the_place() {
        for (text, at) in [
            ("amountPaid", 10),
            ("amountPaid = 5", 11),
            ("amountPaid => 5", 11),
            ("amountPaid >= 1e18", 13),
            ("amountPaid >= ", 13),
            (">= 5", 0),
            ("a..b >= 5", 0),
            ("a ! 5", 2),
        ] {
            let error = Condition::parse(text).unwrap_err();
            assert_eq!((error.input(), error.offset()), (text, Some(at)), "{error}");
        }
    }
}
