//! [`Outcome`] as `Cache-Status` (RFC 9211) and `Age` (RFC 9111 §5.1).

use std::fmt::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, HeaderMap, HeaderName, HeaderValue};

use crate::outcome::{ForwardReason, Outcome, Served, Storing};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The name of this cache, a token (RFC 8941 §3.3.4).
macro_rules! cache_name {
    () => {
        "tagcache"
    };
}

const NAME: &str = cache_name!();
const HIT: &str = concat!(cache_name!(), "; hit");
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

/// Puts what this cache did in the place of an earlier member, the only one.
pub(crate) fn replace(headers: &mut HeaderMap, outcome: &Outcome) {
    if let Some(value) = preformatted(outcome).or_else(|| formatted(outcome)) {
        put(headers, &CACHE_STATUS, value);
    }
}

/// Whether caches nearer to the origin have said what they did.
pub(crate) fn is_present(headers: &HeaderMap) -> bool {
    headers.contains_key(CACHE_STATUS)
}

/// Sets `Age`, in whole seconds, in place of what was received (RFC 9111 §5.1).
pub(crate) fn set_age(headers: &mut HeaderMap, age: Duration) {
    headers.insert(AGE, age_value(age));
}

/// The same where there is one line of it already, which is cheaper.
pub(crate) fn replace_age(headers: &mut HeaderMap, age: Duration) {
    put(headers, &AGE, age_value(age));
}

fn age_value(age: Duration) -> HeaderValue {
    // RFC 9111 §1.2.2.
    let seconds = age.as_secs().min(1 << 31);
    let short = usize::try_from(seconds).ok().and_then(|seconds| {
        let digits = DIGITS.get(seconds.checked_mul(2)?..)?.get(..2)?;
        Some(if seconds < 10 { &digits[1..] } else { digits })
    });
    short.map_or_else(|| seconds.into(), HeaderValue::from_static)
}

/// Puts `value` in the place of the only line of `name`, or adds it.
fn put(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    match headers.get_mut(name) {
        Some(line) => *line = value,
        None => {
            headers.insert(name, value);
        }
    }
}

/// The ages below 100 stand here, so that most hits format and allocate nothing.
const DIGITS: &str = "0001020304050607080910111213141516171819\
                      2021222324252627282930313233343536373839\
                      4041424344454647484950515253545556575859\
                      6061626364656667686970717273747576777879\
                      8081828384858687888990919293949596979899";

/// `…; hit; ttl=00` to `99`.
static HITS: [[u8; HIT_TTL.len() + 2]; 100] = hits();

const fn hits() -> [[u8; HIT_TTL.len() + 2]; 100] {
    let mut lines = [[0; HIT_TTL.len() + 2]; 100];
    let mut ttl = 0;
    while ttl < lines.len() {
        let mut at = 0;
        while at < HIT_TTL.len() {
            lines[ttl][at] = HIT_TTL.as_bytes()[at];
            at += 1;
        }
        // One digit has no leading zero: the line is then one byte shorter.
        let digits = if ttl < 10 { ttl * 2 + 1 } else { ttl * 2 };
        lines[ttl][at] = DIGITS.as_bytes()[digits];
        lines[ttl][at + 1] = DIGITS.as_bytes()[ttl * 2 + 1];
        ttl += 1;
    }
    lines
}

/// A hit without detail and with less than 100 s left needs neither formatting nor memory.
fn preformatted(outcome: &Outcome) -> Option<HeaderValue> {
    if outcome.served != Served::Hit || outcome.detail.is_some() {
        return None;
    }
    let Some(ttl) = outcome.ttl else {
        return Some(HeaderValue::from_static(HIT));
    };
    let ttl = usize::try_from(ttl).ok()?;
    let line: &'static [u8] = HITS.get(ttl)?;
    let length = if ttl < 10 { line.len() - 1 } else { line.len() };
    HeaderValue::from_maybe_shared(Bytes::from_static(&line[..length])).ok()
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
