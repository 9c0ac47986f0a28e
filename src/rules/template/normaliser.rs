//! One form for the spellings of one value.

use std::borrow::Cow;

use crate::tag::{MAX_TAG_BYTES, fold_addresses};

/// Gives the spellings of one value one form, so that they are one tag (SAFETY 48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Normaliser {
    /// The value as it is, except that addresses in it are lower-cased: one address is one tag,
    /// whether a URL has it checksummed (EIP-55) or an event in lower case.
    #[default]
    Auto,
    /// `0x` and 40 hexadecimal digits, to lower case; refuses everything else.
    Address,
    /// To lower case.
    Lower,
    /// To upper case.
    Upper,
    /// A whole number of any size, decimal or `0x` hexadecimal, to decimal; refuses everything else.
    Int,
}

impl Normaliser {
    const NAMED: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("address", Self::Address),
        ("int", Self::Int),
        ("lower", Self::Lower),
        ("upper", Self::Upper),
    ];

    /// The normaliser called `name`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let found = Self::NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, normaliser)| *normaliser)
    }

    /// The names that [`parse`](Self::parse) knows.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().map(|(name, _)| *name)
    }

    /// The value in its one form, or `None` if it is not of the kind that this accepts.
    pub(crate) fn apply(self, value: Cow<'_, str>) -> Option<Cow<'_, str>> {
        match self {
            Self::Auto => Some(fold_addresses(value)),
            Self::Address => is_address(&value).then(|| fold_addresses(value)),
            Self::Lower => Some(value.to_lowercase().into()),
            Self::Upper => Some(value.to_uppercase().into()),
            Self::Int => canonical_int(&value).map(Cow::Owned),
        }
    }

    /// Whether both give each value that both accept one form.
    pub(super) fn agrees_with(self, other: Self) -> bool {
        let addresses = |one: Self, other: Self| {
            one == Self::Address && matches!(other, Self::Auto | Self::Lower)
        };
        self == other || addresses(self, other) || addresses(other, self)
    }

    /// The name by which templates know it.
    pub(crate) fn name(self) -> &'static str {
        let found = Self::NAMED.iter().find(|(_, known)| *known == self);
        found.map_or("auto", |(name, _)| name)
    }
}

fn is_address(text: &str) -> bool {
    text.len() == 42
        && text
            .get(..2)
            .is_some_and(|head| head.eq_ignore_ascii_case("0x"))
        && text.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn canonical_int(text: &str) -> Option<String> {
    if text.len() > MAX_TAG_BYTES {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return hex_to_decimal(digits);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match digits.trim_start_matches('0') {
        "" => "0".into(),
        digits => format!("{sign}{digits}"),
    })
}

/// Long multiplication, nine decimal digits to a limb, lowest limb first.
fn hex_to_decimal(digits: &str) -> Option<String> {
    const LIMB: u64 = 1_000_000_000;
    let mut limbs: Vec<u64> = vec![0];
    for digit in digits.chars() {
        let mut carry = u64::from(digit.to_digit(16)?);
        for limb in &mut limbs {
            let value = *limb * 16 + carry;
            *limb = value % LIMB;
            carry = value / LIMB;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let (highest, rest) = limbs.split_last()?;
    let mut text = highest.to_string();
    for limb in rest.iter().rev() {
        text.push_str(&format!("{limb:09}"));
    }
    (!digits.is_empty()).then_some(text)
}
