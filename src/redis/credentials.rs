//! [`RedisCredentials`], [`RedisLogin`]: as whom Redis is spoken to, and who says so.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::redis::RedisConnectionInfo;
use futures_util::future::BoxFuture;

use crate::error::{BoxError, ConfigError};
use crate::place::Setting;
use crate::secret::Secret;

/// A user of Redis and its password, and for how long they are good. `Debug` does not show the password.
///
/// ```
/// use std::time::Duration;
/// use tower_tagcache::RedisCredentials;
///
/// let token = RedisCredentials::new("cache", "a-token").good_for(Duration::from_secs(15 * 60));
/// assert!(!format!("{token:?}").contains("a-token"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct RedisCredentials {
    /// None: the user of the URL, or the default user.
    user: Option<Box<str>>,
    password: Secret,
    lasting: Option<Duration>,
}

impl RedisCredentials {
    /// The password of `user`.
    pub fn new(user: impl Into<Box<str>>, password: impl Into<String>) -> Self {
        Self {
            user: Some(user.into()),
            ..Self::password(password)
        }
    }

    /// The password of the user that the URL names, or of the default user.
    pub fn password(password: impl Into<String>) -> Self {
        Self {
            user: None,
            password: Secret(password.into()),
            lasting: None,
        }
    }

    /// For how long they are good from now on: others are asked for after four fifths of that. Default: until others
    /// take their place.
    pub fn good_for(mut self, time: Duration) -> Self {
        self.lasting = Some(time);
        self
    }

    /// `settings` with this user and password.
    pub(super) fn lay_over(&self, settings: RedisConnectionInfo) -> RedisConnectionInfo {
        let settings = settings.set_password(&*self.password.0);
        match &self.user {
            Some(user) => settings.set_username(user),
            None => settings,
        }
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) fn secret(&self) -> &str {
        &self.password.0
    }

    pub(super) const fn lasting(&self) -> Option<Duration> {
        self.lasting
    }

    /// Whether they let in the same user by the same password.
    pub(super) fn are_those(&self, other: &Self) -> bool {
        (&self.user, &self.password) == (&other.user, &other.password)
    }
}

/// As whom Redis is spoken to, where its URL does not say: each as text or in a file. The file comes before the text.
///
/// The files are read when the cache is built, so that a wrong one is told then; each time that a connection is made; and
/// each second by the companion, so that a password can be changed while the cache runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
#[must_use]
pub struct RedisLogin {
    /// The ACL user. Default: that of the URL, or the default user.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    username: Option<String>,
    /// A file with the user's name.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    username_file: Option<PathBuf>,
    /// The password. Better: `password_file`.
    #[cfg_attr(
        feature = "config",
        serde(
            serialize_with = "crate::secret::masked",
            skip_serializing_if = "Option::is_none"
        )
    )]
    password: Option<Secret>,
    /// A file with the password, which is read again when it changes.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    password_file: Option<PathBuf>,
}

impl RedisLogin {
    /// Says nothing: the URL does.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ACL user. Default: that of the URL, or the default user.
    pub fn username(mut self, user: impl Into<String>) -> Self {
        self.username = Some(user.into());
        self
    }

    /// A file with the user's name, for users that change. Default: none.
    pub fn username_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.username_file = Some(path.into());
        self
    }

    /// The password. Default: none.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Secret(password.into()));
        self
    }

    /// A file with the password, without the spaces and line ends around it. Default: none.
    pub fn password_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.password_file = Some(path.into());
        self
    }

    pub(super) fn says_something(&self) -> bool {
        *self != Self::default()
    }

    /// What it says now.
    ///
    /// # Errors
    /// A file cannot be read, or is empty; or there is no password.
    pub(super) fn read(&self) -> Result<RedisCredentials, LoginFlaw> {
        let user = said("username_file", &self.username_file, self.username.as_ref())?;
        let password = self.password.as_ref().map(|Secret(text)| text);
        let password = said("password_file", &self.password_file, password)?;
        let password = password.ok_or_else(|| LoginFlaw {
            key: "password_file",
            why: "is needed beside the user: a file with the password".to_owned(),
            input: user.clone().unwrap_or_default(),
        })?;
        Ok(RedisCredentials {
            user: user.map(Into::into),
            ..RedisCredentials::password(password)
        })
    }

    /// What is wrong with it, as a setting of `table`.
    pub(super) fn check(&self, table: &'static str) -> Result<(), ConfigError> {
        let wrong = |flaw: LoginFlaw| {
            ConfigError::new(Setting::of(table, flaw.key), flaw.why, &*flaw.input)
        };
        self.read().map(drop).map_err(wrong)
    }
}

/// A setting of [`RedisLogin`] that cannot be used.
#[derive(Debug)]
pub(super) struct LoginFlaw {
    key: &'static str,
    why: String,
    input: String,
}

impl fmt::Display for LoginFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, why, input } = self;
        write!(f, "`{key}` {input:?} {why}")
    }
}

/// The text of `file`, if there is one, else `text`.
fn said(
    key: &'static str,
    file: &Option<PathBuf>,
    text: Option<&String>,
) -> Result<Option<String>, LoginFlaw> {
    let Some(path) = file else {
        return Ok(text.cloned());
    };
    let flaw = |why| LoginFlaw {
        key,
        why,
        input: path.display().to_string(),
    };
    let read = read_trimmed(path).map_err(|error| flaw(format!("cannot be read: {error}")))?;
    match read.is_empty() {
        true => Err(flaw("is empty".to_owned())),
        false => Ok(Some(read)),
    }
}

fn read_trimmed(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned())
}

/// A function that is asked for credentials.
pub(crate) type AskCredentials =
    dyn Fn() -> BoxFuture<'static, Result<RedisCredentials, BoxError>> + Send + Sync;

/// Who says as whom Redis is spoken to.
#[derive(Clone, Default)]
pub(crate) enum CredentialSource {
    #[default]
    Url,
    Login(RedisLogin),
    Asked(Arc<AskCredentials>),
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("Url"),
            Self::Login(login) => f.debug_tuple("Login").field(login).finish(),
            Self::Asked(_) => f.write_str("Asked"),
        }
    }
}
