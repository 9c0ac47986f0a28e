//! [`Guard`]: whom a face lets in, by the operator's token.

use std::borrow::Cow;
use std::path::PathBuf;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::problem::Problem;
use super::words::FaceWords;
use crate::error::ConfigError;
use crate::place::Setting;
use crate::secret::{Secret, read_secret};

/// A shorter token can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Whom a face lets in.
#[derive(Debug)]
pub(crate) struct Guard {
    open: bool,
    /// The digest of the token: digests are compared in constant time.
    token: Option<blake3::Hash>,
}

impl Guard {
    pub(crate) fn new(
        words: FaceWords,
        open: Option<bool>,
        token: &Option<Secret>,
        token_file: &Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let token = secret(words.setting("token_file"), token, token_file)?;
        let token = token.map(|token| digest(words, &token)).transpose()?;
        Ok(Self {
            open: open.unwrap_or(false),
            token,
        })
    }

    /// The guard of a face that lets in whoever shows the token, or everybody; nobody is an error.
    #[cfg(feature = "activity")]
    pub(crate) fn of_token(
        words: FaceWords,
        open: Option<bool>,
        token: &Option<Secret>,
        token_file: &Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let guard = Self::new(words, open, token, token_file)?;
        if guard.open || guard.has_token() {
            return Ok(guard);
        }
        let act = words.act;
        let why = format!("nobody could {act}: set `token`, or `open` for everybody");
        Err(ConfigError::new(words.setting("open"), why, "false"))
    }

    /// Lets in a request that shows the token, and every one if everybody is let in.
    #[cfg(feature = "activity")]
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.shows_token(headers)? || self.open {
            return Ok(());
        }
        Err(Problem::unauthorized(
            "send the token as `Authorization: Bearer`",
        ))
    }

    /// Whether everybody is let in.
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether a request shows the token; another one is an error.
    pub(crate) fn shows_token(&self, headers: &HeaderMap) -> Result<bool, Problem> {
        let Some(token) = &self.token else {
            return Ok(false);
        };
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let line = match (lines.next(), lines.next()) {
            (None, _) => return Ok(false),
            (Some(line), None) => line.as_bytes(),
            (Some(_), Some(_)) => {
                return Err(Problem::unauthorized(
                    "send one Authorization header, not several",
                ));
            }
        };
        // The name of a scheme is in any case (RFC 9110 §11.1).
        let given = line.split_at_checked(b"bearer ".len());
        let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
        match given {
            Some((_, given)) if blake3::hash(given.trim_ascii()) == *token => Ok(true),
            // What another server in front asks for, where nobody is asked here.
            None if self.open => Ok(false),
            _ => Err(Problem::unauthorized("the token is wrong")),
        }
    }
}

/// What is said itself, or stands in the file that `setting` names.
pub(crate) fn secret<'a>(
    setting: Setting,
    said: &'a Option<Secret>,
    file: &Option<PathBuf>,
) -> Result<Option<Cow<'a, str>>, ConfigError> {
    let read = |path: &PathBuf| read_secret(setting, path).map(Cow::Owned);
    match (said, file) {
        (Some(Secret(text)), _) => Ok(Some(text.into())),
        (None, file) => file.as_ref().map(read).transpose(),
    }
}

fn digest(words: FaceWords, token: &str) -> Result<blake3::Hash, ConfigError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let why = match token.len() < SHORTEST_TOKEN {
        true => "is shorter than 16 characters",
        false if !token.bytes().all(plain) => {
            "has a character other than letters, digits and -._~+/="
        }
        false => return Ok(blake3::hash(token.as_bytes())),
    };
    Err(ConfigError::new(words.setting("token"), why, "***"))
}
