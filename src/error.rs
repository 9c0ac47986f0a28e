//! What can go wrong: [`Error`] at run time, [`ConfigError`] and [`Warning`] at build time.

use std::fmt;

use crate::place::ConfigPlace;

/// A boxed error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A failure of the store, the purge log or an event stream.
///
/// A request never sees one: to the engine every such failure is a miss. They reach the callers of
/// the purger and the log.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Box<str>,
    source: Option<BoxError>,
}

/// The kind of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server cannot be reached, or is not one that may be used (a replica, one still loading).
    Unavailable,
    /// The time budget of the operation is used up.
    Timeout,
    /// The breaker is open: the operation was not tried.
    BreakerOpen,
    /// The server cannot do what is needed, and will not by itself: too old, a Cluster node, a Sentinel.
    Unsupported,
    /// The server refused the credentials or the command.
    Denied,
    /// An answer that the protocol does not allow.
    Protocol,
    /// The purge is in force in this process and waits to be appended; other nodes do not know it yet.
    Pending,
    /// The argument cannot be used: a tag, glob or URL that is malformed or too long, too many tags, a
    /// stream that is not configured.
    Invalid,
}

impl ErrorKind {
    /// The word used in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::BreakerOpen => "breaker-open",
            Self::Unsupported => "unsupported",
            Self::Denied => "denied",
            Self::Protocol => "protocol",
            Self::Pending => "pending",
            Self::Invalid => "invalid",
        }
    }
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Names what caused the error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// A copy for one more of those to whom it is told, without what caused it.
    #[cfg(feature = "redis")]
    pub(crate) fn told_again(&self) -> Self {
        Self::new(self.kind, self.message.clone())
    }

    /// What kind of failure this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    /// `{}` prints the message; `{:#}` adds what caused it, down to the first cause, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !f.alternate() {
            return Ok(());
        }
        let mut said = self.message.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            // Many an error repeats its cause.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A setting that cannot be used, found when the cache is built.
///
/// `{}` prints one line; `{:#}` adds the offending input with the place marked under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    // Boxed, as it is passed through many a `Result`.
    place: Box<ConfigPlace>,
    message: String,
    input: String,
    at: Option<usize>,
}

impl ConfigError {
    /// An error in `place` about `input`: a [`Setting`](crate::Setting), or the key of a rule or stream.
    pub fn new(
        place: impl Into<ConfigPlace>,
        message: impl Into<String>,
        input: impl Into<String>,
    ) -> Self {
        Self {
            place: Box::new(place.into()),
            message: message.into(),
            input: input.into(),
            at: None,
        }
    }

    /// Marks the byte offset `at` of the input.
    #[must_use]
    pub const fn at(mut self, at: usize) -> Self {
        self.at = Some(at);
        self
    }

    /// Says that the place of the error is in `outer`: a rule, a stream.
    #[must_use]
    pub fn within(mut self, outer: ConfigPlace) -> Self {
        let place = std::mem::take(&mut *self.place);
        *self.place = place.within(outer);
        self
    }

    /// The setting, such as ``rule `auction`, route``.
    #[must_use]
    pub const fn place(&self) -> &ConfigPlace {
        &self.place
    }

    /// What is wrong with it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The text that could not be used.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// The byte offset in [`input`](Self::input) where the trouble starts, if one place is to blame.
    #[must_use]
    pub const fn offset(&self) -> Option<usize> {
        self.at
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self.place != ConfigPlace::default() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{} in {:?}", self.message, self.input)?;
        let Some(at) = self.at else { return Ok(()) };
        let column = self.input.get(..at).map_or(at, |head| head.chars().count());
        write!(f, " at column {}", column + 1)?;
        if f.alternate() {
            write!(f, "\n  {}\n  {}^", self.input, " ".repeat(column))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A setting that works but is probably not what was meant; reported when the cache is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    place: ConfigPlace,
    message: String,
}

impl Warning {
    /// A warning about `place`.
    pub fn new(place: impl Into<ConfigPlace>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }

    /// The setting, such as ``rule `auction` ``.
    #[must_use]
    pub const fn place(&self) -> &ConfigPlace {
        &self.place
    }

    /// What is probably not meant.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_error_quotes_the_input_and_marks_the_place() {
        let error = ConfigError::new("route", "unclosed `{`", "/a/{b").at(3);
        let error = error.within(ConfigPlace::rule("x"));
        assert_eq!(
            error.to_string(),
            "rule `x`, route: unclosed `{` in \"/a/{b\" at column 4"
        );
        assert!(format!("{error:#}").ends_with("\n  /a/{b\n     ^"));
    }

    #[test]
    fn error_keeps_its_source() {
        let error = Error::new(ErrorKind::Timeout, "read took longer than 25 ms")
            .with_source(std::io::Error::other("x"));
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let outer = Error::new(ErrorKind::Pending, "the purge waits").with_source(error);
        assert_eq!(outer.to_string(), "the purge waits");
        assert_eq!(
            format!("{outer:#}"),
            "the purge waits: read took longer than 25 ms: x"
        );
        let repeats =
            Error::new(ErrorKind::Denied, "redis: x").with_source(std::io::Error::other("x"));
        assert_eq!(format!("{repeats:#}"), "redis: x");
    }
}
