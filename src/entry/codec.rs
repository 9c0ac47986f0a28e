//! Entries as bytes: one versioned frame. What is not exactly such a frame is a miss (SAFETY 63).
//!
//! Version 1. Numbers are little-endian; a *varint* is LEB128; *text* is a varint length and so many
//! bytes. A change to anything below, or to the hash behind a tag id, needs a new [`VERSION`].
//!
//! ```text
//! frame     magic (3), version (1), checksum over all that follows (8), kind (1), then by kind:
//! response  flags (1), epoch (8), ordinal (varint),
//!           received at, initial age, lifetime, stale-while-revalidate, stale-if-error (varints, ms),
//!           eagerness (varint, ms, if flagged),
//!           status (2), count of tags (varint), tag ids (8 each, ascending), key, path (texts),
//!           fields, trailers (fields, if flagged), body (the rest)
//! variants  key (text), count (varint), field names (texts)
//! cut       number (16), length of the body (varint), then as a response with an empty body
//! chunk      number (16), place (varint), length if compressed, else 0 (varint), bytes of the body, or zstd of them
//! packed    length of what was compressed (varint), zstd of a response from its kind on
//! fields    count of lines (varint), then for each line: name (text; empty = the name before),
//!           value's length * 2, + 1 if it is sensitive (varint), value
//! ```
//!
//! The checksum covers the body, because no other check would notice a damaged one. Decoding copies
//! names and path only: key, field values and body are slices of the frame.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

use crate::clock::{Timestamp, millis};
use crate::entry::{Entry, Freshness, Ready, StoredResponse, VariantIndex};
use crate::key::CacheKey;
use crate::position::{Position, Stamp};
use crate::tag::{TagId, TagSet};

use self::chunks::Chunks;
use self::wire::{Reader, Sink, Size};

pub(crate) mod chunks;
#[cfg(not(feature = "zstd"))]
mod no_zstd;
pub(crate) mod packed;
mod wire;
#[cfg(feature = "zstd")]
mod zstd;

/// Begins no UTF-8 text, and no format that Redis values commonly have.
const MAGIC: [u8; 3] = [0xD7, b'T', b'C'];
const VERSION: u8 = 1;
/// Magic, version, checksum.
const PREFIX: usize = 12;

const RESPONSE: u8 = 1;
const VARIANTS: u8 = 2;
const CUT: u8 = 3;
const PACKED: u8 = 4;
const CHUNK: u8 = 5;

const ALWAYS_VALIDATE: u8 = 1;
/// Means nothing; entries of before have it.
const FORMER: u8 = 1 << 1;
const AUTHORIZED: u8 = 1 << 2;
const TRAILERS: u8 = 1 << 3;
const STALE_FORBIDDEN: u8 = 1 << 4;
const IMMUTABLE: u8 = 1 << 5;
const EAGER: u8 = 1 << 6;
const KNOWN_FLAGS: u8 =
    ALWAYS_VALIDATE | FORMER | AUTHORIZED | TRAILERS | STALE_FORBIDDEN | IMMUTABLE | EAGER;

/// Room reserved on the word of a count alone; past it, collections grow with what is really there.
const TRUSTED_COUNT: usize = 64;
/// The longest body that is put together from chunks: none that was cut is longer.
const MAX_CUT: usize = 1 << 30;
/// As many names as a [`HeaderMap`] holds. Of lines it would take any number, each many times larger
/// than it is here.
const MAX_LINES: usize = 1 << 15;

/// What a frame holds.
#[derive(Debug)]
pub(crate) enum Frame {
    Entry(Entry),
    /// A response without its body, and where that is.
    Cut(Chunks, Box<StoredResponse>),
}

/// The frame of `entry`, in one allocation of exactly its size.
pub(crate) fn encode(entry: &Entry) -> Bytes {
    let mut size = Size::default();
    write_entry(&mut size, entry);
    let mut frame = begun(size.bytes());
    write_entry(&mut frame, entry);
    debug_assert_eq!(frame.len(), PREFIX + size.bytes());
    sealed(frame)
}

/// A frame up to where its checksum has a place, with room for so many bytes more.
fn begun(content: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(PREFIX + content);
    frame.extend_from_slice(&MAGIC);
    frame.push(VERSION);
    frame.extend_from_slice(&[0; 8]);
    frame
}

fn sealed(mut frame: Vec<u8>) -> Bytes {
    let sum = checksum(&frame[PREFIX..]);
    frame[PREFIX - 8..PREFIX].copy_from_slice(&sum);
    frame.into()
}

/// The content of `frame`, which begins with its kind.
fn unsealed(frame: Bytes) -> Result<Reader, &'static str> {
    let mut reader = Reader::new(frame);
    if reader.array()? != MAGIC {
        return Err("not an entry");
    }
    if reader.byte()? != VERSION {
        return Err("another version");
    }
    let sum: [u8; 8] = reader.array()?;
    if sum != checksum(reader.as_slice()) {
        return Err("damaged");
    }
    Ok(reader)
}

/// What `frame` holds. The body and all that is long are slices of it, or of what it was unpacked to, and
/// keep it alive.
///
/// # Errors
/// What is wrong with it, for [`Notice::EntryRejected`](crate::observe::Notice): another product's
/// bytes, another version, damage of any kind. Never panics, and reserves no more than the frame's
/// own size calls for.
pub(crate) fn open(frame: Bytes) -> Result<Frame, &'static str> {
    let mut reader = unsealed(frame)?;
    let kind = match reader.byte()? {
        PACKED => {
            reader = Reader::new(packed::unpack(reader)?);
            Some(reader.byte()?).filter(|kind| *kind == RESPONSE)
        }
        kind => Some(kind),
    };
    match kind.ok_or("unknown kind")? {
        RESPONSE => {
            let response = Arc::new(read_response(reader)?);
            Ok(Frame::Entry(Entry::Response(response)))
        }
        VARIANTS => {
            let index = Arc::new(read_variants(reader)?);
            Ok(Frame::Entry(Entry::Variants(index)))
        }
        CUT => {
            let (chunks, head) = chunks::read_cut(reader)?;
            Ok(Frame::Cut(chunks, Box::new(head)))
        }
        _ => Err("unknown kind"),
    }
}

/// The entry in `frame`, which was not cut.
///
/// # Errors
/// As [`open`], or it was.
#[cfg(any(test, feature = "test-util"))]
pub(crate) fn decode(frame: Bytes) -> Result<Entry, &'static str> {
    match open(frame)? {
        Frame::Entry(entry) => Ok(entry),
        Frame::Cut(..) => Err("cut into chunks"),
    }
}

/// Against damage, not against forgery: who can write to the store can write whole entries.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    rapidhash::v3::rapidhash_v3(bytes).to_le_bytes()
}

fn write_entry(sink: &mut impl Sink, entry: &Entry) {
    match entry {
        Entry::Response(response) => {
            sink.bytes(&[RESPONSE]);
            write_response(sink, response);
        }
        Entry::Variants(index) => {
            sink.bytes(&[VARIANTS]);
            sink.text(index.key.as_bytes());
            sink.count(index.fields.len());
            for name in &index.fields {
                sink.text(name.as_str().as_bytes());
            }
        }
    }
}

fn write_response(sink: &mut impl Sink, response: &StoredResponse) {
    let freshness = &response.freshness;
    let stamp = response.stamp.position();
    sink.bytes(&[flags(response)]);
    sink.bytes(&stamp.epoch.get().to_le_bytes());
    sink.varint(stamp.ordinal);
    sink.varint(response.received_at.as_millis());
    // Rounded up: a response may seem older than it is, not younger.
    sink.varint(millis(response.initial_age.saturating_add(NEARLY_A_MILLI)));
    for lifetime in [
        freshness.lifetime,
        freshness.stale_while_revalidate,
        freshness.stale_if_error,
    ] {
        sink.varint(millis(lifetime));
    }
    if !freshness.eagerness.is_zero() {
        sink.varint(millis(freshness.eagerness));
    }
    sink.bytes(&response.status.as_u16().to_le_bytes());
    let tags = response.tags.iter();
    sink.count(tags.len());
    for tag in tags {
        sink.bytes(&tag.as_raw().to_le_bytes());
    }
    sink.text(response.key.as_bytes());
    sink.text(response.path.as_bytes());
    write_fields(sink, &response.headers);
    if let Some(trailers) = &response.trailers {
        write_fields(sink, trailers);
    }
    sink.bytes(&response.body);
}

const NEARLY_A_MILLI: Duration = Duration::from_nanos(999_999);

fn flags(response: &StoredResponse) -> u8 {
    let freshness = &response.freshness;
    [
        (freshness.always_validate, ALWAYS_VALIDATE),
        (freshness.authorized, AUTHORIZED),
        (freshness.stale_forbidden, STALE_FORBIDDEN),
        (freshness.immutable, IMMUTABLE),
        (!freshness.eagerness.is_zero(), EAGER),
        (response.trailers.is_some(), TRAILERS),
    ]
    .into_iter()
    .fold(
        0,
        |flags, (set, flag)| if set { flags | flag } else { flags },
    )
}

fn write_fields(sink: &mut impl Sink, fields: &HeaderMap) {
    sink.count(fields.len());
    let mut previous = None;
    for (name, value) in fields {
        // A map gives the lines of one name together, in their order.
        let repeated = previous.replace(name) == Some(name);
        sink.text(if repeated {
            b""
        } else {
            name.as_str().as_bytes()
        });
        sink.varint(((value.len() as u64) << 1) | u64::from(value.is_sensitive()));
        sink.bytes(value.as_bytes());
    }
}

fn read_response(mut reader: Reader) -> Result<StoredResponse, &'static str> {
    let flags = reader.byte()?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err("unknown flag");
    }
    let has = |flag| flags & flag != 0;
    let epoch = u64::from_le_bytes(reader.array()?);
    let stamp = Stamp::at(Position::new(epoch, reader.varint()?));
    let received_at = Timestamp::from_millis(reader.varint()?);
    let initial_age = Duration::from_millis(reader.varint()?);
    let freshness = Freshness {
        lifetime: Duration::from_millis(reader.varint()?),
        stale_while_revalidate: Duration::from_millis(reader.varint()?),
        stale_if_error: Duration::from_millis(reader.varint()?),
        always_validate: has(ALWAYS_VALIDATE),
        authorized: has(AUTHORIZED),
        stale_forbidden: has(STALE_FORBIDDEN),
        immutable: has(IMMUTABLE),
        eagerness: if has(EAGER) {
            Duration::from_millis(reader.varint()?)
        } else {
            Duration::ZERO
        },
    };
    let status = u16::from_le_bytes(reader.array()?);
    Ok(StoredResponse {
        stamp,
        received_at,
        initial_age,
        freshness,
        status: StatusCode::from_u16(status).map_err(|_| "no status code")?,
        tags: read_tags(&mut reader)?,
        key: CacheKey::from_bytes(reader.shared_text()?),
        path: read_path(&mut reader)?,
        headers: read_fields(&mut reader)?,
        trailers: has(TRAILERS)
            .then(|| read_fields(&mut reader))
            .transpose()?,
        body: reader.rest(),
        ready: Ready::default(),
    })
}

fn read_tags(reader: &mut Reader) -> Result<TagSet, &'static str> {
    let count = reader.count(size_of::<TagId>())?;
    let mut ids: SmallVec<[TagId; 16]> = SmallVec::new();
    for _ in 0..count {
        let id = TagId::from_raw(u64::from_le_bytes(reader.array()?));
        // Also what keeps building the set linear.
        if ids.last().is_some_and(|last| *last >= id) {
            return Err("tags out of order");
        }
        ids.push(id);
    }
    Ok(TagSet::from_ids(ids))
}

fn read_path(reader: &mut Reader) -> Result<Box<str>, &'static str> {
    let path = reader.text()?;
    let path = std::str::from_utf8(path).map_err(|_| "path is not UTF-8")?;
    Ok(path.into())
}

fn read_fields(reader: &mut Reader) -> Result<HeaderMap, &'static str> {
    const TOO_MANY: &str = "too many fields";
    // The least that a line takes: the length of its name and that of its value.
    let count = reader.count(2)?;
    if count > MAX_LINES {
        return Err(TOO_MANY);
    }
    let mut fields =
        HeaderMap::try_with_capacity(count.min(TRUSTED_COUNT)).map_err(|_| TOO_MANY)?;
    let mut named = 0..0;
    for _ in 0..count {
        let span = reader.text_span()?;
        if !span.is_empty() {
            named = span;
        }
        // Read again for each further line of a field, which is rare: a copy of a name costs those that
        // have one line an allocation.
        let name = match reader.span(&named) {
            [] => return Err("field without a name"),
            text => HeaderName::from_bytes(text).map_err(|_| "bad field name")?,
        };
        let length = reader.varint()?;
        let mut value = HeaderValue::from_maybe_shared(reader.take(length >> 1)?)
            .map_err(|_| "bad field value")?;
        value.set_sensitive(length & 1 == 1);
        fields.try_append(name, value).map_err(|_| TOO_MANY)?;
    }
    Ok(fields)
}

fn read_variants(mut reader: Reader) -> Result<VariantIndex, &'static str> {
    let key = CacheKey::from_bytes(reader.shared_text()?);
    let count = reader.count(1)?;
    let mut fields = Vec::with_capacity(count.min(TRUSTED_COUNT));
    for _ in 0..count {
        let name = HeaderName::from_bytes(reader.text()?).map_err(|_| "bad field name")?;
        fields.push(name);
    }
    if reader.as_slice().is_empty() {
        Ok(VariantIndex { key, fields })
    } else {
        Err("trailing bytes")
    }
}

#[cfg(test)]
mod tests;
