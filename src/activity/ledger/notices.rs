//! [`Notices`]: what each stream said of reorgs.

use std::collections::{HashMap, VecDeque};

use crate::activity::store::{COPIES_WITHIN, MAX_NOTICES, ReorgNotice, StreamPlace};
use crate::clock::millis;
use crate::weaken::{ProtocolRule, weakened};

/// What each stream said of reorgs, the last so many.
#[derive(Debug, Default)]
pub(super) struct Notices(HashMap<Box<str>, VecDeque<NoticePlace>>);

/// A notice, and where it stands.
#[derive(Debug)]
struct NoticePlace {
    /// Where the first of its copies stands.
    place: StreamPlace,
    network: Option<Box<str>>,
    fork_block: u64,
    content: u128,
    /// When it came, in milliseconds of the stream's own ids where they have any.
    millis: u64,
}

impl Notices {
    /// Adds `notice`, which stands at `place`; whether that changes anything. A copy stands where the first one does: what
    /// happens in between is not undone.
    pub(super) fn add(&mut self, notice: &ReorgNotice, place: StreamPlace) -> bool {
        let of_stream = self.0.entry(notice.stream.clone()).or_default();
        let at = match place {
            StreamPlace::Id(at, _) => at,
            StreamPlace::Arrival(_) => notice.at.as_millis(),
        };
        let is_copy = |known: &&mut NoticePlace| {
            known.content == notice.content
                && !weakened(ProtocolRule::KeptCopies)
                && known.millis.abs_diff(at) <= millis(COPIES_WITHIN)
        };
        if let Some(known) = of_stream.iter_mut().find(is_copy) {
            if place >= known.place {
                return false;
            }
            known.place = place;
            known.millis = known.millis.min(at);
            return true;
        }
        of_stream.push_back(NoticePlace {
            place,
            network: notice.network.clone(),
            fork_block: notice.fork_block,
            content: notice.content,
            millis: at,
        });
        if of_stream.len() > MAX_NOTICES {
            of_stream.pop_front();
        }
        true
    }

    /// Whether `stream` says that an event of `network` and `block` is undone, which it delivered last at `place`.
    pub(super) fn undo(&self, stream: &str, place: StreamPlace, network: &str, block: u64) -> bool {
        if weakened(ProtocolRule::KeptStream) {
            let mut all = self.0.values().flatten();
            return all.any(|notice| block >= notice.fork_block);
        }
        let mut of_stream = self.0.get(stream).into_iter().flatten();
        of_stream.any(|notice| {
            let named = notice.network.as_deref();
            notice.place > place
                && block >= notice.fork_block
                && named.is_none_or(|named| named == network)
        })
    }
}
