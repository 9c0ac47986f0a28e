//! Path globs for purging.

use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::spelling::shown;

/// The longest glob, in bytes.
const MAX_GLOB_BYTES: usize = 1024;

/// A pattern over URL paths: `*` stands for any run of characters without `/`, `**` for any run, `?`
/// for one character that is not `/`. All else stands for itself, and the whole path must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Arc<str>);

/// Where to go on when a literal does not match: the place behind the star, and the path's.
type Retry = Option<(usize, usize)>;

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// Checks a pattern that a caller gave.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is too long, has control characters, or does not begin with `/`
    /// or `*`, as no path would match.
    pub(crate) fn parse(pattern: &str) -> Result<Self, Error> {
        let problem = if pattern.len() > MAX_GLOB_BYTES {
            "is longer than 1024 bytes"
        } else if pattern.chars().any(char::is_control) {
            "has a control character"
        } else if !pattern.starts_with(['/', '*']) {
            "begins with neither `/` nor `*`, so no path matches it"
        } else {
            return Ok(Self::new(pattern));
        };
        let shown = shown(pattern);
        Err(Error::new(
            ErrorKind::Invalid,
            format!("glob {shown:?} {problem}"),
        ))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `path` matches. Takes time in proportion to both lengths at the worst
    /// multiplied for each kind of star, never exponential.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let (pattern, path) = (self.0.as_bytes(), path.as_bytes());
        let (mut p, mut s) = (0, 0);
        let (mut within, mut across): (Retry, Retry) = (None, None);
        loop {
            if pattern[p..].starts_with(b"**") {
                p += 2;
                (within, across) = (None, Some((p, s)));
                continue;
            }
            match (pattern.get(p), path.get(s)) {
                (Some(b'*'), _) => {
                    p += 1;
                    within = Some((p, s));
                    continue;
                }
                (None, None) => return true,
                (Some(b'?'), Some(byte)) if *byte != b'/' => {
                    (p, s) = (p + 1, s + char_len(*byte));
                    continue;
                }
                (Some(want), Some(byte)) if want == byte && *want != b'?' => {
                    (p, s) = (p + 1, s + 1);
                    continue;
                }
                _ => {}
            }
            // The newest star takes one character more; a `*` may not take a slash.
            if let Some((behind, at)) =
                within.filter(|(_, at)| path.get(*at).is_some_and(|b| *b != b'/'))
            {
                within = Some((behind, at + 1));
                (p, s) = (behind, at + 1);
            } else if let Some((behind, at)) = across.filter(|(_, at)| *at < path.len()) {
                (within, across) = (None, Some((behind, at + 1)));
                (p, s) = (behind, at + 1);
            } else {
                return false;
            }
        }
    }
}

/// The length of the UTF-8 character that `lead` begins.
const fn char_len(lead: u8) -> usize {
    match lead {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xFF => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_slashes() {
        for (pattern, path, matches) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c", false),
            ("/a/*", "/a/", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/b/d/c", false),
            ("/**/c", "/a/b/c", true),
            ("**", "", true),
            ("/a?c", "/abc", true),
            ("/a?c", "/a/c", false),
            ("/a?c", "/aéc", true),
            ("/*x*/y", "/axb/y", true),
            ("/**x/*", "/x/x/b", true),
            ("/**a*b", "/aab/ab", true),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(path),
                matches,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn a_glob_that_no_path_can_match_is_refused() {
        assert!(Glob::parse("a/b").is_err());
        assert!(Glob::parse(&format!("/{}", "*".repeat(1024))).is_err());
        assert!(Glob::parse("/a\n").is_err());
    }

    fn naive(pattern: &[char], path: &[char]) -> bool {
        match pattern {
            [] => path.is_empty(),
            ['*', '*', rest @ ..] => (0..=path.len()).any(|n| naive(rest, &path[n..])),
            ['*', rest @ ..] => (0..=path.len())
                .take_while(|n| !path[..*n].contains(&'/'))
                .any(|n| naive(rest, &path[n..])),
            ['?', rest @ ..] => path.first().is_some_and(|c| *c != '/') && naive(rest, &path[1..]),
            [c, rest @ ..] => path.first() == Some(c) && naive(rest, &path[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_matcher(pattern in "[/ab*?]{0,8}", path in "[/ab]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(
                Glob::new(&pattern).matches(&path),
                naive(&chars(&pattern), &chars(&path))
            );
        }
    }
}
