//! The feature `zstd`.

pub(super) const AVAILABLE: bool = true;

/// Fast rather than small: what matters is the memory of Redis, and most of it is saved already here.
const LEVEL: i32 = 1;

pub(super) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    ::zstd::bulk::compress(bytes, LEVEL).ok()
}

/// What was compressed, if it is no longer than `length`.
pub(super) fn decompress(bytes: &[u8], length: usize) -> Result<Vec<u8>, &'static str> {
    ::zstd::bulk::decompress(bytes, length).map_err(|_| "not compressed as it says")
}
