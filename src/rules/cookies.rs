//! [`Cookies`]: which requests with cookies a rule takes, and which cookies are part of the key.

use http::HeaderMap;
use http::header::COOKIE;

use super::names::Names;
use super::options::Profile;
use super::query::decoded;
use crate::error::ConfigError;
use crate::key::{Component, KeyBuilder, secret};

/// What is done with requests that have cookies.
///
/// Unless all are ignored, every cookie of a request must be named, to be ignored or to be part of
/// the key; a request with another one is not cached. So a session cookie that nobody thought of
/// ends caching rather than privacy.
///
/// ```
/// use tower_tagcache::Cookies;
///
/// let cookies = Cookies::ignore(["_ga*", "theme"]).key(["session"]);
/// # drop(cookies);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cookies {
    pub(super) ignored: IgnoredCookies,
    pub(super) keyed: Names,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IgnoredCookies {
    All,
    Named(Names),
}

impl Default for IgnoredCookies {
    fn default() -> Self {
        Self::Named(Names::default())
    }
}

impl Cookies {
    /// A request with any cookie is not cached.
    #[must_use]
    pub fn bypass() -> Self {
        Self::default()
    }

    /// No cookie changes the response.
    #[must_use]
    pub fn ignore_all() -> Self {
        Self {
            ignored: IgnoredCookies::All,
            keyed: Names::default(),
        }
    }

    /// The cookies with these names, which may end in `*`, do not change the response.
    pub fn ignore<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self {
            ignored: IgnoredCookies::Named(Names::new(names)),
            keyed: Names::default(),
        }
    }

    /// The cookies with these names are part of the key, and no other is accepted.
    pub fn keyed<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self::bypass().key(names)
    }

    /// Makes the cookies of these names part of the key as well. The key holds hashes of their
    /// values.
    #[must_use]
    pub fn key<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.keyed = Names::new(names);
        self
    }

    /// What a rule does that does not say.
    pub(super) fn by(profile: Profile) -> Self {
        match profile {
            Profile::Careful => Self::bypass(),
            Profile::Rfc9111 => Self::ignore_all(),
        }
    }

    /// The names of the cookies that are part of the key.
    #[cfg(feature = "config")]
    pub(crate) fn keyed_names(&self) -> impl Iterator<Item = &str> {
        self.keyed.iter()
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let IgnoredCookies::Named(names) = &self.ignored {
            names.check("cookies")?;
        }
        self.keyed.check("cookies")?;
        for name in self.keyed.iter() {
            if let Some(at) = name.find(['*', '=', ';', ',', '"', ' ']) {
                let message = "a cookie in the key is named in full";
                return Err(ConfigError::new("cookies", message, name).at(at));
            }
        }
        Ok(())
    }

    /// Whether each cookie of the request is named.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let IgnoredCookies::Named(ignored) = &self.ignored else {
            return true;
        };
        pieces(headers).all(|piece| {
            let name = name(piece);
            // A quoted text that spans pieces: readers do not agree on where cookies end.
            let quoted = piece.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            let named = self.keyed.contain(name)
                || (ignored.contain(name) && !self.hides_another(ignored, piece));
            named && !quoted
        })
    }

    /// Whether a reader that takes `,` for a separator (RFC 2109 had it so) sees in `piece` a cookie
    /// that is not to be ignored.
    fn hides_another(&self, ignored: &Names, piece: &[u8]) -> bool {
        let parts = piece.split(|byte| *byte == b',').skip(1);
        parts
            .filter(|part| part.contains(&b'='))
            .any(|part| !ignored.contain(name(part)))
    }

    /// Adds the keyed cookies that the request has, each as it was sent and where: readers do not agree on
    /// spaces around name and value (PHP's keeps them), on which of two counts, nor on further lines, and
    /// the inner service sees the order (SAFETY 67).
    pub(super) fn write(&self, headers: &HeaderMap, key: &mut KeyBuilder) {
        for (number, line) in headers.get_all(COOKIE).into_iter().enumerate() {
            for piece in pieces_of(line.as_bytes()) {
                let Some(name) = self.key_of(piece) else {
                    continue;
                };
                if number > 0 {
                    let number = u32::try_from(number).unwrap_or(u32::MAX);
                    key.component(Component::Absent, &number.to_le_bytes());
                }
                key.component(Component::Cookie, name.as_bytes());
                key.component(Component::Line, &secret(piece));
            }
        }
    }

    /// The keyed cookies of each line that has some.
    pub(super) fn keyed_lines(&self, headers: &HeaderMap) -> Vec<Vec<u8>> {
        let lines = headers.get_all(COOKIE).into_iter();
        let lines = lines.map(|line| {
            let keyed = pieces_of(line.as_bytes()).filter(|piece| self.key_of(piece).is_some());
            keyed.collect::<Vec<_>>().join(&b"; "[..])
        });
        lines.filter(|line| !line.is_empty()).collect()
    }

    /// The keyed name that a cookie may be read as.
    fn key_of(&self, piece: &[u8]) -> Option<&str> {
        let mut keyed = self.keyed.iter();
        keyed.find(|keyed| reads_as(name(piece), keyed.as_bytes()))
    }
}

/// The cookies of all lines: HTTP/2 may send each on its own (RFC 9113 §8.2.3).
fn pieces(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(COOKIE).into_iter();
    lines.flat_map(|line| pieces_of(line.as_bytes()))
}

fn pieces_of(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii_start)
        .filter(|piece| !piece.is_empty())
}

fn name(piece: &[u8]) -> &[u8] {
    let end = piece.iter().position(|byte| *byte == b'=');
    piece[..end.unwrap_or(piece.len())].trim_ascii()
}

/// Whether a server may take the cookie `name` for the one that is `keyed`: PHP has `_` for a dot, a space
/// and `[`, and others decode `%` (SAFETY 66).
fn reads_as(name: &[u8], keyed: &[u8]) -> bool {
    let variable = |byte: u8| match byte {
        b'.' | b' ' | b'[' | b'+' => b'_',
        byte => byte,
    };
    let read = |name: &[u8]| -> Vec<u8> { decoded(name).map(variable).collect() };
    name == keyed || name.len() >= keyed.len() && read(name) == read(keyed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::CacheKey;
    use http::HeaderValue;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|line| (COOKIE, HeaderValue::from_static(line)));
        lines.collect()
    }

    fn key(cookies: &Cookies, lines: &[&'static str]) -> CacheKey {
        let mut builder = KeyBuilder::new();
        cookies.write(&headers(lines), &mut builder);
        builder.finish()
    }

    #[test]
    fn a_cookie_that_nobody_named_is_not_admitted() {
        let bypass = Cookies::bypass;
        let ignore = || Cookies::ignore(["_ga*", "theme"]);
        let both = || ignore().key(["session"]);
        let rows: &[(Cookies, &[&'static str], bool)] = &[
            (bypass(), &[], true),
            (bypass(), &["a=1"], false),
            (bypass(), &["a"], false),
            (bypass(), &["=a"], false),
            (bypass(), &["", " ; "], true),
            (Cookies::ignore_all(), &["a=1; b=\"2"], true),
            (ignore(), &["_ga=1; _ga_X=2; theme=dark"], true),
            (ignore(), &["_ga=1; session=2"], false),
            (ignore(), &["_ga=1", "session=2"], false),
            (ignore(), &["themes=1"], false),
            (ignore(), &["Theme=1"], false),
            (ignore(), &[" theme =1"], true),
            (both(), &["_ga=1; session=2"], true),
            (both(), &["_ga=1; session=2; x=3"], false),
            (Cookies::keyed(["session"]), &["session=2"], true),
            (Cookies::keyed(["session"]), &["_ga=2"], false),
            // Where another reader may see another cookie.
            (both(), &["_ga=1,session=2"], false),
            (both(), &["_ga=1,2"], true),
            (both(), &["_ga=1,theme=2"], true),
            (both(), &["session=\"a; _ga=b\""], false),
            (both(), &["session=\"a\"; _ga=b"], true),
        ];
        for (cookies, lines, admitted) in rows {
            assert_eq!(
                cookies.admit(&headers(lines)),
                *admitted,
                "{cookies:?} {lines:?}"
            );
        }
    }

    #[test]
    fn keyed_cookies_and_nothing_else_make_the_key() {
        let cookies = Cookies::ignore(["_ga*"]).key(["session", "lang"]);
        let one = key(&cookies, &["session=1; _ga=1; lang=en"]);
        for (lines, same) in [
            (&["session=1; lang=en"][..], true),
            (&["_ga=2; session=1;lang=en"], true),
            // The inner service sees the order, and may read one line only (SAFETY 67).
            (&["lang=en; session=1"], false),
            (&["session=1", "lang=en"], false),
            (&["lang=en; session=2"], false),
            (&["lang=en"], false),
            (&["lang=en; session=1; session=2"], false),
            (&["lang=en; session"], false),
            (&["lang=en; session="], false),
        ] {
            assert_eq!(key(&cookies, lines) == one, same, "{lines:?}");
        }
        let keyed = Cookies::ignore(["*"]).key(["session_id"]);
        for other in ["session.id=2", "session%5fid=2", "session[id=2"] {
            let line = format!("session_id=1; {other}");
            let lines: &'static [&'static str] = Box::leak(vec![&*line.leak()].into());
            let one = key(&keyed, &["session_id=1"]);
            assert_ne!(key(&keyed, lines), one, "SAFETY 66: {other}");
        }
        let swapped = key(&cookies, &["session=2; session=1"]);
        assert_ne!(swapped, key(&cookies, &["session=1; session=2"]));
        assert_ne!(key(&cookies, &["session"]), key(&cookies, &["session="]));
    }

    #[test]
    fn a_key_does_not_show_a_session() {
        let key = key(&Cookies::keyed(["session"]), &["session=TOPSECRET"]);
        let shown = key.as_bytes().windows(9).any(|part| part == b"TOPSECRET");
        assert!(!shown);
    }

    #[test]
    fn names_that_cannot_match_are_refused() {
        for cookies in [
            Cookies::ignore([""]),
            Cookies::ignore(["a*b"]),
            Cookies::keyed(["session*"]),
            Cookies::keyed(["a=b"]),
        ] {
            assert!(cookies.check().is_err(), "{cookies:?}");
        }
        assert_eq!(Cookies::ignore(["_ga*", "*"]).key(["s"]).check(), Ok(()));
    }
}
