//! Conditions on values in an event: `amountPaid >= 1000000000000000000`, `op in ["c", "u"]`.

use crate::error::ConfigError;
use crate::invalidation::path::Path;
use crate::rules::template::{WholeNumber, fold_addresses};

/// A comparison of the value at a path with constants. Numbers have any size (a `uint256` has 78
/// digits) and may be written as a number or a string, in decimal or `0x` hexadecimal. Text stands in
/// quotes and is compared as it is, but for addresses, of which one is one in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) path: Path,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// With a number.
    Order(Operator, WholeNumber),
    /// With any of these, or with none of them.
    OneOf(Box<[Constant]>),
    NoneOf(Box<[Constant]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Constant {
    Number(WholeNumber),
    Text(Box<str>),
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

/// What a refused condition is told, and where in it.
type Refused = (usize, String);

impl Condition {
    /// Reads `path operator constant`, or `path in [constant, ...]`, or `path not in [...]`.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let (path, test) = split(text)
            .and_then(|(end, test)| Ok((text[..end].trim(), test(&text[end..], end)?)))
            .map_err(|(at, why)| ConfigError::new("when", why, text).at(at))?;
        match Path::parse(path) {
            Ok(path) => Ok(Self { path, test }),
            Err(why) => Err(ConfigError::new("when", why, text).at(0)),
        }
    }

    /// Whether `value` passes; `None` if it is not of the kind that the constants are.
    pub(crate) fn holds(&self, value: &str) -> Option<bool> {
        match &self.test {
            Test::Order(operator, constant) => {
                let order = WholeNumber::parse(value)?.cmp(constant);
                Some(match operator {
                    Operator::AtLeast => order.is_ge(),
                    Operator::AtMost => order.is_le(),
                    Operator::Equal => order.is_eq(),
                    Operator::NotEqual => order.is_ne(),
                    Operator::Above => order.is_gt(),
                    Operator::Below => order.is_lt(),
                })
            }
            Test::OneOf(constants) => is_among(value, constants),
            Test::NoneOf(constants) => is_among(value, constants).map(|among| !among),
        }
    }

    /// Whether `value` is one of the texts that it compares with.
    pub(crate) fn names(&self, value: &str) -> bool {
        let (Test::OneOf(constants) | Test::NoneOf(constants)) = &self.test else {
            return false;
        };
        let is = |constant: &Constant| matches!(constant, Constant::Text(text) if **text == *value);
        constants.iter().any(is)
    }

    /// What it compares with, for messages.
    pub(crate) const fn wanted(&self) -> &'static str {
        match self.test {
            Test::Order(..) => "whole number",
            Test::OneOf(_) | Test::NoneOf(_) => "value to compare",
        }
    }

    /// Whether it holds for an event that has no value there, where that is no error.
    pub(crate) const fn holds_for_nothing(&self) -> bool {
        matches!(
            self.test,
            Test::NoneOf(_) | Test::Order(Operator::NotEqual, _)
        )
    }
}

/// Whether `value` is one of `constants`; `None` if they are numbers and it is none.
fn is_among(value: &str, constants: &[Constant]) -> Option<bool> {
    let number = WholeNumber::parse(value);
    let text = fold_addresses(value.into());
    let among = constants.iter().any(|constant| match constant {
        Constant::Number(constant) => number.as_ref() == Some(constant),
        Constant::Text(constant) => *text == **constant,
    });
    let only_numbers = constants.iter().all(|c| matches!(c, Constant::Number(_)));
    (number.is_some() || !only_numbers).then_some(among)
}

/// Reads what stands from the operator on; the number is where that begins.
type Reader = fn(&str, usize) -> Result<Test, Refused>;

/// The characters of `text` outside quotes of either kind, in which a backslash takes the next one as it is.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quote, mut escaped) = (None, false);
    text.char_indices().filter(move |(_, char)| {
        match (quote, *char) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), char) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(*char),
            (None, _) => return true,
        }
        false
    })
}

/// Where the path ends, and what reads the rest.
fn split(text: &str) -> Result<(usize, Reader), Refused> {
    let mut words = None;
    for (at, char) in outside_quotes(text) {
        match char {
            '>' | '<' | '=' | '!' => return Ok((at, comparison)),
            ' ' if words.is_none() => {
                let rest = &text[at..];
                let is_set = rest.strip_prefix(" not in").or(rest.strip_prefix(" in"));
                let is_set = is_set.is_some_and(|rest| rest.trim_start().starts_with('['));
                words = is_set.then_some(at);
            }
            _ => {}
        }
    }
    match words {
        Some(at) => Ok((at, membership)),
        None => {
            let known = "no comparison (one of >= <= == != > < and a whole number, == or != and a \
                         text in quotes, or `in` and a list such as [\"c\", \"u\"])";
            Err((text.len(), known.into()))
        }
    }
}

fn comparison(rest: &str, at: usize) -> Result<Test, Refused> {
    let known = |(symbol, _): &&(&str, Operator)| rest.starts_with(symbol);
    let Some((symbol, operator)) = Operator::ALL.iter().find(known) else {
        let why = "unknown comparison (known are >= <= == != > <)";
        return Err((at, why.into()));
    };
    let constant = &rest[symbol.len()..];
    let place = at + symbol.len();
    match (operator, constant.trim()) {
        (Operator::Equal, text) if starts_as_text(text) => {
            Ok(Test::OneOf(Box::new([constant_of(text, place)?])))
        }
        (Operator::NotEqual, text) if starts_as_text(text) => {
            Ok(Test::NoneOf(Box::new([constant_of(text, place)?])))
        }
        (operator, number) => match WholeNumber::parse(number) {
            Some(number) => Ok(Test::Order(*operator, number)),
            None => {
                let why = "not a whole number (decimal, or hexadecimal after 0x); a text stands in \
                           quotes, after == or !=";
                Err((place, why.into()))
            }
        },
    }
}

fn starts_as_text(text: &str) -> bool {
    text.starts_with(['"', '\'']) || matches!(text, "true" | "false")
}

fn membership(rest: &str, at: usize) -> Result<Test, Refused> {
    let (none, list) = match rest.strip_prefix(" not in") {
        Some(list) => (true, list),
        None => (false, rest.trim_start_matches(" in")),
    };
    let place = at + rest.len() - list.trim_start().len();
    let why = |why: &str| (place, why.to_owned());
    let inner = list.trim().strip_prefix('[');
    let inner = inner.ok_or_else(|| why("a list begins with `[`"))?;
    let inner = inner
        .strip_suffix(']')
        .ok_or_else(|| why("a list ends with `]`"))?;
    let mut constants = Vec::new();
    for item in items(inner) {
        constants.push(constant_of(item.trim(), place)?);
    }
    if constants.is_empty() {
        return Err(why("an empty list"));
    }
    let constants = constants.into();
    Ok(if none {
        Test::NoneOf(constants)
    } else {
        Test::OneOf(constants)
    })
}

/// The parts of `list` between commas outside quotes; a comma at the end is allowed.
fn items(list: &str) -> Vec<&str> {
    let (mut items, mut from) = (Vec::new(), 0);
    for (at, _) in outside_quotes(list).filter(|(_, char)| *char == ',') {
        items.push(&list[from..at]);
        from = at + 1;
    }
    if !list[from..].trim().is_empty() {
        items.push(&list[from..]);
    }
    items
}

/// A text in quotes of either kind, `true`, `false`, or a whole number.
fn constant_of(text: &str, at: usize) -> Result<Constant, Refused> {
    if matches!(text, "true" | "false") {
        return Ok(Constant::Text(text.into()));
    }
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let number = WholeNumber::parse(text).ok_or_else(|| {
            let why = format!("`{text}` is neither a whole number nor a text in quotes");
            (at, why)
        })?;
        return Ok(Constant::Number(number));
    };
    let mut value = String::new();
    let mut chars = text[1..].chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => value.extend(chars.next()),
            char if char == quote => {
                if !chars.as_str().is_empty() {
                    break;
                }
                return Ok(Constant::Text((*fold_addresses(value.into())).into()));
            }
            char => value.push(char),
        }
    }
    Err((at, format!("{text} is not one text in quotes")))
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
