//! [`Comparison`]: what conditions say of a value, `>= 1000` or `in ["c", "u"]`.

use crate::rules::template::{WholeNumber, fold_addresses};

/// A comparison of a value with constants: numbers of the type `N`, and texts in quotes, which are compared as they are,
/// but for addresses, of which one is one in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Comparison<N> {
    /// With a number.
    Order(Operator, N),
    /// With any of these, or with none of them.
    OneOf(Box<[Constant<N>]>),
    NoneOf(Box<[Constant<N>]>),
}

/// The numbers that a condition compares with.
pub(crate) trait Number: Ord + Sized {
    /// What one is called in messages.
    const NAME: &'static str;

    /// The number that `text` is, in decimal or `0x` hexadecimal.
    fn read(text: &str) -> Option<Self>;
}

impl Number for WholeNumber {
    const NAME: &'static str = "whole number";

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Constant<N> {
    Number(N),
    Text(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
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
pub(crate) type Refused = (usize, String);

impl<N: Number> Comparison<N> {
    /// Reads `value operator constant`, or `value in [constant, ...]`, or `value not in [...]`: what stands before the
    /// operator, for the caller to read, and the rest.
    pub(crate) fn parse(text: &str) -> Result<(&str, Self), Refused> {
        let (end, form) = split::<N>(text)?;
        let rest = &text[end..];
        let comparison = match form {
            Form::Order => comparison(rest, end)?,
            Form::Set => membership(rest, end)?,
        };
        Ok((text[..end].trim(), comparison))
    }

    /// Whether `value` passes, which is `number` if it is one; `None` if it is not of the kind that the constants are.
    pub(crate) fn holds(&self, value: &str, number: Option<N>) -> Option<bool> {
        match self {
            Self::Order(operator, constant) => {
                let order = number?.cmp(constant);
                Some(match operator {
                    Operator::AtLeast => order.is_ge(),
                    Operator::AtMost => order.is_le(),
                    Operator::Equal => order.is_eq(),
                    Operator::NotEqual => order.is_ne(),
                    Operator::Above => order.is_gt(),
                    Operator::Below => order.is_lt(),
                })
            }
            Self::OneOf(constants) => is_among(value, number, constants),
            Self::NoneOf(constants) => is_among(value, number, constants).map(|among| !among),
        }
    }
}

impl<N> Comparison<N> {
    /// Whether `value` is one of the texts that it compares with.
    pub(crate) fn names(&self, value: &str) -> bool {
        let is =
            |constant: &Constant<N>| matches!(constant, Constant::Text(text) if **text == *value);
        self.constants().iter().any(is)
    }

    /// Whether it compares with a number.
    #[cfg(feature = "activity")]
    pub(crate) fn has_numbers(&self) -> bool {
        let is = |constant: &Constant<N>| matches!(constant, Constant::Number(_));
        self.is_of_order() || self.constants().iter().any(is)
    }

    /// Whether it compares with one number, by size.
    pub(crate) const fn is_of_order(&self) -> bool {
        matches!(self, Self::Order(..))
    }

    /// Whether it holds for a value that is not there, where that is no error.
    pub(crate) const fn holds_for_nothing(&self) -> bool {
        matches!(self, Self::NoneOf(_) | Self::Order(Operator::NotEqual, _))
    }

    /// Those of a set; none, if it is of order.
    fn constants(&self) -> &[Constant<N>] {
        match self {
            Self::Order(..) => &[],
            Self::OneOf(constants) | Self::NoneOf(constants) => constants,
        }
    }
}

/// Whether `value` is one of `constants`; `None` if they are numbers and it is none.
fn is_among<N: Number>(value: &str, number: Option<N>, constants: &[Constant<N>]) -> Option<bool> {
    let text = fold_addresses(value.into());
    let among = constants.iter().any(|constant| match constant {
        Constant::Number(constant) => number.as_ref() == Some(constant),
        Constant::Text(constant) => *text == **constant,
    });
    let only_numbers = constants.iter().all(|c| matches!(c, Constant::Number(_)));
    (number.is_some() || !only_numbers).then_some(among)
}

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

/// How what follows the value is written.
enum Form {
    /// An operator and a constant.
    Order,
    /// `in` or `not in`, and a list.
    Set,
}

/// Where the value ends, and how the rest is written.
fn split<N: Number>(text: &str) -> Result<(usize, Form), Refused> {
    let mut words = None;
    for (at, char) in outside_quotes(text) {
        match char {
            '>' | '<' | '=' | '!' => return Ok((at, Form::Order)),
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
        Some(at) => Ok((at, Form::Set)),
        None => {
            let name = N::NAME;
            let known = format!(
                "no comparison (one of >= <= == != > < and a {name}, == or != and a text in quotes, or `in` and a list \
                 such as [\"c\", \"u\"])"
            );
            Err((text.len(), known))
        }
    }
}

fn comparison<N: Number>(rest: &str, at: usize) -> Result<Comparison<N>, Refused> {
    let known = |(symbol, _): &&(&str, Operator)| rest.starts_with(symbol);
    let Some((symbol, operator)) = Operator::ALL.iter().find(known) else {
        let why = "unknown comparison (known are >= <= == != > <)";
        return Err((at, why.into()));
    };
    let constant = &rest[symbol.len()..];
    let place = at + symbol.len();
    match (operator, constant.trim()) {
        (Operator::Equal, text) if starts_as_text(text) => {
            Ok(Comparison::OneOf(Box::new([constant_of(text, place)?])))
        }
        (Operator::NotEqual, text) if starts_as_text(text) => {
            Ok(Comparison::NoneOf(Box::new([constant_of(text, place)?])))
        }
        (operator, number) => match N::read(number) {
            Some(number) => Ok(Comparison::Order(*operator, number)),
            None => {
                let name = N::NAME;
                let why = format!(
                    "not a {name} (decimal, or hexadecimal after 0x); a text stands in quotes, after == or !="
                );
                Err((place, why))
            }
        },
    }
}

fn starts_as_text(text: &str) -> bool {
    text.starts_with(['"', '\'']) || matches!(text, "true" | "false")
}

fn membership<N: Number>(rest: &str, at: usize) -> Result<Comparison<N>, Refused> {
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
        Comparison::NoneOf(constants)
    } else {
        Comparison::OneOf(constants)
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
fn constant_of<N: Number>(text: &str, at: usize) -> Result<Constant<N>, Refused> {
    if matches!(text, "true" | "false") {
        return Ok(Constant::Text(text.into()));
    }
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let number = N::read(text).ok_or_else(|| {
            let why = format!("`{text}` is neither a {} nor a text in quotes", N::NAME);
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
