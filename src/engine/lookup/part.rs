//! Parts: a 206 of the inner service is stored beside the whole, answers what it covers, and is combined
//! with others until it is the whole (RFC 9111 §3.3, §3.4).
//!
//! One contiguous part of a response is stored at a time. Only with a strong validator is it combined with
//! another one; without, the newer takes its place.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, Method, StatusCode};

use crate::engine::lookup::fitness::subject;
use crate::engine::lookup::{Lookup, Lookups, Usable};
use crate::entry::{Entry, StoredResponse};
use crate::key::{CacheKey, Component};
use crate::rules::CacheRequest;
use crate::semantics::{self, Span};
use crate::validity::Verdict;

/// A stored part, and what of it answers a range.
#[derive(Debug)]
pub(crate) struct StoredPart {
    pub(crate) stored: Arc<StoredResponse>,
    /// Of the whole representation, which has `total` bytes.
    pub(crate) range: RangeInclusive<u64>,
    pub(crate) total: u64,
    /// Those bytes in the stored body.
    pub(crate) bytes: Range<usize>,
}

/// The key of the part of the response that is stored under `whole`.
pub(crate) fn part_key(whole: &CacheKey) -> CacheKey {
    let mut key = whole.extend();
    key.component(Component::Partial, b"");
    key.finish()
}

impl Lookups {
    /// A stored part that answers the range that is asked for, where nothing is stored of the whole.
    pub(crate) async fn part(
        &self,
        asked: &CacheRequest,
        lookup: &Lookup,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<StoredPart> {
        if method != Method::GET || !semantics::asks_for_one_range(headers) {
            return None;
        }
        let part = self.lookup_part(asked, headers, part_key(&lookup.key));
        let Usable::Fresh(stored) = part.await.usable else {
            return None;
        };
        let span = Span::of(&stored.headers)?;
        let range = semantics::select_of_part(headers, &stored.headers, &span, stored.received_at)?;
        let place = |at: u64| usize::try_from(at - span.first).unwrap_or(usize::MAX);
        let bytes = place(*range.start())..place(*range.end()).saturating_add(1);
        (bytes.end <= stored.body.len()).then_some(StoredPart {
            total: span.total,
            stored,
            range,
            bytes,
        })
    }

    /// `new`, a part of the response stored under `whole`, combined with what is stored of it already.
    pub(crate) async fn combined(
        &self,
        new: StoredResponse,
        whole: CacheKey,
        limit: usize,
    ) -> StoredResponse {
        let found = self.store.get(std::slice::from_ref(&new.key)).await;
        let held = found
            .ok()
            .and_then(|found| found.entries.into_iter().next());
        let entry = match held.flatten() {
            Some(held) => held.whole().await.ok().flatten(),
            None => None,
        };
        let combined = match entry {
            Some(Entry::Response(old)) if self.may_combine(&old, &new) => {
                combine(&old, &new, limit).unwrap_or(new)
            }
            _ => new,
        };
        match Span::of(&combined.headers) {
            Some(span) if span.is_whole() => completed(combined, whole),
            _ => combined,
        }
    }

    /// Both are parts of one representation (RFC 9111 §3.4), and no purge has named the old one.
    fn may_combine(&self, old: &StoredResponse, new: &StoredResponse) -> bool {
        let valid = self
            .views
            .current()
            .is_some_and(|view| self.views.judge(&view, subject(old)) == Verdict::Valid);
        let same_epoch = old.stamp.position().epoch == new.stamp.position().epoch;
        valid
            && same_epoch
            && old.key == new.key
            && semantics::same_strong_tag(&old.headers, &new.headers)
    }
}

/// The union of two parts, if it is one part: with the fields of the new one, and as old as the older.
fn combine(old: &StoredResponse, new: &StoredResponse, limit: usize) -> Option<StoredResponse> {
    let (was, is) = (Span::of(&old.headers)?, Span::of(&new.headers)?);
    let union = was.union(&is)?;
    let length = usize::try_from(union.length()).ok()?;
    if length > limit {
        return None;
    }
    let mut body = vec![0; length];
    for (span, part) in [(was, old), (is, new)] {
        let start = usize::try_from(span.first - union.first).ok()?;
        body.get_mut(start..start + part.body.len())?
            .copy_from_slice(&part.body);
    }
    let mut combined = new.clone();
    combined.body = body.into();
    combined.tags.union(&old.tags);
    // A purge that names the older part names both.
    if old.stamp.position().ordinal < new.stamp.position().ordinal {
        combined.stamp = old.stamp;
    }
    semantics::part_fields(
        &mut combined.headers,
        &(union.first..=union.last),
        union.total,
    );
    Some(combined)
}

/// RFC 9111 §3.4: what covers the whole is processed as a 200.
fn completed(mut stored: StoredResponse, key: CacheKey) -> StoredResponse {
    stored.status = StatusCode::OK;
    stored.key = key;
    let length = stored.body.len();
    let keep = |name: &http::HeaderName| *name != CONTENT_RANGE && *name != CONTENT_LENGTH;
    let mut headers = HeaderMap::with_capacity(stored.headers.keys_len());
    for (name, value) in stored.headers.iter().filter(|(name, _)| keep(name)) {
        headers.append(name.clone(), value.clone());
    }
    headers.insert(CONTENT_LENGTH, length.into());
    stored.headers = headers;
    stored
}

/// Combines a part as the owner of the fill.
pub(crate) async fn finished(
    lookups: &Lookups,
    stored: StoredResponse,
    whole: CacheKey,
    limit: usize,
) -> Option<Arc<StoredResponse>> {
    let span = Span::of(&stored.headers)?;
    // RFC 9110 §14.4: a part whose length is not what it says is none.
    if span.length() != stored.body.len() as u64 {
        return None;
    }
    Some(Arc::new(lookups.combined(stored, whole, limit).await))
}
