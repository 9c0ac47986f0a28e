//! [`Target`]: what a purge names.

use std::fmt;
use std::sync::Arc;

use super::{Glob, Tag, TagId};
use crate::error::{Error, ErrorKind};
use crate::spelling::shown;

/// What a purge names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// Every stored response.
    All,
    /// The responses with this tag.
    Tag(Tag),
    /// The responses with a tag of this family.
    Family(Arc<str>),
    /// The responses stored under the rule of this name.
    Rule(Arc<str>),
    /// The responses of this exact URL path, all variants and queries.
    Path(Arc<str>),
    /// The responses whose URL path matches this pattern (see the purger).
    Glob(Arc<str>),
}

impl Target {
    /// Its id; none for a glob, which is matched against paths.
    #[must_use]
    pub(crate) fn id(&self) -> Option<TagId> {
        match self {
            Self::All => Some(TagId::ALL),
            Self::Tag(tag) => Some(TagId::tag(tag.as_str())),
            Self::Family(name) => Some(TagId::family(name)),
            Self::Rule(name) => Some(TagId::rule(name)),
            Self::Path(path) => Some(TagId::path(path)),
            Self::Glob(_) => None,
        }
    }

    /// How many bytes its text has, about.
    pub(crate) fn bytes(&self) -> u64 {
        let name = match self {
            Self::All => 0,
            Self::Tag(tag) => tag.as_str().len(),
            Self::Family(name) | Self::Rule(name) | Self::Path(name) | Self::Glob(name) => {
                name.len()
            }
        };
        u64::try_from(name).unwrap_or(u64::MAX).saturating_add(3)
    }

    /// Reads what [`Display`](fmt::Display) printed; `None` for anything else (a newer version's
    /// target, which the reader then takes for everything).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let (scope, name) = text.split_once(':')?;
        Some(match scope {
            "t" => Self::Tag(Tag::new(name).ok()?),
            "f" => Self::Family(name.into()),
            "r" => Self::Rule(name.into()),
            "p" => Self::Path(name.into()),
            "g" => Self::Glob(name.into()),
            _ => return None,
        })
    }
}

/// Targets from what people write, and for them.
impl Target {
    /// What it is, in a word: `tag`, `family`, `rule`, `url`, `glob` or `all`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Tag(_) => "tag",
            Self::Family(_) => "family",
            Self::Rule(_) => "rule",
            Self::Path(_) => "url",
            Self::Glob(_) => "glob",
        }
    }

    /// What it names, in its one form: a tag with its addresses in lower case, a URL's path. Empty for all.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::All => "",
            Self::Tag(tag) => tag.as_str(),
            Self::Family(name) | Self::Rule(name) | Self::Path(name) | Self::Glob(name) => name,
        }
    }

    /// The responses with the tag `text`. An address in it may be written in any case.
    ///
    /// # Errors
    /// Those of [`Tag::new`].
    pub fn tag(text: impl AsRef<str>) -> Result<Self, Error> {
        Tag::new(text.as_ref()).map(Self::Tag)
    }

    /// The responses with any tag of the family `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is empty, longer than 256 bytes or has a control character.
    pub fn family(name: impl AsRef<str>) -> Result<Self, Error> {
        plain("family", name.as_ref()).map(Self::Family)
    }

    /// The responses stored under the rule `name`.
    ///
    /// # Errors
    /// As of [`family`](Self::family).
    pub fn rule(name: impl AsRef<str>) -> Result<Self, Error> {
        plain("rule", name.as_ref()).map(Self::Rule)
    }

    /// The responses of exactly this URL or path; a query is ignored.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is neither.
    pub fn url(url: impl AsRef<str>) -> Result<Self, Error> {
        let text = url.as_ref();
        let uri: http::Uri = text.parse().map_err(|cause: http::uri::InvalidUri| {
            let shown = shown(text);
            Error::new(ErrorKind::Invalid, format!("not a URL or path: {shown:?}"))
                .with_source(cause)
        })?;
        Ok(Self::Path(uri.path().into()))
    }

    /// The responses whose path matches `pattern`; see [`Purger::glob`](crate::Purger::glob).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is longer than 1024 bytes, has a control character, or can match no
    /// path because it begins with neither `/` nor `*`.
    pub fn glob(pattern: impl AsRef<str>) -> Result<Self, Error> {
        let glob = Glob::parse(pattern.as_ref())?;
        Ok(Self::Glob(glob.as_str().into()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Tag(tag) => write!(f, "t:{tag}"),
            Self::Family(name) => write!(f, "f:{name}"),
            Self::Rule(name) => write!(f, "r:{name}"),
            Self::Path(path) => write!(f, "p:{path}"),
            Self::Glob(pattern) => write!(f, "g:{pattern}"),
        }
    }
}

/// A name that fits into one line of a record.
fn plain(what: &str, name: &str) -> Result<Arc<str>, Error> {
    if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
        let shown = shown(name);
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("not the name of a {what}: {shown:?}"),
        ));
    }
    Ok(name.into())
}
