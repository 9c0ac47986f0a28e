//! [`Outcome`] as `Cache-Status` (RFC 9211) and `Age` (RFC 9111 §5.1).

use std::fmt::{self, Write};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{AGE, Entry, HeaderMap, HeaderName, HeaderValue};

use crate::outcome::{ForwardReason, NotStored, Outcome, Served, Storing};
use crate::position::Position;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The name of this cache, a token (RFC 8941 §3.3.4).
macro_rules! cache_name {
    () => {
        "tagcache"
    };
}

const NAME: &str = cache_name!();
const HIT: &str = concat!(cache_name!(), "; hit");
const METHOD: &str = concat!(cache_name!(), "; fwd=method");
const NO_RULE: &str = concat!(cache_name!(), "; fwd=bypass; detail=no-rule");
const HIT_TTL: &str = concat!(cache_name!(), "; hit; ttl=");

/// A structured-field integer has at most 15 digits (RFC 8941 §3.3.1).
const MAX_INTEGER: i64 = 999_999_999_999_999;

/// Appends what this cache did as the last member of `Cache-Status`, on a line of its own: those of
/// caches nearer to the origin come first (RFC 9211 §2).
pub(crate) fn append(headers: &mut HeaderMap, outcome: &Outcome) {
    let value = preformatted(outcome).or_else(|| formatted(outcome));
    if let Some(value) = value {
        headers.append(CACHE_STATUS, value);
    }
}

/// Names a position in the purge log in our member, which is the last.
pub(crate) fn name_position(headers: &mut HeaderMap, position: Position) {
    let Entry::Occupied(mut lines) = headers.entry(CACHE_STATUS) else {
        return;
    };
    let Some(ours) = lines.iter_mut().next_back() else {
        return;
    };
    let named = [
        ours.as_bytes(),
        format!("; position=\"{position}\"").as_bytes(),
    ]
    .concat();
    if let Ok(named) = HeaderValue::from_bytes(&named) {
        *ours = named;
    }
}

/// Why a request passed that no rule has a part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Its method is never answered from a cache.
    Method,
    /// No rule takes it.
    NoRule,
}

/// [`append`], for a request that passed; not to an interim response.
pub(crate) fn append_passed<B>(response: &mut Response<B>, passed: Passed) {
    if response.status().is_informational() {
        return;
    }
    let value = HeaderValue::from_static(match passed {
        Passed::Method => METHOD,
        Passed::NoRule => NO_RULE,
    });
    response.headers_mut().append(CACHE_STATUS, value);
}

/// The fields of a response before it is known how old it is: with places for its age and for what
/// this cache does, where [`fill_in`] finds them. None where other caches stand in `Cache-Status`:
/// there is no place for ours, which comes last.
pub(crate) fn with_places(fields: &HeaderMap) -> Option<HeaderMap> {
    if fields.contains_key(CACHE_STATUS) {
        return None;
    }
    let mut placed = HeaderMap::with_capacity(fields.len() + 2);
    placed.insert(AGE, HeaderValue::from_static("0"));
    placed.insert(CACHE_STATUS, HeaderValue::from_static(HIT));
    let others = fields.iter().filter(|(name, _)| **name != AGE);
    for (name, value) in others {
        placed.append(name, value.clone());
    }
    Some(placed)
}

/// Sets age and `Cache-Status` in fields that have places for them, as [`set_age`] and [`append`] do in others.
pub(crate) fn fill_in(placed: &mut HeaderMap, age: Duration, outcome: &Outcome) {
    let (age, status) = (
        age_value(age),
        preformatted(outcome).or_else(|| formatted(outcome)),
    );
    let mut places = placed.iter_mut();
    // A map gives its fields in the order in which they came. If it did not, this would be slower.
    match (places.next(), places.next(), status) {
        (Some((first, at)), Some((second, status_at)), Some(status))
            if *first == AGE && *second == CACHE_STATUS =>
        {
            *at = age;
            *status_at = status;
        }
        (_, _, status) => {
            placed.insert(AGE, age);
            status.map(|status| placed.insert(CACHE_STATUS, status));
        }
    }
}

/// Sets `Age`, in whole seconds, in place of what was received (RFC 9111 §5.1).
pub(crate) fn set_age(headers: &mut HeaderMap, age: Duration) {
    headers.insert(AGE, age_value(age));
}

fn age_value(age: Duration) -> HeaderValue {
    // RFC 9111 §1.2.2.
    let seconds = age.as_secs().min(1 << 31);
    let written = usize::try_from(seconds).ok().and_then(|at| WRITTEN.get(at));
    written.map_or_else(|| seconds.into(), |written| written.age.clone())
}

/// What a hit says with one number of seconds.
struct Written {
    age: HeaderValue,
    hit: HeaderValue,
}

/// The values for each second of an hour, written once in a process, so that most hits neither format nor
/// allocate. About 400 KB.
static WRITTEN: LazyLock<Box<[Written]>> = LazyLock::new(|| {
    const SECONDS: usize = 60 * 60;
    let mut text = Vec::with_capacity(SECONDS * (HIT_TTL.len() + 4));
    let mut ends = Vec::with_capacity(SECONDS);
    for second in 0..SECONDS {
        text.extend_from_slice(HIT_TTL.as_bytes());
        text.extend_from_slice(second.to_string().as_bytes());
        ends.push(text.len());
    }
    // Text that is never freed is not counted either, so that copies are cheap.
    let text: &'static [u8] = Box::leak(text.into_boxed_slice());
    let mut start = 0;
    let written = ends.into_iter().map(|end| {
        let hit = &text[std::mem::replace(&mut start, end)..end];
        Written {
            age: digits(&hit[HIT_TTL.len()..]),
            hit: digits(hit),
        }
    });
    written.collect()
});

/// `text`, which was written here, as a value.
fn digits(text: &'static [u8]) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from_static(text)).expect("letters and digits")
}

/// A hit without detail and with less than an hour left needs neither formatting nor memory.
fn preformatted(outcome: &Outcome) -> Option<HeaderValue> {
    if outcome.served != Served::Hit || outcome.detail.is_some() {
        return None;
    }
    let Some(ttl) = outcome.ttl else {
        return Some(HeaderValue::from_static(HIT));
    };
    let written = WRITTEN.get(usize::try_from(ttl).ok()?)?;
    Some(written.hit.clone())
}

fn formatted(outcome: &Outcome) -> Option<HeaderValue> {
    let mut line = Line::new();
    write_member(&mut line, outcome).ok()?;
    HeaderValue::from_bytes(line.as_bytes()).ok()
}

/// One member: the name, then `hit` or `fwd` and what goes with either.
fn write_member(line: &mut Line, outcome: &Outcome) -> fmt::Result {
    line.write_str(NAME)?;
    let forwarded = match outcome.served {
        Served::Hit | Served::Stale => {
            line.write_str("; hit")?;
            false
        }
        Served::Forwarded(reason) => {
            write!(line, "; fwd={}", reason.as_str())?;
            true
        }
    };
    // RFC 9211 §2.3, §2.5, §2.6: these three speak of a forward.
    if let (true, Some(status)) = (forwarded, outcome.forward_status) {
        write!(line, "; fwd-status={}", status.as_u16())?;
    }
    if let Some(ttl) = outcome.ttl {
        write!(line, "; ttl={}", ttl.clamp(-MAX_INTEGER, MAX_INTEGER))?;
    }
    if forwarded && outcome.storing == Some(Storing::Stored) {
        line.write_str("; stored")?;
    }
    if forwarded && outcome.collapsed {
        line.write_str("; collapsed")?;
    }
    match detail(outcome) {
        Some(detail) => write!(line, "; detail={detail}"),
        None => Ok(()),
    }
}

/// There is room for one (RFC 9211 §2.8): of a forward, why its response is not stored; else why it
/// was forwarded, or who decided. A request that was not for the cache at all says why.
fn detail(outcome: &Outcome) -> Option<&'static str> {
    let detail = outcome.detail.map(|detail| detail.as_str());
    match (outcome.served, outcome.storing) {
        (Served::Forwarded(ForwardReason::Bypass | ForwardReason::Method), _)
            if detail.is_some() =>
        {
            detail
        }
        // Nothing was known of the purge log, and that has a cause.
        (Served::Forwarded(_), Some(Storing::NotStored(NotStored::NoStamp)))
            if detail.is_some() =>
        {
            detail
        }
        (Served::Forwarded(_), Some(Storing::NotStored(reason))) => Some(reason.as_str()),
        _ => detail,
    }
}

/// A line written on the stack; longer than anything an outcome can say.
struct Line {
    bytes: [u8; 192],
    length: usize,
}

impl Line {
    const fn new() -> Self {
        Self {
            bytes: [0; 192],
            length: 0,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
