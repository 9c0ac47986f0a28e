//! The primitives of the frame: numbers, texts, and reading them back within bounds.

use std::ops::Range;

use bytes::Bytes;

const TRUNCATED: &str = "truncated";

/// Takes what is written. Written twice, into a [`Size`] and then into a buffer of that size, so
/// that the layout is spelled once.
pub(super) trait Sink {
    fn bytes(&mut self, bytes: &[u8]);

    #[inline]
    fn varint(&mut self, mut number: u64) {
        let mut encoded = [0; 10];
        let mut length = 0;
        while number >= 0x80 {
            encoded[length] = (number & 0x7F) as u8 | 0x80;
            number >>= 7;
            length += 1;
        }
        encoded[length] = number as u8;
        self.bytes(&encoded[..=length]);
    }

    #[inline]
    fn count(&mut self, count: usize) {
        self.varint(count as u64);
    }

    #[inline]
    fn text(&mut self, text: &[u8]) {
        self.count(text.len());
        self.bytes(text);
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what is written.
#[derive(Debug, Default)]
pub(super) struct Size(usize);

impl Size {
    pub(super) const fn bytes(&self) -> usize {
        self.0
    }
}

impl Sink for Size {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Reads a frame from its start. Every length is held against what is left before it is used.
#[derive(Debug)]
pub(super) struct Reader {
    frame: Bytes,
    at: usize,
}

impl Reader {
    pub(super) const fn new(frame: Bytes) -> Self {
        Self { frame, at: 0 }
    }

    /// What is not read yet.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.frame[self.at..]
    }

    /// All that is not read yet, without a copy.
    pub(super) fn rest(self) -> Bytes {
        self.frame.slice(self.at..)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let bytes = *self.as_slice().first_chunk().ok_or(TRUNCATED)?;
        self.at += N;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, &'static str> {
        self.array().map(|[byte]| byte)
    }

    /// LEB128, at most 64 bits.
    pub(super) fn varint(&mut self) -> Result<u64, &'static str> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            let placed = bits << shift;
            if placed >> shift != bits {
                break;
            }
            number |= placed;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("number over 64 bits")
    }

    /// How many items follow, each of at least `least` bytes: never more than could be there.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, &'static str> {
        let count = self.varint()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.as_slice().len() / least)
            .ok_or(TRUNCATED)
    }

    /// The next `length` bytes, without a copy.
    pub(super) fn take(&mut self, length: u64) -> Result<Bytes, &'static str> {
        let span = self.advance(length)?;
        Ok(self.frame.slice(span))
    }

    /// A length and so many bytes, without a copy.
    pub(super) fn shared_text(&mut self) -> Result<Bytes, &'static str> {
        let length = self.varint()?;
        self.take(length)
    }

    /// A length and so many bytes, borrowed.
    pub(super) fn text(&mut self) -> Result<&[u8], &'static str> {
        let span = self.text_span()?;
        Ok(&self.frame[span])
    }

    /// Where the text that comes next stands, for [`span`](Self::span).
    pub(super) fn text_span(&mut self) -> Result<Range<usize>, &'static str> {
        let length = self.varint()?;
        self.advance(length)
    }

    /// What stands at `span`, which was read here.
    pub(super) fn span(&self, span: &Range<usize>) -> &[u8] {
        &self.frame[span.clone()]
    }

    fn advance(&mut self, length: u64) -> Result<Range<usize>, &'static str> {
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.as_slice().len())
            .ok_or(TRUNCATED)?;
        let start = self.at;
        self.at += length;
        Ok(start..self.at)
    }
}
