//! What stands in the place of a frame that was cut into parts.

use bytes::Bytes;

use super::wire::{Reader, Sink};
use super::{MAX_CUT, PARTS, begun, sealed};

/// Stands where the frame of an entry is too long to be stored in one piece: where its parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    /// What the parts are called by, and no other's.
    pub(crate) number: u128,
    /// Of the whole frame, in bytes.
    pub(crate) length: usize,
}

/// The frame that stands in the place of one that was cut into `parts`.
pub(crate) fn encode_parts(parts: &Parts) -> Bytes {
    let mut frame = begun(1 + 16 + 10);
    frame.push(PARTS);
    frame.extend_from_slice(&parts.number.to_le_bytes());
    frame.count(parts.length);
    sealed(frame)
}

pub(super) fn read(mut reader: Reader) -> Result<Parts, &'static str> {
    let number = u128::from_le_bytes(reader.array()?);
    let length = usize::try_from(reader.varint()?).ok();
    let length = length
        .filter(|length| *length <= MAX_CUT)
        .ok_or("too long")?;
    if reader.as_slice().is_empty() {
        Ok(Parts { number, length })
    } else {
        Err("trailing bytes")
    }
}
