//! A response that was cut: its frame, without the body, and the frames of the chunks of that.

use bytes::Bytes;

use super::wire::{Reader, Sink, Size};
use super::{
    CHUNK, CUT, MAGIC, MAX_CUT, VERSION, begun, packed, read_response, sealed, unsealed,
    write_response,
};
use crate::entry::StoredResponse;

/// Where the body of a response is that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunks {
    /// What the chunks are called by, and no other's.
    pub(crate) number: u128,
    /// Of the whole body, in bytes.
    pub(crate) length: usize,
}

/// The frame of `response` without its body, which is in `chunks`.
pub(crate) fn encode_cut(response: &StoredResponse, chunks: &Chunks) -> Bytes {
    let mut head = response.clone();
    head.body = Bytes::new();
    let mut size = Size::default();
    write_response(&mut size, &head);
    let mut frame = begun(1 + 16 + 10 + size.bytes());
    frame.push(CUT);
    frame.extend_from_slice(&chunks.number.to_le_bytes());
    frame.count(chunks.length);
    write_response(&mut frame, &head);
    sealed(frame)
}

pub(super) fn read_cut(mut reader: Reader) -> Result<(Chunks, StoredResponse), &'static str> {
    let number = u128::from_le_bytes(reader.array()?);
    let length = usize::try_from(reader.varint()?).ok();
    let length = length
        .filter(|length| *length <= MAX_CUT)
        .ok_or("too long")?;
    if length == 0 {
        return Err("nothing was cut");
    }
    let head = read_response(reader)?;
    if head.body.is_empty() {
        Ok((Chunks { number, length }, head))
    } else {
        Err("trailing bytes")
    }
}

/// The frame of one chunk: so many bytes of a body, from its `place` on.
pub(crate) fn encode_chunk(chunks: &Chunks, place: usize, bytes: &[u8], compress: bool) -> Bytes {
    let small = compress.then(|| packed::squeezed(bytes)).flatten();
    let content = small.as_deref().unwrap_or(bytes);
    let mut frame = begun(1 + 16 + 10 + 10 + content.len());
    frame.push(CHUNK);
    frame.extend_from_slice(&chunks.number.to_le_bytes());
    frame.count(place);
    // Nothing is as long as that when it is not packed.
    frame.count(small.as_ref().map_or(0, |_| bytes.len()));
    frame.extend_from_slice(content);
    sealed(frame)
}

/// The bytes in the frame of a chunk, so many as are `expected`.
///
/// # Errors
/// What is wrong with it; it may be another chunk's, too.
pub(crate) fn open_chunk(
    frame: Bytes,
    chunks: &Chunks,
    place: usize,
    expected: usize,
) -> Result<Bytes, &'static str> {
    let mut reader = unsealed(frame)?;
    let ours = reader.byte()? == CHUNK
        && u128::from_le_bytes(reader.array()?) == chunks.number
        && reader.varint()? == place as u64;
    if !ours {
        return Err("another chunk");
    }
    let packed = match reader.varint()? {
        0 => false,
        // Before it takes as much memory as it says.
        length if length == expected as u64 => true,
        _ => return Err("a chunk is of another length"),
    };
    let bytes = if packed {
        packed::expanded(reader.as_slice(), expected)?
    } else {
        reader.rest()
    };
    if bytes.len() == expected {
        Ok(bytes)
    } else {
        Err("a chunk is of another length")
    }
}

/// The chunks of what a frame stands for that begins with `beginning`. Nothing vouches for that.
pub(crate) fn of_beginning(beginning: &[u8]) -> Option<Chunks> {
    let content = beginning.strip_prefix(&MAGIC)?.strip_prefix(&[VERSION])?;
    let mut reader = Reader::new(Bytes::copy_from_slice(content.get(8..)?));
    let is_cut = reader.byte() == Ok(CUT);
    let number = u128::from_le_bytes(reader.array().ok()?);
    let length = usize::try_from(reader.varint().ok()?).ok()?;
    (is_cut && length <= MAX_CUT).then_some(Chunks { number, length })
}
