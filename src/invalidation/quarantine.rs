//! What becomes of an entry that cannot be understood: a record in a stream of its own, so that
//! people can look at it and the rest of the events go on.
//!
//! By the time it is put aside, everything that the stream can touch has been purged, because the
//! entry may have been an event all the same.

use crate::invalidation::event::Fields;
use crate::redis::StreamEntry;

/// The most bytes of the entry that are kept. The whole entry is still in its own stream, under its
/// id, until that is trimmed.
const MAX_KEPT: usize = 16 * 1024;

/// The record for `entry`: `_id`, `_reason`, `_bytes` (its size), then its fields as they were, cut
/// off where they are too long.
pub(crate) fn record(entry: &StreamEntry, reason: &str) -> Fields {
    let bytes: usize = entry.fields.iter().map(|(n, v)| n.len() + v.len()).sum();
    let mut record: Fields = vec![
        (b"_id".into(), entry.id.to_string().into_bytes()),
        (b"_reason".into(), reason.into()),
        (b"_bytes".into(), bytes.to_string().into_bytes()),
    ];
    let mut room = MAX_KEPT;
    for (name, value) in &entry.fields {
        if room == 0 {
            break;
        }
        let name = cut(name, &mut room);
        record.push((name, cut(value, &mut room)));
    }
    record
}

fn cut(bytes: &[u8], room: &mut usize) -> Vec<u8> {
    let kept = bytes.len().min(*room);
    *room -= kept;
    bytes[..kept].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::EntryId;

    #[test]
    fn record_is_bounded_and_says_how_much_there_was() {
        let huge = vec![b'x'; 1_000_000];
        let fields = vec![(b"payload".to_vec(), huge.clone()), (huge, b"y".to_vec())];
        let entry = StreamEntry {
            id: EntryId::new(5, 1),
            fields,
        };
        let record = record(&entry, "not-json: EOF");
        let size: usize = record.iter().map(|(n, v)| n.len() + v.len()).sum();
        assert!(size < MAX_KEPT + 100, "{size}");
        assert_eq!(record[0], (b"_id".to_vec(), b"5-1".to_vec()));
        assert_eq!(record[1].1, b"not-json: EOF");
        assert_eq!(record[2].1, b"2000008");
        assert_eq!(record[3].0, b"payload");
    }
}
