//! [`ActivityCursor`]: where an entry of the activity feed stands.

use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;

/// How many hexadecimal digits its parts have.
const DIGITS: [usize; 4] = [12, 12, 8, 32];
const WHOLE: usize = 64;
/// The greatest number of twelve hexadecimal digits.
const MOST: u64 = (1 << 48) - 1;

/// Where an entry of the activity feed stands, which is also its id: ordered by time, then block and place in the block, then by
/// what tells its event from others. It stays what it is, whatever comes before or behind it. Written as 64 hexadecimal
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActivityCursor {
    millis: u64,
    block: u64,
    log_index: u32,
    fingerprint: u128,
}

/// A block's number, which no chain has above 48 bits.
pub(crate) fn bounded_block(block: u64) -> u64 {
    block.min(MOST)
}

impl ActivityCursor {
    pub(crate) fn new(time: Timestamp, block: u64, log_index: u64, fingerprint: u128) -> Self {
        Self {
            millis: time.as_millis().min(MOST),
            block: bounded_block(block),
            log_index: log_index.try_into().unwrap_or(u32::MAX),
            fingerprint,
        }
    }

    /// Of identity, type and subject.
    pub(crate) const fn fingerprint(self) -> u128 {
        self.fingerprint
    }
}

impl fmt::Display for ActivityCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            millis,
            block,
            log_index,
            fingerprint,
        } = self;
        write!(
            f,
            "{millis:012x}{block:012x}{log_index:08x}{fingerprint:032x}"
        )
    }
}

/// The text was not the cursor of an activity feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseActivityCursorError;

impl fmt::Display for ParseActivityCursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a cursor is the `id` of an entry: {WHOLE} hexadecimal digits in lower case"
        )
    }
}

impl std::error::Error for ParseActivityCursorError {}

impl FromStr for ActivityCursor {
    type Err = ParseActivityCursorError;

    /// Strict: exactly what is written.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != WHOLE || !text.bytes().all(is_digit) {
            return Err(ParseActivityCursorError);
        }
        let mut from = 0;
        let mut parts = DIGITS.map(|digits| {
            let part = u128::from_str_radix(&text[from..from + digits], 16);
            from += digits;
            part.unwrap_or_default()
        });
        let fingerprint = std::mem::take(&mut parts[3]);
        let [millis, block, log_index] = [0, 1, 2].map(|part: usize| parts[part] as u64);
        let time = Timestamp::from_millis(millis);
        Ok(Self::new(time, block, log_index, fingerprint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_what_they_print_and_are_ordered_as_their_text_is() {
        let at = |millis| Timestamp::from_millis(millis);
        let cursors = [
            ActivityCursor::new(at(1), 0, 0, u128::MAX),
            ActivityCursor::new(at(2), 1, 0, 7),
            ActivityCursor::new(at(2), 1, 1, 0),
            ActivityCursor::new(at(2), 255, 0, 0),
            ActivityCursor::new(at(256), 0, 0, 0),
            ActivityCursor::new(at(u64::MAX), u64::MAX, u64::MAX, u128::MAX),
        ];
        assert!(cursors.is_sorted());
        assert!(cursors.map(|cursor| cursor.to_string()).is_sorted());
        for cursor in cursors {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let cursor = ActivityCursor::new(Timestamp::from_millis(10), 1, 2, 3).to_string();
        for text in [
            "",
            "0",
            &cursor[1..],
            &format!("{cursor}0"),
            &cursor.to_uppercase(),
        ] {
            assert!(text.parse::<ActivityCursor>().is_err(), "{text}");
        }
        assert!("é".repeat(32).parse::<ActivityCursor>().is_err());
    }
}
