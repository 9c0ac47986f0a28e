//! [`AdminToken`].

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use crate::proxy::ProxyError;

/// A shorter one can be guessed.
const SHORTEST: usize = 16;

/// What a caller of the admin listener has to know. Only its digest is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken {
    digest: [u8; 32],
}

impl AdminToken {
    /// The token `text`.
    ///
    /// # Errors
    /// If it is shorter than 16 characters, or has one that `Authorization: Bearer` cannot carry (RFC
    /// 6750 §2.1: letters, digits and `-._~+/`, with `=` at the end). The text is not quoted.
    pub fn new(text: &str) -> Result<Self, ProxyError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        if text.len() < SHORTEST {
            return Err(ProxyError::new(
                "the admin token is shorter than 16 characters",
            ));
        }
        if !text.trim_end_matches('=').bytes().all(plain) {
            return Err(ProxyError::new(
                "the admin token has a character other than letters, digits and -._~+/",
            ));
        }
        Ok(Self {
            digest: digest(text.as_bytes()),
        })
    }

    /// Whether `given` is the token. Digests of one length are compared, in constant time, so that the
    /// time taken tells nothing about the token.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        self.digest.ct_eq(&digest(given)).into()
    }
}

fn digest(text: &[u8]) -> [u8; 32] {
    *blake3::hash(text).as_bytes()
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

/// What a request presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credentials<'a> {
    Nothing,
    Token(&'a [u8]),
    /// Other credentials, or several.
    Unusable,
}

impl<'a> Credentials<'a> {
    pub(super) fn by(headers: &'a HeaderMap) -> Self {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let line = match (lines.next(), lines.next()) {
            (None, _) => return Self::Nothing,
            (Some(line), None) => line.as_bytes(),
            (Some(_), Some(_)) => return Self::Unusable,
        };
        // The name of a scheme is in any case (RFC 9110 §11.1).
        match line.split_at_checked(b"bearer ".len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
                Self::Token(token.trim_ascii())
            }
            _ => Self::Unusable,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_same_token_is_the_token() {
        let token = AdminToken::new("0123456789abcdef").unwrap();
        for (given, expected) in [
            ("0123456789abcdef", true),
            ("0123456789abcdeF", false),
            ("0123456789abcde", false),
            ("0123456789abcdef0", false),
            ("", false),
        ] {
            assert_eq!(token.is(given.as_bytes()), expected, "{given:?}");
        }
    }

    #[test]
    fn a_token_that_is_weak_or_cannot_be_sent_is_refused_without_being_shown() {
        for text in [
            "",
            "tiny",
            "0123456789abcde",
            "with space 0123456789",
            "ümlaut-0123456789",
        ] {
            let error = AdminToken::new(text).unwrap_err().to_string();
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        assert!(AdminToken::new("c2VjcmV0LXNlY3JldA==").is_ok());
        let token = AdminToken::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "AdminToken(…)");
    }

    #[test]
    fn one_bearer_line_presents_a_token_and_anything_else_none() {
        let presented = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, HeaderValue::from_static(line));
            }
            match Credentials::by(&headers) {
                Credentials::Nothing => "nothing".to_owned(),
                Credentials::Token(token) => String::from_utf8_lossy(token).into_owned(),
                Credentials::Unusable => "unusable".to_owned(),
            }
        };
        assert_eq!(presented(&[]), "nothing");
        assert_eq!(presented(&["Bearer abc"]), "abc");
        assert_eq!(presented(&["bEARER  abc "]), "abc");
        assert_eq!(presented(&["Bearer"]), "unusable");
        assert_eq!(presented(&["Basic YTpi"]), "unusable");
        assert_eq!(presented(&["Bearer a", "Bearer b"]), "unusable");
    }
}
