//! Frames in fewer bytes: the content of one, compressed with zstd, is the content of another.
//!
//! What compresses it is behind the feature `zstd`. A build without it takes such a frame for one that it
//! cannot read, which is a miss.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

#[cfg(not(feature = "zstd"))]
use super::no_zstd as zstd;
use super::wire::{Reader, Sink};
#[cfg(feature = "zstd")]
use super::zstd;
use super::{MAX_CUT, PACKED, PREFIX, begun, sealed};
use crate::entry::{Entry, StoredResponse};

/// Frames under this gain too little.
const LEAST: usize = 1024;
/// How many times as long as what is stored the content may be. What would be longer is not compressed,
/// so that reading takes no more memory than that on the word of an entry.
const MOST_TIMES: usize = 256;

/// Whether this build can compress.
pub(crate) const AVAILABLE: bool = zstd::AVAILABLE;

/// Whether compressing `entry` is worth trying: it is not compressed already.
pub(crate) fn is_worth_packing(entry: &Entry) -> bool {
    match entry {
        Entry::Response(response) => response.body.len() >= LEAST && !is_compressed(response),
        Entry::Variants(_) => false,
    }
}

fn is_compressed(response: &StoredResponse) -> bool {
    const TYPES: [&str; 4] = ["audio/", "font/woff", "image/", "video/"];
    const FORMATS: [&str; 4] = ["gzip", "pdf", "zip", "zstd"];
    if response.headers.contains_key(CONTENT_ENCODING) {
        return true;
    }
    let media = response.headers.get(CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok()).unwrap_or("");
    let media = media.split(';').next().unwrap_or("").trim();
    let media = media.to_ascii_lowercase();
    let application = media.strip_prefix("application/");
    media != "image/svg+xml" && TYPES.iter().any(|begin| media.starts_with(begin))
        || application.is_some_and(|format| FORMATS.contains(&format))
}

/// `frame` with its content compressed; `None` if that saves less than a tenth of it.
pub(crate) fn pack(frame: &[u8]) -> Option<Bytes> {
    let content = frame.get(PREFIX..)?;
    if content.len() < LEAST || content.len() > MAX_CUT {
        return None;
    }
    let small = squeezed(content)?;
    let mut packed = begun(1 + 10 + small.len());
    packed.push(PACKED);
    packed.count(content.len());
    packed.extend_from_slice(&small);
    Some(sealed(packed))
}

/// `content` compressed; `None` if that saves less than a tenth of it.
pub(super) fn squeezed(content: &[u8]) -> Option<Vec<u8>> {
    let small = zstd::compress(content)?;
    let saves = small.len() <= content.len() / 10 * 9;
    (saves && content.len() / MOST_TIMES <= small.len()).then_some(small)
}

/// How long the content of `frame` is once it is unpacked, as it says; `None` if it is not packed.
pub(crate) fn unpacked_length(frame: &Bytes) -> Option<usize> {
    let kind = *frame.get(PREFIX)?;
    let mut reader = Reader::new(frame.slice(PREFIX + 1..));
    let length = (kind == PACKED).then(|| reader.varint().ok()).flatten()?;
    usize::try_from(length).ok()
}

/// The content that was compressed.
pub(super) fn unpack(mut reader: Reader) -> Result<Bytes, &'static str> {
    let length = usize::try_from(reader.varint()?).map_err(|_| "too long")?;
    expanded(reader.as_slice(), length)
}

/// What was compressed to `small`, and is of `length`.
pub(super) fn expanded(small: &[u8], length: usize) -> Result<Bytes, &'static str> {
    if length > MAX_CUT || length / MOST_TIMES > small.len() {
        return Err("too long");
    }
    let content = zstd::decompress(small, length)?;
    if content.len() == length {
        Ok(content.into())
    } else {
        Err("not as long as it says")
    }
}

#[cfg(all(test, feature = "zstd"))]
mod tests;
