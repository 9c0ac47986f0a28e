//! Sums of whole numbers of any size, kept as limbs that are added without carrying.
//!
//! A number is cut into limbs of nine decimal digits. A store adds limb by limb, in numbers of 64 bits, so that adding and
//! subtracting are exact in whatever order they come, and no store needs to calculate with long numbers. Whoever reads a
//! sum carries. A limb holds the sum of nine thousand million numbers.

use std::collections::BTreeMap;
use std::fmt;

use crate::rules::template::WholeNumber;

/// How many decimal digits a limb has.
const DIGITS: usize = 9;
/// 10 to the power of that.
const BASE: i64 = 1_000_000_000;
/// The longest number that is added up, in digits: a `uint256` has 78.
const MAX_DIGITS: usize = 99;

/// The limbs of `number` that are not zero: which one, and how much; `None` if it is too long.
pub(crate) fn limbs(number: &WholeNumber) -> Option<Vec<(u8, i64)>> {
    let (sign, digits) = match number.as_str().strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, number.as_str()),
    };
    if digits.len() > MAX_DIGITS {
        return None;
    }
    let groups = digits.as_bytes().rchunks(DIGITS);
    let value = |group: &[u8]| {
        let digits = group.iter().map(|digit| i64::from(digit - b'0'));
        digits.fold(0, |value, digit| value * 10 + digit)
    };
    let limbs = (0..)
        .zip(groups)
        .map(|(limb, group)| (limb, sign * value(group)));
    Some(limbs.filter(|(_, value)| *value != 0).collect())
}

/// A sum, by limb.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LimbSum(BTreeMap<u8, i64>);

impl LimbSum {
    pub(crate) fn add(&mut self, limb: u8, value: i64) {
        let sum = self.0.entry(limb).or_default();
        *sum = sum.saturating_add(value);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (limb, value) in &other.0 {
            self.add(*limb, *value);
        }
    }

    /// Its limbs, lowest first, each of the sign of the whole and below the base.
    fn carried(&self) -> (bool, Vec<i64>) {
        let most = self.0.keys().next_back().map_or(0, |most| most + 1);
        let (mut limbs, mut carry) = (Vec::new(), 0);
        for limb in 0..most {
            let value = carry + i128::from(self.0.get(&limb).copied().unwrap_or_default());
            limbs.push(value.rem_euclid(i128::from(BASE)) as i64);
            carry = value.div_euclid(i128::from(BASE));
        }
        while carry != 0 && carry != -1 {
            limbs.push(carry.rem_euclid(i128::from(BASE)) as i64);
            carry = carry.div_euclid(i128::from(BASE));
        }
        let is_negative = carry == -1;
        if is_negative {
            negate(&mut limbs);
        }
        (is_negative, limbs)
    }
}

/// What `limbs` lack of the power of the base above them.
fn negate(limbs: &mut Vec<i64>) {
    let mut borrow = 0;
    for limb in limbs.iter_mut() {
        let value = -*limb - borrow;
        *limb = value.rem_euclid(BASE);
        borrow = i64::from(value < 0);
    }
    if borrow == 0 {
        limbs.push(1);
    }
}

impl fmt::Display for LimbSum {
    /// In decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (is_negative, mut limbs) = self.carried();
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        let Some(highest) = limbs.pop() else {
            return f.write_str("0");
        };
        let sign = if is_negative { "-" } else { "" };
        write!(f, "{sign}{highest}")?;
        limbs
            .iter()
            .rev()
            .try_for_each(|limb| write!(f, "{limb:09}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(numbers: &[&str]) -> String {
        let mut sum = LimbSum::default();
        for number in numbers {
            let number = WholeNumber::parse(number).unwrap();
            for (limb, value) in limbs(&number).unwrap() {
                sum.add(limb, value);
            }
        }
        sum.to_string()
    }

    #[test]
    fn sums_are_exact_at_any_size_and_sign() {
        let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let twice =
            "231584178474632390847141970017375815706539969331281128078915168015826259279870";
        for (numbers, expected) in [
            (&[][..], "0"),
            (&["0"], "0"),
            (&["1", "-1"], "0"),
            (&["999999999", "1"], "1000000000"),
            (&["1000000000", "-1"], "999999999"),
            (&["-1"], "-1"),
            (&["-1000000000"], "-1000000000"),
            (&["-999999999999999999", "-1"], "-1000000000000000000"),
            (&["5", "-1000000000000000000000"], "-999999999999999999995"),
            (&[most, most], twice),
            (&[twice, &format!("-{most}")], most),
            (&["0xde0b6b3a7640000"], "1000000000000000000"),
        ] {
            assert_eq!(sum(numbers), expected, "{numbers:?}");
        }
    }

    #[test]
    fn sums_agree_with_numbers_of_128_bits() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let numbers: Vec<i128> = (0..random.usize(0..12))
                .map(|_| random.i128(..) >> random.u32(8..127))
                .collect();
            let texts: Vec<String> = numbers.iter().map(i128::to_string).collect();
            let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
            assert_eq!(sum(&texts), numbers.iter().sum::<i128>().to_string());
        }
    }

    #[test]
    fn what_is_too_long_is_not_added_up() {
        let number = |digits| WholeNumber::parse(&"9".repeat(digits)).unwrap();
        assert!(limbs(&number(MAX_DIGITS)).is_some());
        assert_eq!(limbs(&number(MAX_DIGITS + 1)), None);
    }
}
