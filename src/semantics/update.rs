//! What a 304 does to a stored response, and what one of ours carries (RFC 9111 §3.2, §4.3.4; RFC
//! 9110 §15.4.5).

use http::StatusCode;
use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE,
    ETAG, HeaderMap, HeaderName, LAST_MODIFIED, TRAILER,
};

use super::cache_control::ResponseDirectives;
use super::date;
use super::fields::{filter, stored_fields};
use super::storable::StoreSetCookie;
use super::storable::content_length;
use super::validator::ETag;
use crate::clock::Timestamp;

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
pub(super) const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Whether a 304 speaks of this stored response (RFC 9111 §4.3.4). If it does not, it updates
/// nothing, and the response has to be fetched whole.
///
/// A 304 without validators says no more than that our condition was false. It is taken as an
/// answer to the one stored response that we asked about, although the RFC would have it name its
/// validator: many origins leave it out.
pub(crate) fn identifies(not_modified: &HeaderMap, stored: &HeaderMap, now: Timestamp) -> bool {
    if not_modified.contains_key(ETAG) {
        // A strong tag names only a response with the same strong tag; a weak one, its equal.
        let (Some(new), Some(old)) = (ETag::of(not_modified), ETag::of(stored)) else {
            return false;
        };
        return new.strong_eq(&old) || !new.is_strong() && new.weak_eq(&old);
    }
    if not_modified.contains_key(LAST_MODIFIED) {
        let modified = |headers| date::field(headers, &LAST_MODIFIED, now);
        return modified(not_modified).is_some_and(|new| modified(stored) == Some(new));
    }
    true
}

/// Whether a response with this status says what is to be had under its URI now, so that it takes the place of
/// the stored one that was asked about (RFC 9111 §4.3.3). Not so errors of the server, and statuses that blame
/// the request, its method, or who sent it: 405 too, which a method in some field brings about. But 451 (RFC 7725),
/// which is to be obeyed.
pub(crate) fn speaks_of_resource(status: StatusCode) -> bool {
    match status.as_u16() {
        // A part, and the answer to a condition.
        206 | 304 => false,
        200..=399 | 404 | 410 | 451 => true,
        _ => false,
    }
}

/// Whether the validators of a response are those of the stored one: `None` where it has none to compare.
pub(crate) fn same_validators(new: &HeaderMap, stored: &HeaderMap, now: Timestamp) -> Option<bool> {
    if new.contains_key(ETAG) && stored.contains_key(ETAG) {
        let (new, old) = (ETag::of(new)?, ETag::of(stored)?);
        return Some(new.weak_eq(&old));
    }
    if new.contains_key(LAST_MODIFIED) && stored.contains_key(LAST_MODIFIED) {
        let modified = |headers| date::field(headers, &LAST_MODIFIED, now);
        return Some(modified(new)? == modified(stored)?);
    }
    None
}

/// The stored fields after a 304 that [`identifies`] them: each field of the 304 replaces the lines
/// of its name, in their place; new ones come last (RFC 9111 §3.2).
///
/// Left as stored are the fields that belong to the stored bytes rather than to the message:
/// `Content-Length`, `Content-Range` and `Content-Encoding` (named in §3.2), and the digests of
/// content, of which a 304 has none. `Content-Type` and all others are updated. What §3.1 keeps out
/// of a store stays out, by the directives of the 304 as by those of the result.
///
/// `Age` of the old message ends with it. A 304 without `Date` is dated `received_at` where the stored
/// response has one (RFC 9110 §6.6.1); otherwise it would never be fresh again.
pub(crate) fn freshen(
    stored: &HeaderMap,
    not_modified: &HeaderMap,
    received_at: Timestamp,
    set_cookie: StoreSetCookie,
) -> HeaderMap {
    let directives = ResponseDirectives::effective(not_modified);
    let mut update = stored_fields(not_modified, &directives, set_cookie);
    if !update.contains_key(DATE) && stored.contains_key(DATE) {
        update.extend(date::value(received_at).map(|date| (DATE, date)));
    }
    let updates = |name: &HeaderName| !belongs_to_the_bytes(name) && update.contains_key(name);
    let mut merged = HeaderMap::with_capacity(stored.keys_len() + update.keys_len());
    for name in stored.keys().filter(|name| **name != AGE) {
        let lines = if updates(name) { &update } else { stored };
        append_all(&mut merged, lines, name);
    }
    for name in update.keys().filter(|name| updates(name)) {
        if !merged.contains_key(name) {
            append_all(&mut merged, &update, name);
        }
    }
    let directives = ResponseDirectives::effective(&merged);
    stored_fields(&merged, &directives, set_cookie)
}

/// What the 200 to a `HEAD` says about a stored 200 to `GET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadMethodVerdict {
    /// Every validator that it has is the stored one's, and so is the length; it updates.
    Same {
        /// By a strong entity-tag.
        strong: bool,
    },
    /// It has another validator or length: the stored response is stale.
    Changed,
    /// It has no validator. RFC 9111 §4.3.5 would let it update, but nothing shows that the stored
    /// bytes are still those that a `GET` would bring.
    Unknown,
}

/// RFC 9111 §4.3.5. `length` is that of the stored body.
pub(crate) fn judge_head_method(
    head: &HeaderMap,
    stored: &HeaderMap,
    length: u64,
    now: Timestamp,
) -> HeadMethodVerdict {
    let declared = content_length(head).ok().flatten();
    if declared.is_some_and(|declared| declared != length) {
        return HeadMethodVerdict::Changed;
    }
    let tags = head.contains_key(ETAG).then(|| {
        let (new, old) = (ETag::of(head), ETag::of(stored));
        new.zip(old).filter(|(new, old)| new == old)
    });
    let modified = head.contains_key(LAST_MODIFIED).then(|| {
        let new = date::field(head, &LAST_MODIFIED, now);
        new.is_some() && new == date::field(stored, &LAST_MODIFIED, now)
    });
    match (tags, modified) {
        (None, None) => HeadMethodVerdict::Unknown,
        (Some(None), _) | (_, Some(false)) => HeadMethodVerdict::Changed,
        (tags, _) => HeadMethodVerdict::Same {
            strong: tags.flatten().is_some_and(|(new, _)| new.is_strong()),
        },
    }
}

fn append_all(to: &mut HeaderMap, from: &HeaderMap, name: &HeaderName) {
    for value in from.get_all(name) {
        to.append(name.clone(), value.clone());
    }
}

fn belongs_to_the_bytes(name: &HeaderName) -> bool {
    [CONTENT_LENGTH, CONTENT_RANGE, CONTENT_ENCODING].contains(name)
        || [CONTENT_DIGEST, CONTENT_MD5].contains(name)
}

/// The fields that a 304 made from a stored response carries (RFC 9110 §15.4.5): all but those that
/// describe a representation which is not sent. `Last-Modified` goes where an `ETag` says it better.
pub(crate) fn not_modified_fields(stored: &HeaderMap) -> HeaderMap {
    let tagged = stored.contains_key(ETAG);
    let drop = |name: &HeaderName| {
        belongs_to_the_bytes(name)
            || [CONTENT_TYPE, CONTENT_LANGUAGE, TRAILER].contains(name)
            || tagged && *name == LAST_MODIFIED
    };
    filter(stored, |name| !drop(name))
}

#[cfg(test)]
mod tests;
