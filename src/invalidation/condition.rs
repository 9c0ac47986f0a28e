//! Conditions on values in an event: `amountPaid >= 1000000000000000000`, `op in ["c", "u"]`.

use crate::error::ConfigError;
use crate::invalidation::path::Path;
use crate::rules::comparison::Comparison;
use crate::rules::template::WholeNumber;

/// A comparison of the value at a path with constants. Numbers have any size (a `uint256` has 78
/// digits) and may be written as a number or a string, in decimal or `0x` hexadecimal. Text stands in
/// quotes and is compared as it is, but for addresses, of which one is one in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) path: Path,
    comparison: Comparison<WholeNumber>,
}

impl Condition {
    /// Reads `path operator constant`, or `path in [constant, ...]`, or `path not in [...]`.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let (path, comparison) = Comparison::parse(text)
            .map_err(|(at, why)| ConfigError::new("when", why, text).at(at))?;
        match Path::parse(path) {
            Ok(path) => Ok(Self { path, comparison }),
            Err(why) => Err(ConfigError::new("when", why, text).at(0)),
        }
    }

    /// Whether `value` passes; `None` if it is not of the kind that the constants are.
    pub(crate) fn holds(&self, value: &str) -> Option<bool> {
        self.comparison.holds(value, WholeNumber::parse(value))
    }

    /// Whether `value` is one of the texts that it compares with.
    pub(crate) fn names(&self, value: &str) -> bool {
        self.comparison.names(value)
    }

    /// What it compares with, for messages.
    pub(crate) const fn wanted(&self) -> &'static str {
        match self.comparison.is_of_order() {
            true => "whole number",
            false => "value to compare",
        }
    }

    /// Whether it holds for an event that has no value there, where that is no error.
    pub(crate) const fn holds_for_nothing(&self) -> bool {
        self.comparison.holds_for_nothing()
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
    fn safety_108_text_is_compared_for_equality_and_with_sets() {
        const ADDRESS: &str = "0xA16e02e87b7454126e5e10d957a927a7f5b5d2be";
        let address = format!("to == '{ADDRESS}'");
        for (condition, value, expected) in [
            ("op == \"c\"", "c", Some(true)),
            ("op == 'c'", "u", Some(false)),
            ("op != \"c\"", "u", Some(true)),
            ("op==\"c\"", "C", Some(false)),
            ("op in [\"c\", \"u\"]", "u", Some(true)),
            ("op in [\"c\", \"u\"]", "d", Some(false)),
            ("op in ['c','u',]", "c", Some(true)),
            ("op not in [\"d\"]", "c", Some(true)),
            ("op not in [\"d\"]", "d", Some(false)),
            ("state in [1, 0x2, \"done\"]", "2", Some(true)),
            ("state in [1, 0x2, \"done\"]", "done", Some(true)),
            ("state in [1, 2]", "01", Some(true)),
            ("state in [1, 2]", "done", None),
            ("state == \"7\"", "7", Some(true)),
            ("live == true", "true", Some(true)),
            ("live != true", "false", Some(true)),
            ("x == \"a > b, c\"", "a > b, c", Some(true)),
            ("x in [\"a, b\", \"] in [\"]", "a, b", Some(true)),
            ("x == \"say \\\"hi\\\"\"", "say \"hi\"", Some(true)),
            ("\"a.b\".c == \"x\"", "x", Some(true)),
            ("\"a>b\" in [\"x\"]", "x", Some(true)),
            (&address, &ADDRESS.to_lowercase(), Some(true)),
        ] {
            let parsed = Condition::parse(condition).unwrap();
            assert_eq!(parsed.holds(value), expected, "{condition} with {value:?}");
        }
    }

    #[test]
    fn bad_conditions_are_refused_with_the_place() {
        for (text, at) in [
            ("op == c", 5),
            ("op > \"c\"", 4),
            ("op == \"c", 5),
            ("op == \"c\"d", 5),
            ("op in []", 6),
            ("op in [c]", 6),
            ("op in [\"c\"", 6),
            ("op in \"c\"", 9),
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
