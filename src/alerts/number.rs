//! [`Decimal`]: a number that may have a fraction.

use std::cmp::Ordering;
use std::fmt;

use crate::rules::comparison::Number;
use crate::rules::template::WholeNumber;

/// A number of any size that may have a fraction, exactly: `sign 0.digits * 10^point`. The digits neither begin nor end
/// with a zero, so that a number is written in one way only; zero has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    /// How it compares with zero.
    sign: Ordering,
    point: isize,
    digits: Box<str>,
}

impl Decimal {
    /// `number` in units of `10^-decimals`.
    pub(super) fn in_units(number: &WholeNumber, decimals: usize) -> Self {
        let (sign, digits) = match number.as_str() {
            "0" => (Ordering::Equal, ""),
            text => match text.strip_prefix('-') {
                Some(digits) => (Ordering::Less, digits),
                None => (Ordering::Greater, text),
            },
        };
        let point = match sign {
            Ordering::Equal => 0,
            // Neither is longer than a configuration or an update.
            _ => digits.len().cast_signed() - decimals.cast_signed(),
        };
        Self {
            sign,
            point,
            digits: digits.trim_end_matches('0').into(),
        }
    }

    /// How it compares by its distance from zero. Neither is zero: then the place of the first digit decides, then the
    /// digits, as they end where only zeros follow.
    fn magnitude(&self, other: &Self) -> Ordering {
        let by_place = self.point.cmp(&other.point);
        by_place.then_with(|| self.digits.cmp(&other.digits))
    }
}

impl Number for Decimal {
    const NAME: &'static str = "number";

    /// Reads `1000.5`, `-3`, `0x10`.
    fn read(text: &str) -> Option<Self> {
        let Some((whole, fraction)) = text.split_once('.') else {
            return WholeNumber::parse(text).map(|number| Self::in_units(&number, 0));
        };
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let are_digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(digits) || !are_digits(fraction) {
            return None;
        }
        let units = WholeNumber::parse(&format!("{whole}{fraction}"))?;
        Some(Self::in_units(&units, fraction.len()))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sign.cmp(&other.sign).then_with(|| match self.sign {
            Ordering::Less => other.magnitude(self),
            Ordering::Equal => Ordering::Equal,
            Ordering::Greater => self.magnitude(other),
        })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, digits) = match self.sign {
            Ordering::Equal => return f.write_str("0"),
            Ordering::Less => ("-", &*self.digits),
            Ordering::Greater => ("", &*self.digits),
        };
        let zeros = self.point.unsigned_abs();
        if self.point <= 0 {
            return write!(f, "{sign}0.{}{digits}", "0".repeat(zeros));
        }
        match digits.split_at_checked(zeros) {
            Some((whole, "")) => write!(f, "{sign}{whole}"),
            Some((whole, fraction)) => write!(f, "{sign}{whole}.{fraction}"),
            None => write!(f, "{sign}{digits}{}", "0".repeat(zeros - digits.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;

    const UINT256_MAX: &str = "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    #[test]
    fn numbers_are_written_in_one_way() {
        for (number, decimals, expected) in [
            ("0", 0, "0"),
            ("-0", 18, "0"),
            ("1", 0, "1"),
            ("1", 18, "0.000000000000000001"),
            ("-1500000", 6, "-1.5"),
            ("1000", 0, "1000"),
            ("1000", 3, "1"),
            ("1000", 4, "0.1"),
            ("0x10", 1, "1.6"),
            (
                UINT256_MAX,
                18,
                "115792089237316195423570985008687907853269984665640564039457.584007913129639935",
            ),
            (
                UINT256_MAX,
                77,
                "1.15792089237316195423570985008687907853269984665640564039457584007913129639935",
            ),
        ] {
            let whole = WholeNumber::parse(number).unwrap();
            let written = Decimal::in_units(&whole, decimals).to_string();
            assert_eq!(written, expected, "{number} of {decimals} decimals");
        }
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        for text in [
            "", ".", ".5", "5.", "-.5", "-", "1e18", "1.5e3", "+1", "1,5", "1.2.3", "1_000", " 1",
            "0x", "0x1.5", "-0x10", "1.-5", "1.0x5", "NaN", "inf", "١.٥",
        ] {
            assert_eq!(Decimal::read(text), None, "{text}");
        }
    }

    /// A whole number times a power of ten.
    fn scaled(number: &BigInt, exponent: u32) -> BigInt {
        number * BigInt::from(10).pow(exponent)
    }

    /// `number` in units of `10^-decimals`, with all its digits.
    fn with_fraction(number: &BigInt, decimals: usize) -> String {
        let digits = format!(
            "{:0>width$}",
            number.magnitude().to_string(),
            width = decimals + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let sign = if *number < BigInt::ZERO { "-" } else { "" };
        match fraction {
            "" => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}.{fraction}"),
        }
    }

    prop_compose! {
        fn any_number()(bytes in prop::collection::vec(any::<u8>(), 0..=32)) -> BigInt {
            BigInt::from_signed_bytes_le(&bytes)
        }
    }

    proptest! {
        #[test]
        fn numbers_compare_as_large_integers_do(
            value in any_number(),
            decimals in 0_u32..=77,
            other in any_number(),
            fraction in 0_u32..=90,
            nearby in any::<bool>(),
            apart in -2_i32..=2,
        ) {
            // A number at random is hardly ever near the value.
            let constant = match nearby && fraction >= decimals {
                true => scaled(&value, fraction - decimals) + apart,
                false => other,
            };
            let read = Decimal::read(&with_fraction(&constant, fraction as usize)).unwrap();
            let whole = WholeNumber::parse(&value.to_string()).unwrap();
            let number = Decimal::in_units(&whole, decimals as usize);
            let expected = scaled(&value, fraction).cmp(&scaled(&constant, decimals));
            prop_assert_eq!(number.cmp(&read), expected);
            prop_assert_eq!(number == read, expected.is_eq());
            prop_assert_eq!(read.cmp(&number), expected.reverse());
        }

        #[test]
        fn what_is_written_is_read_as_that_number(value in any_number(), decimals in 0_usize..=77) {
            let whole = WholeNumber::parse(&value.to_string()).unwrap();
            let number = Decimal::in_units(&whole, decimals);
            prop_assert_eq!(Decimal::read(&number.to_string()), Some(number));
        }
    }
}
