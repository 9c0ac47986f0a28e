//! What a store holds under a key.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::clock::Timestamp;
use crate::key::CacheKey;
use crate::position::Stamp;
use crate::tag::TagSet;

pub(crate) mod codec;
mod cut;

#[cfg(any(test, feature = "redis"))]
pub(crate) use self::cut::ChunkSource;
pub(crate) use self::cut::{CHUNK, Cut, chunks_of};

/// An entry: a response, or the list of fields that select among variants.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Response(Arc<StoredResponse>),
    Variants(Arc<VariantIndex>),
}

/// Stands under a URI's own key when its responses vary: which request fields nominate the variant
/// (RFC 9111 §4.1). The variants stand under keys of their own. It is a hint for finding them;
/// nothing is decided by it, so it needs no stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VariantIndex {
    /// The URI's key.
    pub(crate) key: CacheKey,
    /// Lower-case field names, sorted, without repeats.
    pub(crate) fields: Vec<http::HeaderName>,
}

/// A stored response. Its stamp, tags and path decide whether it may still be used (PROTOCOL 3).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredResponse {
    pub(crate) stamp: Stamp,
    /// The whole key, variant part included; compared on every hit.
    pub(crate) key: CacheKey,
    /// The URL path, for glob purges.
    pub(crate) path: Box<str>,
    pub(crate) tags: TagSet,
    /// When the response was received (RFC 9111 §4.2.3 `response_time`).
    pub(crate) received_at: Timestamp,
    /// `corrected_initial_age` (RFC 9111 §4.2.3).
    pub(crate) initial_age: Duration,
    pub(crate) freshness: Freshness,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) ready: Ready,
}

/// How many times its [`eagerness`](Freshness::eagerness) before its end a response is refreshed at
/// the earliest: before that a hit would be chosen less often than once in a million.
pub(crate) const EARLIEST: u32 = 14;

/// What hits leave with a stored response for later ones. No part of what is stored: a copy of the
/// response begins without, and it is equal to any other.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// The fields as they are sent, made at the first hit so that later ones only copy them.
    fields: OnceLock<(u64, Option<HeaderMap>)>,
    /// A hit was chosen to refresh it.
    elected: AtomicBool,
}

impl Ready {
    /// The fields that `make` gives, if any, for whoever has the number `maker`; `None` if somebody
    /// else has made them, in another way.
    pub(crate) fn fields(
        &self,
        maker: u64,
        make: impl FnOnce() -> Option<HeaderMap>,
    ) -> Option<&HeaderMap> {
        let (made_by, fields) = self.fields.get_or_init(|| (maker, make()));
        fields.as_ref().filter(|_| *made_by == maker)
    }

    /// Whether the hit that asks is the first to be chosen to refresh the response.
    pub(crate) fn elect(&self) -> bool {
        !self.elected.swap(true, Ordering::Relaxed)
    }
}

impl Clone for Ready {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Ready {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// How long a stored response may be used, decided when it was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Freshness {
    /// The freshness lifetime (RFC 9111 §4.2.1), or the rule's TTL; at most the lifetime ceiling.
    pub(crate) lifetime: Duration,
    /// RFC 5861 §3, counted from the end of the lifetime; zero where stale is forbidden.
    pub(crate) stale_while_revalidate: Duration,
    /// RFC 5861 §4, likewise.
    pub(crate) stale_if_error: Duration,
    /// Never reused without successful validation (`no-cache`, RFC 9111 §5.2.2.4).
    pub(crate) always_validate: bool,
    /// Upstream forbids to serve it stale, whoever asks for it (RFC 9111 §4.2.4).
    pub(crate) stale_forbidden: bool,
    /// A reload is no reason to ask while it is fresh (RFC 8246).
    pub(crate) immutable: bool,
    /// Upstream or rule permits it to answer requests with `Authorization` (RFC 9111 §3.5).
    pub(crate) authorized: bool,
    /// How long it took to fetch, times the rule's factor: the mean of how long before its end it is
    /// refreshed. Zero: not before it.
    pub(crate) eagerness: Duration,
}

impl StoredResponse {
    /// `current_age` (RFC 9111 §4.2.3). A response from the future (clock skew between nodes) counts
    /// as received now.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        self.initial_age.saturating_add(now.since(self.received_at))
    }

    /// Freshness left, negative when stale; in milliseconds.
    pub(crate) fn remaining_millis(&self, now: Timestamp) -> i128 {
        let millis = |d: Duration| i128::try_from(d.as_millis()).unwrap_or(i128::MAX);
        millis(self.freshness.lifetime) - millis(self.age(now))
    }

    /// Whether it is so close to its end that a hit may be chosen to refresh it.
    pub(crate) fn is_nearly_over(&self, now: Timestamp) -> bool {
        let eagerness = self.freshness.eagerness;
        !eagerness.is_zero()
            && self.remaining_millis(now) < i128::from(EARLIEST) * eagerness.as_millis() as i128
    }

    /// Bytes that it takes, for weighing.
    pub(crate) fn weight(&self) -> usize {
        /// What a map takes for a line; twice, as there is [`Ready`], which shares names and values.
        const LINE: usize = 2 * 104;
        let fields = |map: &HeaderMap| -> usize {
            map.iter()
                .map(|(name, value)| name.as_str().len() + value.len() + LINE)
                .sum()
        };
        size_of::<Self>()
            + self.key.as_bytes().len()
            + self.path.len()
            + self.tags.iter().len() * 8
            + fields(&self.headers)
            + self.trailers.as_ref().map_or(0, fields)
            + self.body.len()
    }
}
