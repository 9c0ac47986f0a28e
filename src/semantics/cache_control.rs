//! `Cache-Control` (RFC 9111 §5.2, RFC 5861, RFC 8246), all lines of it, and `Pragma` (§5.4).
//!
//! Where a field contradicts itself, what forbids more wins (RFC 9111 §4.2.1): of two lifetimes the
//! shorter, of `private` and `public` the former. A lifetime that is no number counts as zero, as
//! that section advises. A directive that only permits is not heard if it carries an argument,
//! which it does not define; one that forbids is.

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderName, PRAGMA};

use super::directive::{Directive, DirectiveScope, LONGEST_NAME, directives};
use super::syntax::{lines, members};

mod targeted;

pub(crate) use self::targeted::{OWN_TARGET, SURROGATE_CONTROL};

/// What a response says to caches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ResponseDirectives {
    pub(crate) no_store: bool,
    pub(crate) private: DirectiveScope,
    pub(crate) no_cache: DirectiveScope,
    pub(crate) max_age: Option<Duration>,
    pub(crate) s_maxage: Option<Duration>,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) public: bool,
    pub(crate) must_understand: bool,
    /// RFC 8246.
    pub(crate) immutable: bool,
    /// RFC 5861 §3; counted from the end of freshness.
    pub(crate) stale_while_revalidate: Option<Duration>,
    /// RFC 5861 §4; likewise.
    pub(crate) stale_if_error: Option<Duration>,
    /// A number of seconds is none, and was read as zero.
    pub(crate) malformed: bool,
    /// Some member is no directive (a stray quote, `private; max-age=1`): it may hide another that
    /// forbids what the rest allows, so the response is not stored.
    pub(crate) unreadable: bool,
    /// A field addressed to this cache says it, so that `Expires` does not count (RFC 9213 §2.2).
    pub(crate) targeted: bool,
}

impl ResponseDirectives {
    /// Reads every `Cache-Control` line.
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        Self::from_lines(lines(headers, &CACHE_CONTROL))
    }

    fn from_lines<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut found = Self::default();
        for directive in lines.flat_map(directives) {
            match directive {
                Ok(directive) => found.add(&directive),
                Err(_) => found.unreadable = true,
            }
        }
        found
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let bare = !directive.has_argument();
        let malformed = &mut self.malformed;
        match directive.name(&mut [0; LONGEST_NAME]) {
            b"no-store" => self.no_store = true,
            b"private" => self.private.add(directive.fields()),
            b"no-cache" => self.no_cache.add(directive.fields()),
            b"max-age" => shorten(&mut self.max_age, directive, malformed),
            b"s-maxage" => shorten(&mut self.s_maxage, directive, malformed),
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"public" => self.public |= bare,
            b"must-understand" => self.must_understand |= bare,
            b"immutable" => self.immutable |= bare,
            b"stale-while-revalidate" => {
                shorten(&mut self.stale_while_revalidate, directive, malformed);
            }
            b"stale-if-error" => shorten(&mut self.stale_if_error, directive, malformed),
            // RFC 9111 §5.2.3: a cache ignores what it does not know.
            _ => {}
        }
    }

    /// `field` may not be stored: a qualified `private` or `no-cache` names it. (A shared cache could
    /// keep the latter and validate; leaving it out is the simpler way to never send it unasked.)
    pub(crate) fn withholds(&self, field: &HeaderName) -> bool {
        self.private.names(field) || self.no_cache.names(field)
    }
}

/// What a request asks of caches. It is advice (RFC 9111 §5.2.1); who does not take it passes the
/// default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RequestDirectives {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) max_age: Option<Duration>,
    /// [`Duration::MAX`] if any staleness will do.
    pub(crate) max_stale: Option<Duration>,
    pub(crate) min_fresh: Option<Duration>,
    pub(crate) only_if_cached: bool,
    /// RFC 5861 §4.
    pub(crate) stale_if_error: Option<Duration>,
}

impl RequestDirectives {
    /// It asks for nothing.
    pub(crate) const NONE: Self = Self {
        no_store: false,
        no_cache: false,
        max_age: None,
        max_stale: None,
        min_fresh: None,
        only_if_cached: false,
        stale_if_error: None,
    };

    /// Reads every `Cache-Control` line, or `Pragma` if there is none (RFC 9111 §5.4).
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        if headers.contains_key(CACHE_CONTROL) {
            // What cannot be read asks for nothing: the response's directives bind all the same.
            let lines = lines(headers, &CACHE_CONTROL);
            for directive in lines.flat_map(directives).flatten() {
                found.add(&directive);
            }
        } else {
            found.no_cache = pragma_no_cache(headers);
        }
        found
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let malformed = &mut false;
        match directive.name(&mut [0; LONGEST_NAME]) {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"max-age" => shorten(&mut self.max_age, directive, malformed),
            b"max-stale" if !directive.has_argument() => {
                self.max_stale.get_or_insert(Duration::MAX);
            }
            b"max-stale" => shorten(&mut self.max_stale, directive, malformed),
            b"min-fresh" => {
                let asked = directive.delta().unwrap_or_default();
                self.min_fresh = self.min_fresh.max(Some(asked));
            }
            b"only-if-cached" => self.only_if_cached = true,
            b"stale-if-error" => shorten(&mut self.stale_if_error, directive, malformed),
            _ => {}
        }
    }
}

/// `Pragma: no-cache` (RFC 9111 §5.4).
pub(super) fn pragma_no_cache(headers: &HeaderMap) -> bool {
    members(headers, &PRAGMA).any(|member| member.eq_ignore_ascii_case(b"no-cache"))
}

/// Takes the directive's seconds if they are fewer than those that stand; none at all are zero.
fn shorten(seconds: &mut Option<Duration>, directive: &Directive<'_>, malformed: &mut bool) {
    let given = directive.delta();
    *malformed |= given.is_none();
    let given = given.unwrap_or_default();
    *seconds = Some(seconds.map_or(given, |standing| standing.min(given)));
}

#[cfg(test)]
mod tests;
